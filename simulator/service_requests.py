"""Partner Center's service requests: listed, read, answered and closed by API; made only by a person at the portal.

Decided where the facts are silent: lists page by `size` and `offset`, a page holds at most
`SIMULATOR_SERVICE_REQUEST_PAGE` tickets (200) and the next link has no `/v1`; a note written while Microsoft waits for
an answer puts the ticket back to open; a ticket's organization is the customer it is about.
"""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from simulator.gate import Gate, body_of
from simulator.models import Customer, Note, ServiceRequest
from simulator.partner_center import found_customer
from simulator.personas import play_due_steps, replied_to
from simulator.state import Cloud
from simulator.wire import NEVER, PartnerCenterError, collection, link, page_number, reply, trimmed

STATUS_NUMBERS = {"none": 0, "open": 1, "closed": 2, "attention_needed": 3}
SEVERITY_NUMBERS = {"unknown": 0, "critical": 1, "moderate": 2, "minimal": 3}


class NewNote(BaseModel):
    """The note in a PATCH."""

    text: str


class ServiceRequestPatch(BaseModel):
    """What of a ticket a PATCH may change: `none` and `unknown` leave things as they are."""

    status: Literal["none", "open", "closed", "attention_needed"] = "none"
    severity: Literal["unknown", "critical", "moderate", "minimal"] = "unknown"
    newNote: NewNote | None = None  # noqa: N815 - Microsoft's name


def list_item(ticket: ServiceRequest) -> dict[str, object]:
    """A ticket in a list: numbers for severity and status, no notes, and instants without a zone."""
    return {
        "title": ticket.title,
        "severity": SEVERITY_NUMBERS[ticket.severity],
        "id": ticket.id,
        "status": STATUS_NUMBERS[ticket.status],
        "primaryContact": {"lastName": ticket.contact_last_name, "firstName": ticket.contact_first_name},
        "createdDate": trimmed(ticket.created_date),
        "lastModifiedDate": trimmed(ticket.last_modified_date),
        "lastClosedDate": NEVER if ticket.last_closed_date is None else trimmed(ticket.last_closed_date),
        "attributes": {"objectType": "ServiceRequest"},
    }


def whole_ticket(cloud: Cloud, ticket: ServiceRequest) -> dict[str, object]:
    """A ticket by its id: words for severity and status, instants with Z except those of notes and of never."""
    customer = cloud.store.get(Customer, ticket.customer_id)
    return {
        "title": ticket.title,
        "description": ticket.description,
        "severity": ticket.severity,
        "supportTopicId": "32692597",
        "supportTopicName": "Credit Requests and Refunds",
        "id": ticket.id,
        "status": ticket.status,
        "organization": {"id": ticket.customer_id.upper(), "name": "" if customer is None else customer.company_name},
        "productId": "17003",
        "createdDate": trimmed(ticket.created_date, "Z"),
        "lastModifiedDate": trimmed(ticket.last_modified_date, "Z"),
        "lastClosedDate": NEVER if ticket.last_closed_date is None else trimmed(ticket.last_closed_date, "Z"),
        "notes": [
            {"createdByName": note.created_by_name, "createdDate": trimmed(note.created_date), "text": note.text}
            for note in ticket.notes
        ],
        "attributes": {"objectType": "ServiceRequest"},
    }


def found_ticket(cloud: Cloud, number: str, *, truth: bool = False) -> ServiceRequest:
    """The ticket, if it can be seen already. Raises 404/1000."""
    seen = cloud.store.get(ServiceRequest, number, now=cloud.now())
    ticket = cloud.store.get(ServiceRequest, number) if truth and seen is not None else seen
    if ticket is None:
        raise PartnerCenterError(404, "1000", f"The service request {number} was not found.")
    return ticket


def patched(cloud: Cloud, old: ServiceRequest, patch: ServiceRequestPatch, author: str) -> ServiceRequest:
    """The ticket after a PATCH."""
    now = cloud.now()
    new = old.model_copy(deep=True)
    if patch.newNote is not None and patch.newNote.text.strip():
        new.notes.append(Note(text=patch.newNote.text, by="partner", created_by_name=author, created_date=now))
        if new.status == "attention_needed":
            new.status = "open"
    if patch.severity != "unknown":
        new.severity = patch.severity
    if patch.status != "none":
        new.status = patch.status
    if new.status == "closed" and old.status != "closed":
        new.last_closed_date = now
    if new != old:
        new.last_modified_date = now
    return new


def router(cloud: Cloud, gate: Gate) -> APIRouter:
    """The paths of service requests. All ask for app and user."""
    routes = APIRouter(prefix="/v1", tags=["Partner Center"])

    def page(request: Request, customer: str | None, path: str) -> Response:
        play_due_steps(cloud)
        size = min(
            page_number(request, "size", cloud.config.service_request_page, 1), cloud.config.service_request_page
        )
        offset = page_number(request, "offset", 0)
        total = cloud.store.count(ServiceRequest, parent=customer, now=cloud.now())
        tickets = cloud.store.listed(ServiceRequest, parent=customer, now=cloud.now(), limit=size, offset=offset)
        links: dict[str, object] = {"self": link(f"{path}?size={size}&offset={offset}")}
        if offset + size < total:
            links["next"] = link(f"{path}?size={size}&offset={offset + size}")
        return reply(collection([list_item(ticket) for ticket in tickets], total, links))

    @routes.get("/servicerequests")
    async def list_service_requests(request: Request) -> Response:
        gate.check(request, user=True)
        return page(request, None, "/servicerequests")

    @routes.get("/customers/{customer_id}/servicerequests")
    async def list_service_requests_of_customer(request: Request, customer_id: str) -> Response:
        gate.check(request, user=True)
        found_customer(cloud, customer_id)
        return page(request, customer_id, f"/customers/{customer_id}/servicerequests")

    @routes.get("/servicerequests/{number}")
    async def get_service_request(request: Request, number: str) -> Response:
        gate.check(request, user=True)
        play_due_steps(cloud)
        return reply(whole_ticket(cloud, found_ticket(cloud, number)))

    @routes.patch("/servicerequests/{number}")
    async def patch_service_request(request: Request, number: str) -> Response:
        caller = gate.check(request, user=True)
        patch = await body_of(request, ServiceRequestPatch)
        play_due_steps(cloud)

        def act() -> object:
            old = found_ticket(cloud, number, truth=True)
            new = patched(cloud, old, patch, caller.name)
            if new != old:
                cloud.write(new)
                replied_to(cloud, old, new)
            return whole_ticket(cloud, new)

        return gate.once(request, act)

    return routes
