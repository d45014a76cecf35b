"""How Partner Center writes: exact numbers, odd dates, two shapes of error, links without `/v1`."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from fastapi import Request, Response

NEVER = "0001-01-01T00:00:00"
"""Microsoft's way to say that something hasn't happened."""


def json_text(value: object) -> str:
    """JSON with numbers in the digits of their `Decimal`: 107661.12 goes out as exactly that, which a float can't
    promise.

    Raises `TypeError` for anything that isn't JSON, a float included.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(key))}:{json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(json_text(item) for item in value) + "]"
    if value is None or isinstance(value, str | bool | int):
        return json.dumps(value)
    raise TypeError(f"{type(value).__name__} is not something the simulator writes as JSON")


DEEPEST = 50
"""Arrays and objects within each other in a request; one of ours has six."""


def json_of(body: bytes) -> object:
    """The JSON of a request. Raises `ValueError` for what isn't JSON, is nested too deeply, or has half characters."""
    try:
        found: object = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [found]
    for _ in range(DEEPEST):
        level = [part for each in level for part in parts_of(each)]
    if level:
        raise ValueError("nested too deeply")
    json.dumps(found, ensure_ascii=False).encode()
    return found


def parts_of(value: object) -> list[object]:
    """What is directly in an array or an object."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def reply(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(json_text(body), status, headers, "application/json; charset=utf-8")


class PartnerCenterError(Exception):
    """An error in Partner Center's normal shape. Its codes are reused, so what matters is status and code together."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(f"{status} {code}: {description}")
        self.status, self.code, self.description = status, code, description

    def response(self) -> Response:
        """The error as it goes over the wire."""
        return reply(error_body(self.code, self.description), self.status)


def error_body(code: str, description: str) -> dict[str, object]:
    """The normal shape of an error."""
    return {"code": code, "description": description, "data": [], "source": "PartnerFD"}


def throttled_body(seconds: int) -> dict[str, object]:
    """The other shape: what the gateway in front of Partner Center says with a 429."""
    return {"statusCode": 429, "message": f"Rate limit is exceeded. Try again in {seconds} seconds."}


def instant(moment: datetime, digits: int = 0, zone: str = "Z") -> str:
    """A UTC instant with so many digits of a second (Microsoft uses none to seven), and with or without a zone."""
    text = f"{moment:%Y-%m-%dT%H:%M:%S}"
    if digits:
        text += f".{moment.microsecond:06d}0"[: digits + 1]
    return text + zone


def trimmed(moment: datetime, zone: str = "") -> str:
    """A UTC instant to the millisecond with trailing zeros cut, as tickets carry it: `…:17.24`, `…:17`."""
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}"
    return text.rstrip("0").rstrip(".") + zone


def page_number(request: Request, name: str, default: int, lowest: int = 0) -> int:
    """A whole number from the query string. Raises a 400 in Microsoft's shape when it isn't one."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9 or int(text) < lowest:
        raise PartnerCenterError(400, "3000", f"The value of the query parameter {name} is not valid.")
    return int(text)


def continuation(offset: int) -> str:
    """An opaque continuation token for what follows the first `offset` items."""
    return base64.b64encode(json.dumps({"skip": offset}).encode()).decode()


def continued_offset(request: Request) -> int:
    """Where a seek page starts: after the token of `MS-ContinuationToken` when `seekOperation=Next` asks for it,
    else at 0.

    Raises a 400 in Microsoft's shape when the header is missing or wasn't given out here.
    """
    if request.query_params.get("seekOperation", "").lower() != "next":
        return 0
    try:
        found = json.loads(base64.b64decode(request.headers.get("MS-ContinuationToken", ""), validate=True))
        return int(found["skip"])
    except (binascii.Error, ValueError, TypeError, KeyError):
        raise PartnerCenterError(400, "3001", "The continuation token is missing or not valid.") from None


def link(uri: str, **headers: str) -> dict[str, object]:
    """A link as bodies carry it."""
    return {
        "uri": uri,
        "method": "GET",
        "headers": [{"key": key.replace("_", "-"), "value": value} for key, value in headers.items()],
    }


def collection(items: list[dict[str, object]], total: int, links: dict[str, object] | None) -> dict[str, object]:
    """A collection as bodies carry it."""
    body: dict[str, object] = {"totalCount": total, "items": items}
    if links is not None:
        body["links"] = links
    return body | {"attributes": {"objectType": "Collection"}}
