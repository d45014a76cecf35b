"""Who may call: tokens of the right issuer, for the right audience, with a role."""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runtime.settings import Settings, SettingsError
from starter.api.app import create_app
from starter.api.auth import KEYS_KEPT_SECONDS, REFETCH_SECONDS, Tokens
from starter.api.problems import Problem
from tests.simulated import Simulator
from tests.starter.conftest import Caller, Issuer, problem


async def ask(ana: Caller, token: str) -> tuple[int, str, str]:
    answer = await ana.http.get("/v1/evidence-kinds", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json().get("detail", ""), answer.headers.get("www-authenticate", "")


def part(content: bytes) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


async def test_a_token_of_our_issuer_lets_in(ana: Caller, issuer: Issuer) -> None:
    assert (await ask(ana, issuer.token()))[0] == 200


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": int(time.time()) - 31}, "expired"),
        ({"nbf": int(time.time()) + 600}, "isn't valid yet"),
        ({"iss": "https://login.elsewhere.example"}, "another issuer"),
        ({"aud": "api://somebody-else"}, "another audience"),
        ({"exp": None}, "lacks exp"),
        ({"sub": None}, "lacks sub"),
        ({"tid": None}, "tid"),
        ({"roles": "AdminAgent"}, "roles"),
    ],
)
async def test_a_token_that_does_not_count_is_told_why(
    ana: Caller, issuer: Issuer, claims: dict[str, Any], why: str
) -> None:
    status, detail, challenge = await ask(ana, issuer.token(**claims))
    assert (status, why in detail) == (401, True), detail
    assert challenge.startswith("Bearer ")
    assert 'error="invalid_token"' in challenge


async def test_clocks_may_differ_by_half_a_minute(ana: Caller, issuer: Issuer) -> None:
    now = int(time.time())
    assert (await ask(ana, issuer.token(exp=now - 15)))[0] == 200
    assert (await ask(ana, issuer.token(nbf=now + 15)))[0] == 200


