"""The simulated Entra ID, as a client of Microsoft's would meet it."""

from typing import TYPE_CHECKING

import jwt
import pytest

if TYPE_CHECKING:
    from tests.simulator.conftest import Caller, Clock


async def test_version_1_writes_its_numbers_as_strings_and_version_2_as_numbers(cloud: "Caller") -> None:
    token = cloud.names["refresh_token"]
    v1 = (await cloud.token(grant_type="refresh_token", refresh_token=token, resource=cloud.names["resource"])).json()
    v2 = (
        await cloud.token(
            "v2",
            grant_type="refresh_token",
            refresh_token=token,
            scope="https://api.partnercenter.microsoft.com/.default",
        )
    ).json()
    assert (v1["expires_in"], v2["expires_in"]) == ("3600", 3600)
    assert int(v1["expires_on"]) - int(v1["not_before"]) == 3600


async def test_each_redemption_gives_a_new_refresh_token_and_the_old_one_stays_valid(cloud: "Caller") -> None:
    old = cloud.names["refresh_token"]
    first = (await cloud.token(grant_type="refresh_token", refresh_token=old)).json()["refresh_token"]
    second = (await cloud.token(grant_type="refresh_token", refresh_token=old)).json()["refresh_token"]
    assert len({old, first, second}) == 3
    assert (await cloud.token(grant_type="refresh_token", refresh_token=first)).status_code == 200


async def test_a_refresh_token_unused_for_over_90_days_has_expired(cloud: "Caller", clock: "Clock") -> None:
    clock.advance(days=90)
    fresh = (await cloud.token(grant_type="refresh_token", refresh_token=cloud.names["refresh_token"])).json()
    clock.advance(days=90, seconds=1)
    got = await cloud.token(grant_type="refresh_token", refresh_token=fresh["refresh_token"])
    assert got.status_code == 400
    assert (got.json()["error"], got.json()["error_codes"]) == ("invalid_grant", [700082])
    assert got.json()["error_description"].startswith("AADSTS700082: ")


async def test_the_side_door_can_let_refresh_tokens_lapse(cloud: "Caller") -> None:
    await cloud.door("POST", "/refresh-tokens/idle")
    got = await cloud.token(grant_type="refresh_token", refresh_token=cloud.names["refresh_token"])
    assert (got.status_code, got.json()["error_codes"]) == (400, [700082])


@pytest.mark.parametrize(
    ("form", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "someone-else"}, 400, "unauthorized_client", 700016),
        ({"refresh_token": "unknown"}, 400, "invalid_grant", 70000),
        ({"resource": "https://nowhere.example"}, 400, "invalid_resource", 500011),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": "client_credentials"}, 400, "invalid_request", 900144),
    ],
)
async def test_refusals_come_in_entras_shape(
    cloud: "Caller", form: dict[str, str], status: int, error: str, number: int
) -> None:
    good = {"grant_type": "refresh_token", "refresh_token": cloud.names["refresh_token"]}
    got = await cloud.token(**(good | form))
    assert (got.status_code, got.json()["error"], got.json()["error_codes"]) == (status, error, [number])


async def test_an_unknown_tenant_is_refused(cloud: "Caller") -> None:
    got = await cloud.token(tenant="nobody.example", grant_type="client_credentials")
    assert (got.status_code, got.json()["error_codes"]) == (400, [90002])


async def test_a_token_for_our_api_verifies_against_the_published_keys_and_names_the_user(
    cloud: "Caller", clock: "Clock"
) -> None:
    token = (await cloud.device_token("hana@partner.example"))["access_token"]
    tenant = cloud.names["tenant"]
    discovery = (await cloud.http.get(f"/{tenant}/v2.0/.well-known/openid-configuration")).json()
    keys = jwt.PyJWKSet.from_dict((await cloud.http.get(discovery["jwks_uri"])).json())
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        ["RS256"],
        audience="api://claimdesk",
        issuer=discovery["issuer"],
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},  # the clock of this test stands still
    )
    assert discovery["issuer"] == f"http://simulator.test/{tenant}/v2.0"
    assert (claims["roles"], claims["tid"]) == (["HelpdeskAgent"], tenant)
    assert (claims["preferred_username"], claims["name"]) == ("hana@partner.example", "Hana Helpdesk")
    assert claims["exp"] == int(clock().timestamp()) + 3600


