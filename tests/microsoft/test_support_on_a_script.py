"""What our client of Azure support tickets sends, on a script of answers, and what it refuses to send."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr

from microsoft.errors import Forbidden, Malformed, Rejected
from microsoft.identity import Identity
from microsoft.support import (
    Classification,
    Communication,
    Contact,
    NewTicket,
    Place,
    Support,
    SupportTicket,
    ticket_name_refusal,
    upload_refusal,
)
from microsoft.transport import Transport
from tests.microsoft.stand_ins import HOST, Script

PLACE = Place("44444444-aaaa-4bbb-8ccc-dddddddddddd", "55555555-aaaa-4bbb-8ccc-dddddddddddd")
CONTACT = Contact(first_name="Ana", last_name="Admin", email="ana@partner.example", time_zone="UTC", country="CHE")
REFUND = Classification("/services/1", "/services/1/problemClassifications/2", "Refund request")
TICKET = NewTicket(title="Credit", description="Machines were down.", classification=REFUND, contact=CONTACT)


def on_script(*replies: httpx.Response) -> tuple[Support, Script]:
    """The client on a script: a token from each tenant as it is asked for, and these answers in between."""
    script = Script([*replies])
    tokens = Script([httpx.Response(200, json={"access_token": f"token-{number}"}) for number in range(1, 6)])
    login = Transport("https://login.example", wire=httpx.MockTransport(tokens))
    who = Identity(login, tenant="partner", client_id="c", client_secret=SecretStr("s"))
    return Support(script.transport(), who), script


async def test_a_call_carries_the_customers_token_and_the_partners_beside_it() -> None:
    """Documented for creating a ticket; for the rest of what we send it is inferred."""
    made = {"name": "claim-1", "properties": {}}
    support, script = on_script(*(httpx.Response(200, json=made) for _ in range(4)))
    assert await support.create(PLACE, "claim-1", TICKET) is None
    await support.update(PLACE, "claim-1", status="closed")
    assert await support.communicate(PLACE, "claim-1", "reply-1", subject="s", body="b", sender="a@b.example") is None
    await support.ticket(PLACE, "claim-1")
    assert set(script.sent("x-ms-authorization-auxiliary")) == {"Bearer token-1"}
    assert set(script.sent("authorization")) == {"Bearer token-2"}
    first, patch, *_ = script.requests
    assert first.url.params["api-version"] == "2024-04-01"
    assert set(json.loads(first.content)) == {"properties"}
    assert json.loads(patch.content) == {"status": "closed"}  # flat: wrapped, it would change nothing


async def test_the_catalogue_is_asked_for_in_english_and_kept() -> None:
    service = {"id": "/providers/Microsoft.Support/services/1", "properties": {"displayName": "Billing"}}
    names = ("Refund request for a marketplace", "Refund – Request", "Refunds")
    problems = [{"id": f"/x/{name}", "properties": {"displayName": name}} for name in names]
    support, script = on_script(
        httpx.Response(200, json={"value": [service]}), httpx.Response(200, json={"value": problems})
    )
    for _ in range(3):
        assert (await support.classification(PLACE.tenant, "BILLING", "refund request")).name == "Refund – Request"
    assert script.sent("accept-language") == ["en-US", "en-US"]


async def test_a_next_link_is_followed_to_the_letter_and_never_twice() -> None:
    link = f"{HOST}/subscriptions/x/providers/Microsoft.Support/supportTickets?$skiptoken=a%2fb~'%2B&api-version=1"
    page = {"value": [{"name": "claim-1"}], "nextLink": link}
    support, script = on_script(*(httpx.Response(200, json=page) for _ in range(2)))
    with pytest.raises(Malformed, match="twice"):
        [page async for page in support.tickets(PLACE)]
    assert str(script.requests[1].url) == link
    assert script.requests[0].url.params["$top"] == "100"


@pytest.mark.parametrize(
    ("filename", "size", "why"),
    [
        ("form.pdf", 0, "1 to 5242880 bytes"),
        ("form.pdf", 5_242_881, "1 to 5242880 bytes"),
        ("f" * 107 + ".pdf", 10, "1 to 110 characters"),
        ("", 10, "1 to 110 characters"),
        ("form.pdf.ExE", 10, r"\.exe"),
        ("../form.pdf", 10, "slashes"),
        ("form\n.pdf", 10, "control characters"),
    ],
)
async def test_a_file_that_cant_be_attached_is_refused_before_anything_is_sent(
    filename: str, size: int, why: str
) -> None:
    support, script = on_script()
    with pytest.raises(Rejected, match=why):
        await support.upload(PLACE, "files-1", filename, b"x" * size)
    assert script.requests == []


def test_files_that_can_be_attached() -> None:
    for filename, size in (("f" * 106 + ".pdf", 1), ("all.zip", 5_242_880), ("no extension", 1), ("exe", 1)):
        assert upload_refusal(filename, size) is None, filename


def test_names_that_a_ticket_can_have() -> None:
    for name in ("claim-1", "x" * 255, "1a", "Credit 1.2", "atmp-1"):
        assert ticket_name_refusal(name) is None, name
    for name in ("", "..", "x" * 256, "a/b", "a\\b", "a?b", "a:b", "a%b", "a&b", "<a>", "a\x00b", "123", "TMP-1"):
        assert ticket_name_refusal(name) is not None, name


def test_a_ticket_is_read_however_microsoft_writes_it() -> None:
    wire = {
        "name": "claim-1",
        "properties": {
            "supportTicketId": 119120321001170,
            "status": "UPDATING",
            "severity": "HighestCriticalImpact",
            "createdDate": "2026-02-28T23:59:59.9999999Z",
            "modifiedDate": None,
            "supportEngineer": {"emailAddress": None},
            "chatConversationStatus": "None",
        },
    }
    ticket = SupportTicket.model_validate(wire)
    assert (ticket.number, ticket.status, ticket.severity) == ("119120321001170", "updating", "highestcriticalimpact")
    assert ticket.created == datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    assert (ticket.modified, ticket.workspace) == (None, "")
    message = {"name": "m", "properties": {"communicationDirection": "Sideways", "createdDate": ""}}
    assert Communication.model_validate(message).direction == "sideways"


def refused(status: int = 401) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": "InvalidAuthenticationToken", "message": "Expired."}})


async def write(support: Support) -> None:
    await support.update(PLACE, "claim-1", status="closed")


async def read(support: Support) -> None:
    await support.ticket(PLACE, "claim-1")


async def ask(support: Support) -> None:
    await support.is_name_free(PLACE, "claim-1")


async def list_all(support: Support) -> None:
    assert [ticket.name for page in [page async for page in support.tickets(PLACE)] for ticket in page] == ["claim-1"]


@pytest.mark.parametrize("work", [write, read, ask, list_all])
async def test_a_refused_token_of_the_partners_tenant_is_renewed(work: Callable[[Support], Awaitable[None]]) -> None:
    """The customer's is taken for the refused one first: nothing says which of the two it was."""
    body = {"name": "claim-1", "properties": {}, "nameAvailable": True, "value": [{"name": "claim-1"}]}
    good = (httpx.Response(200, json=body) for _ in range(2))
    support, script = on_script(refused(), refused(), *good)
    await work(support)
    await work(support)
    assert script.sent("x-ms-authorization-auxiliary") == [f"Bearer token-{number}" for number in (1, 1, 4, 4)]
    assert script.sent("authorization") == [f"Bearer token-{number}" for number in (2, 3, 3, 3)]


@pytest.mark.parametrize("replies", [[401, 401, 401, 401], [403]])
async def test_a_refusal_that_no_other_token_mends_is_one(replies: list[int]) -> None:
    support, script = on_script(*(refused(status) for status in replies))
    with pytest.raises(Forbidden):
        await support.ticket(PLACE, "claim-1")
    assert len(script.requests) == len(replies)
