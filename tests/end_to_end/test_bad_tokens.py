"""A token that doesn't count lets nobody in, and says why."""

import sqlite3
import time
import uuid
from collections.abc import Callable

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.end_to_end.untouched import assert_not_started, claim_of
from tests.end_to_end.ways import ANA, Json, TestDesk
from tests.starter.conftest import problem

ELSEWHERE = "c0a1b2d3-9999-4f5e-8a6b-1c2d3e4f5a99"
"""A tenant that isn't ours."""

Forge = Callable[[Json, rsa.RSAPrivateKey, str], str | None]


def _signed(**claims: object) -> Forge:
    def forge(known: Json, key: rsa.RSAPrivateKey, key_id: str) -> str:
        left = {name: value for name, value in {**known, **claims}.items() if value is not None}
        return jwt.encode(left, key, "RS256", headers={"kid": key_id})

    return forge


def _foreign(known: Json, key: rsa.RSAPrivateKey, key_id: str) -> str:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(known, own, "RS256", headers={"kid": key_id})


def _unsigned(known: Json, key: rsa.RSAPrivateKey, key_id: str) -> str:
    return jwt.encode(known, "", "none", headers={"kid": key_id})


TOKENS: list[tuple[str, Forge, int, str, str]] = [
    ("none", lambda *_: None, 401, "token", "claimdesk login"),
    ("no JWT", lambda *_: "nonsense", 401, "token", "isn't a JWT"),
    ("expired", _signed(exp=int(time.time()) - 3600), 401, "token", "expired. Sign in again"),
    ("of another issuer", _signed(iss="https://login.elsewhere.example"), 401, "token", "another issuer"),
    ("for another audience", _signed(aud="https://graph.microsoft.com"), 401, "token", "another audience"),
    ("signed by somebody else", _foreign, 401, "token", "signature is wrong"),
    ("not signed", _unsigned, 401, "token", "signed with RS256"),
    ("without a role", _signed(roles=[]), 403, "no_role", "AdminAgent"),
    ("with a role that is none", _signed(roles=["Emperor"]), 403, "no_role", "AdminAgent"),
    ("with our role elsewhere", _signed(tid=ELSEWHERE), 403, "no_role", "partner's own tenant"),
]


@pytest.mark.parametrize(("name", "forge", "status", "rule", "told"), TOKENS, ids=[row[0] for row in TOKENS])
async def test_a_token_that_does_not_count(
    desk: TestDesk, name: str, forge: Forge, status: int, rule: str, told: str
) -> None:
    real = await desk.token(ANA)
    known = jwt.decode(real, options={"verify_signature": False})
    token = forge(known, signing_key(desk), jwt.get_unverified_header(real)["kid"])
    headers = {"Idempotency-Key": uuid.uuid4().hex} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with httpx.AsyncClient(base_url=desk.settings.api_url, trust_env=False) as http:
        answer = await http.post("/v1/claims", json=desk.opening("nce_no_window"), headers=headers)
        read = await http.get("/v1/claims", headers=headers)
    for one in (answer, read):
        assert told in problem(one, status, rule)["detail"]
        if status == 401:
            assert one.headers["www-authenticate"].startswith("Bearer ")
    await assert_not_started(desk, await claim_of(desk, headers["Idempotency-Key"]))


def signing_key(desk: TestDesk) -> rsa.RSAPrivateKey:
    """The key that the simulated Entra ID signs with."""
    with sqlite3.connect(f"file:{desk.settings.data_dir / 'simulator.db'}?mode=ro", uri=True) as state:
        (found,) = state.execute("SELECT json FROM documents WHERE kind = 'secret'").fetchone()
    key = jwt.get_algorithm_by_name("RS256").prepare_key(str(httpx.Response(200, text=found).json()["text"]))
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
