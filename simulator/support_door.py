"""The side door to Azure tickets: plays the people at the Azure portal, and Microsoft's engineers."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from pydantic import Field

from simulator.azure import AzureGate
from simulator.models import Document, Instant, Model, Persona
from simulator.personas import play_due_steps
from simulator.support_catalogue import BILLING, PROVIDER, problems_of
from simulator.support_desk import Desk
from simulator.support_files import whole_files
from simulator.support_models import (
    AzureCommunication,
    AzureTicket,
    Contact,
    FileChunk,
    FileWorkspace,
    SupportMark,
    SupportOperation,
    TicketBody,
    WorkspaceFile,
)
from simulator.support_personas import by_number, new_number, schedule, written

PORTAL_CONTACT = Contact(
    first_name="Ana",
    last_name="Admin",
    preferred_contact_method="email",
    primary_email_address="ana@partner.example",
    preferred_time_zone="UTC",
    country="usa",
    preferred_support_language="en-us",
)


class TicketAtAzurePortal(Model):
    """What a person files at the Azure portal, on an Azure subscription of a customer. `amount` is what is asked."""

    customer_id: str
    subscription_id: str
    title: str = "Credit request"
    description: str = "Please see the attached form."
    persona: Persona = "silence"
    amount: Annotated[Decimal, Field(gt=0)] | None = None
    currency: str = "USD"
    created_date: Instant | None = None


class PersonaOf(Model):
    """Who plays Microsoft on tickets filed from now on; `of` is an Azure subscription or a customer. `amount` is what
    is credited where that is granted."""

    of: str
    persona: Persona
    amount: Annotated[Decimal, Field(gt=0)] | None = None
    currency: str = "USD"


class AccessOf(Model):
    """What the partner may do there from now on; `of` is an Azure subscription or a customer."""

    of: str
    plan_is_too_low: bool = False
    has_rights: bool = True


class StatusChange(Model):
    """What Microsoft sets a ticket to; it writes the note, if there is one, as a message."""

    status: Literal["Open", "Updating", "Closed"]
    note: str | None = None


class Message(Model):
    """What Microsoft writes on a ticket."""

    subject: str = "A question on your request"
    body: str


class WorkspaceOf(Model):
    """A file workspace on an Azure subscription."""

    subscription_id: str
    name: str


class AttachedFile(Model):
    """A file on a ticket."""

    name: str
    size: int
    sha256: str


class WholeTicket(Model):
    """A ticket as it is, visible or not, with its messages and the files that are attached to it."""

    ticket: AzureTicket
    communications: list[AzureCommunication]
    files: list[AttachedFile]


class Everything(Model):
    """Every Azure ticket there is, and of each kind of thing how many there are, whoever made them."""

    tickets: list[WholeTicket]
    effects: dict[str, int]


def router(gate: AzureGate) -> APIRouter:
    """The paths of the side door to Azure tickets."""
    routes, desk = APIRouter(prefix="/_simulator/azure-tickets", tags=["Side door"]), Desk(gate)
    cloud, store = desk.cloud, desk.store

    def whole(ticket: AzureTicket) -> WholeTicket:
        workspace = ticket.body.file_workspace_name
        files = whole_files(store, ticket.scope, workspace) if workspace else []
        return WholeTicket(
            ticket=ticket,
            communications=store.listed(AzureCommunication, parent=ticket.id),
            files=[AttachedFile.model_validate(one) for one in files],
        )

    def ticket_of(number: str) -> AzureTicket:
        play_due_steps(cloud)
        found = by_number(cloud, number)
        if found is None:
            raise HTTPException(404, f"There is no Azure ticket {number}, visible or not.")
        return found

    def mark(of: str, changes: dict[str, object]) -> SupportMark:
        changed = (store.get(SupportMark, of) or SupportMark(id=of)).model_copy(update=changes)
        cloud.write_now(changed)
        return changed

    @routes.get("", response_model_by_alias=False)
    async def every_ticket() -> Everything:
        """Every Azure ticket with its whole truth, in the order of filing, and how many things there are."""
        play_due_steps(cloud)
        kinds: dict[str, type[Document]] = {
            "tickets": AzureTicket,
            "communications": AzureCommunication,
            "workspaces": FileWorkspace,
            "files": WorkspaceFile,
            "chunks": FileChunk,
            "operations": SupportOperation,
        }
        effects = {name: store.count(model) for name, model in kinds.items()}
        return Everything(tickets=[whole(one) for one in store.listed(AzureTicket)], effects=effects)

    @routes.post("", status_code=201, response_model_by_alias=False)
    async def file_at_portal(wanted: TicketAtAzurePortal) -> WholeTicket:
        """A person files a ticket at the Azure portal, which names it. `ticket.number` has 15 digits."""
        plan = desk.plan_of(wanted.customer_id, wanted.subscription_id.lower())
        if plan is None:
            raise HTTPException(422, f"{wanted.subscription_id} is no Azure subscription of that customer.")
        created = wanted.created_date or cloud.now()
        seen = created + timedelta(seconds=cloud.config.visible_after)
        number, scope = new_number(cloud, created), f"/subscriptions/{wanted.subscription_id.lower()}"
        ticket = AzureTicket(
            id=f"{scope}/portal-{number}",
            scope=scope,
            name=f"portal-{number}",
            number=number,
            customer_id=plan.customer_id,
            body=TicketBody(
                service_id=f"{PROVIDER}/services/{BILLING}",
                problem_classification_id=problems_of(BILLING)[0].id,
                title=wanted.title,
                description=wanted.description,
                severity="minimal",
                advanced_diagnostic_consent="no",
                contact_details=PORTAL_CONTACT,
            ),
            created=created,
            modified=created,
            made_at=seen,
            listed_at=seen,
            persona=wanted.persona,
            amount=wanted.amount,
            currency=wanted.currency,
            plan=plan.id,
        )
        with store.transaction():
            cloud.write_now(ticket)
            schedule(cloud, ticket, ticket.persona, max(seen, cloud.now()))
        return whole(ticket)

    @routes.post("/persona")
    async def set_persona(wanted: PersonaOf) -> SupportMark:
        """Sets who plays Microsoft for a customer or an Azure subscription; `silence` where nothing was set."""
        return mark(wanted.of, wanted.model_dump(exclude={"of"}))

    @routes.post("/access")
    async def set_access(wanted: AccessOf) -> SupportMark:
        """Takes or gives the support plan and the rights of the partner there."""
        return mark(wanted.of, wanted.model_dump(exclude={"of"}))

    @routes.post("/workspaces/expire")
    async def expire_workspace(wanted: WorkspaceOf) -> FileWorkspace:
        """The day of a file workspace is over."""
        found = store.get(FileWorkspace, f"/subscriptions/{wanted.subscription_id}/{wanted.name}")
        if found is None:
            raise HTTPException(404, f"There is no file workspace {wanted.name}.")
        expired = found.model_copy(update={"expires": cloud.now()})
        cloud.write_now(expired)
        return expired

    @routes.get("/{number}", response_model_by_alias=False)
    async def one_ticket(number: str) -> WholeTicket:
        """A ticket as it is, visible or not."""
        return whole(ticket_of(number))

    @routes.post("/{number}/status", response_model_by_alias=False)
    async def change_status(number: str, wanted: StatusChange) -> WholeTicket:
        """Microsoft closes a ticket, opens it again, or is updating it."""
        ticket = ticket_of(number).model_copy(update={"status": wanted.status, "modified": cloud.now()})
        with store.transaction():
            cloud.write_now(ticket)
            if wanted.note is not None:
                written(cloud, ticket, "Your request", wanted.note, cloud.now())
        return whole(ticket)

    @routes.post("/{number}/communications", status_code=201, response_model_by_alias=False)
    async def write_message(number: str, wanted: Message) -> WholeTicket:
        """Microsoft writes on a ticket, for instance to ask something."""
        ticket = ticket_of(number)
        with store.transaction():
            written(cloud, ticket.model_copy(update={"was_asked": True}), wanted.subject, wanted.body, cloud.now())
        return whole(ticket_of(number))

    return routes
