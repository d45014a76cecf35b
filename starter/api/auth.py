"""Who calls: a bearer token (JWT, RS256) of the issuer and for the audience that the settings name."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import httpx
import jwt
import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.claims import Claim
from domain.model import Frozen
from domain.roles import PERMISSIONS, Action, Actor, Role, acting_role, is_partner
from runtime.settings import Settings, required
from starter.api.problems import Problem, unavailable

ALGORITHM = "RS256"
LEEWAY_SECONDS = 30
KEYS_KEPT_SECONDS = 3600.0
REFETCH_SECONDS = 10.0
"""The keys are asked for again on an unknown key id, but not more often than this: anybody can make ids up."""
RETRY_SECONDS = 1.0

ROLES = {"".join(word.capitalize() for word in role.split("_")): role for role in Role}
"""The strings of the token's `roles` (AdminAgent, …) and what they mean here. Others are ignored."""

_log = structlog.get_logger(__name__)


class Caller(Frozen):
    """The person behind a request, with every role the token gives."""

    subject: str
    tenant_id: str
    name: str | None
    roles: frozenset[Role]

    @property
    def is_partner(self) -> bool:
        """True for people of the partner, who see every claim."""
        return any(is_partner(role) for role in self.roles)

    def may_see(self, claim: Claim) -> bool:
        """Partner people see every claim, a customer those of their tenant, a reseller those their company opened."""
        if self.is_partner:
            return True
        if Role.CUSTOMER in self.roles and claim.opening.customer_id == self.tenant_id:
            return True
        return Role.INDIRECT_RESELLER in self.roles and claim.opened_by.tenant_id == self.tenant_id

    def acting(self, action: Action) -> Actor:
        """The caller in the role that lets them do it. Raises a 403 problem that names the roles that may."""
        role = acting_role(self.roles, action)
        if role is None:
            may = ", ".join(sorted(PERMISSIONS[action]))
            raise Problem(403, "role_may_not", f"None of your roles may {action.replace('_', ' ')}; these may: {may}.")
        return Actor(subject=self.subject, name=self.name, role=role, tenant_id=self.tenant_id)


class _Claims(BaseModel):
    """What we read of a token."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    sub: str = Field(min_length=1, max_length=200)
    oid: str | None = Field(None, min_length=1, max_length=200)
    tid: str = Field(min_length=1, max_length=200)
    name: str | None = Field(None, max_length=200)
    roles: tuple[str, ...] = ()


@dataclass
class _Keys:
    by_id: dict[str, jwt.PyJWK]
    fetched_at: float


class Tokens:
    """Checks tokens against the issuer's published keys, which are kept for an hour. Close it with `aclose`.

    `clock` gives monotonic seconds. Raises SettingsError at once where issuer, audience or keys aren't set.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wire: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = required(settings, "auth_issuer")
        self._audience = required(settings, "auth_audience")
        self._url = httpx.URL(required(settings, "auth_jwks_url"))
        self._partner_tenant = (settings.partner_tenant_id or "").lower()
        self._http = httpx.AsyncClient(
            timeout=5.0, transport=wire, trust_env=self._url.host not in ("127.0.0.1", "localhost", "::1")
        )
        self._clock = clock
        self._keys = _Keys({}, float("-inf"))
        self._next_fetch = float("-inf")
        self._lock = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections to the issuer."""
        await self._http.aclose()

    async def caller(self, token: str) -> Caller:
        """The caller that a token names. Raises a 401, 403 or 503 problem that says what is wrong with it."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise _unauthenticated("The token isn't a JWT.") from None
        if header.get("alg") != ALGORITHM:
            raise _unauthenticated(f"The token must be signed with {ALGORITHM}.")
        key = await self._key(header.get("kid"))
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            claims = _Claims.model_validate(payload)
        except jwt.InvalidTokenError as error:
            raise _unauthenticated(_why(error)) from None
        except ValidationError as error:
            fields = ", ".join(sorted({str(found["loc"][0]) for found in error.errors(include_input=False)}))
            raise _unauthenticated(f"The token lacks a usable: {fields}.") from None
        tenant = claims.tid.lower()
        roles = frozenset(
            ROLES[name]
            for name in claims.roles
            # A partner's role counts only for people of the partner's own tenant: elsewhere others hand roles out.
            if name in ROLES and not (is_partner(ROLES[name]) and self._partner_tenant not in ("", tenant))
        )
        if not roles:
            raise Problem(
                403,
                "no_role",
                "Your token gives you no role at this desk. Ask an administrator for one of: "
                f"{', '.join(ROLES)}; the partner's roles count only in the partner's own tenant.",
            )
        return Caller(subject=claims.oid or claims.sub, tenant_id=tenant, name=claims.name, roles=roles)

    async def _key(self, key_id: object) -> jwt.PyJWK:
        if not isinstance(key_id, str):
            raise _unauthenticated("The token doesn't name the key that signed it (kid).")
        if self._wants_fetch(key_id):
            async with self._lock:
                if self._wants_fetch(key_id):
                    await self._fetch()
        if not self._keys.by_id:
            raise unavailable("keys_unavailable", "The issuer's signing keys can't be read just now.")
        key = self._keys.by_id.get(key_id)
        if key is None:
            raise _unauthenticated("The token is signed with a key that isn't one of the issuer's.")
        return key

    def _wants_fetch(self, key_id: str) -> bool:
        now = self._clock()
        stale = now - self._keys.fetched_at > KEYS_KEPT_SECONDS
        return now >= self._next_fetch and (stale or key_id not in self._keys.by_id)

    async def _fetch(self) -> None:
        try:
            answer = await self._http.get(self._url)
            answer.raise_for_status()
            found = jwt.PyJWKSet.from_dict(answer.json())
        except (httpx.HTTPError, ValueError, AttributeError, jwt.PyJWTError) as error:
            # Keys known already go on counting: an issuer that is away for a while must not shut everybody out.
            _log.warning("signing keys not read", error=type(error).__name__)
            self._next_fetch = self._clock() + RETRY_SECONDS
            return
        usable = {
            key.key_id: key
            for key in found.keys
            if key.key_id and key.key_type == "RSA" and key.public_key_use in (None, "sig")
        }
        now = self._clock()
        self._keys = _Keys(usable, now)
        self._next_fetch = now + REFETCH_SECONDS


def _why(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "The token has expired. Sign in again."
        case jwt.ImmatureSignatureError():
            return "The token isn't valid yet."
        case jwt.InvalidIssuerError():
            return "The token is of another issuer."
        case jwt.InvalidAudienceError():
            return "The token is for another audience."
        case jwt.MissingRequiredClaimError():
            return f"The token lacks {error.claim}."
        case jwt.InvalidSignatureError():
            return "The token's signature is wrong."
    return "The token is malformed."


def _unauthenticated(why: str) -> Problem:
    challenge = f'Bearer realm="claimdesk", error="invalid_token", error_description="{why}"'
    return Problem(401, "token", why, headers={"WWW-Authenticate": challenge})


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of the partner's Entra ID.")


async def _authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    if credentials is None:
        raise Problem(
            401,
            "token",
            "A bearer token is needed: Authorization: Bearer …; `claimdesk login` gets one.",
            headers={"WWW-Authenticate": 'Bearer realm="claimdesk"'},
        )
    tokens: Tokens = request.app.state.desk.tokens
    caller = await tokens.caller(credentials.credentials)
    request.state.caller = caller
    return caller


Authenticated = Annotated[Caller, Depends(_authenticated)]
"""The caller of a route that only people with a role may use."""