async def test_without_a_token_the_way_to_get_one_is_told(ana: Caller) -> None:
    answer = await ana.http.get("/v1/claims", headers={"Authorization": "Basic YTpi"})
    document = problem(answer, 401, "token")
    assert "claimdesk login" in document["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_unsigned_token_does_not_count(ana: Caller, issuer: Issuer) -> None:
    _, content, _ = issuer.token().split(".")
    status, detail, _ = await ask(ana, f"{part(json.dumps({'alg': 'none', 'kid': 'one'}).encode())}.{content}.")
    assert (status, "RS256" in detail) == (401, True)


async def test_a_token_signed_with_the_public_key_as_a_secret_does_not_count(ana: Caller, issuer: Issuer) -> None:
    public = issuer.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _, content, _ = issuer.token().split(".")
    signed = f"{part(json.dumps({'alg': 'HS256', 'kid': 'one'}).encode())}.{content}"
    signature = part(hmac.digest(public, signed.encode(), "sha256"))
    status, detail, _ = await ask(ana, f"{signed}.{signature}")
    assert (status, "RS256" in detail) == (401, True)


async def test_a_token_signed_by_somebody_else_does_not_count(ana: Caller, issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    status, detail, _ = await ask(ana, jwt.encode(claims, other, "RS256", headers={"kid": "one"}))
    assert (status, "signature" in detail) == (401, True)


async def test_what_is_no_token_does_not_count(ana: Caller) -> None:
    for text in ("abc", "a.b.c", "a.b.c.d", "..", "€"):
        answer = await ana.http.get("/v1/claims", headers={b"Authorization": f"Bearer {text}".encode()})
        problem(answer, 401, "token")


async def test_roles_that_mean_nothing_here_are_no_roles(ana: Caller, issuer: Issuer) -> None:
    answer = await ana.as_("Reader", "admin_agent").get("/v1/claims")
    assert "AdminAgent" in problem(answer, 403, "no_role")["detail"]
    assert (await ana.as_("Reader", "SalesAgent").get("/v1/claims")).status_code == 200


async def test_an_admin_agent_of_another_tenant_is_nobody_here(ana: Caller) -> None:
    answer = await ana.as_("AdminAgent", "GlobalAdmin", tid="0c1b9f5e-1d1e-4b0e-9a70-3f5f2c3f0a01").get("/v1/claims")
    problem(answer, 403, "no_role")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def refused(tokens: Tokens, token: str) -> Problem:
    with pytest.raises(Problem) as found:
        await tokens.caller(token)
    return found.value


async def test_a_new_key_of_the_issuer_is_found(settings: Settings, issuer: Issuer) -> None:
    clock = Clock()
    tokens = Tokens(settings, clock=clock)
    await tokens.caller(issuer.token())
    issuer.add_key("two")
    clock.now += REFETCH_SECONDS
    assert (await tokens.caller(issuer.token(key_id="two"))).subject == "ana"
    await tokens.aclose()


async def test_made_up_keys_do_not_make_us_ask_the_issuer_each_time(settings: Settings, issuer: Issuer) -> None:
    tokens = Tokens(settings, clock=Clock())
    issuer.add_key("made-up")
    forged = [issuer.token(key_id="made-up")] * 20
    del issuer.keys["made-up"]
    for token in forged:
        assert (await refused(tokens, token)).status_code == 401
    assert issuer.fetches == 1
    await tokens.aclose()


async def test_a_key_that_the_issuer_withdrew_stops_counting(settings: Settings, issuer: Issuer) -> None:
    clock = Clock()
    tokens = Tokens(settings, clock=clock)
    issuer.add_key("two")
    withdrawn = issuer.token(key_id="two")
    await tokens.caller(withdrawn)
    del issuer.keys["two"]
    clock.now += KEYS_KEPT_SECONDS + 1
    assert (await refused(tokens, withdrawn)).status_code == 401
    await tokens.aclose()


async def test_an_issuer_that_is_away_shuts_nobody_out_whose_key_is_known(settings: Settings, issuer: Issuer) -> None:
    clock = Clock()
    tokens = Tokens(settings, clock=clock)
    await tokens.caller(issuer.token())
    issuer.down = True
    clock.now += KEYS_KEPT_SECONDS + 1
    assert (await tokens.caller(issuer.token())).subject == "ana"
    await tokens.aclose()


async def test_while_no_key_was_ever_read_it_is_our_fault(settings: Settings, issuer: Issuer) -> None:
    clock = Clock()
    tokens = Tokens(settings, clock=clock)
    issuer.down = True
    found = await refused(tokens, issuer.token())
    assert (found.status_code, found.rule) == (503, "keys_unavailable")
    issuer.down = False
    clock.now += 1.5
    await tokens.caller(issuer.token())
    await tokens.aclose()


async def test_keys_that_are_for_something_else_do_not_count(settings: Settings, issuer: Issuer) -> None:
    issuer.extra_keys = [{**key, "use": "enc"} for key in json.loads(issuer.jwks())["keys"]]
    issuer.extra_keys[0]["kid"] = "for-encryption"
    issuer.keys["for-encryption"] = issuer.keys["one"]
    token = issuer.token(key_id="for-encryption")
    del issuer.keys["for-encryption"]
    tokens = Tokens(settings)
    assert (await refused(tokens, token)).status_code == 401
    await tokens.aclose()


async def test_a_token_of_the_simulated_entra_lets_in(settings: Settings, simulator: Simulator) -> None:
    tenant, app = simulator.seed["tenant"], {"client_id": simulator.seed["client_id"]}
    base = f"{simulator.url}/{tenant}/oauth2/v2.0"
    scope = f"{simulator.seed['audience']}/.default"
    begun = simulator.door.post(
        f"{base}/devicecode", data={**app, "scope": scope, "login_hint": "rita@reseller.example"}
    ).json()
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
    token = simulator.door.post(f"{base}/token", data={**app, **grant}).json()["access_token"]
    own = settings.model_copy(
        update={
            "auth_issuer": f"{simulator.url}/{tenant}/v2.0",
            "auth_audience": simulator.seed["audience"],
            "auth_jwks_url": f"{simulator.url}/{tenant}/discovery/v2.0/keys",
        }
    )
    tokens = Tokens(own)
    caller = await tokens.caller(token)
    assert caller.name == "Rita Reseller"
    assert [role.value for role in caller.roles] == ["indirect_reseller"]
    await tokens.aclose()


def test_the_api_does_not_start_without_knowing_whose_tokens_count(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="CLAIMDESK_AUTH_ISSUER"):
        create_app(settings.model_copy(update={"auth_issuer": None}))
