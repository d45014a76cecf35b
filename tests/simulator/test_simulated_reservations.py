"""The simulated Microsoft.Capacity: whose reservations, how they are written, changed and bought, and who may.

Where the OpenAPI document and recorded traffic differ, the simulator follows the traffic; a test says so.
"""

import uuid
from decimal import Decimal

import httpx
import pytest

from tests.simulator.azure_caller import CAPACITY, Azure
from tests.simulator.conftest import Caller, Clock, Json

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
READER = "582fc458-8989-419f-a480-75249bc5db7e"
CONTRIBUTOR = "b4ebc951-a0c2-41f7-a3cd-a57fe27c8e3a"


@pytest.fixture
def azure(cloud: Caller) -> Azure:
    return Azure(cloud)


async def test_the_tokens_tenant_says_whose_reservations_are_meant(azure: Azure) -> None:
    one = azure.seed["vm_upfront"]
    mine = await azure.call(one["customer_id"], "GET", f"{CAPACITY}/reservations")
    assert one["reservation_id"] in mine.text
    for tenant in (azure.seed["red_hat"]["customer_id"], azure.cloud.names["tenant"]):
        others = await azure.call(tenant, "GET", f"{CAPACITY}/reservations")
        assert one["reservation_id"] not in others.text
        refused = await azure.call(tenant, "GET", f"{CAPACITY}/reservationOrders/{one['order_id']}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "ReservationOrderNotFound")


async def test_version_token_and_audience_are_checked(azure: Azure) -> None:
    customer = azure.cloud.customer()
    old = await azure.call(customer, "GET", f"{CAPACITY}/reservations", version="2020-06-01")
    assert old.status_code == 400
    none = await azure.cloud.http.get(f"{CAPACITY}/reservations?api-version=2022-11-01")
    assert none.status_code == 401
    partner_center = await azure.cloud.call("GET", f"{CAPACITY}/reservations?api-version=2022-11-01")
    assert partner_center.status_code == 401


async def test_a_reservation_as_it_was_recorded(azure: Azure) -> None:
    """Ids in mixed case, instants of seven digits beside plain dates, fields that the document doesn't declare."""
    got = await azure.of("vm_monthly", "GET", f"/reservations/{azure.seed['vm_monthly']['reservation_id'].lower()}")
    body = got.json()
    assert body["id"].startswith("/providers/microsoft.capacity/reservationOrders/")
    assert body["name"] == azure.seed["vm_monthly"]["reservation_id"]
    assert isinstance(body["etag"], int)
    properties = body["properties"]
    assert (properties["purchaseDateTime"], properties["expiryDate"]) == ("2025-11-30T09:30:15.1230000Z", "2026-11-30")
    assert properties["capabilities"] == "ApiReturnEnabled, ApiExchangeEnabled"
    assert "appliedScopes" not in properties
    assert properties["appliedScopeProperties"]["subscriptionId"].startswith("/subscriptions/")
    order = (await azure.of("vm_monthly", "GET", "?$expand=schedule")).json()
    assert order["properties"]["billingAccountId"]
    assert order["properties"]["reservations"][0]["id"].startswith("/providers/Microsoft.Capacity/")
    statuses = [each["status"] for each in order["properties"]["planInformation"]["transactions"]]
    assert statuses == ["Succeeded"] * 4 + ["Scheduled"] * 8
    assert order["properties"]["planInformation"]["nextPaymentDueDate"] == "2026-03-28"


async def test_a_path_in_any_case(azure: Azure) -> None:
    path = azure.reservation("vm_upfront").replace("Microsoft.Capacity/reservationOrders", "microsoft.capacity/ORDERS")
    assert (await azure.call(azure.cloud.customer(), "GET", path)).status_code == 404
    for spelled in (path.replace("ORDERS", "ReservationOrders"), path.replace("ORDERS", "reservationorders")):
        assert (await azure.call(azure.cloud.customer(), "GET", spelled)).status_code == 200


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("properties/reservedResourceType eq 'VirtualMachines'", {"vm_upfront", "vm_monthly", "slow_to_change"}),
        ("(properties/archived eq false) and sku/name eq 'adx_markup'", {"self_service_not_supported"}),
        ("sku/name eq 'ADX_markup' or properties/term eq 'P3Y'", {"self_service_not_supported", "sql_three_years"}),
        ("properties/archived eq true", set()),
    ],
)
async def test_a_list_is_filtered(azure: Azure, where: str, names: set[str]) -> None:
    got = await azure.call(azure.cloud.customer(), "GET", f"{CAPACITY}/reservations?$filter={where}")
    assert {each["properties"]["displayName"] for each in got.json()["value"]} == names


