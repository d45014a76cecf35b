"""Each route to its end through the API, with who did what in which role."""

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from tests.end_to_end.ways import CARL, CORA, FINN, HANA, RITA, SAM, Json, TestDesk
from tests.starter.conftest import problem

QUESTION = "Which users were affected?"


def usd(amount: str) -> Json:
    return {"amount": amount, "currency": "USD"}


def done_by(entries: list[Json]) -> list[tuple[str, str | None, str | None]]:
    """What happened, and who did it in which role."""
    return [
        (entry["event"], entry["actor"] and entry["actor"]["name"], entry["actor"] and entry["actor"]["role"])
        for entry in entries
    ]


async def closed(desk: TestDesk, claim: Json, note: str) -> Json:
    """The filed claim once it knows that Microsoft closed its ticket."""
    await desk.microsoft(claim, "closed", note)
    return await desk.until(claim["id"], lambda seen: seen["filing"]["ticket"]["status"] == "closed")


async def test_a_service_request_from_the_incident_to_the_line_on_the_invoice(desk: TestDesk) -> None:
    bought = await desk.subscribed("fabrikam")
    claim = await desk.opened(bought, "service_outage", by=HANA, amount_asked=usd("24.00"))
    claim = await desk.until(claim["id"], "collecting_evidence")
    assert claim["route"] == "service_request"
    assert [item["missing"] is not None for item in claim["checklist"]] == [True, True, True]
    claim = await desk.collected(claim, by=HANA)
    assert claim["status"] == "ready_to_file"
    assert all(item["satisfied"] for item in claim["checklist"])

    number = await desk.ticket(claim)
    claim = await desk.act(claim["id"], "filing", ticket_number=number)
    assert claim["status"] == "filed"
    assert claim["filing"]["verified"]
    await desk.microsoft(claim, "attention_needed", QUESTION)
    claim = await desk.until(claim["id"], "needs_information")
    assert claim["question"] == QUESTION
    assert claim["waiting_on"] == "us"
    claim = await desk.act(claim["id"], "replies", by=HANA, text="All 25 of them.")
    assert claim["status"] == "filed"
    assert await desk.notes(claim) == ["All 25 of them."]
    claim = await closed(desk, claim, "approved: the credit will be on your next invoice.")
    assert claim["waiting_on"] == "us"
    claim = await desk.act(claim["id"], "decision", by=FINN, outcome="approved", reason="As the note says.")
    assert claim["status"] == "awaiting_credit"
    assert claim["credit"]["expected"] == [usd("24.00")]

    invoice = await desk.invoice(bought, {"charge_type": "customerCredit", "amount": "-24.00"})
    claim = await desk.until(claim["id"], "credited")
    assert claim["credit"]["allocated"] == usd("24.00")
    (allocation,) = claim["credit"]["allocations"]
    assert (allocation["invoice_id"], allocation["by_hand"]) == (invoice, False)
    assert claim["allowed_actions"] == []

    entries = await desk.timeline(claim["id"])
    hana, ana, finn = (
        ("Hana Helpdesk", "helpdesk_agent"),
        ("Ana Admin", "admin_agent"),
        ("Finn Finance", "billing_admin"),
    )
    nobody = (None, None)
    assert done_by(entries) == [
        ("opened", *hana),
        ("triaged", *nobody),
        ("attach_evidence", *hana),
        ("attach_evidence", *hana),
        ("attach_evidence", *hana),
        ("record_filing", *ana),
        ("question_asked", *nobody),
        ("reply", *hana),
        ("ticket_changed", *nobody),
        ("record_decision", *finn),
        ("credit_matched", *nobody),
    ]
    assert [entry["version"] for entry in entries] == list(range(1, len(entries) + 1))
    assert claim["opening"]["opened_by"]["role"] == "helpdesk_agent"
    assert entries[-1]["status"] == "credited"


