"""What each event does to a claim. Every function here answers with a `Change`; `apply` makes it.

The workflow calls these, so a change of behaviour here is a change of workflow code: it goes behind `patched`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.claims import (
    TABLE,
    UNVERIFIED_FOR,
    Answer,
    Claim,
    CreditState,
    Entry,
    Event,
    Filing,
    Status,
    Timer,
    refusal,
)
from domain.deadlines import Deadline, Reminder
from domain.evidence import Document, Requirement, checklist, is_complete
from domain.messages import (
    Assign,
    Command,
    FileAsException,
    FileTicket,
    RecordFiling,
    Reopen,
    Reply,
    RevokeEvidence,
    Withdraw,
)
from domain.model import Frozen, Refusal, Refused
from domain.policy import Commerce
from domain.roles import Actor
from domain.tickets import Ticket, TicketLookup, TicketStatus, is_older, question_on, unread
from domain.triage import Route, Triage


class Triaged(Frozen):
    """What triage found, resolved once: a later policy can't move an open claim unseen."""

    triage: Triage
    commerce: Commerce | None
    product: str | None
    deadline: Deadline
    grace_ends_at: datetime
    reminders: tuple[Reminder, ...]
    requirements: tuple[Requirement, ...]
    credit: CreditState
    azure_subscription_id: str | None = None
    other_azure_subscriptions: tuple[str, ...] = ()
    assisted_reason: str | None = None


@dataclass(frozen=True)
class Change:
    """What an event makes of a claim: the status it becomes, the line on the timeline, the fields it sets."""

    event: Event
    to: Status
    text: str
    fields: Mapping[str, object] = field(default_factory=dict)
    result: str | None = None


def apply(claim: Claim, change: Change, at: datetime, actor: Actor | None = None) -> tuple[Claim, Entry]:
    """The claim after the change, and its entry on the timeline.

    Raises:
        Refused: the table doesn't allow it.
    """
    refused = refusal(claim, change.event, actor)
    if refused:
        raise Refused(refused)
    if change.to not in TABLE[change.event][claim.status].to:
        raise Refused(Refusal(rule="table", message=f"{change.event} can't turn {claim.status} into {change.to}."))
    after = claim.model_copy(
        update={
            **change.fields,
            "version": claim.version + 1,
            "status": change.to,
            "status_since": claim.status_since if change.to is claim.status else at,
        }
    )
    reminded = TABLE[Event.REMINDER_DUE]
    if after.status in reminded and claim.status not in reminded:
        # What passed while nobody was to be reminded isn't made up for.
        ahead = tuple(reminder for reminder in after.reminders if reminder.at > at)
        after = after.model_copy(update={"reminders": ahead})
    # Opening starts the workflow, so nobody asks it to: who opened the claim stands on the claim.
    by = claim.opened_by if change.event is Event.OPENED else actor
    entry = Entry(version=after.version, at=at, event=change.event, status=after.status, actor=by, text=change.text)
    return after, entry


def remember(claim: Claim, update_id: str, request_hash: str, result: str | None) -> Claim:
    """The claim with the answer to a person's request kept, under the id that the same request will carry again."""
    answer = Answer(
        claim_id=claim.id, version=claim.version, status=claim.status, request_hash=request_hash, result=result
    )
    return claim.model_copy(update={"answers": claim.answers | {update_id: answer}})


def opened(claim: Claim) -> Change:
    """The claim's first entry."""
    said = claim.opening
    return Change(
        Event.OPENED,
        Status.TRIAGING,
        f"Opened: {said.category.replace('_', ' ')} of {said.incident.date}, "
        f"raised by the {said.raised_by.replace('_', ' ')}.",
    )


