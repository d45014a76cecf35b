"""Customers and subscriptions: paging, and what Microsoft lets a PATCH do."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.simulator.conftest import Caller, Clock


async def patch(cloud: "Caller", path: str, tag: str | None = None, **changes: object) -> httpx.Response:
    """Reads the subscription and sends it back whole with changes, as a careful client does."""
    body = await cloud.get(path)
    headers = {"If-Match": f'"{body["attributes"]["etag"]}"' if tag is None else tag}
    return await cloud.call("PATCH", path, headers=headers, json=body | changes)


async def test_customers_come_in_pages_by_continuation_token(cloud: "Caller") -> None:
    names: list[str] = []
    page = await cloud.get("/v1/customers?size=4")
    names += [one["companyProfile"]["companyName"] for one in page["items"]]
    after = page["links"]["next"]
    assert after["uri"] == "/customers?size=4&seekOperation=Next"  # no /v1
    assert after["headers"][0]["key"] == "MS-ContinuationToken"
    page = await cloud.get("/v1" + after["uri"], **{"MS-ContinuationToken": after["headers"][0]["value"]})
    names += [one["companyProfile"]["companyName"] for one in page["items"]]
    assert names == ["Contoso", "Fabrikam", "Adatum", "Northwind Traders", "Tailspin Toys", "Wingtip Toys"]
    assert "next" not in page["links"]


@pytest.mark.parametrize("token", ["", "nonsense", "e30="])
async def test_a_page_without_a_token_given_here_is_refused(cloud: "Caller", token: str) -> None:
    got = await cloud.call("GET", "/v1/customers?seekOperation=Next", headers={"MS-ContinuationToken": token})
    assert (got.status_code, got.json()["code"]) == (400, "3001")


async def test_customers_are_found_by_domain_and_by_an_id_in_either_case(cloud: "Caller") -> None:
    wanted = json.dumps({"Field": "Domain", "Value": "fabri", "Operator": "starts_with"})
    found = await cloud.call("GET", "/v1/customers", params={"filter": wanted})
    assert [one["id"] for one in found.json()["items"]] == [cloud.customer("fabrikam")]
    one = await cloud.get(f"/v1/customers/{cloud.customer('fabrikam').upper()}")
    assert one["companyProfile"]["domain"] == "fabrikam.example"
    assert one["companyProfile"]["tenantId"] == cloud.customer("fabrikam").upper()
    assert "billingProfile" in one
    assert "billingProfile" not in found.json()["items"][0]


async def test_unknown_customers_and_subscriptions_and_those_of_others_are_404(cloud: "Caller") -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    contoso, subscription = cloud.subscription("legacy_active")
    fabrikam = cloud.customer("fabrikam")
    for path, code in (
        (f"/v1/customers/{nobody}", "60003"),
        (f"/v1/customers/{nobody}/subscriptions", "60003"),
        (f"/v1/customers/{contoso}/subscriptions/{nobody}", "20003"),
        (f"/v1/customers/{fabrikam}/subscriptions/{subscription}", "20003"),
    ):
        got = await cloud.call("GET", path)
        assert (got.status_code, got.json()["code"]) == (404, code)


async def test_only_new_commerce_speaks_of_windows_and_refunds(cloud: "Caller", clock: "Clock") -> None:
    legacy = await cloud.get(cloud.subscription_path("legacy_active"))
    fresh = await cloud.get(cloud.subscription_path("nce_active_cancellable"))
    assert not {"cancellationAllowedUntilDate", "refundOptions", "refundableQuantity", "productType"} & set(legacy)
    assert fresh["cancellationAllowedUntilDate"] == f"{clock() + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    assert fresh["refundableQuantity"]["totalQuantity"] == 5
    # one answer, three ways to write an instant
    assert fresh["creationDate"].endswith(".1230000Z")
    assert fresh["refundOptions"][0]["expiresAt"].endswith("T00:00:00.0000000+00:00")
    none = await cloud.get(cloud.subscription_path("nce_no_window"))
    assert none["cancellationAllowedUntilDate"] is None
    assert (await cloud.get(cloud.subscription_path("azure_plan")))["attributes"]["etag"] == ""


async def test_suspending_a_legacy_licence_within_30_days_gives_all_of_it_back(cloud: "Caller") -> None:
    path = cloud.subscription_path("legacy_active_recent")
    got = await patch(cloud, path, status="suspended")
    assert (got.status_code, got.json()["status"]) == (200, "suspended")
    invoice = (await cloud.get("/v1/invoices"))["items"][-1]
    lines = await cloud.get(f"/v1/invoices/{invoice['id']}/lineitems/office/billinglineitems")
    assert [(line["chargeType"], str(line["amount"])) for line in lines["items"]] == [("Cancel fee", "-192.00")]


async def test_cancelling_new_commerce_in_its_window_gives_the_rest_back(cloud: "Caller") -> None:
    path = cloud.subscription_path("nce_active_cancellable")
    assert (await patch(cloud, path, status="deleted")).json()["status"] == "deleted"
    invoice = (await cloud.get("/v1/invoices"))["items"][-1]
    lines = await cloud.get(f"/v1/invoices/{invoice['id']}/lineitems/onetime/billinglineitems")
    # $60 a year, on the fifth day: 360 days are left, 59.18 for each of five
    assert [(line["chargeType"], str(line["subtotal"])) for line in lines["items"]] == [("cancelImmediate", "-295.90")]
    again = await patch(cloud, path, status="active")
    assert (again.status_code, again.json()["code"]) == (400, "2011")


@pytest.mark.parametrize("name", ["nce_active_past_window", "nce_no_window"])
async def test_past_its_window_new_commerce_stays(cloud: "Caller", name: str) -> None:
    got = await patch(cloud, cloud.subscription_path(name), status="deleted")
    assert (got.status_code, got.json()["code"]) == (400, "900117")
    assert (await cloud.get(cloud.subscription_path(name)))["status"] == "active"


async def test_the_window_ends_at_its_instant(cloud: "Caller", clock: "Clock") -> None:
    clock.advance(days=3, milliseconds=1)
    await cloud.sign_in()
    got = await patch(cloud, cloud.subscription_path("nce_active_cancellable"), status="deleted")
    assert (got.status_code, got.json()["code"]) == (400, "900117")


async def test_legacy_is_suspended_never_deleted(cloud: "Caller") -> None:
    got = await patch(cloud, cloud.subscription_path("legacy_active"), status="deleted")
    assert (got.status_code, got.json()["code"]) == (400, "800063")


async def test_a_stale_or_unquoted_etag_is_a_400_with_code_2055(cloud: "Caller") -> None:
    path = cloud.subscription_path("legacy_active")
    tag = (await cloud.get(path))["attributes"]["etag"]
    assert (await patch(cloud, path, autoRenewEnabled=False)).status_code == 200
    for given in (f'"{tag}"', tag, ""):
        got = await patch(cloud, path, given, status="suspended")
        assert (got.status_code, got.json()["code"]) == (400, "2055")
    assert (await cloud.get(path))["status"] == "active"


async def test_what_a_patch_leaves_out_is_silently_reset(cloud: "Caller") -> None:
    path = cloud.subscription_path("nce_active_past_window")
    body = await cloud.get(path)
    assert body["autoRenewEnabled"] is True
    pascal = {"Id": body["id"], "Quantity": body["quantity"], "Status": "active"}
    got = await cloud.call("PATCH", path, headers={"If-Match": f'"{body["attributes"]["etag"]}"'}, json=pascal)
    assert got.json()["autoRenewEnabled"] is False


async def test_the_quantity_of_a_suspended_subscription_stays(cloud: "Caller") -> None:
    got = await patch(cloud, cloud.subscription_path("legacy_suspended_within_30_days"), quantity=2)
    assert (got.status_code, got.json()["code"]) == (400, "2001")


async def test_the_same_request_id_again_gives_the_same_answer_and_changes_nothing(cloud: "Caller") -> None:
    path = cloud.subscription_path("legacy_active_recent")
    body = await cloud.get(path)
    headers = {"If-Match": f'"{body["attributes"]["etag"]}"', "MS-RequestId": "5a1c0e0e-0000-4000-8000-000000000001"}
    first = await cloud.call("PATCH", path, headers=headers, json=body | {"status": "suspended"})
    invoices = (await cloud.get("/v1/invoices"))["totalCount"]
    second = await cloud.call("PATCH", path, headers=headers, json=body | {"status": "suspended"})
    assert (first.status_code, second.status_code, first.text) == (200, 200, second.text)
    assert second.headers["MS-RequestId"] == headers["MS-RequestId"]
    assert (await cloud.get("/v1/invoices"))["totalCount"] == invoices


async def test_relationships_are_listed_by_type_and_for_a_customer_with_a_reseller(cloud: "Caller") -> None:
    listed = "/v1/relationships?relationship_type="
    [ours] = (await cloud.get(listed + "IsIndirectCloudSolutionProviderOf"))["items"]
    assert (ours["id"].lower(), ours["relationshipType"]) == (
        cloud.names["reseller_tenant"],
        "IsIndirectCloudSolutionProviderOf",
    )
    assert (await cloud.get(listed + "IsValueAddedResellerOf"))["items"] == []
    refused = await cloud.call("GET", "/v1/relationships")
    assert (refused.status_code, refused.json()["code"]) == (400, "3000")
    for name, count in (("wingtip", 1), ("contoso", 0)):
        page = await cloud.get(f"/v1/customers/{cloud.customer(name)}/relationships")
        assert len(page["items"]) == page["totalCount"] == count
