"""From Microsoft's decision to the line on the invoice: what each event about money does to a claim.

The workflow calls these, so a change of behaviour here is a change of workflow code: it goes behind `patched`.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from domain.claims import Allocation, Claim, CreditState, Decision, Event, Outcome, Status
from domain.credits import Expectation
from domain.evidence import is_complete
from domain.lifecycle import Change
from domain.messages import Dispute, RecordDecision, ReleaseCredit, WriteOff
from domain.model import Frozen, Refusal, Refused
from domain.money import Money, exact
from domain.policy import POLICY
from domain.tickets import question_on
from domain.triage import service_request


class Matched(Frozen):
    """What matching the invoice lines with a claim found."""

    allocations: tuple[Allocation, ...]
    contested_lines: tuple[str, ...] = ()
    late_since_invoice: str | None = None


def decided(claim: Claim, command: RecordDecision, at: datetime) -> Change:
    """A person recorded Microsoft's decision.

    What the claim was given before a dispute stays its own, and counts towards the amount.

    Raises:
        Refused: an amount too many, one missing, one in another currency, or a part that isn't less than the whole.
    """
    asked, amount = claim.opening.amount_asked, command.amount
    if command.outcome is Outcome.DENIED:
        if amount is not None:
            raise Refused(
                Refusal(rule="denied_amount", field="amount", message="A denial has no amount. Leave it out.")
            )
        decision = _decision(command, None, at)
        text = f"Denied: {command.reason}"
        return Change(
            Event.RECORD_DECISION, Status.DENIED, text, {"decision": decision, "closing_reason": text, "question": None}
        )
    amount = amount or (asked if command.outcome is Outcome.APPROVED else None)
    if amount is None or amount.amount <= 0:
        raise Refused(
            Refusal(
                rule="approved_amount",
                field="amount",
                message="Say how much Microsoft approved, before tax: an amount above zero.",
            )
        )
    try:
        amount = exact(amount.amount, amount.currency)
    except ValueError as error:
        raise Refused(Refusal(rule="amount_exact", field="amount", message=f"{error}.")) from None
    if asked and asked.currency != amount.currency:
        raise Refused(
            Refusal(
                rule="currency",
                field="amount.currency",
                message=f"The claim is in {asked.currency}: give the amount in it.",
            )
        )
    if asked and command.outcome is Outcome.APPROVED_IN_PART and amount >= asked:
        raise Refused(
            Refusal(
                rule="part_of_the_whole",
                field="amount",
                message=f"Approved in part means less than the {asked} asked; for the whole, record approved.",
            )
        )
    held = claim.credit
    if any(allocation.currency != amount.currency for allocation in held.allocations):
        raise Refused(
            Refusal(
                rule="currency",
                field="amount.currency",
                message=f"The claim holds credit in {held.allocations[0].currency}; give the whole amount approved in "
                "that currency.",
            )
        )
    credit = CreditState(
        expected=(amount.amount,),
        currency=amount.currency,
        since=at.date(),
        allocations=held.allocations,
        released_lines=held.released_lines,
    )
    text = f"{command.outcome.replace('_', ' ').capitalize()}: {amount} before tax. {command.reason}"
    decision = _decision(command, amount, at)
    return _with_credit(Event.RECORD_DECISION, credit, text, also={"decision": decision, "question": None})


def _decision(command: RecordDecision, amount: Money | None, at: datetime) -> Decision:
    return Decision(
        outcome=command.outcome, amount=amount, reason=command.reason, decided_at=at, recorded_by=command.actor
    )


def matched(claim: Claim, found: Matched) -> Change | None:
    """The invoice lines were looked at; None where that changed nothing."""
    credit = claim.credit.model_copy(
        update={
            "allocations": found.allocations,
            "contested_lines": found.contested_lines,
            "late_since_invoice": found.late_since_invoice,
        }
    )
    if credit == claim.credit and not credit.is_settled:
        return None
    said = []
    for allocation in found.allocations:
        if allocation not in claim.credit.allocations:
            said.append(
                f"Credit of {allocation.amount} {allocation.currency} found on invoice {allocation.invoice_id}."
            )
    if found.contested_lines and found.contested_lines != claim.credit.contested_lines:
        said.append(f"Left for a person, another claim could take them too: lines {', '.join(found.contested_lines)}.")
    if found.late_since_invoice and not claim.credit.late_since_invoice:
        said.append(f"Late: invoice {found.late_since_invoice} came without the credit.")
    text = " ".join(said) or "The invoice lines that fit this claim changed."
    return _with_credit(Event.CREDIT_MATCHED, credit, text)


def allocated(claim: Claim, allocation: Allocation) -> Change:
    """A person gave the claim an invoice line, or an amount of it."""
    others = (held for held in claim.credit.allocations if held.id != allocation.id)
    credit = claim.credit.model_copy(update={"allocations": (*others, allocation)})
    text = f"Allocated {allocation.amount} {allocation.currency} of invoice {allocation.invoice_id} by hand."
    return _with_credit(Event.ALLOCATE_CREDIT, credit, text, result=allocation.id)


def released(claim: Claim, command: ReleaseCredit) -> Change:
    """An allocation was taken back.

    Raises:
        Refused: the claim has no such allocation.
    """
    taken = [item for item in claim.credit.allocations if item.id == command.allocation_id]
    if not taken:
        raise Refused(
            Refusal(
                rule="allocation_exists",
                field="allocation_id",
                message="This claim has no allocation with that id. Give one of those that the claim lists.",
            )
        )
    text = f"Took allocation {command.allocation_id} back: {command.reason}"
    left = tuple(item for item in claim.credit.allocations if item not in taken)
    lines = (*claim.credit.released_lines, taken[0].line_id)
    credit = claim.credit.model_copy(update={"allocations": left, "released_lines": lines})
    return Change(Event.RELEASE_CREDIT, claim.status, text, {"credit": credit}, result=command.allocation_id)


def _with_credit(
    event: Event, credit: CreditState, text: str, *, also: Mapping[str, object] | None = None, result: str | None = None
) -> Change:
    fields: dict[str, object] = {"credit": credit, **(also or {})}
    if not credit.is_settled:
        return Change(event, Status.AWAITING_CREDIT, text, fields, result)
    settled = f"Credited: {credit.allocated} {credit.allocations[0].currency} on the invoice."
    return Change(event, Status.CREDITED, f"{text} {settled}", fields | {"closing_reason": settled}, result)


def missing(claim: Claim) -> Decimal | None:
    """How much the claim still lacks, at most, by what is expected of it; None where that isn't known."""
    credit = claim.credit
    return max(credit.expected) - credit.allocated if credit.expected else None