def triaged(claim: Claim, found: Triaged) -> Change:
    """The route is known. A person who files as an exception has overruled `not_claimable`."""
    triage = found.triage
    if triage.route is Route.NOT_CLAIMABLE and claim.exception_reason is not None:
        azure = found.commerce is Commerce.AZURE
        route = Route.AZURE_TICKET if azure else Route.SERVICE_REQUEST
        explanation = f"{triage.explanation} Filed all the same, as an exception: {claim.exception_reason}"
        triage = triage.model_copy(update={"route": route, "explanation": explanation})
    fields: dict[str, object] = {
        "triage": triage,
        "commerce": found.commerce,
        "product": found.product,
        "deadline": found.deadline,
        "grace_ends_at": found.grace_ends_at,
        "reminders": found.reminders,
        "requirements": found.requirements,
        "azure_subscription_id": found.azure_subscription_id,
        "other_azure_subscriptions": found.other_azure_subscriptions,
        "assisted_reason": found.assisted_reason,
        "credit": found.credit.model_copy(
            update={"allocations": claim.credit.allocations, "released_lines": claim.credit.released_lines}
        ),
    }
    text = f"Route {triage.route.replace('_', ' ')}: {triage.explanation}"
    match triage.route:
        case Route.CANCEL_NOW:
            return Change(Event.TRIAGED, Status.CANCEL_NOW, text, fields)
        case Route.REFUNDED_IN_FULL | Route.CREDITED_PRO_RATA:
            return Change(Event.TRIAGED, Status.AWAITING_CREDIT, text, fields)
        case Route.NOT_CLAIMABLE:
            return Change(Event.TRIAGED, Status.NOT_CLAIMABLE, text, fields | {"closing_reason": triage.explanation})
        case Route.AZURE_TICKET | Route.SERVICE_REQUEST:
            complete = is_complete(checklist(found.requirements, claim.documents))
            to = Status.READY_TO_FILE if complete else Status.COLLECTING_EVIDENCE
            return Change(Event.TRIAGED, to, f"{text} {found.deadline.explanation}", fields)


def timed(claim: Claim, timer: Timer) -> Change:
    """What the passing of an instant does."""
    match timer.event:
        case Event.WINDOW_SHUT:
            return Change(
                timer.event, Status.TRIAGING, "The cancellation window shut; looking at the subscription again."
            )
        case Event.REMINDER_DUE:
            days = claim.reminders[0].days_before
            due = f" (due on {claim.deadline.due_on})" if claim.deadline else ""
            text = f"Reminder: {days} day{'s' if days != 1 else ''} before a published deadline{due}."
            return Change(timer.event, claim.status, text, {"reminders": claim.reminders[1:]})
        case Event.DEADLINE_PASSED:
            text = "The deadline passed. Record a ticket that was created in time, or file as an exception."
            if claim.filing:
                text = (
                    f"The deadline passed. Ticket {claim.filing.number}, once found, counts if it was created in time."
                )
            return Change(timer.event, Status.OVERDUE, text)
        case Event.TICKET_REFUSED:
            number = claim.filing.number if claim.filing else ""
            text = f"Microsoft has not shown ticket {number} for 24 hours: the number is refused. Give the right one."
            if claim.filing and claim.filing.ticket_name:
                text = f"Azure has not taken ticket {number} for 24 hours. File it by hand, and record its number."
            return refused_ticket(claim, text)
        case _:
            text = "Ten working days after the deadline nothing was filed in time."
            return Change(Event.GRACE_ENDED, Status.EXPIRED, text, {"closing_reason": text})


def document_count(at_most: int) -> Refusal:
    """The refusal of a document too many."""
    return Refusal(rule="document_count", message=f"A claim may have {at_most} documents, and not more. Revoke one.")


def document_refusal(claim: Claim, document: Document, at_most: int) -> Refusal | None:
    """A document that is attached already isn't attached twice, and a claim has `at_most` so many."""
    if len(claim.documents) >= at_most:
        return document_count(at_most)
    for known in claim.documents:
        if known.sha256 == document.sha256 and known.kind is document.kind:
            return Refusal(
                rule="document_once",
                field="file",
                message=f"This {known.kind} is attached already, as {known.id}. Send another, or leave it at that.",
            )
    return None


def attached(claim: Claim, document: Document) -> Change:
    """A document counts."""
    documents = (*claim.documents, document)
    to = _after_evidence(claim, documents)
    text = f"Attached {document.kind.replace('_', ' ')} ({document.size:,} bytes, {document.media_type})."
    if claim.filing and claim.filing.ticket_name:
        went = "went" if claim.filing.ticket else "may go"
        text += f" The ticket {went} without it: attach it there too, in the Azure portal."
    return Change(Event.ATTACH_EVIDENCE, to, text, {"documents": documents}, result=document.id)


