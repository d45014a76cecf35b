"""Bearer tokens from Entra ID: the Secure Application Model (facts C)."""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from microsoft.answers import Call
from microsoft.errors import ConsentExpired, ConsentMissing, MicrosoftError
from microsoft.fields import in_path
from microsoft.transport import Transport

PARTNER_CENTER = "https://api.partnercenter.microsoft.com"
AZURE = "https://management.azure.com"
GRAPH = "https://graph.microsoft.com"
"""The audiences. Each needs a token of its own, redeemed from the same refresh token (facts C)."""

TOKEN_REQUEST = "redeem token"  # noqa: S105 - the name of an operation
"""The operation of errors that are about our own sign-in, not about what was asked for with it."""

_NO_CONSENT = "AADSTS65001"

_HALF_STORED = ".half-stored"
_STORED_BY_NOW = 60.0
"""Seconds after which a store that is still half done was killed."""

# Entra ID's codes for "a person must sign in (again)".
_HUMAN = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
_WHY = {
    "AADSTS50173": "it was revoked: the password of the service account changed",
    "AADSTS50076": "multi-factor authentication is now asked for",
    "AADSTS50079": "multi-factor authentication is now asked for",
    "AADSTS53003": "a conditional access policy blocks it",
    "AADSTS65001": "the application's consent for this API is missing",
    "AADSTS50020": "the tenant has no account for the partner's service account",
    "AADSTS90072": "the tenant has no account for the partner's service account",
    "AADSTS70008": "it expired",
    "AADSTS700082": "it lapsed after 90 days without use",
    "AADSTS700084": "it expired",
}
# In a customer's tenant these are the customer's to put right: no other sign-in of ours would help.
_THEIRS = frozenset({"AADSTS50020", "AADSTS50076", "AADSTS50079", "AADSTS53003", "AADSTS90072"})