@pytest.mark.parametrize("where", ["properties/quantity gt 3", "properties/archived eq", "(archived eq true", "eq"])
async def test_a_filter_that_azure_doesnt_know_is_refused(azure: Azure, where: str) -> None:
    got = await azure.call(azure.cloud.customer(), "GET", f"{CAPACITY}/reservations?$filter={where}")
    assert got.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "take=0",
        "take=1.5",
        "take=x",
        "$skiptoken=-1",
        "$orderby=properties/displayName up",
        "$orderby=a,b",
        "$filter=" + "(" * 5000,
        "$filter=" + " or ".join(["a eq b"] * 2000),
    ],
)
async def test_a_list_asked_for_wrongly_is_refused(azure: Azure, query: str) -> None:
    got = await azure.call(azure.cloud.customer(), "GET", f"{CAPACITY}/reservations?{query}")
    assert (got.status_code, got.json()["error"]["code"]) == (400, "BadRequest")


async def test_words_are_taken_in_any_case_and_quantities_as_numbers_only(azure: Azure) -> None:
    customer = azure.cloud.customer()
    any_case = azure.purchase("vm_upfront", reservedResourceProperties={"instanceFlexibility": "oFF"})
    any_case["properties"] |= {"term": "p1y", "billingPlan": "monthly", "appliedScopeType": "shared"}
    assert (await azure.call(customer, "POST", f"{CAPACITY}/calculatePrice", any_case)).status_code == 200
    for quantity in ("1", 1.5, True, 0, 2**31, None):
        wrong = azure.purchase("vm_upfront")
        wrong["properties"]["quantity"] = quantity
        got = await azure.call(customer, "POST", f"{CAPACITY}/calculatePrice", wrong)
        assert (got.status_code, got.json()["error"]["code"]) == (400, "InvalidRequestContent"), quantity
    maybe = azure.purchase("vm_upfront", reservedResourceProperties={"instanceFlexibility": "perhaps"})
    assert (await azure.call(customer, "POST", f"{CAPACITY}/calculatePrice", maybe)).status_code == 400


async def test_a_list_comes_in_pages_and_names_order_and_reservation(azure: Azure) -> None:
    customer = azure.cloud.customer("wingtip")
    for _ in range(25):
        await azure.cloud.door("POST", "/reservations", {"customer_id": customer})
    url, pages, names = f"{CAPACITY}/reservations?$filter=properties/renew eq false", 0, set[str]()
    while url:
        body = (await azure.call(customer, "GET", url)).json()
        names |= {each["name"] for each in body["value"]}
        url, pages = body.get("nextLink", ""), pages + 1
    assert (pages, len(names)) == (3, 25)
    assert all(name.count("/") == 1 for name in names)


async def test_a_purchase_is_creating_then_pending_capacity_then_there(azure: Azure, clock: Clock) -> None:
    """Recorded: `PendingCapacity` is in no document; the scope that pays may be a bare GUID."""
    customer, bought = azure.cloud.customer(), azure.purchase("vm_upfront", quantity=2, billingPlan="Monthly")
    priced = (await azure.call(customer, "POST", f"{CAPACITY}/calculatePrice", bought)).json(parse_float=Decimal)
    properties = priced["properties"]
    assert properties["isBillingPartnerManaged"] is True
    assert properties["billingCurrencyTotal"] == {"currencyCode": "EUR", "amount": Decimal("1343.20")}
    assert properties["pricingCurrencyTotal"] == {"currencyCode": "USD", "amount": Decimal("1460.00")}
    assert len(properties["paymentSchedule"]) == 12
    order = f"{CAPACITY}/reservationOrders/{properties['reservationOrderId']}"
    assert (await azure.call(customer, "GET", order)).status_code == 404
    put = await azure.call(customer, "PUT", order, bought)
    assert (put.status_code, put.json()["properties"]["provisioningState"]) == (202, "Creating")
    assert order.lower() in put.headers["Location"].lower()
    assert (await azure.call(customer, "GET", order)).json()["properties"]["provisioningState"] == "PendingCapacity"
    clock.advance(minutes=3)
    again = await azure.call(customer, "PUT", order, bought)
    assert (again.status_code, again.json()["properties"]["provisioningState"]) == (200, "Succeeded")
    other = await azure.call(customer, "PUT", order, azure.purchase("vm_upfront", quantity=3))
    assert (other.status_code, other.json()["error"]["code"]) == (409, "ReservationOrderIdAlreadyExists")
    unknown = await azure.call(customer, "PUT", f"{CAPACITY}/reservationOrders/{uuid.uuid4()}", bought)
    assert unknown.status_code == 400
    [one] = (await azure.call(customer, "GET", f"{order}/reservations")).json()["value"]
    assert one["properties"]["billingScopeId"] == f"/subscriptions/{azure.seed['vm_upfront']['subscription_id']}"
    assert await azure.counts(customer_id=customer) == {"purchase": 1}