def revoked(claim: Claim, command: RevokeEvidence) -> Change:
    """A document no longer counts.

    Raises:
        Refused: the claim has no such document.
    """
    documents = tuple(document for document in claim.documents if document.id != command.document_id)
    if documents == claim.documents:
        raise Refused(
            Refusal(
                rule="document_exists",
                field="document_id",
                message="This claim has no document with that id. Give one of those that the claim lists.",
            )
        )
    to = _after_evidence(claim, documents)
    text = f"Revoked document {command.document_id}: {command.reason}"
    return Change(Event.REVOKE_EVIDENCE, to, text, {"documents": documents}, result=command.document_id)


def _after_evidence(claim: Claim, documents: tuple[Document, ...]) -> Status:
    if claim.status not in {Status.COLLECTING_EVIDENCE, Status.READY_TO_FILE}:
        return claim.status
    complete = is_complete(checklist(claim.requirements, documents))
    return Status.READY_TO_FILE if complete else Status.COLLECTING_EVIDENCE


def ticket_refusal(claim: Claim, found: TicketLookup) -> Refusal | None:
    """Why a ticket can't be the filing of this claim: another customer's, or created too late."""
    if found.other_customer:
        return Refusal(
            rule="ticket_customer",
            field="ticket_number",
            message="That ticket is of a customer that isn't the claim's. Give the number of this customer's ticket.",
        )
    due_at = claim.deadline.due_at if claim.deadline else None
    if found.ticket and due_at and found.ticket.created_at >= due_at and claim.exception_reason is None:
        return Refusal(
            rule="filed_in_time",
            field="ticket_number",
            message=f"That ticket was created {found.ticket.created_at:%Y-%m-%d %H:%M} UTC, after the deadline "
            f"({due_at:%Y-%m-%d %H:%M} UTC). To file late, say file as exception first.",
        )
    return None


def filed(claim: Claim, command: RecordFiling, found: TicketLookup, at: datetime) -> Change:
    """A person gave a ticket number and Microsoft was asked for it.

    Raises:
        Refused: another customer's ticket, one created too late, the one recorded already, or a correction to a
            number that isn't visible.
    """
    number = command.ticket_number
    word = ""
    if found.unreadable:
        word = f" That is taken on your word: {found.unreadable}"
        found = TicketLookup(ticket=unread(number, claim.opening.customer_id, at))
    if refused := ticket_refusal(claim, found):
        raise Refused(refused)
    given, earlier = claim.filing, claim.earlier_filings
    if given and given.number == number:
        if given.ticket:
            raise Refused(
                Refusal(
                    rule="ticket_once",
                    field="ticket_number",
                    message=f"Ticket {number} is recorded already. To correct it, give another number.",
                )
            )
        filing = given.model_copy(update={"ticket": found.ticket})  # the 24 hours go on from when it was first given
    else:
        if given:
            earlier = (*earlier, given.number)
            word += _on_its_way(claim)
        filing = Filing(
            number=number,
            recorded_at=at,
            recorded_by=command.actor,
            give_up_at=at + UNVERIFIED_FOR,
            ticket=found.ticket,
        )
    fields: dict[str, object] = {"filing": filing, "earlier_filings": earlier, "question": None}
    if claim.reply_under_way is not None and given and given.number != number:
        fields["reply_under_way"] = None  # it was on the ticket that isn't the claim's
    if found.azure_subscription_id and found.azure_subscription_id != claim.azure_subscription_id:
        others = {*claim.other_azure_subscriptions, claim.azure_subscription_id} - {found.azure_subscription_id, None}
        fields["azure_subscription_id"] = found.azure_subscription_id
        fields["other_azure_subscriptions"] = tuple(sorted(each for each in others if each))
    if found.ticket:
        text = f"Filed as ticket {number}, created at Microsoft {found.ticket.created_at:%Y-%m-%d %H:%M} UTC.{word}"
        return _at_microsoft(claim, Event.RECORD_FILING, found.ticket, text, fields, result=number)
    if claim.status in {Status.FILED, Status.NEEDS_INFORMATION}:
        raise Refused(
            Refusal(
                rule="ticket_visible",
                field="ticket_number",
                message="Microsoft doesn't show that ticket yet. The recorded one stays; try again once it is visible.",
            )
        )
    until = f"{filing.give_up_at:%Y-%m-%d %H:%M} UTC"
    text = f"Ticket {number} was given; Microsoft doesn't show it yet. It is looked for until {until}.{word}"
    return Change(Event.RECORD_FILING, claim.status, text, fields, result=number)


