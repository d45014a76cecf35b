"""Customers and relationships: page by page from the simulator, and with the traps of Partner Center's collections."""

import json

import pytest

from microsoft.errors import Malformed, NotFound, Rejected
from microsoft.identity import Identity
from microsoft.partner_center import Customer, PartnerCenter
from microsoft.transport import Transport
from tests.microsoft.stand_ins import clients
from tests.simulated import Simulator

Cloud = tuple[Transport, Identity]


async def listed(partner_center: PartnerCenter, starts_with: str = "", size: int = 500) -> list[Customer]:
    return [each async for page in partner_center.customers(starts_with, page_size=size) for each in page]


async def test_customers_are_the_same_however_they_are_paged(simulator: Simulator, cloud: Cloud) -> None:
    partner_center = PartnerCenter(*cloud)
    whole = await listed(partner_center)
    # Other tests may have added customers of theirs.
    seeded = {each["id"] for each in simulator.seed["customers"].values()}
    assert [each.relationship for each in whole if each.id in seeded] == ["reseller"] * len(seeded)
    for size in (1, 4):
        assert await listed(partner_center, size=size) == whole


async def test_customers_are_found_by_the_beginning_of_name_or_domain(simulator: Simulator, cloud: Cloud) -> None:
    for number in (1, 2):
        simulator.post(
            "/customers",
            {
                "id": f"99999999-aaaa-4bbb-8ccc-00000000000{number}",
                "companyName": "Ünder & Söhne",
                "domain": "under.example",
            },
        )
    partner_center = PartnerCenter(*cloud)
    assert [each.name for each in await listed(partner_center, "ünder &", size=1)] == ["Ünder & Söhne"] * 2
    pages = partner_center.customers("fabri", by="Domain")
    assert [each.id async for page in pages for each in page] == [simulator.seed["customers"]["fabrikam"]["id"]]
    assert await listed(partner_center, "fabri.") == []


async def test_resellers_of_ours_and_of_a_customer(simulator: Simulator, cloud: Cloud) -> None:
    partner_center = PartnerCenter(*cloud)
    [ours] = await partner_center.resellers()
    assert (ours.id, ours.name, ours.state) == (simulator.seed["reseller_tenant"], "Rita's Resale", "active")
    assert (ours.type, ours.mpn_id) == ("isindirectcloudsolutionproviderof", "4847383")
    customers = simulator.seed["customers"]
    assert await partner_center.resellers_of(customers["wingtip"]["id"]) == [ours]
    assert await partner_center.resellers_of(customers["contoso"]["id"].upper()) == []
    with pytest.raises(NotFound):
        await partner_center.resellers_of("99999999-aaaa-4bbb-8ccc-dddddddddddd")


def page_of(*ids: str, then: str | None = None, uri: str = "/customers?size=2?seekOperation=Next") -> dict[str, object]:
    """A page of customers, its next link malformed as Microsoft's own sample has it."""
    headers = [{"key": "MS-ContinuationToken", "value": then}]
    return {
        "totalCount": len(ids),
        "items": [{"id": each, "relationshipToPartner": "Reseller", "companyProfile": None} for each in ids],
        "links": {"next": {"uri": uri, "method": "GET", "headers": headers}} if then else {},
    }


async def test_a_next_link_is_taken_from_its_headers_and_the_filter_goes_along() -> None:
    partner_center, _, script = clients(page_of("A", "B", then="abc=="), page_of(then="def=="), page_of("c"))
    found = await listed(partner_center, "con", size=2)
    assert [each.id for each in found] == ["a", "b", "c"]
    asked = script.requests[1:]
    assert [request.headers.get("MS-ContinuationToken") for request in asked] == [None, "abc==", "def=="]
    assert [request.url.params.get("seekOperation") for request in asked] == [None, "Next", "Next"]
    assert {request.url.params["size"] for request in asked} == {"2"}
    assert [json.loads(request.url.params["filter"]) for request in asked] == [
        {"Field": "CompanyName", "Value": "con", "Operator": "starts_with"}
    ] * 3


async def test_each_call_names_the_contract_and_tickets_are_those_of_the_whole_company() -> None:
    person, customer, subscription = {"id": "t", "status": 1}, {"id": "c"}, {"id": "s"}
    one_page: dict[str, object] = {"items": []}
    partner_center, billing, script = clients(
        *[customer, one_page, one_page, one_page, subscription, one_page, one_page, one_page, person, {}, {}, one_page]
    )
    await partner_center.customer("c")
    await listed(partner_center)
    await partner_center.resellers()
    await partner_center.resellers_of("c")
    await partner_center.subscription("c", "s")
    await partner_center.subscriptions("c")
    await partner_center.azure_entitlements("c", "s")
    _ = [page async for page in partner_center.service_requests()]
    await partner_center.service_request("t")
    await partner_center.add_note("t", "text")
    await partner_center.close("t")
    _ = [page async for page in billing.invoices()]
    asked = script.requests[1:]
    assert script.replies == []
    assert {request.headers.get("MS-Contract-Version") for request in asked} == {"v1"}
    assert [request.url.path for request in asked if "IncludeOrganizationRequests" in request.headers] == [
        "/v1/servicerequests"
    ]


async def test_a_listing_that_would_never_end_is_malformed() -> None:
    partner_center, _, _ = clients(page_of("a", then="x"), page_of("a", then="y"), page_of("a", then="x"))
    with pytest.raises(Malformed, match="the same continuation came twice"):
        await listed(partner_center)


@pytest.mark.parametrize("items", [[{"name": "no id"}], [5], "x"])
async def test_a_relationship_that_is_none_is_malformed(items: object) -> None:
    partner_center, _, _ = clients({"items": items})
    with pytest.raises(Malformed, match="list relationships at"):
        await partner_center.resellers()


async def test_a_relationship_may_say_next_to_nothing() -> None:
    partner_center, _, _ = clients({"items": [{"id": "X", "mpnId": 4847383, "state": None, "new": {"deep": []}}]})
    [found] = await partner_center.resellers()
    assert (found.id, found.mpn_id, found.state, found.type) == ("x", "4847383", "", "")


async def test_a_filter_that_partner_center_refuses_is_told_with_its_code(simulator: Simulator, cloud: Cloud) -> None:
    fault = {"kind": "error", "status": 400, "path": "/v1/customers$"}
    simulator.post("/faults", fault)
    with pytest.raises(Rejected) as caught:
        await listed(PartnerCenter(*cloud), "x")
    assert (caught.value.status, caught.value.code, caught.value.operation) == (400, "400", "list customers")