def _sendable(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not (text.strip() and text.isascii() and text.isprintable()):
        raise ValueError("can't be sent in a header")
    return token


class _Grant(BaseModel):
    """The token endpoint's answer. The v1 endpoint gives its numbers as strings."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: Annotated[SecretStr, AfterValidator(_sendable)]
    expires_in: Annotated[int, Field(gt=0)] = 3600
    refresh_token: SecretStr | None = None


@dataclass(frozen=True)
class _Kept:
    token: SecretStr
    renew_at: float


class Identity:
    """Who we are at Microsoft: gives bearer tokens by resource, kept until a while before they expire.

    With a `refresh_token_file` as App+User: the service account's refresh token is redeemed, and one that comes
    back rotated is in the file before the access token that came with it is used. Without it as the application
    alone, which service requests don't accept. `http` is the transport of the login host; `clock` gives seconds.
    The file is read at each redemption, so a new consent counts at once and several processes may share the file.
    """

    def __init__(
        self,
        http: Transport,
        *,
        tenant: str,
        client_id: str,
        client_secret: SecretStr,
        refresh_token_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._tenant = tenant
        self._client = {"client_id": client_id}
        self._client_secret = client_secret
        self._file = refresh_token_file
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        # One for all: they redeem, and may rotate, the same refresh token.
        self._lock = asyncio.Lock()

    async def token(self, resource: str, refused: SecretStr | None = None, *, tenant: str | None = None) -> SecretStr:
        """A bearer token for `resource` (an audience, as `https://api.partnercenter.microsoft.com`), issued by the
        partner's tenant or, to act for a customer, by `tenant`: Azure takes whose things are meant from there.

        `refused` is a token that Microsoft just turned down: another is fetched. Raises ConsentMissing (in `tenant`),
        ConsentExpired, Forbidden (client id or secret wrong), Unavailable, Throttled, Rejected, Malformed; OSError when
        the file can't be written.
        """
        key = ((tenant or self._tenant).lower(), resource)
        kept = self._good(key, refused)
        if kept is not None:
            return kept
        async with self._lock:
            kept = self._good(key, refused)
            if kept is not None:
                return kept
            grant = await self._redeem(*key)
            # Early by a quarter of a short life, else by five minutes: never used while it expires under way.
            early = min(300.0, grant.expires_in / 4)
            self._kept[key] = _Kept(grant.access_token, self._clock() + grant.expires_in - early)
            return grant.access_token

    def _good(self, key: tuple[str, str], refused: SecretStr | None) -> SecretStr | None:
        kept = self._kept.get(key)
        if kept is None or kept.token == refused or self._clock() >= kept.renew_at:
            return None
        return kept.token

    async def _redeem(self, tenant: str, resource: str) -> _Grant:
        call = self._http.call(TOKEN_REQUEST)
        if self._file is None:
            return await self._ask(call, tenant, {"grant_type": "client_credentials", "resource": resource})
        file = self._file
        used = await asyncio.to_thread(_read, file)
        if not used:
            raise self._consent(call, tenant, "there is no refresh token that can be read", None)
        try:
            grant = await self._ask(call, tenant, _refresh(used, resource))
        except ConsentExpired:
            # Another process, or a person, may have put a newer one there in the meantime.
            newer = await asyncio.to_thread(_read, file)
            if not newer or newer == used:
                raise
            used = newer
            grant = await self._ask(call, tenant, _refresh(used, resource))
        rotated = grant.refresh_token.get_secret_value() if grant.refresh_token else ""
        if rotated and rotated != used:
            # Shielded: a cancelled activity must not stop a token from reaching the disk.
            await asyncio.shield(asyncio.to_thread(_store, file, rotated, used))
        return grant

    async def _ask(self, call: Call, tenant: str, form: dict[str, str]) -> _Grant:
        secret = self._client_secret.get_secret_value()
        path = f"/{in_path(tenant, call)}/oauth2/token"
        try:
            answer = await self._http.redeem(call, path, {**self._client, "client_secret": secret, **form})
        except MicrosoftError as error:
            if error.code not in _HUMAN:
                raise
            found = re.match(r"AADSTS\d+", error.description)
            why = f"Entra ID refuses the refresh token ({found[0] if found else error.code})"
            if found and found[0] in _WHY:
                why += f": {_WHY[found[0]]}"
            expired = self._consent(call, tenant, why, error)
        else:
            return answer.read(_Grant)
        raise expired

    def _consent(self, call: Call, tenant: str, why: str, error: MicrosoftError | None) -> ConsentExpired:
        code = error.description.partition(":")[0] if error else ""
        is_ours = tenant == self._tenant.lower()
        whose = "the partner tenant" if is_ours else f"the customer's tenant {tenant}"
        kind = ConsentMissing if code == _NO_CONSENT or (code in _THEIRS and not is_ours) else ConsentExpired
        if self._file is None or code == _NO_CONSENT:
            what = f"Have an administrator of {whose} consent to the application"
        elif kind is ConsentMissing:
            what = (
                f"Have an administrator of {whose} let the partner's service account in: by a GDAP relationship or as "
                "a guest, and in the policies for conditional access and multi-factor authentication"
            )
        else:
            what = "Sign in again as the partner's service account, with MFA, and store the new refresh token"
        return kind(
            call.operation,
            call.host,
            status=error.status if error else None,
            code=error.code if error else "",
            description=f"{why}. {what}.",
            correlation_id=call.correlation_id,
        )


def _refresh(token: str, resource: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, "resource": resource, "scope": "openid"}


def _read(file: Path) -> str:
    """The token in the file, "" where there is none. A Windows editor may have put its mark before it."""
    try:
        return file.read_text("utf-8-sig").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _store(file: Path, token: str, used: str) -> None:
    """The token in the file, whole or not at all, and for the owner's eyes only (mkstemp makes it 0600). What a link
    leads to is replaced, not the link.

    Unless a person or another process replaced `used` in the meantime: theirs is the newer consent.
    """
    if _read(file) != used:
        return
    file = file.resolve()
    _remove_left_over(file)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=_HALF_STORED)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(token)
            target.flush()
            os.fsync(target.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_left_over(file: Path) -> None:
    """Removes what a store that was killed half-way left behind. A young one may be another process's, under way."""
    for left in file.parent.glob(f".{escape(file.name)}.*{_HALF_STORED}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _STORED_BY_NOW:
                left.unlink()
