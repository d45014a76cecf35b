"""What an answer of Microsoft's says: its JSON as models, or its refusal as one of our exceptions. No I/O."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Never, TypeVar
from urllib.parse import quote, unquote

from pydantic import BaseModel, ValidationError

from microsoft.errors import (
    Ambiguous,
    Conflict,
    Forbidden,
    Malformed,
    MicrosoftError,
    NotFound,
    Rejected,
    StaleETag,
    SupportPlanTooLow,
    Throttled,
    Unavailable,
)

RETRY_AFTER_UNSAID = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(seconds=999_999)

# Digits enough for an exponent that no amount of money has. An integer made of such a number never ends.
_HUGE_EXPONENT = re.compile(rb"\d[eE][+-]?\d{3}")

# Of the sentence by which Azure refuses a ticket for its support plan; it has no code of its own (facts 2.1).
_PLAN_WORDS = "support plan"

# By these names an operation says that it failed for a reason of Microsoft's own (facts 1.7; the unavailable service
# is ARM's own word).
_TRANSIENT = frozenset(
    {
        "internalservererror",
        "servertimeout",
        "serviceunavailable",
        "billingtransienterror",
        "fulfillmenttransienterror",
        "unauthenticatedrequeststhrottled",
        "operationfailed",
    }
)
_RIGHTS = frozenset({"authorizationfailed", "forbidden", "linkedauthorizationfailed", "invalidauthenticationtoken"})

Model = TypeVar("Model", bound=BaseModel)
Failure = TypeVar("Failure", bound=MicrosoftError)


@dataclass(frozen=True)
class Call:
    """One operation as the logs and exceptions name it. Pages of one listing share it, and so its correlation id."""

    operation: str
    host: str
    correlation_id: str

    def failed(self, kind: type[Failure], description: str, status: int | None = None) -> Failure:
        return kind(
            self.operation, self.host, status=status, description=description, correlation_id=self.correlation_id
        )

    def malformed(self, description: str, status: int | None = None) -> Malformed:
        return self.failed(Malformed, description, status)


@dataclass(frozen=True)
class Answer:
    """A 2xx answer. `data` is its JSON, None for an empty body; every fraction is a Decimal of the digits given.
    `headers` are looked up whatever the case of their name."""

    call: Call
    status: int
    data: object = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def retry_after(self) -> timedelta | None:
        """How long Microsoft asks to wait before the next look; None where it says nothing."""
        return asked_pause(self.status, self.headers, b"")

    def read(self, model: type[Model]) -> Model:
        """The answer as `model`. Raises Malformed, naming the fields that are wrong but never their values."""
        return read(model, self.data, self.call)


def read(model: type[Model], data: object, call: Call) -> Model:
    """`data`, a piece of the answer to `call`, as `model`. Raises Malformed."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(str(step)[:40] for step in each['loc']) or model.__name__}: {each['type']}"
            for each in error.errors(include_url=False, include_context=False, include_input=False)[:3]
        ]
    # Raised out here, so that the values pydantic's exception carries don't travel along as its context.
    raise call.malformed(f"not a {model.__name__}: {'; '.join(wrong)}", 200)


