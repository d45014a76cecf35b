"""Who plays Microsoft's side of a ticket. No timers: a step that is due is played when somebody next looks.

approve: closes with a note and books a credit of the amount asked. deny: closes with a note. half_credit: closes and
books half. ask_for_more: asks a question, and approves once the partner has answered. silence: nothing, ever.
"""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from simulator import support_personas
from simulator.booking import book_credit
from simulator.models import Note, Persona, PersonaStep, ServiceRequest, TicketStatus
from simulator.state import Cloud

QUESTION = "Please name the users who were affected, and the time at which the service came back for them."
CENT = Decimal("0.01")


def noted(ticket: ServiceRequest, text: str, status: TicketStatus, at: datetime) -> ServiceRequest:
    """The ticket after Microsoft has written a note and set a status."""
    note = Note(text=text, by="microsoft", created_by_name="Microsoft Support", created_date=at)
    changes = {"notes": [*ticket.notes, note], "status": status, "last_modified_date": at}
    if status == "closed":
        changes["last_closed_date"] = at
    return ticket.model_copy(update=changes)


def schedule(cloud: Cloud, ticket: ServiceRequest, action: Persona) -> None:
    """Makes `action` due after the persona's delay, counted from now; the ticket's `createdDate` may lie far back."""
    if action == "silence":
        return
    due = cloud.now() + timedelta(seconds=cloud.config.persona_delay)
    cloud.store.write(PersonaStep(id=ticket.id, action=action, due_at=due), visible_at=due, now=cloud.now())


def replied_to(cloud: Cloud, old: ServiceRequest, new: ServiceRequest) -> None:
    """The partner has written: who had asked for more is content now."""
    if old.status == "attention_needed" and len(new.notes) > len(old.notes) and old.persona == "ask_for_more":
        schedule(cloud, new, "approve")


def play_due_steps(cloud: Cloud) -> None:
    """Plays every step that is due by now, of Azure tickets too, each as of the instant it was due."""
    for step in cloud.store.listed(PersonaStep, now=cloud.now()):
        with cloud.store.transaction():
            ticket = cloud.store.get(ServiceRequest, step.id)
            cloud.store.delete(step)
            support_personas.play_step(cloud, step)
            if ticket is not None and ticket.status != "closed":
                play(cloud, ticket, step.action, step.due_at)


def play(cloud: Cloud, ticket: ServiceRequest, action: Persona, at: datetime) -> None:
    """One step of one persona."""
    match action:
        case "approve":
            cloud.write(noted(ticket, "approved: the credit will be on your next invoice.", "closed", at), at)
            credit(cloud, ticket, ticket.amount, at)
        case "half_credit":
            half = None if ticket.amount is None else (ticket.amount / 2).quantize(CENT, ROUND_HALF_UP)
            cloud.write(noted(ticket, "approved in part: half of the amount will be credited.", "closed", at), at)
            credit(cloud, ticket, half, at)
        case "deny":
            cloud.write(noted(ticket, "denied: the request doesn't meet the policy.", "closed", at), at)
        case "ask_for_more":
            cloud.write(noted(ticket, QUESTION, "attention_needed", at), at)
        case "silence":
            pass


def credit(cloud: Cloud, ticket: ServiceRequest, amount: Decimal | None, at: datetime) -> None:
    """Books what was granted, where the ticket says for what and how much."""
    if amount is not None and ticket.subscription_id is not None:
        book_credit(cloud, ticket.customer_id, ticket.subscription_id, amount, ticket.currency, ticket.invoice_type, at)
