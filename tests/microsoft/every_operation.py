"""Every operation of every client of ours, by the name that exceptions give it, for tests that try them all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from microsoft.answers import Call
from microsoft.billing import Billing, Invoice
from microsoft.errors import MicrosoftError
from microsoft.identity import GRAPH, Identity
from microsoft.partner_center import PartnerCenter
from microsoft.reservation_requests import Change, Purchase
from microsoft.reservations import Reservations
from microsoft.support import Classification, Contact, NewTicket, Place, Support
from microsoft.transport import AZURE_IDS, Transport

HOST = "management.azure.example"
TOKEN, CLIENT_SECRET, DOCUMENT = "eyJhbGciOi.a-good-token", "client-secret-of-ours", b"a confidential document"
TENANT = "44444444-aaaa-4bbb-8ccc-dddddddddddd"
ID, OTHER_ID = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
PLACE = Place(TENANT, ID)
OPERATION = f"https://{HOST}/operations/1?api-version=2024-04-01&t=1&s=signed%2B"
CONTACT = Contact(first_name="Ana", last_name="Admin", email="ana@partner.example", time_zone="UTC", country="CHE")
TICKET = NewTicket(
    title="A title that nobody else may read",
    description='Two lines\nof a confidential description, with "quotes" and an umlaut: ü',
    classification=Classification("/services/1", "/services/1/problemClassifications/2", "Refund request"),
    contact=CONTACT,
)
PURCHASE = Purchase(
    sku="Standard_D2s_v3",
    resource_type="VirtualMachines",
    billing_scope=f"/subscriptions/{ID}",
    term="P1Y",
    billing_plan="Upfront",
    quantity=1,
    name="A confidential name of a reservation",
)
INVOICE, LEGACY_INVOICE = (
    Invoice.from_json(
        {"id": number, "invoiceDate": "2026-01-01", "currencyCode": "EUR", "totalCharges": 1}, Call("read", HOST, "")
    )
    for number in ("G1", "D1")
)


@dataclass(frozen=True)
class Clients:
    """Every client, and the identity they share."""

    identity: Identity
    partner_center: PartnerCenter
    billing: Billing
    support: Support
    reservations: Reservations


async def lines_of(billing: Billing, invoice: Invoice) -> list[object]:
    async with billing.lines(invoice) as lines:
        return list(lines)


async def drained(pages: AsyncIterator[object]) -> list[object]:
    return [page async for page in pages]


Work = Callable[[Clients], Awaitable[object]]

READS: dict[str, Work] = {
    "list customers": lambda it: drained(it.partner_center.customers()),
    "read customer": lambda it: it.partner_center.customer(TENANT),
    "list relationships": lambda it: it.partner_center.resellers(),
    "list relationships of customer": lambda it: it.partner_center.resellers_of(TENANT),
    "list subscriptions": lambda it: it.partner_center.subscriptions(TENANT),
    "read subscription": lambda it: it.partner_center.subscription(TENANT, OTHER_ID),
    "list azure entitlements": lambda it: it.partner_center.azure_entitlements(TENANT, OTHER_ID),
    "list service requests": lambda it: drained(it.partner_center.service_requests()),
    "read service request": lambda it: it.partner_center.service_request("616122292874576"),
    "list invoices": lambda it: drained(it.billing.invoices()),
    "list invoice lines": lambda it: lines_of(it.billing, LEGACY_INVOICE),
    "export invoice lines": lambda it: lines_of(it.billing, INVOICE),
    "find problem classification": lambda it: it.support.classification(TENANT, "Billing", "refund"),
    "list support tickets": lambda it: drained(it.support.tickets(PLACE)),
    "read support ticket": lambda it: it.support.ticket(PLACE, "ticket-1"),
    "look at support operation": lambda it: it.support.look(PLACE, OPERATION),
    "list communications": lambda it: it.support.communications(PLACE, "ticket-1"),
    "read communication": lambda it: it.support.communication(PLACE, "ticket-1", "message-1"),
    "check name": lambda it: it.support.is_name_free(PLACE, "ticket-1"),
    "list reservations": lambda it: drained(it.reservations.all(TENANT)),
    "list reservations of order": lambda it: it.reservations.of_order(TENANT, ID),
    "read reservation": lambda it: it.reservations.reservation(TENANT, ID, OTHER_ID),
    "read reservation order": lambda it: it.reservations.order(TENANT, ID),
    "ask for available scopes": lambda it: it.reservations.available_scopes(TENANT, ID, OTHER_ID, ["/subscriptions/1"]),
    "quote refund": lambda it: it.reservations.refund_quote(TENANT, ID, OTHER_ID, 1),
    "quote exchange": lambda it: it.reservations.exchange_quote(TENANT, [(ID, OTHER_ID, 1)], [PURCHASE]),
    "look at exchange quote": lambda it: it.reservations.look_at_quote(TENANT, OPERATION),
    "look at exchange": lambda it: it.reservations.look_at_exchange(TENANT, OPERATION),
    "list catalogue": lambda it: drained(it.reservations.catalog(TENANT, ID, "VirtualMachines")),
    "calculate price": lambda it: it.reservations.price(TENANT, PURCHASE),
    "list role assignments": lambda it: it.reservations.role_assignments(TENANT, ID),
    "redeem token": lambda it: it.identity.token(GRAPH),
}
WRITES: dict[str, Work] = {
    "add note": lambda it: it.partner_center.add_note("616122292874576", "A confidential note"),
    "close service request": lambda it: it.partner_center.close("616122292874576"),
    "create support ticket": lambda it: it.support.create(PLACE, "ticket-1", TICKET),
    "update support ticket": lambda it: it.support.update(PLACE, "ticket-1", severity="moderate", contact=CONTACT),
    "create communication": lambda it: it.support.communicate(
        PLACE, "ticket-1", "message-1", subject="An answer", body="A confidential answer", sender="ana@partner.example"
    ),
    "create file workspace": lambda it: it.support.create_workspace(PLACE, "workspace-1"),
    "create file": lambda it: it.support.upload(PLACE, "workspace-1", "form.pdf", DOCUMENT),
    "change reservation": lambda it: it.reservations.update(TENANT, ID, OTHER_ID, Change(name="A confidential name")),
    "return reservation": lambda it: it.reservations.give_back(
        TENANT, ID, OTHER_ID, 1, "session-1", "Confidential why"
    ),
    "exchange reservations": lambda it: it.reservations.exchange(TENANT, "session-1"),
    "purchase reservation": lambda it: it.reservations.purchase(TENANT, ID, PURCHASE),
    "assign role": lambda it: it.reservations.assign_role(TENANT, ID, OTHER_ID, ID, OTHER_ID),
    "unassign role": lambda it: it.reservations.unassign_role(TENANT, ID, OTHER_ID),
}
OPERATIONS = READS | WRITES


def clients_of(answer: Callable[[httpx.Request], httpx.Response]) -> Clients:
    """Clients whose host answers so; those who need a token beside get a good one."""

    def login(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": TOKEN, "expires_in": 3600})

    def who(wire: Callable[[httpx.Request], httpx.Response]) -> Identity:
        http = Transport(f"https://{HOST}", wire=httpx.MockTransport(wire), backoff=0.0)
        return Identity(http, tenant="partner", client_id="client", client_secret=SecretStr(CLIENT_SECRET))

    http = Transport(f"https://{HOST}", wire=httpx.MockTransport(answer), backoff=0.0, ids=AZURE_IDS)
    good = who(login)
    return Clients(
        who(answer), PartnerCenter(http, good), Billing(http, good, http), Support(http, good), Reservations(http, good)
    )


async def outcome(work: Work, answer: Callable[[httpx.Request], httpx.Response]) -> object:
    """What comes of an operation whose every request is answered so: its result, or our exception."""
    try:
        return await work(clients_of(answer))
    except MicrosoftError as error:
        return error