def parse_json(body: bytes) -> object:
    """JSON with fractions as Decimal, so that money keeps its text. Raises ValueError."""

    def refuse(constant: str) -> Never:
        raise ValueError(f"{constant} is not JSON")

    fraction = _sane if _HUGE_EXPONENT.search(body) else Decimal
    try:
        data: object = json.loads(body.decode("utf-8-sig"), parse_float=fraction, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ArithmeticError:
        raise ValueError("a number out of range") from None
    return data


def _sane(digits: str) -> Decimal:
    number = Decimal(digits)
    if abs(number.adjusted()) > 99:
        raise ValueError("a number out of range")
    return number


def content_type(headers: Mapping[str, str]) -> str:
    """The answer's media type, as far as it is fit for a message."""
    kind: str = headers.get("content-type", "")
    return re.sub(r"[^\w/+.-].*", "", kind)[:60] or "an unnamed type"


def failure(
    call: Call,
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    secrets: list[str],
    *,
    write: bool,
) -> MicrosoftError:
    """The exception for an answer that isn't a success, keyed on (status, code)."""
    code, description = explain(body)
    if not code and not description:
        description = f"{len(body)} bytes of {content_type(headers)}"
    code, description = _without(secrets, code), _without(secrets, description)
    pause = asked_pause(status, headers, body)
    kind: type[MicrosoftError]
    match status, code:
        case 429, _:
            kind, pause = Throttled, RETRY_AFTER_UNSAID if pause is None else pause
        case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR and _is_foreign(status, body):
            # A proxy's page, or a network's that wants a sign-in: Microsoft has said nothing, whatever the status says.
            kind = Ambiguous if write else Malformed
        case 404, _:
            kind = NotFound
        case ((401 | 403), _):
            kind = SupportPlanTooLow if _is_about_the_plan(description) else Forbidden
        case (400, "2055") | (412, _):
            kind = StaleETag
        case 409, _:
            kind = Conflict
        case _ if _is_about_the_plan(description):
            kind = SupportPlanTooLow
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            kind = Ambiguous if write else Unavailable
        case _:
            kind = Rejected
    return kind(
        call.operation,
        call.host,
        status=status,
        code=code,
        description=description,
        correlation_id=call.correlation_id,
        retry_after=pause,
    )


def failed_operation(call: Call, code: str, message: str) -> MicrosoftError:
    """The exception for an operation that was accepted and then failed, which is told with HTTP 200.

    A failure of Microsoft's own is Ambiguous: whether it did a part is to be looked at before anything is sent again.
    """
    kind: type[MicrosoftError]
    match code.strip().lower():
        case _ if _is_about_the_plan(message):
            kind = SupportPlanTooLow
        case name if name in _RIGHTS:
            kind = Forbidden
        case name if name in _TRANSIENT:
            kind = Ambiguous
        case _:
            kind = Rejected
    return kind(
        call.operation,
        call.host,
        status=HTTPStatus.OK,
        code=code.strip(),
        description=_without([], message) or "the operation failed",
        correlation_id=call.correlation_id,
    )


def _is_foreign(status: int, body: bytes) -> bool:
    """Whether an answer isn't Microsoft's: it redirects nowhere, and its refusals are empty, JSON, or (storage) XML."""
    if status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return True
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:6].lower()
    return bool(start) and not start.startswith((b"{", b"<?xml", b"<error"))


def _is_about_the_plan(description: str) -> bool:
    return _PLAN_WORDS in description.lower()


def explain(body: bytes) -> tuple[str, str]:
    """Microsoft's code and description out of an error body, in any of its shapes; "" for what isn't there.

    `{code, description}` (Partner Center), `{statusCode, message}` (its throttle), `{error: {code, message}}` (ARM,
    Graph), `{Error: {Code, Message}}` (support), `{error, error_description}` (Entra ID).
    """
    try:
        data = parse_json(body)
    except ValueError:
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    fields = {key.lower(): value for key, value in data.items()}
    inner = fields.get("error")
    if isinstance(inner, dict):
        fields = {str(key).lower(): value for key, value in inner.items()}
        inner = None
    code = inner if isinstance(inner, str) else fields.get("code")
    text = next((fields[key] for key in ("error_description", "description", "message") if fields.get(key)), "")
    return (
        str(code) if isinstance(code, str | int) else "",
        text if isinstance(text, str) else "",
    )


def asked_pause(status: int, headers: Mapping[str, str], body: bytes) -> timedelta | None:
    """How long the host asks us to wait: Retry-After in seconds or as a date, else the throttle body's sentence."""
    said: str = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,6}", said):
        return timedelta(seconds=int(said))
    if said:
        try:
            at = parsedate_to_datetime(said)
        except (ValueError, OverflowError):
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return min(max(at - datetime.now(UTC), timedelta()), _LONGEST_PAUSE)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        found = re.search(r"try again in (\d{1,6}) second", explain(body)[1], re.IGNORECASE)
        if found:
            return timedelta(seconds=int(found[1]))
    return None


def texts(value: object) -> list[str]:
    """Every text in what we sent that is long enough to be recognised in an answer, also as JSON writes it."""
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts(each)]
    if not isinstance(value, str) or len(value) <= 7:
        return []
    return list({value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]})


def query_texts(query: bytes) -> list[str]:
    """The same of an address's query, which may be signed: the whole, and each value as it stands there and as it
    reads."""
    whole = query.decode("ascii")
    values = [pair.partition("=")[2] for pair in whole.split("&")]
    return texts([whole, values, [unquote(each) for each in values], [quote(unquote(each), "") for each in values]])


def _without(secrets: list[str], text: str) -> str:
    """`text` without what we sent, and without anything that looks like a token."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "[withheld]")
    return re.sub(r"\beyJ[\w-]{8,}(\.[\w-]*)*|(?<=Bearer )\S+", "[withheld]", text)
