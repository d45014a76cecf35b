"""The access tokens of the simulated Entra ID: RS256, signed with a key that lives as long as the state."""

import hashlib
import json
import uuid
from datetime import timedelta
from typing import Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from jwt.types import Options
from pydantic import BaseModel

from simulator.models import Secret
from simulator.people import AZURE, CLIENT_ID, PARTNER_TENANT, User
from simulator.state import Cloud


class Claims(BaseModel):
    """What Microsoft's services read of an access token."""

    aud: str
    tid: str
    idtyp: Literal["app", "user"]
    oid: str = ""
    name: str = ""
    upn: str = ""
    roles: list[str] = []


class Signer:
    """Signs tokens and knows them again. One issuer: the partner tenant's, also for users whose home (`tid`) is
    elsewhere.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        stored = cloud.store.get(Secret, "signing-key")
        if stored is None:
            fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            stored = Secret(id="signing-key", text=fresh.decode())
            cloud.write_now(stored)
        key = serialization.load_pem_private_key(stored.text.encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("The signing key in the state isn't an RSA key; delete the state file to begin anew.")
        self._key = key
        self._jwk = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        self._kid = hashlib.sha256(str(self._jwk["n"]).encode()).hexdigest()[:16]

    def jwks(self) -> dict[str, object]:
        """The public key as a JSON Web Key Set."""
        return {"keys": [{**self._jwk, "kid": self._kid, "use": "sig", "alg": "RS256"}]}

    def issuer(self, base: str) -> str:
        """The one issuer, below the base URL of this process."""
        return f"{base}/{PARTNER_TENANT}/v2.0"

    def token(self, base: str, audience: str, user: User | None, tenant: str) -> str:
        """An access token for `audience`, for `user` or, without one, for the app alone. `tenant` is whose endpoint was
        asked: for Azure the token acts there, whatever the user's home."""
        now = self._cloud.now()
        subject = CLIENT_ID if user is None else user.object_id
        claims: dict[str, object] = {
            "iss": self.issuer(base),
            "aud": audience,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=self._cloud.config.token_seconds)).timestamp()),
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{subject}:{audience}")),
            "oid": subject,
            "tid": tenant if audience == AZURE or user is None else user.tenant,
            "azp": CLIENT_ID,
            "idtyp": "app" if user is None else "user",
            "roles": [] if user is None else list(user.roles),
            "ver": "2.0",
            "jti": uuid.uuid4().hex,
        }
        if user is not None:
            claims |= {"name": user.name, "preferred_username": user.upn, "upn": user.upn, "scp": "user_impersonation"}
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._kid})

    def read(self, token: str) -> Claims:
        """The claims of a token signed here and not expired, whatever its audience. Raises `jwt.InvalidTokenError`."""
        # expiry goes by the simulator's own clock, which a test may set
        unchecked: Options = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        payload = jwt.decode(token, self._key.public_key(), ["RS256"], options=unchecked)
        if int(payload["exp"]) <= self._cloud.now().timestamp():
            raise jwt.ExpiredSignatureError("expired")
        return Claims.model_validate(payload)