@pytest.mark.parametrize(
    ("user", "customer", "raised_by"),
    [(CARL, "contoso", "customer"), (CORA, "fabrikam", "customer"), (RITA, "northwind", "indirect_reseller")],
)
async def test_who_raises_a_claim_prepares_it_and_only_we_file_it(
    desk: TestDesk, user: str, customer: str, raised_by: str
) -> None:
    bought = await desk.subscribed(customer)
    claim = await desk.opened(bought, by=user)
    assert claim["opening"]["raised_by"] == raised_by
    assert claim["links"]["temporal_ui"] is None
    claim = await desk.collected(claim, by=user)
    assert claim["status"] == "ready_to_file"

    theirs = await desk.client(user)
    seen = (await theirs.get(f"/v1/claims/{claim['id']}")).json()
    assert "record_filing" not in seen["allowed_actions"]
    assert (await theirs.get(f"/v1/claims/{claim['id']}/packet")).status_code == 200
    number = await desk.ticket(claim)
    refused = await theirs.post(f"/v1/claims/{claim['id']}/filing", json={"ticket_number": number})
    assert "admin_agent, global_admin" in problem(refused, 403, "role_may_not")["detail"]
    for other in {CARL, CORA, RITA} - {user}:
        answer = await (await desk.client(other)).get(f"/v1/claims/{claim['id']}")
        problem(answer, 404, "not_found")
    sales = await (await desk.client(SAM)).post(f"/v1/claims/{claim['id']}/filing", json={"ticket_number": number})
    problem(sales, 403, "role_may_not")

    claim = await desk.act(claim["id"], "filing", ticket_number=number)
    assert claim["status"] == "filed"
    roles = [(event, role) for event, _, role in done_by(await desk.timeline(claim["id"]))]
    assert roles == [
        ("opened", raised_by),
        ("triaged", None),
        ("attach_evidence", raised_by),
        ("attach_evidence", raised_by),
        ("record_filing", "admin_agent"),
    ]


async def test_a_customer_opens_claims_of_their_own_tenant_only(desk: TestDesk) -> None:
    body = desk.opening(await desk.subscribed("fabrikam"))
    answer = await (await desk.client(CARL)).post("/v1/claims", json=body)
    assert problem(answer, 403, "own_tenant")["field"] == "customer_id"


async def test_a_legacy_licence_stopped_within_thirty_days_comes_back_whole(desk: TestDesk) -> None:
    bought = await desk.subscribed("adatum", "legacy", days_ago=12, unit_price="48.00")
    await desk.sweep("CreditSweep")
    now = datetime.now(UTC).isoformat()
    await stop(desk, bought, "suspended", now)
    claim = await desk.opened(bought, "cancellation", stopped_on=now[:10])
    claim = await desk.until(claim["id"], "credited")
    assert claim["route"] == "refunded_in_full"
    assert claim["credit"]["allocated"] == usd("48.00")
    problem(await (await desk.client()).get(claim["links"]["packet"]), 409, "nothing_to_file")
    problem(
        await (await desk.client()).post(f"{claim['links']['self']}/reopening", json={"reason": "More."}),
        409,
        "status_allows",
    )


async def test_a_legacy_licence_stopped_later_comes_back_pro_rata(desk: TestDesk) -> None:
    # Microsoft's own example: 48.00 a year, stopped with 318 days to go.
    bought = await desk.subscribed("adatum", "legacy", days_ago=365 - 318, unit_price="48.00")
    await desk.sweep("CreditSweep")
    now = datetime.now(UTC).isoformat()
    await stop(desk, bought, "suspended", now)
    claim = await desk.opened(bought, "cancellation", stopped_on=now[:10])
    claim = await desk.until(claim["id"], "credited")
    assert claim["route"] == "credited_pro_rata"
    assert claim["credit"]["allocated"] == usd("41.34")


async def stop(desk: TestDesk, subscription: Json, status: str, at: str) -> None:
    path = f"/subscriptions/{subscription['id']}/status"
    (await desk.door.post(path, json={"status": status, "at": at})).raise_for_status()


