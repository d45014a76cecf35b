"""What every call to Azure Resource Manager passes first, and how Azure writes: errors, operations, signed addresses.

Decided where the facts are silent: an address that Azure signed and that comes back changed in any byte, but for the
case of an escape's digits, is a 400; an operation's outcome can be asked for as long as the state lives.
"""

import hashlib
import math
import re
import uuid
from collections.abc import Mapping

import jwt
from fastapi import Request, Response
from pydantic import ValidationError

from simulator.people import AZURE
from simulator.state import Cloud
from simulator.tokens import Claims, Signer
from simulator.wire import reply

_AZURE_PATHS = ("/providers/", "/subscriptions/")
SIGNATURE_LENGTH = 3200


def is_azure(path: str) -> bool:
    """Whether a path is one of management.azure.com, in any case."""
    return path.lower().startswith(_AZURE_PATHS)


class AzureError(Exception):
    """An error in ARM's shape; in PascalCase (`{"Error":{"Code":…}}`) where Microsoft.Support was recorded with it."""

    def __init__(self, status: int, code: str, message: str, *, pascal: bool = False) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.pascal = status, code, message, pascal

    def response(self) -> Response:
        """The error as it goes over the wire."""
        body: dict[str, object] = {"error": {"code": self.code, "message": self.message}}
        if self.pascal:
            inner: dict[str, object] = {
                "Code": self.code,
                "Message": self.message,
                "Target": None,
                "InnerError": None,
                "Details": [],
            }
            body = {"Error": inner}
        return reply(body, self.status)


class AzureGate:
    """Guards the paths of management.azure.com."""

    def __init__(self, cloud: Cloud, signer: Signer) -> None:
        self.cloud, self._signer = cloud, signer

    def check(self, request: Request, *versions: str) -> Claims:
        """Who calls, and from which tenant (`tid`): whose things are meant is decided by that. Raises `AzureError`:
        400 for an api-version that isn't one of `versions`, 401 for the token."""
        given = request.query_params.get("api-version")
        if not given:
            raise AzureError(
                400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
            )
        if given not in versions:
            raise AzureError(
                400,
                "InvalidResourceType",
                f"The resource type could not be found for api version '{given}'. "
                f"The supported api-versions are '{','.join(versions)}'.",
            )
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AzureError(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        return self._read(token.strip(), "The access token is invalid or expired.")

    def auxiliary_tenants(self, request: Request) -> frozenset[str]:
        """The tenants that vouch beside the caller's: those of `x-ms-authorization-auxiliary`, at most three.

        Raises a 401 that names the bad one where any of them isn't valid.
        """
        header = request.headers.get("x-ms-authorization-auxiliary", "")
        tokens = [part.strip() for part in header.replace(";", ",").split(",") if part.strip()]
        if len(tokens) > 3:
            raise AzureError(401, "InvalidAuxiliaryTokens", "At most three auxiliary tokens are taken.")
        return frozenset(
            self._read(
                token.partition(" ")[2].strip(), f"The auxiliary token number {number} is invalid or expired."
            ).tid
            for number, token in enumerate(tokens, 1)
        )

    def _read(self, token: str, message: str) -> Claims:
        try:
            claims = self._signer.read(token)
        except (jwt.InvalidTokenError, ValidationError):
            raise AzureError(401, "InvalidAuthenticationToken", message) from None
        if claims.aud.rstrip("/") != AZURE:
            raise AzureError(401, "InvalidAuthenticationTokenAudience", f"The audience must be {AZURE}.")
        return claims

    def signed(self, url: str) -> str:
        """The address with ARM's signature: over 3 KB, good only to the letter."""
        seed = hashlib.sha512(f"{url}|signed by the simulated Azure".encode()).hexdigest()
        long = (seed * (SIGNATURE_LENGTH // len(seed) + 1))[:SIGNATURE_LENGTH]
        return f"{url}&t=638675352153472510&c=MII{long[:-128]}%2f~'&s={long[-128:-64]}%2B%3d&h={long[-64:]}"

    def check_signature(self, request: Request) -> None:
        """Refuses an address that isn't to the letter what `signed` gave out."""
        raw = request.scope.get("query_string", b"").decode("latin-1")
        plain, signature, _ = raw.partition("&t=")
        path = request.scope["raw_path"].decode("latin-1")
        url, given = f"{self.base(request)}{path}?{plain}", f"{self.base(request)}{path}?{raw}"
        # %2f and %2F are one: urllib3, on which Microsoft's own SDK stands, writes escapes in capitals.
        if not signature or _capital_escapes(self.signed(url)) != _capital_escapes(given):
            raise AzureError(400, "InvalidSignature", "The signature of the polling address is missing or not valid.")

    def base(self, request: Request) -> str:
        """Where this process is reached: as configured, else as the caller reached it."""
        return (self.cloud.config.base_url or str(request.base_url)).rstrip("/")

    def retry_after(self, seconds: float) -> str:
        """A Retry-After header of so many recorded seconds, scaled; it has whole seconds, so it may be 0."""
        return str(math.floor(seconds * self.cloud.config.time_scale))


def _capital_escapes(url: str) -> str:
    return re.sub(r"%[0-9a-f]{2}", lambda escape: escape[0].upper(), url, flags=re.IGNORECASE)


def traced(given: Mapping[str, str]) -> dict[str, str]:
    """The headers by which Azure traces a call."""
    return {
        "x-ms-request-id": str(uuid.uuid4()),
        "x-ms-correlation-request-id": given.get("x-ms-correlation-request-id") or str(uuid.uuid4()),
        "x-ms-client-request-id": given.get("x-ms-client-request-id") or "",
        "x-ms-ratelimit-remaining-tenant-reads": "249",
    }