def written_off(claim: Claim, command: WriteOff) -> Change:
    """The rest is given up: credited with what there is, or withdrawn where there is nothing."""
    to = Status.CREDITED if claim.credit.allocations else Status.WITHDRAWN
    held = claim.credit.allocations
    got = f"after {claim.credit.allocated} {held[0].currency}" if held else "with nothing credited"
    text = f"Written off {got}: {command.reason}"
    return Change(Event.WRITE_OFF, to, text, {"closing_reason": text})


def disputed(claim: Claim, command: Dispute) -> Change:
    """Back to Microsoft: on the ticket there is, or by a service request where there was none.

    The latter is filed as an exception: the incident's deadline was for a claim that wasn't needed, and has mostly
    passed by the time a credit is missed.
    """
    text = f"Disputed: {command.reason}"
    if claim.ticket:
        question = question_on(claim.ticket, claim.answered, claim.last_reply)
        to = Status.NEEDS_INFORMATION if question else Status.FILED
        return Change(Event.DISPUTE, to, text, {"decision": None, "question": question})
    triage = service_request("The credit that follows a cancellation by itself is disputed.", "credit_disputed")
    to = Status.READY_TO_FILE if is_complete(claim.checklist) else Status.COLLECTING_EVIDENCE
    return Change(Event.DISPUTE, to, text, {"triage": triage, "exception_reason": command.reason})


def expectation(claim: Claim) -> Expectation | None:
    """The credit that the claim still lacks, for matching; None where none is awaited or its currency isn't known.

    A credit that follows a cancellation and one granted on a ticket stand under different charge types.
    """
    credit = claim.credit
    if claim.status is not Status.AWAITING_CREDIT or credit.currency is None or credit.since is None:
        return None
    granted = claim.decision is not None
    types = POLICY.charge_types.granted_credit if granted else POLICY.charge_types.self_service_cancellation
    # Microsoft decides, and may pay, before a person records it; it can't before the ticket was there.
    since = claim.ticket.created_at.date() if granted and claim.ticket else credit.since
    got = credit.allocated
    return Expectation(
        customer_id=claim.opening.customer_id,
        subscription_id=claim.opening.subscription_id,
        currency=credit.currency,
        amounts=tuple(amount - got for amount in credit.expected if amount > got),
        exact=credit.exact - got if credit.exact is not None else None,
        tolerance=credit.tolerance,
        charge_types=types.names,
        since=since,
        excluded_lines=frozenset(credit.released_lines),
    )
