"""Service requests: the traps of reading them, what a note does, and the personas on the other side."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.simulator.conftest import Caller, Clock


async def note(cloud: "Caller", number: str, text: str, **more: str) -> dict[str, Any]:
    body = {
        "Id": None,
        "Severity": "unknown",
        "Status": "none",
        "NewNote": {"CreatedByName": None, "Text": text},
    } | more
    got = await cloud.call("PATCH", f"/v1/servicerequests/{number}", json=body)
    assert got.status_code == 200, got.text
    return dict(got.json())


async def credit_lines(cloud: "Caller", provider: str) -> list[dict[str, Any]]:
    """The lines of the newest invoice."""
    invoice = (await cloud.get("/v1/invoices?size=500"))["items"][-1]["id"]
    path = f"/v1/invoices/{invoice}/lineitems/{provider}/billinglineitems"
    return list((await cloud.get(path))["items"])


async def test_nobody_makes_a_ticket_by_api(cloud: "Caller") -> None:
    got = await cloud.call("POST", "/v1/servicerequests", json={"Title": "Please"})
    assert (got.status_code, set(got.json())) == (405, {"code", "description", "data", "source"})
    got = await cloud.call("POST", "/v1/servicerequests/en-US", json={"Title": "Please"})
    assert got.status_code == 405
    assert (await cloud.get("/v1/servicerequests"))["totalCount"] == 0


async def test_lists_speak_in_numbers_and_single_tickets_in_words(cloud: "Caller", clock: "Clock") -> None:
    clock.now = clock.now.replace(microsecond=240_000)
    number = await cloud.ticket(severity="critical")
    item = (await cloud.get("/v1/servicerequests"))["items"][0]
    whole = await cloud.get(f"/v1/servicerequests/{number}")
    assert (len(number), number.isdecimal()) == (15, True)
    assert (item["severity"], item["status"]) == (1, 1)
    assert (whole["severity"], whole["status"]) == ("critical", "open")
    assert item["createdDate"] == "2026-03-10T09:30:15.24"
    assert whole["createdDate"] == "2026-03-10T09:30:15.24Z"
    assert item["lastClosedDate"] == whole["lastClosedDate"] == "0001-01-01T00:00:00"
    assert whole["organization"]["id"] == cloud.customer().upper()
    assert "notes" not in item


async def test_tickets_are_paged_and_a_page_has_a_limit(cloud: "Caller") -> None:
    made = (await cloud.door("POST", "/service-requests/bulk", {"customer_id": cloud.customer(), "count": 450}))["ids"]
    assert len(set(made)) == 450
    seen: list[str] = []
    uri: str | None = "/servicerequests?size=1000"
    calls = 0
    while uri is not None:
        page = await cloud.get("/v1" + uri)
        seen += [item["id"] for item in page["items"]]
        uri = page["links"].get("next", {}).get("uri")
        calls += 1
    assert (seen, calls) == (made, 3)


async def test_a_customers_list_holds_that_customers_tickets(cloud: "Caller") -> None:
    await cloud.ticket()
    number = await cloud.ticket(customer_id=cloud.customer("adatum"))
    page = await cloud.get(f"/v1/customers/{cloud.customer('adatum').upper()}/servicerequests")
    assert [item["id"] for item in page["items"]] == [number]


@pytest.mark.parametrize(
    "query",
    [
        "size=0",
        "size=-1",
        "size=ten",
        "offset=x",
        "size=2?seekOperation=Next",
        "size=99999999999999999999",
    ],
)
async def test_a_page_that_is_no_number_is_a_400(cloud: "Caller", query: str) -> None:
    got = await cloud.call("GET", f"/v1/servicerequests?{query}")
    assert (got.status_code, got.json()["code"]) == (400, "3000")


async def test_unknown_severity_and_no_status_leave_things_as_they_are(cloud: "Caller", clock: "Clock") -> None:
    number = await cloud.ticket(severity="minimal")
    clock.advance(minutes=5)
    whole = await note(cloud, number, "Any news?")
    assert (whole["severity"], whole["status"]) == ("minimal", "open")
    assert whole["lastModifiedDate"] == "2026-03-10T09:35:15.123Z"
    assert whole["notes"] == [
        {"createdByName": "Ana Admin", "createdDate": "2026-03-10T09:35:15.123", "text": "Any news?"}
    ]


async def test_closing_says_when(cloud: "Caller", clock: "Clock") -> None:
    number = await cloud.ticket()
    clock.advance(minutes=30)
    got = await cloud.call("PATCH", f"/v1/servicerequests/{number}", json={"Status": "closed"})
    assert (got.json()["status"], got.json()["lastClosedDate"]) == ("closed", "2026-03-10T10:00:15.123Z")


async def test_a_patch_that_cannot_be_read_changes_nothing(cloud: "Caller") -> None:
    number = await cloud.ticket()
    before = await cloud.get(f"/v1/servicerequests/{number}")
    for body in (b"{", b'{"Status":"resolved"}', b'{"NewNote":"text"}'):
        got = await cloud.call("PATCH", f"/v1/servicerequests/{number}", content=body)
        assert (got.status_code, got.json()["code"]) == (400, "400")
    assert await cloud.get(f"/v1/servicerequests/{number}") == before


async def test_a_note_sent_again_with_its_request_id_is_written_once(cloud: "Caller") -> None:
    number = await cloud.ticket()
    for _ in range(2):
        got = await cloud.call(
            "PATCH",
            f"/v1/servicerequests/{number}",
            headers={"MS-RequestId": "5a1c0e0e-0000-4000-8000-000000000002"},
            json={"NewNote": {"Text": "Once"}},
        )
        assert [one["text"] for one in got.json()["notes"]] == ["Once"]
    assert len((await cloud.door("GET", f"/service-requests/{number}"))["notes"]) == 1


@pytest.mark.parametrize(
    ("persona", "invoice_type", "provider", "charge", "credit"),
    [
        ("approve", "recurring", "office", "Offset a line item", "-41.35"),
        ("approve", "one_time", "onetime", "customerCredit", "-41.35"),
        ("half_credit", "recurring", "office", "Offset a line item", "-20.68"),
    ],
)
async def test_who_grants_closes_the_ticket_and_books_the_credit(
    cloud: "Caller", persona: str, invoice_type: str, provider: str, charge: str, credit: str
) -> None:
    customer, subscription = cloud.subscription("legacy_active")
    number = await cloud.ticket(
        persona=persona, amount="41.35", currency="EUR", subscription_id=subscription, invoice_type=invoice_type
    )
    whole = await cloud.get(f"/v1/servicerequests/{number}")
    assert whole["status"] == "closed"
    assert whole["notes"][0]["text"].startswith("approved")
    (line,) = await credit_lines(cloud, provider)
    assert (line["chargeType"], str(line["subtotal"]), line["currency"]) == (charge, credit, "EUR")
    assert line["customerId"].lower() == customer


async def test_who_denies_closes_and_books_nothing(cloud: "Caller") -> None:
    before = (await cloud.get("/v1/invoices"))["totalCount"]
    number = await cloud.ticket(persona="deny", amount="10", subscription_id=cloud.subscription("legacy_active")[1])
    whole = await cloud.get(f"/v1/servicerequests/{number}")
    assert (whole["status"], whole["notes"][0]["text"].startswith("denied")) == ("closed", True)
    assert (await cloud.get("/v1/invoices"))["totalCount"] == before


async def test_who_asks_for_more_approves_once_answered(cloud: "Caller") -> None:
    number = await cloud.ticket(
        persona="ask_for_more", amount="12.50", subscription_id=cloud.subscription("legacy_active")[1]
    )
    whole = await cloud.get(f"/v1/servicerequests/{number}")
    assert (whole["status"], whole["notes"][0]["text"][-1]) == ("attention_needed", ".")
    assert (await cloud.get("/v1/servicerequests"))["items"][0]["status"] == 3
    await note(cloud, number, "Twelve users, until noon.")
    truth = await cloud.door("GET", f"/service-requests/{number}")
    assert (truth["status"], [one["by"] for one in truth["notes"]]) == (
        "closed",
        ["microsoft", "partner", "microsoft"],
    )
    (line,) = await credit_lines(cloud, "office")
    assert line["amount"] == Decimal("-12.50")


async def test_who_is_silent_stays_so(cloud: "Caller", clock: "Clock") -> None:
    number = await cloud.ticket(persona="silence")
    clock.advance(days=80)
    await cloud.sign_in()
    assert (await cloud.get(f"/v1/servicerequests/{number}"))["status"] == "open"


async def test_a_persona_takes_its_time_and_dates_its_answer_by_it(cloud: "Caller", clock: "Clock") -> None:
    await cloud.door("PUT", "/behaviour", {"persona_delay": 600})
    number = await cloud.ticket(persona="deny", created_date="2026-03-01T00:00:00Z")
    clock.advance(seconds=599)
    assert (await cloud.get(f"/v1/servicerequests/{number}"))["status"] == "open"
    clock.advance(minutes=20)
    whole = await cloud.get(f"/v1/servicerequests/{number}")
    assert (whole["status"], whole["lastClosedDate"]) == ("closed", "2026-03-10T09:40:15.123Z")
    assert whole["createdDate"] == "2026-03-01T00:00:00Z"


async def test_what_is_written_is_seen_after_the_delay_and_stands_behind_the_scenes_at_once(
    cloud: "Caller", clock: "Clock"
) -> None:
    await cloud.door("PUT", "/behaviour", {"visible_after": 60})
    number = await cloud.ticket()
    assert (await cloud.call("GET", f"/v1/servicerequests/{number}")).status_code == 404
    assert (await cloud.get("/v1/servicerequests"))["totalCount"] == 0
    assert (await cloud.door("GET", f"/service-requests/{number}"))["status"] == "open"
    clock.advance(seconds=60)
    assert (await cloud.get("/v1/servicerequests"))["totalCount"] == 1

    written = await note(cloud, number, "Hello")
    assert len(written["notes"]) == 1
    assert (await cloud.get(f"/v1/servicerequests/{number}"))["notes"] == []
    question = {"status": "attention_needed", "note": "Which users?"}
    await cloud.door("POST", f"/service-requests/{number}/status", question)
    clock.advance(seconds=59)
    assert (await cloud.get(f"/v1/servicerequests/{number}"))["status"] == "open"
    clock.advance(seconds=1)
    whole = await cloud.get(f"/v1/servicerequests/{number}")
    assert [one["text"] for one in whole["notes"]] == ["Hello", "Which users?"]
    assert whole["status"] == "attention_needed"


async def test_microsoft_may_close_and_open_again(cloud: "Caller", clock: "Clock") -> None:
    number = await cloud.ticket()
    await cloud.door("POST", f"/service-requests/{number}/status", {"status": "closed", "note": "approved"})
    clock.advance(seconds=1)
    await cloud.door("POST", f"/service-requests/{number}/status", {"status": "open"})
    whole = await cloud.get(f"/v1/servicerequests/{number}")
    assert (whole["status"], whole["lastClosedDate"]) == ("open", "2026-03-10T09:30:15.123Z")
    assert whole["lastModifiedDate"] == "2026-03-10T09:30:16.123Z"


async def test_a_bulk_change_touches_exactly_those_tickets(cloud: "Caller", clock: "Clock") -> None:
    made = (await cloud.door("POST", "/service-requests/bulk", {"customer_id": cloud.customer(), "count": 50}))["ids"]
    clock.advance(seconds=5)
    changed = (await cloud.door("POST", "/service-requests/bulk-change", {"count": 7, "status": "closed"}))["ids"]
    items = (await cloud.get("/v1/servicerequests"))["items"]
    assert changed == made[:7] == [item["id"] for item in items if item["status"] == 2]
    stamp = f"{clock():%Y-%m-%dT%H:%M:%S}.123"
    assert {item["id"] for item in items if item["lastModifiedDate"] == stamp} == set(changed)
    earlier = f"{clock() - timedelta(seconds=5):%Y-%m-%dT%H:%M:%S}.123"
    assert {item["lastModifiedDate"] for item in items if item["status"] == 1} == {earlier}
