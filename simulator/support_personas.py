"""Who plays Microsoft's side of an Azure ticket, as `simulator.personas` does for service requests: what is due is
played when somebody next looks.

approve: a message, closed, and a credit of the amount that was marked. half_credit: half of it. deny: a message,
closed. ask_for_more: a message that asks; the ticket stays open, for a status that says so isn't known, and it is
approved once the partner has written. silence: nothing, ever.
"""

import uuid
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from simulator.booking import CENT, book_credit
from simulator.models import Persona, PersonaStep
from simulator.state import Cloud
from simulator.support_models import AzureCommunication, AzureTicket

SENDER = "support@mail.support.microsoft.example"
QUESTION = "Please name the resources that were affected, and the time at which they came back."


def new_number(cloud: Cloud, created: datetime) -> str:
    """A number of 15 digits like Microsoft's: 1, the date, and eight digits that no other Azure ticket has."""
    return f"1{created:%y%m%d}{(cloud.store.count(AzureTicket) * 7919 + 21001170) % 100_000_000:08d}"


def by_number(cloud: Cloud, number: str) -> AzureTicket | None:
    """The ticket of this number, visible or not."""
    return next((one for one in cloud.store.listed(AzureTicket) if one.number == number), None)


def written(cloud: Cloud, ticket: AzureTicket, subject: str, body: str, at: datetime) -> None:
    """Microsoft writes on a ticket."""
    name = uuid.uuid4().hex
    one = AzureCommunication(
        id=f"{ticket.id}/{name}",
        scope=ticket.id,
        name=name,
        subject=subject,
        body=body,
        sender=SENDER,
        by="microsoft",
        created=at,
        made_at=at,
        listed_at=at,
    )
    cloud.write_now(one)
    cloud.write_now(ticket.model_copy(update={"modified": at}))


def schedule(cloud: Cloud, ticket: AzureTicket, action: Persona, at: datetime) -> None:
    """Makes `action` due after the persona's delay, counted from `at`."""
    if action == "silence":
        return
    due = at + timedelta(seconds=cloud.config.persona_delay)
    cloud.store.write(PersonaStep(id=ticket.id, action=action, due_at=due), visible_at=due, now=cloud.now())


def replied_to(cloud: Cloud, ticket: AzureTicket, message: AzureCommunication) -> None:
    """The partner has written: who had asked for more is content now."""
    changed = ticket.model_copy(update={"modified": message.created, "was_asked": False})
    cloud.write_now(changed)
    if ticket.was_asked and ticket.persona == "ask_for_more":
        schedule(cloud, ticket, "approve", message.listed_at)


def play_step(cloud: Cloud, step: PersonaStep) -> None:
    """Plays a step that is due, on the Azure ticket it is for."""
    ticket = cloud.store.get(AzureTicket, step.id)
    if ticket is None or ticket.status == "Closed":
        return
    at = step.due_at
    match step.action:
        case "approve":
            close(cloud, ticket, "approved: the credit will be on your next invoice.", ticket.amount, at)
        case "half_credit":
            half = None if ticket.amount is None else (ticket.amount / 2).quantize(CENT, ROUND_HALF_UP)
            close(cloud, ticket, "approved in part: half of the amount will be credited.", half, at)
        case "deny":
            close(cloud, ticket, "denied: the request doesn't meet the policy.", None, at)
        case "ask_for_more":
            written(cloud, ticket.model_copy(update={"was_asked": True}), "A question on your request", QUESTION, at)
        case "silence":
            pass


def close(cloud: Cloud, ticket: AzureTicket, text: str, credit: Decimal | None, at: datetime) -> None:
    """Microsoft writes, closes, and books what it grants, where it is known for what and how much."""
    written(cloud, ticket.model_copy(update={"status": "Closed"}), "Your request", text, at)
    if credit is not None and ticket.plan is not None:
        book_credit(cloud, ticket.customer_id, ticket.plan, credit, ticket.currency, None, at)