async def test_what_can_still_be_cancelled_is_and_the_rest_comes_back(desk: TestDesk) -> None:
    # Microsoft's own example: 4.00 for 30 days, cancelled on the first.
    now = datetime.now(UTC)
    last = (now + timedelta(days=29)).isoformat()
    bought = await desk.subscribed(
        "northwind", days_ago=0, unit_price="4.00", commitment_end_date=last, billing_cycle="monthly"
    )
    await desk.sweep("CreditSweep")
    incident = {"date": now.date().isoformat(), "reference": bought["order_id"], "description": "Bought by mistake."}
    claim = await desk.opened(bought, "accidental_purchase", incident=incident)
    claim = await desk.until(claim["id"], "cancel_now")
    assert claim["route"] == "cancel_now"
    shuts = datetime.fromisoformat(bought["cancellation_allowed_until_date"])
    assert abs(datetime.fromisoformat(claim["triage"]["window_shuts_at"]) - shuts) < timedelta(seconds=1)
    await desk.act(claim["id"], "check", by=SAM)
    await desk.until(claim["id"], "cancel_now")
    await stop(desk, bought, "deleted", bought["creation_date"])
    await desk.act(claim["id"], "check")
    claim = await desk.until(claim["id"], "credited")
    assert claim["route"] == "credited_pro_rata"
    assert claim["credit"]["allocated"] == usd("3.87")
    roles = [(event, role) for event, _, role in done_by(await desk.timeline(claim["id"])) if event == "check_again"]
    assert roles == [("check_again", "sales_agent"), ("check_again", "admin_agent")]


async def test_an_azure_ticket_is_filed_by_claimdesk_and_followed_to_its_credit(desk: TestDesk) -> None:
    bought, subscription = await desk.azure_plan("northwind")
    await desk.happens("persona", of=subscription, persona="ask_for_more", amount="310.00")
    claim = await desk.opened(bought, "service_outage", by=HANA, amount_asked=usd("310.00"))
    claim = await desk.collected(claim, by=HANA)
    assert (claim["route"], claim["status"], claim["waiting_on"]) == ("azure_ticket", "ready_to_file", "us")
    assert (claim["azure_subscription_id"], claim["assisted_reason"]) == (subscription, None)
    # Hana may not file; Ana has claimdesk do it.
    refused = await (await desk.client(HANA)).post(f"{claim['links']['self']}/filing", json={})
    assert "admin_agent, global_admin" in problem(refused, 403, "role_may_not")["detail"]
    await desk.act(claim["id"], "filing")
    claim = await desk.until(claim["id"], "needs_information")
    assert claim["filing"]["verified"]
    assert "Please name the resources" in claim["question"]
    claim = await desk.act(claim["id"], "replies", by=HANA, text="All of them, until noon.")
    claim = await desk.until(claim["id"], lambda seen: seen["filing"]["ticket"]["status"] == "closed")
    claim = await desk.act(claim["id"], "decision", by=FINN, outcome="approved", reason="As they wrote.")
    claim = await desk.until(claim["id"], "credited")
    assert claim["credit"]["allocated"] == usd("310.00")
    # Microsoft may ask, and close, before the ticket is read back or only after.
    seen_later = {"question_asked", "ticket_changed"}
    events = [entry["event"] for entry in await desk.timeline(claim["id"]) if entry["event"] not in seen_later]
    assert events[6:] == [
        *("ticket_sent", "ticket_read", "reply", "record_decision", "credit_matched"),
    ]


async def test_an_azure_ticket_that_microsoft_refuses_is_filed_by_hand(desk: TestDesk) -> None:
    bought, subscription = await desk.azure_plan("northwind")
    await desk.happens("access", of=subscription, plan_is_too_low=True)
    claim = await desk.opened(bought, "technical_issue", amount_asked=usd("310.00"))
    await desk.collected(claim)
    claim = await desk.until(claim["id"], lambda seen: seen["assisted_reason"] is not None)
    assert "Professional Direct" in claim["assisted_reason"]
    assert claim["assisted_reason"] in claim["next_step"]
    answer = await (await desk.client()).get(claim["links"]["packet"])
    fields = zipfile.ZipFile(io.BytesIO(answer.content)).read("fields.txt").decode()
    assert "Refund amount details: 310.00 USD before tax" in fields
    assert f"Subscription: {subscription}" in fields
    made = await desk.happens("", customer_id=claim["customer"]["id"], subscription_id=subscription)
    claim = await desk.act(claim["id"], "filing", ticket_number=made["ticket"]["number"])
    assert claim["status"] == "filed"
    claim = await desk.act(claim["id"], "decision", by=HANA, outcome="denied", reason="Not within the SLA.")
    assert claim["status"] == "denied"