async def test_a_change_is_answered_when_done(azure: Azure) -> None:
    """Recorded, also for a change of scope; `appliedScopes` comes back as `appliedScopeProperties`."""
    key = azure.seed["vm_upfront"]["reservation_id"]
    subscription = f"/subscriptions/{azure.seed['vm_upfront']['subscription_id']}"
    body = {"properties": {"appliedScopeType": "Single", "appliedScopes": [subscription], "renew": True, "name": "web"}}
    before = (await azure.of("vm_upfront", "GET", f"/reservations/{key}")).json()["etag"]
    got = await azure.of("vm_upfront", "PATCH", f"/reservations/{key}", body)
    assert got.status_code == 200
    told = (await azure.of("vm_upfront", "GET", f"/reservations/{key}?$expand=renewProperties")).json()
    properties = told["properties"]
    assert properties["appliedScopeProperties"]["subscriptionId"] == subscription
    assert (properties["displayName"], properties["renew"], told["etag"] > before) == ("web", True, True)
    assert properties["renewProperties"]["purchaseProperties"]["properties"]["quantity"] == 5


async def test_a_change_that_takes_its_time_polls_the_reservation_itself(azure: Azure, clock: Clock) -> None:
    """The document's way: both addresses are the reservation's, which has a state but no status."""
    below = f"/reservations/{azure.seed['slow_to_change']['reservation_id']}"
    got = await azure.of("slow_to_change", "PATCH", below, {"properties": {"appliedScopeType": "Shared"}})
    assert (got.status_code, got.content, got.headers["Retry-After"]) == (202, b"", "120")
    assert got.headers["Azure-AsyncOperation"] == got.headers["Location"]
    url, tenant = got.headers["Location"], azure.seed["slow_to_change"]["customer_id"]
    first = (await azure.call(tenant, "GET", url)).json()
    assert "status" not in first
    assert first["properties"]["provisioningState"] == "Pending"
    clock.advance(minutes=3)
    done = (await azure.call(tenant, "GET", url)).json()["properties"]
    assert (done["provisioningState"], done["appliedScopeType"]) == ("Succeeded", "Shared")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "vm_upfront"}, "PatchValuesSameAsExisting"),
        ({}, "PatchValuesSameAsExisting"),
        ({"appliedScopeType": "Shared"}, "AppliedScopesSameAsExisting"),
        ({"appliedScopeType": "Single"}, "MissingAppliedScopesForSingle"),
        (
            {"appliedScopeType": "Single", "appliedScopes": ["/subscriptions/a", "/subscriptions/b"]},
            "InvalidSingleAppliedScopesCount",
        ),
        (
            {"appliedScopeType": "Single", "appliedScopes": ["/subscriptions/a"]},
            "AppliedScopesNotAssociatedWithCommerceAccount",
        ),
        ({"renew": "perhaps"}, "InvalidRequestContent"),
        ({"reviewDateTime": "soon"}, "InvalidRequestContent"),
        ({"renewProperties": {}}, "InvalidRequestContent"),
    ],
)
async def test_changes_that_are_none(azure: Azure, change: Json, code: str) -> None:
    below = f"/reservations/{azure.seed['vm_upfront']['reservation_id']}"
    got = await azure.of("vm_upfront", "PATCH", below, {"properties": change})
    assert (got.status_code, got.json()["error"]["code"]) == (400, code)