def ticket_seen(claim: Claim, found: TicketLookup, at: datetime) -> Change | None:
    """Microsoft was asked again for the claim's ticket; None where it says nothing new."""
    filing, ticket = claim.filing, found.ticket
    if filing is None or (ticket is None and not found.other_customer):
        return None
    if filing.ticket is None:
        if claim.status not in TABLE[Event.TICKET_READ]:
            return None
        if refused := ticket_refusal(claim, found):
            return refused_ticket(claim, refused.message)
        assert ticket is not None, "else another customer's, which was refused"
        text = f"Filed: Microsoft now shows ticket {ticket.number}."
        filing = filing.model_copy(update={"ticket": ticket, "number": ticket.number})
        return _at_microsoft(claim, Event.TICKET_READ, ticket, text, {"filing": filing})
    if (
        ticket is None
        or ticket.fingerprint == filing.ticket.fingerprint
        or is_older(ticket, filing.ticket)
        or claim.status not in TABLE[Event.TICKET_CHANGED]
    ):
        return None
    fields: dict[str, object] = {"filing": filing.model_copy(update={"ticket": ticket})}
    now = f"The ticket is now {ticket.status.replace('_', ' ')}."
    if claim.status is Status.AWAITING_CREDIT:
        return Change(Event.TICKET_CHANGED, claim.status, now, fields)
    if question := question_on(ticket, claim.answered, claim.last_reply):
        fields |= {"question": question}
        return Change(
            Event.QUESTION_ASKED, Status.NEEDS_INFORMATION, "Microsoft asks a question on the ticket.", fields
        )
    text = (
        "Microsoft closed the ticket; its decision isn't recorded yet." if ticket.status is TicketStatus.CLOSED else now
    )
    return Change(Event.TICKET_CHANGED, Status.FILED, text, fields | {"question": None})


def _at_microsoft(
    claim: Claim, event: Event, ticket: Ticket, text: str, fields: dict[str, object], result: str | None = None
) -> Change:
    """Filed; or, where the ticket asks something already, waiting for our reply: no later change would tell."""
    if question := question_on(ticket, claim.answered, claim.last_reply):
        text = f"{text} Microsoft asks a question on it."
        return Change(event, Status.NEEDS_INFORMATION, text, fields | {"question": question}, result)
    return Change(event, Status.FILED, text, fields, result)


def refused_ticket(claim: Claim, text: str) -> Change:
    """The ticket isn't the claim's filing: a person gives the right number, or files by hand what Microsoft didn't take
    from claimdesk."""
    filing = claim.filing
    fields: dict[str, object] = {"filing": None}
    if filing is not None and filing.ticket_name is not None:
        # Tried again, it is tried under the same name: should Azure have taken it all the same, it is found by that.
        fields["assisted_reason"] = text
    elif filing is not None:
        fields["earlier_filings"] = (*claim.earlier_filings, filing.number)
    return Change(Event.TICKET_REFUSED, claim.status, text, fields)


def sent(claim: Claim, at: datetime) -> Change:
    """Claimdesk is about to file the ticket: on record before anything is sent, under a name no earlier one had."""
    name = f"{claim.id}-{len(claim.earlier_filings) + 1}"
    filing = Filing(
        number=name,
        ticket_name=name,
        recorded_at=at,
        recorded_by=claim.sent_for or claim.opened_by,
        give_up_at=at + UNVERIFIED_FOR,
    )
    documents = f"{len(claim.documents)} document{'s' if len(claim.documents) != 1 else ''}"
    return Change(
        Event.TICKET_SENT, claim.status, f"Filing ticket {name} with {documents} in Azure.", {"filing": filing}
    )


def to_be_sent(claim: Claim, command: FileTicket) -> Change:
    """A person has claimdesk file the ticket; what Microsoft refused before is tried again."""
    fields: dict[str, object] = {"sent_for": command.actor, "assisted_reason": None}
    return Change(Event.FILE_TICKET, claim.status, "To be filed by claimdesk.", fields)