async def test_not_claimable_then_an_exception_filed_denied_and_reopened(desk: TestDesk) -> None:
    claim = await desk.opened("nce_no_window", "accidental_purchase", by=SAM)
    claim = await desk.until(claim["id"], "not_claimable")
    assert claim["triage"]["rule"] == "past_every_window"
    assert claim["waiting_on"] == "nobody"
    sam = await desk.client(SAM)
    refused = await sam.post(f"/v1/claims/{claim['id']}/exception", json={"reason": "Please."})
    assert "admin_agent, global_admin" in problem(refused, 403, "role_may_not")["detail"]
    reason = "The portal showed an error and charged all the same."
    await desk.act(claim["id"], "exception", reason=reason)
    claim = await desk.collected(claim)
    assert (claim["route"], claim["status"]) == ("service_request", "ready_to_file")
    answer = await (await desk.client()).get(claim["links"]["packet"])
    assert reason in zipfile.ZipFile(io.BytesIO(answer.content)).read("fields.txt").decode()
    claim = await desk.filed(claim)
    claim = await desk.act(claim["id"], "decision", outcome="denied", reason="No rule grants it.")
    assert claim["status"] == "denied"

    first = claim["filing"]["number"]
    claim = await desk.act(claim["id"], "reopening", by=HANA, reason="Microsoft's support advised to ask again.")
    claim = await desk.until(claim["id"], "ready_to_file")
    assert claim["filing"] is None
    assert claim["earlier_filings"] == [first]
    assert len(claim["documents"]) == 2
    claim = await desk.filed(claim)
    claim = await desk.act(claim["id"], "withdrawal", by=HANA, reason="The customer gave up.")
    assert claim["status"] == "withdrawn"
    roles = [(event, role) for event, _, role in done_by(await desk.timeline(claim["id"])) if role]
    assert roles == [
        ("opened", "sales_agent"),
        ("file_as_exception", "admin_agent"),
        ("attach_evidence", "admin_agent"),
        ("attach_evidence", "admin_agent"),
        ("record_filing", "admin_agent"),
        ("record_decision", "admin_agent"),
        ("reopen", "helpdesk_agent"),
        ("record_filing", "admin_agent"),
        ("withdraw", "helpdesk_agent"),
    ]


async def test_a_ticket_number_is_refused_kept_unverified_and_corrected(desk: TestDesk) -> None:
    claim = await desk.collected(await desk.opened(await desk.subscribed("fabrikam")))
    ana, filing = await desk.client(), f"/v1/claims/{claim['id']}/filing"
    elsewhere = await desk.ticket(claim, customer_id=desk.seed["customers"]["adatum"]["id"])
    answer = await ana.post(filing, json={"ticket_number": elsewhere})
    assert problem(answer, 422, "ticket_customer")["field"] == "ticket_number"

    await desk.door.put("/behaviour", json={"visible_after": 3})
    try:
        number = await desk.ticket(claim)
    finally:
        await desk.door.put("/behaviour", json={"visible_after": 0})
    claim = await desk.act(claim["id"], "filing", ticket_number=number)
    assert claim["status"] == "ready_to_file"
    assert not claim["filing"]["verified"]
    assert claim["waiting_on"] == "microsoft"
    claim = await desk.until(claim["id"], "filed")
    assert claim["filing"]["verified"]

    right = await desk.ticket(claim)
    claim = await desk.act(claim["id"], "filing", ticket_number=right)
    assert claim["filing"]["number"] == right
    assert claim["earlier_filings"] == [number]
    answer = await ana.post(filing, json={"ticket_number": right})
    problem(answer, 422, "ticket_once")