async def test_scopes_of_the_customer_are_available_and_the_catalogue_has_prices(azure: Azure) -> None:
    one = azure.seed["vm_upfront"]
    scopes = [f"/subscriptions/{one['subscription_id']}", f"/subscriptions/{uuid.uuid4()}"]
    below = f"/reservations/{one['reservation_id']}/availableScopes"
    got = await azure.of("vm_upfront", "POST", below, {"properties": {"scopes": scopes}})
    assert [each["valid"] for each in got.json()["properties"]["scopes"]] == [True, False]
    catalogs = f"/subscriptions/{one['subscription_id']}{CAPACITY}/catalogs?reservedResourceType=VirtualMachines"
    first = (await azure.call(one["customer_id"], "GET", catalogs)).json(parse_float=Decimal)
    assert (len(first["value"]), first["totalItems"]) == (2, 4)
    assert first["value"][0]["msrp"]["p1Y"] == {"currencyCode": "USD", "amount": Decimal("63.00")}
    second = (await azure.call(one["customer_id"], "GET", first["nextLink"])).json()
    assert {each["name"] for each in second["value"]} == {"Standard_D2s_v3", "Standard_E64s_v3"}
    assert (await azure.call(azure.cloud.customer("fabrikam"), "GET", catalogs)).status_code == 404


async def test_without_a_right_on_the_order_nothing_goes_until_it_is_assigned(azure: Azure) -> None:
    one = azure.seed["no_right"]
    for method, below in (("GET", ""), ("GET", "/reservations"), ("POST", "/calculateRefund"), ("POST", "/return")):
        refused = await azure.of("no_right", method, below, {} if method == "POST" else None)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AuthorizationFailed")
    listed = await azure.call(one["customer_id"], "GET", f"{CAPACITY}/reservations")
    assert one["reservation_id"] not in listed.text
    ana = str(uuid.uuid5(uuid.NAMESPACE_URL, "oid:ana@partner.example"))
    assignments = f"{CAPACITY}/reservationOrders/{one['order_id']}/providers/Microsoft.Authorization/roleAssignments"
    name = str(uuid.uuid4())

    async def assign(role: str, key: str) -> httpx.Response:
        definition = f"/providers/Microsoft.Authorization/roleDefinitions/{role}"
        body = {"properties": {"roleDefinitionId": definition, "principalId": ana}}
        return await azure.call(one["customer_id"], "PUT", f"{assignments}/{key}", body, version="2022-04-01")

    assert [(await assign(READER, name)).status_code for _ in range(2)] == [201, 200]
    assert (await azure.of("no_right", "GET", "")).status_code == 200
    assert (await azure.of("no_right", "POST", "/calculateRefund", {})).status_code == 403
    assert (await assign(OWNER, name)).json()["error"]["code"] == "RoleAssignmentUpdateNotPermitted"
    assert (await assign(READER, str(uuid.uuid4()))).json()["error"]["code"] == "RoleAssignmentExists"
    assert (await assign(CONTRIBUTOR, str(uuid.uuid4()))).status_code == 201
    below = f"/reservations/{one['reservation_id']}"
    assert (await azure.of("no_right", "PATCH", below, {"properties": {"name": "x"}})).status_code == 200
    owner = str(uuid.uuid4())
    assert (await assign(OWNER, owner)).status_code == 201
    assert (await azure.quote("no_right"))["policyResult"]["properties"]["policyErrors"] == []
    listed = await azure.call(one["customer_id"], "GET", assignments, version="2022-04-01")
    assert {each["name"] for each in listed.json()["value"]} >= {name, owner}
    for status in (200, 204):
        gone = await azure.call(one["customer_id"], "DELETE", f"{assignments}/{owner}", version="2022-04-01")
        assert gone.status_code == status
    assert (await azure.of("no_right", "POST", "/calculateRefund", {})).status_code == 403
    assert (await azure.counts(order_id=one["order_id"]))["role_assignment"] == 3


async def test_an_administrator_gives_and_takes_rights(azure: Azure) -> None:
    path = f"/reservation-orders/{azure.seed['vm_upfront']['order_id']}/rights"
    for granted, status in ((False, 403), (True, 200)):
        await azure.cloud.door("POST", path, {"granted": granted})
        assert (await azure.of("vm_upfront", "GET", "")).status_code == status