def replied(claim: Claim, command: Reply, ticket: Ticket, under_way: str | None = None) -> Change:
    """The reply is a note on the ticket, or about to be: `under_way` is where its outcome is told. The question is kept
    as answered, since Microsoft shows it a while longer."""
    if claim.filing is None or claim.filing.ticket is None:
        raise Refused(Refusal(rule="ticket_exists", message="There is no ticket to reply on. Record the filing first."))
    answered = claim.filing.ticket.last_note
    fields: dict[str, object] = {
        "filing": claim.filing.model_copy(update={"ticket": ticket}),
        "question": None,
        "answered": answered,
        "last_reply": command.text,
        "reply_under_way": under_way,
    }
    question = question_on(ticket, answered, command.text)
    if question and ticket.fingerprint != claim.filing.ticket.fingerprint:
        text = "Replied to Microsoft on the ticket, which asks another question meanwhile."
        return Change(Event.REPLY, Status.NEEDS_INFORMATION, text, fields | {"question": question})
    return Change(Event.REPLY, Status.FILED, "Replied to Microsoft on the ticket.", fields)


def reply_key(claim: Claim) -> str:
    """The same for every try of an answer to the question that is open, and another for the next question."""
    note = claim.ticket.last_note if claim.ticket else None
    asked = f"{note.created_at}|{note.text}" if note else ""
    return f"{claim.id}|{asked}"


def reply_taken(claim: Claim, refused: str | None) -> Change:
    """What became of the reply that was under way: Microsoft has it, or, with the reason, it doesn't."""
    fields: dict[str, object] = {"reply_under_way": None}
    told = f"Microsoft didn't take our reply. {refused}" if refused else "Microsoft has our reply."
    if claim.status is Status.FILED and not refused:
        return Change(Event.TICKET_CHANGED, claim.status, told, fields)
    if refused:
        answered = claim.answered.text if claim.answered else None
        question = claim.question or answered or "Microsoft needs attention; see the ticket."
        fields |= {"question": question, "answered": None, "last_reply": None}
        told = f"{told} Answer on the ticket, in the portal."
    return Change(Event.QUESTION_ASKED, Status.NEEDS_INFORMATION, told, fields)


def assigned(claim: Claim, command: Assign) -> Change:
    """A colleague has the claim."""
    text = f"Assigned to {command.assignee}." if command.assignee else "Assigned to nobody."
    return Change(Event.ASSIGN, claim.status, text, {"assignee": command.assignee})


def _on_its_way(claim: Claim) -> str:
    """What is to be said of a ticket that claimdesk may have sent; "" where there is none."""
    filing = claim.filing
    if filing is None or filing.ticket_name is None or filing.ticket is not None:
        return ""
    return f" Claimdesk was filing ticket {filing.ticket_name}: look in Azure whether it is there, and close it."


def withdrawn(claim: Claim, command: Withdraw) -> Change:
    """Ended by a person."""
    text = f"Withdrawn: {command.reason}{_on_its_way(claim)}"
    return Change(Event.WITHDRAW, Status.WITHDRAWN, text, {"closing_reason": text})


def reopened(claim: Claim, command: Reopen) -> Change:
    """Taken up again: triaged anew, documents kept, the earlier filing and decision left behind on the timeline."""
    return Change(
        Event.REOPEN, Status.TRIAGING, f"Reopened: {command.reason}", _taken_up(claim) | {"was_reopened": True}
    )


def excepted(claim: Claim, command: FileAsException) -> Change:
    """To be filed although no rule grants it."""
    text = f"To be filed as an exception: {command.reason}"
    fields: dict[str, object] = {"exception_reason": command.reason}
    if claim.status is Status.OVERDUE:
        return Change(Event.FILE_AS_EXCEPTION, Status.OVERDUE, text, fields)
    return Change(Event.FILE_AS_EXCEPTION, Status.TRIAGING, text, fields | _taken_up(claim))


def _taken_up(claim: Claim) -> dict[str, object]:
    earlier = claim.earlier_filings
    if claim.filing and (claim.filing.ticket or not claim.filing.ticket_name):
        # A ticket that claimdesk may have sent is looked for under its name first, and so keeps it.
        earlier = (*earlier, claim.filing.number)
    return {
        "filing": None,
        "earlier_filings": earlier,
        "sent_for": None,
        "reply_under_way": None,
        "question": None,
        "decision": None,
        "closing_reason": None,
    }


def checked_again(claim: Claim, command: Command) -> Change:
    """A person wants Microsoft asked now."""
    return Change(Event.CHECK_AGAIN, Status.TRIAGING, "Looking at the subscription again.")