async def test_filed_on_the_last_day_and_recorded_later_is_in_time(desk: TestDesk) -> None:
    incident = datetime.now(UTC).date() - timedelta(days=100)
    body: Json = {"incident": {"date": incident.isoformat(), "reference": f"EX-{incident}", "description": "Slow."}}
    claim = await desk.opened(await desk.subscribed("tailspin", days_ago=200), **body)
    claim = await desk.until(claim["id"], "overdue")
    due = datetime.fromisoformat(claim["deadline"]["due_at"])
    claim = await desk.collected(claim)
    assert claim["status"] == "overdue"
    late = await desk.ticket(claim, created_date=due.isoformat())
    answer = await (await desk.client()).post(f"/v1/claims/{claim['id']}/filing", json={"ticket_number": late})
    problem(answer, 422, "filed_in_time")
    in_time = await desk.ticket(claim, created_date=(due - timedelta(milliseconds=1)).isoformat())
    claim = await desk.act(claim["id"], "filing", ticket_number=in_time)
    assert claim["status"] == "filed"


async def test_late_credits_given_by_hand_taken_back_and_settled(desk: TestDesk) -> None:
    bought = await desk.subscribed("wingtip")
    claim = await desk.filed(await desk.opened(bought, amount_asked=usd("30.00")))
    part = await desk.act(
        claim["id"], "decision", by=FINN, outcome="approved_in_part", amount=usd("20.00"), reason="Part."
    )
    assert part["status"] == "awaiting_credit"
    money = f"/v1/claims/{claim['id']}/credits"
    # No line of these is what is expected: none is given by itself, and tomorrow's invoice comes without the credit.
    invoice = await desk.invoice(
        bought,
        {"charge_type": "customerCredit", "amount": "-13.00", "credit_reason_code": "Service credit"},
        {"charge_type": "customerCredit", "amount": "-7.01"},
        invoice_date=(datetime.now(UTC) + timedelta(days=1)).isoformat(),
    )
    claim = await desk.until(claim["id"], lambda seen: seen["credit"]["late_since_invoice"] is not None)
    assert claim["credit"]["late_since_invoice"] == invoice
    assert claim["waiting_on"] == "us"

    finn = await desk.client(FINN)
    seen = (await finn.get(money)).json()
    first, second = sorted(seen["candidates"], key=lambda line: str(line["left"]["amount"]))
    assert (first["left"], second["left"]) == (usd("13.00"), usd("7.01"))
    assert not (await (await desk.client(CARL)).get(money)).is_success
    answer = await finn.post(money, json={"line_id": first["id"], "amount": usd("13.01")})
    assert problem(answer, 422, "line_left")["field"] == "amount"
    answer = await finn.post(money, json={"line_id": first["id"]})
    assert answer.status_code == 201
    given = answer.json()["credit"]
    assert given["allocated"] == usd("13.00")
    assert [item["by_hand"] for item in given["allocations"]] == [True]
    location = answer.headers["location"]
    assert location == given["allocations"][0]["link"]

    problem(await (await desk.client(HANA)).delete(location, params={"reason": "Wrong."}), 403, "role_may_not")
    assert problem(await finn.delete(location), 422, "validation")["field"] == "reason"
    answer = await finn.delete(location, params={"reason": "It belongs to another claim."})
    assert answer.json()["credit"]["allocations"] == []
    assert {line["left"]["amount"] for line in (await finn.get(money)).json()["candidates"]} == {"13.00", "7.01"}
    problem(await finn.delete(location, params={"reason": "Again."}), 404, "not_found")

    assert (await finn.post(money, json={"line_id": first["id"]})).status_code == 201
    answer = await finn.post(money, json={"line_id": second["id"], "amount": usd("7.00")})
    assert answer.json()["status"] == "credited"
    assert answer.json()["credit"]["allocated"] == usd("20.00")
    roles = {event: role for event, _, role in done_by(await desk.timeline(claim["id"]))}
    assert roles["allocate_credit"] == roles["release_credit"] == "billing_admin"
