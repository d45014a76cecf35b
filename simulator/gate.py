"""What every call to Partner Center passes first: its token, and whether its answer was given before."""

from collections.abc import Callable
from typing import TypeVar

import jwt
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from simulator.models import Answered
from simulator.people import PARTNER_CENTER, PARTNER_TENANT
from simulator.state import Cloud
from simulator.tokens import Claims, Signer
from simulator.wire import PartnerCenterError, json_of, json_text, reply

B = TypeVar("B", bound=BaseModel)


class Gate:
    """Guards the Partner Center paths."""

    def __init__(self, cloud: Cloud, signer: Signer) -> None:
        self.cloud, self._signer = cloud, signer

    def check(self, request: Request, *, user: bool = False) -> Claims:
        """Who calls. `user`: refuse an app that comes without one. Raises `PartnerCenterError` 401 or 403."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise PartnerCenterError(401, "401", "Access denied. The request carries no bearer token.")
        try:
            claims = self._signer.read(token)
        except (jwt.InvalidTokenError, ValidationError):
            raise PartnerCenterError(401, "401", "Access denied. The token is expired or not valid.") from None
        if claims.aud != PARTNER_CENTER:
            raise PartnerCenterError(401, "900420", "The audience of the token is not valid for this resource.")
        if user and claims.idtyp == "app":
            raise PartnerCenterError(403, "900329", "App only access is not supported for this resource.")
        if claims.tid != PARTNER_TENANT:
            raise PartnerCenterError(403, "900308", "The caller has no privileges to perform this operation.")
        return claims

    def once(self, request: Request, act: Callable[[], object]) -> Response:
        """Runs a write and answers with what it gives; the same MS-RequestId again gets the same answer and changes
        nothing.
        """
        given = request.headers.get("MS-RequestId", "")
        key = f"{request.method} {request.url.path} {given}"
        before = self.cloud.store.get(Answered, key) if given else None
        if before is not None:
            return Response(before.body, before.status, media_type="application/json; charset=utf-8")
        with self.cloud.store.transaction():
            body = act()
            if given:
                self.cloud.write_now(Answered(id=key, status=200, body=json_text(body)))
        return reply(body)


async def body_of(request: Request, model: type[B]) -> B:
    """The request's body as `model`. Raises a 400 in Microsoft's shape."""
    try:
        return model.model_validate(lower_first(json_of(await request.body())))
    except ValueError:  # not JSON, or not this resource: pydantic's error is one too
        raise PartnerCenterError(400, "400", "The request body is not valid.") from None


def lower_first(value: object) -> object:
    """The same with every key's first letter small: requests come in PascalCase, in camelCase, and mixed."""
    if isinstance(value, dict):
        return {str(key)[:1].lower() + str(key)[1:]: lower_first(item) for key, item in value.items()}
    if isinstance(value, list):
        return [lower_first(item) for item in value]
    return value
