"""Claims over HTTP: opened only when all that can be known of them is right, listed and read by those who may."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from domain.claims import Status
from domain.policy import Category
from domain.roles import Actor, Role
from records.claims import ClaimRecords
from starter.api.bodies import OpenClaim, hashed
from starter.api.desk import Desk
from tests.records.samples import CUSTOMER, due, entry, filing
from tests.records.samples import claim as sample
from tests.simulated import Simulator
from tests.starter.conftest import RESELLER, Caller, problem, recorded

TODAY = datetime.now(UTC).date()
OTHER_CUSTOMER = "0c1b9f5e-1d1e-4b0e-9a70-3f5f2c3f0a02"


@pytest.fixture
def opening(simulator: Simulator) -> dict[str, Any]:
    """A claim that could be opened."""
    one = simulator.seed["subscriptions"]["legacy_active"]
    return {
        "customer_id": one["customer_id"],
        "subscription_id": one["id"],
        "category": "technical_issue",
        "incident": {"date": (TODAY - timedelta(days=3)).isoformat(), "description": "Nobody could sign in."},
        "contact": {"name": "Ana Admin", "email": "ana@partner.example"},
    }


async def nothing_started(ana: Caller) -> bool:
    return not (await ana.get("/v1/claims")).json()["items"]


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (
            {"incident": {"date": (TODAY + timedelta(days=1)).isoformat(), "description": "x"}},
            "incident.date",
            "future",
        ),
        ({"incident": {"date": "2009-12-31", "description": "x"}}, "incident.date", "2010-01-01"),
        ({"stopped_on": (TODAY + timedelta(days=1)).isoformat()}, "stopped_on", "future"),
        ({"category": "service_outage"}, "incident.reference", "EX25194"),
        ({"amount_asked": {"amount": "0.00", "currency": "EUR"}}, "amount_asked.amount", "above zero"),
        ({"amount_asked": {"amount": "-5.00", "currency": "EUR"}}, "amount_asked.amount", "above zero"),
        ({"amount_asked": {"amount": "5.001", "currency": "EUR"}}, "amount_asked.amount", "at most 2 decimals"),
        ({"amount_asked": {"amount": "5.5", "currency": "JPY"}}, "amount_asked.amount", "no decimals"),
        ({"amount_basis": "one of three months"}, "amount_basis", "amount_asked"),
        ({"customer_id": "c0a1b2d3-ffff-4f5e-8a6b-1c2d3e4f5a01"}, "customer_id", "no customer"),
        ({"subscription_id": "c0a1b2d3-ffff-4f5e-8a6b-1c2d3e4f5a01"}, "subscription_id", "no such subscription"),
        ({"subscription_id": "nonsense"}, "subscription_id", "no such subscription"),
    ],
)
async def test_what_is_wrong_with_an_opening_is_said_before_anything_starts(
    ana: Caller, opening: dict[str, Any], change: dict[str, Any], field: str, says: str
) -> None:
    answer = await ana.post("/v1/claims", opening | change)
    document = problem(answer, 422, answer.json()["rule"])
    assert document["field"] == field
    assert says in document["detail"]
    assert await nothing_started(ana)


async def test_a_subscription_of_another_customer_is_not_this_customers(
    ana: Caller, simulator: Simulator, opening: dict[str, Any]
) -> None:
    other = simulator.seed["subscriptions"]["legacy_suspended_in_month_5"]["id"]
    answer = await ana.post("/v1/claims", opening | {"subscription_id": other})
    assert problem(answer, 422, "subscription_of_the_customer")["field"] == "subscription_id"


async def test_an_opening_in_which_nothing_is_wrong_goes_to_temporal(ana: Caller, opening: dict[str, Any]) -> None:
    problem(await ana.post("/v1/claims", opening), 503, "temporal_unavailable")


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "status": 500},
        {"kind": "throttle", "seconds": 40},
        {"kind": "drop"},
    ],
)
async def test_while_microsoft_is_away_nothing_starts(
    ana: Caller, simulator: Simulator, opening: dict[str, Any], fault: dict[str, object]
) -> None:
    simulator.post("/faults", {"path": "/v1/customers", "times": 20, **fault})
    try:
        answer = await ana.post("/v1/claims", opening)
    finally:
        simulator.door.delete("/faults")
    problem(answer, 503, "microsoft_unavailable")
    assert int(answer.headers["retry-after"]) == fault.get("seconds", 30)
    assert await nothing_started(ana)


async def test_customers_open_claims_of_their_own_tenant_only(ana: Caller, opening: dict[str, Any]) -> None:
    carl = ana.customer(CUSTOMER)
    problem(await carl.post("/v1/claims", opening), 403, "own_tenant")


async def test_customers_and_resellers_cannot_say_that_somebody_else_asks(ana: Caller, opening: dict[str, Any]) -> None:
    for caller in (ana.customer(opening["customer_id"]), ana.reseller()):
        answer = await caller.post("/v1/claims", opening | {"raised_by": "partner"})
        assert problem(answer, 422, "validation")["field"] == "raised_by"


async def test_finance_does_not_open_claims(ana: Caller, opening: dict[str, Any]) -> None:
    document = problem(await ana.as_("BillingAdmin").post("/v1/claims", opening), 403, "role_may_not")
    assert "admin_agent" in document["detail"]


async def test_the_same_key_finds_the_claim_it_opened(
    ana: Caller, desk: Desk, opening: dict[str, Any], simulator: Simulator
) -> None:
    digest = hashlib.sha256(f"{simulator.seed['tenant']}|ana|POST /v1/claims|key-1".encode()).hexdigest()
    request_hash = hashed(OpenClaim.model_validate(opening))
    one = await recorded(desk.claims, sample(1, id=f"claim-{digest[:20]}", request_hash=request_hash))

    again = await ana.post("/v1/claims", opening)
    assert again.status_code == 201
    assert again.headers["location"] == f"/v1/claims/{one.id}"
    assert again.json()["id"] == one.id

    other = await ana.post("/v1/claims", opening | {"billing_day": 3})
    assert problem(other, 422, "idempotency_key_reused")["field"] == "Idempotency-Key"

    for somebody_else in (ana.as_("AdminAgent", sub="glen"), ana.as_("Customer", tid=opening["customer_id"])):
        answer = await somebody_else.post("/v1/claims", opening)
        problem(answer, 503, "temporal_unavailable")


async def test_a_second_open_claim_about_the_same_thing_is_linked_to_the_first(
    ana: Caller, records: ClaimRecords, opening: dict[str, Any]
) -> None:
    opening["incident"]["reference"] = "EX77777"
    known = {"customer_id": opening["customer_id"], "subscription_id": opening["subscription_id"].lower()}
    one = sample(1, reference="ex77777", **known)
    one = one.model_copy(update={"opening": one.opening.model_copy(update={"category": Category(opening["category"])})})
    await recorded(records, one)

    document = problem(await ana.post("/v1/claims", opening), 409, "duplicate_claim")
    assert document["link"] == f"/v1/claims/{one.id}"

    # A reseller who may not see that claim isn't told which it is.
    hidden = problem(await ana.reseller().post("/v1/claims", opening), 409, "duplicate_claim")
    assert one.id not in str(hidden)


async def test_a_claim_shows_all_that_is_known_of_it(ana: Caller, records: ClaimRecords, desk: Desk) -> None:
    one = await recorded(
        records,
        sample(
            1,
            status=Status.READY_TO_FILE,
            deadline=due(date(2026, 2, 15)),
            filing=filing("2602150010000123", None),
            assignee="hana",
            version=7,
        ),
    )
    answer = await ana.get(f"/v1/claims/{one.id}")
    shown = answer.json()
    assert answer.headers["etag"] == '"7"'
    assert shown["customer"] == {"id": CUSTOMER, "name": "Contoso"}
    assert shown["opening"]["incident"]["reference"] == "EX00001"
    assert shown["opening"]["opened_at"] == "2026-03-02T12:00:00Z"
    assert shown["deadline"]["due_at"] == "2026-04-01T00:00:00Z"
    assert shown["filing"]["number"] == "2602150010000123"
    assert shown["filing"]["verified"] is False
    assert shown["waiting_on"] == "microsoft"
    assert "record_filing" in shown["allowed_actions"]
    assert "reopen" not in shown["allowed_actions"]
    assert shown["links"] == {
        "self": f"/v1/claims/{one.id}",
        "timeline": f"/v1/claims/{one.id}/timeline",
        "packet": f"/v1/claims/{one.id}/packet",
        "temporal_ui": f"{desk.settings.temporal_ui_url}/namespaces/default/workflows/{one.id}",
    }
    assert "answers" not in shown
    assert "request_hash" not in answer.text


async def test_a_claim_that_has_not_changed_is_not_sent_again(ana: Caller, records: ClaimRecords) -> None:
    one = await recorded(records, sample(1, version=3))
    path = f"/v1/claims/{one.id}"
    for known in ('"3"', 'W/"3"', '"1", "3"', "*"):
        answer = await ana.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == '"3"'
    for known in ('"2"', "3", ""):
        assert (await ana.get(path, headers={"If-None-Match": known})).status_code == 200


async def test_everybody_sees_their_own_claims_only(ana: Caller, records: ClaimRecords) -> None:
    rita = Actor(subject="rita", role=Role.INDIRECT_RESELLER, tenant_id=RESELLER)
    theirs = await recorded(records, sample(1))
    resold = await recorded(records, sample(2, customer_id=OTHER_CUSTOMER, opened_by=rita))
    for caller, visible in (
        (ana, {theirs.id, resold.id}),
        (ana.customer(CUSTOMER), {theirs.id}),
        (ana.customer(OTHER_CUSTOMER.upper()), {resold.id}),
        (ana.customer("0c1b9f5e-1d1e-4b0e-9a70-000000000000"), set()),
        (ana.reseller(), {resold.id}),
    ):
        assert {item["id"] for item in (await caller.get("/v1/claims")).json()["items"]} == visible
        filtered = await caller.get(f"/v1/claims?customer_id={CUSTOMER}")
        assert {item["id"] for item in filtered.json()["items"]} == visible & {theirs.id}
        for one in (theirs, resold):
            for path in ("", "/timeline", "/credits"):
                answer = await caller.get(f"/v1/claims/{one.id}{path}")
                assert answer.status_code == (200 if one.id in visible else 404)
            if one.id not in visible:
                answer = await caller.post(f"/v1/claims/{one.id}/withdrawal", {"reason": "Mine now"})
                problem(answer, 404, "not_found")
    links = (await ana.customer(CUSTOMER).get(f"/v1/claims/{theirs.id}")).json()["links"]
    assert links["temporal_ui"] is None


async def test_the_list_is_filtered_sorted_and_paged(ana: Caller, records: ClaimRecords) -> None:
    deadlines = [date(2026, month, 15) for month in (5, 1, 3, 2, 4)]
    for number, day in enumerate(deadlines, 1):
        await recorded(
            records,
            sample(number, status=Status.READY_TO_FILE, deadline=due(day), assignee="hana" if number < 4 else None),
        )
    await recorded(records, sample(9, status=Status.WITHDRAWN, description="Printers"))

    async def listed(query: str) -> list[int]:
        found: list[int] = []
        cursor = ""
        while True:
            page = (await ana.get(f"/v1/claims?{query}{cursor}")).json()
            found += [int(item["id"].removeprefix("claim-"), 16) for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    assert await listed("limit=2") == [2, 4, 3, 5, 1, 9]
    assert await listed("sort=-due_at&limit=2") == [1, 5, 3, 4, 2, 9]
    assert await listed("assignee=hana&limit=1") == [2, 3, 1]
    assert await listed("status=withdrawn&status=expired") == [9]
    assert await listed("due_before=2026-04-01T00:00:00Z") == [2]
    assert await listed("due_before=2026-04-01T02:00:00%2B01:00") == [2, 4]
    assert await listed("text=pRiNt") == [9]
    assert await listed("text=EX00004") == [4]
    assert await listed("waiting_on=nobody") == [9]
    assert await listed("customer_id=" + CUSTOMER.upper() + "&limit=200") == [2, 4, 3, 5, 1, 9]


async def test_a_cursor_of_another_order_is_refused(ana: Caller, records: ClaimRecords) -> None:
    for number in (1, 2):
        await recorded(records, sample(number))
    cursor = (await ana.get("/v1/claims?limit=1")).json()["next_cursor"]
    answer = await ana.get(f"/v1/claims?limit=1&sort=opened_at&cursor={cursor}")
    assert problem(answer, 422, "validation")["field"] == "cursor"


async def test_the_timeline_is_paged_and_says_who_did_what_in_which_role(ana: Caller, records: ClaimRecords) -> None:
    for version in range(1, 6):
        one = sample(1, version=version)
        await records.record(one, entry(one, f"Step {version}"))
    path = f"/v1/claims/{one.id}/timeline"
    first = (await ana.get(f"{path}?limit=3")).json()
    rest = (await ana.get(f"{path}?limit=3&after={first['next_after']}")).json()
    assert [item["text"] for item in first["items"] + rest["items"]] == [f"Step {n}" for n in range(1, 6)]
    assert rest["next_after"] is None
    assert first["items"][0]["at"] == "2026-03-02T12:00:00Z"
    assert first["items"][0]["actor"]["role"] == "admin_agent"


async def test_what_the_status_does_not_allow_says_what_it_does(ana: Caller, records: ClaimRecords) -> None:
    one = await recorded(records, sample(1, status=Status.DENIED))
    document = problem(await ana.post(f"/v1/claims/{one.id}/check", {}), 409, "status_allows")
    assert document["allowed_actions"] == ["reopen"]
    assert "cancel_now" in document["detail"]


async def test_what_the_role_does_not_allow_says_who_may(ana: Caller, records: ClaimRecords) -> None:
    one = await recorded(records, sample(1, status=Status.READY_TO_FILE))
    body = {"ticket_number": "2602150010000123"}
    for caller in (ana.customer(CUSTOMER), ana.as_("SalesAgent"), ana.as_("BillingAdmin", "HelpdeskAgent")):
        document = problem(await caller.post(f"/v1/claims/{one.id}/filing", body), 403, "role_may_not")
        assert "admin_agent, global_admin" in document["detail"]
    answer = await ana.as_("HelpdeskAgent", "GlobalAdmin").post(f"/v1/claims/{one.id}/filing", body)
    problem(answer, 503, "temporal_unavailable")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("filing", {"ticket_number": "12"}, "ticket_number"),
        ("filing", {"ticket_number": 2602150010000123}, "ticket_number"),
        ("replies", {"text": "   "}, "text"),
        ("decision", {"outcome": "maybe", "reason": "x"}, "outcome"),
        ("decision", {"outcome": "approved", "reason": ""}, "reason"),
        ("decision", {"outcome": "denied", "reason": "x", "amount": {"amount": "1.5"}}, "amount.currency"),
        ("credits", {"line_id": ""}, "line_id"),
        ("assignee", {}, "assignee"),
        ("assignee", {"assignee": ""}, "assignee"),
        ("withdrawal", {"reason": "x" * 1001}, "reason"),
        ("write-off", {}, "reason"),
        ("dispute", {"reason": None}, "reason"),
        ("reopening", {"why": "x", "reason": "x"}, "why"),
        ("exception", {"reason": ["x"]}, "reason"),
        ("check", {"now": True}, "now"),
    ],
)  # fmt: skip
async def test_a_wrong_body_of_an_action_is_named(
    ana: Caller, records: ClaimRecords, path: str, body: dict[str, object], field: str
) -> None:
    one = await recorded(records, sample(1, status=Status.READY_TO_FILE))
    document = problem(await ana.post(f"/v1/claims/{one.id}/{path}", body), 422, "validation")
    assert document["field"] == field