async def test_a_customers_user_carries_the_home_tenant_under_the_one_issuer(cloud: "Caller") -> None:
    token = (await cloud.device_token("carl@contoso.example"))["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["tid"], claims["roles"]) == (cloud.customer("contoso"), ["Customer"])
    assert claims["iss"].endswith(f"/{cloud.names['tenant']}/v2.0")


async def test_device_sign_in_waits_until_somebody_approves_on_the_page(cloud: "Caller") -> None:
    form = {"client_id": cloud.names["client_id"], "scope": "api://claimdesk/access offline_access"}
    begun = (await cloud.http.post(f"/{cloud.names['tenant']}/oauth2/v2.0/devicecode", data=form)).json()
    assert begun["user_code"] in begun["message"]

    async def poll() -> tuple[int, dict[str, object]]:
        got = await cloud.token("v2", grant_type="device_code", device_code=begun["device_code"], client_secret="")
        return got.status_code, got.json()

    status, answer = await poll()
    assert (status, answer["error"]) == (400, "authorization_pending")
    assert 'name="user_code"' in (await cloud.http.get(begun["verification_uri"])).text
    wrong = await cloud.http.post("/device", data={"user_code": "NOTACODE1", "user": "sam@partner.example"})
    assert "isn't one that is waiting" in wrong.text.replace("&#x27;", "'")
    assert (await poll())[1]["error"] == "authorization_pending"
    await cloud.http.post("/device", data={"user_code": begun["user_code"], "user": "sam@partner.example"})
    status, answer = await poll()
    assert status == 200
    claims = jwt.decode(str(answer["access_token"]), options={"verify_signature": False})
    assert claims["preferred_username"] == "sam@partner.example"
    again = await cloud.token(
        "v2", grant_type="refresh_token", refresh_token=str(answer["refresh_token"]), client_secret=""
    )
    assert again.status_code == 200
    assert (await poll())[1]["error"] == "invalid_grant"


async def test_a_device_code_expires(cloud: "Caller", clock: "Clock") -> None:
    form = {"client_id": cloud.names["client_id"], "scope": "api://claimdesk/.default"}
    begun = (await cloud.http.post(f"/{cloud.names['tenant']}/oauth2/v2.0/devicecode", data=form)).json()
    clock.advance(seconds=begun["expires_in"])
    got = await cloud.token("v2", grant_type="device_code", device_code=begun["device_code"])
    assert got.json()["error"] == "expired_token"


async def test_partner_center_refuses_what_is_missing_expired_or_meant_for_others(
    cloud: "Caller", clock: "Clock"
) -> None:
    async def refusal(token: str, path: str = "/v1/servicerequests") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        got = await cloud.http.get(path, headers=headers)
        assert set(got.json()) == {"code", "description", "data", "source"}
        return got.status_code, got.json()["code"]

    ours = (await cloud.device_token("ana@partner.example"))["access_token"]
    scope = "https://api.partnercenter.microsoft.com/user_impersonation"
    customers = (await cloud.device_token("carl@contoso.example", scope))["access_token"]
    app = (await cloud.token(grant_type="client_credentials", resource=cloud.names["resource"])).json()["access_token"]
    good = cloud.headers["Authorization"].removeprefix("Bearer ")
    assert await refusal("") == (401, "401")
    assert await refusal(good[:-8] + "AAAAAAAA") == (401, "401")
    assert await refusal(ours) == (401, "900420")
    assert await refusal(customers) == (403, "900308")
    assert await refusal(app) == (403, "900329")
    assert await refusal(app, "/v1/invoices/G000024130") == (403, "900329")
    assert (await cloud.http.get("/v1/customers", headers={"Authorization": f"Bearer {app}"})).status_code == 200
    clock.advance(hours=1)
    assert await refusal(good) == (401, "401")
