"""What the monitor shows of a claim: a short page for the Temporal UI, and the next step in one sentence.

The workflow calls this; it only shapes text, so a change here changes no command.
"""

from domain.claims import Claim, Status, WaitingOn
from domain.evidence import is_complete

_WAITING = {
    WaitingOn.CLAIMDESK: "claimdesk",
    WaitingOn.US: "us, the partner",
    WaitingOn.CUSTOMER: "the customer",
    WaitingOn.MICROSOFT: "Microsoft",
    WaitingOn.MICROSOFT_BILLING: "Microsoft's billing",
    WaitingOn.NOBODY: "nobody",
}


def next_step(claim: Claim) -> str:
    """What has to happen next, and who does it."""
    match claim.status:
        case Status.TRIAGING:
            return "Claimdesk asks Microsoft about the subscription and decides the route."
        case Status.CANCEL_NOW:
            return "Cancel the subscription in Partner Center, then check again here."
        case Status.COLLECTING_EVIDENCE:
            missing = [item.missing for item in claim.checklist if item.required and item.missing]
            return f"Attach what is missing: {'; '.join(missing)}."
        case Status.READY_TO_FILE | Status.OVERDUE if claim.is_to_be_sent:
            return "Claimdesk files the ticket in Azure and reads it back."
        case Status.READY_TO_FILE | Status.OVERDUE if claim.filing:
            return f"Microsoft doesn't show ticket {claim.filing.number} yet; wait, or give the right number."
        case Status.READY_TO_FILE if claim.azure_subscription_id and claim.assisted_reason is None:
            return "Have claimdesk file the ticket; or fetch the packet, file it in the portal, and record the number."
        case Status.READY_TO_FILE:
            why = f" Claimdesk can't: {claim.assisted_reason}" if claim.assisted_reason else ""
            return f"Fetch the packet, file it in the portal, and record the ticket number.{why}"
        case Status.OVERDUE if not is_complete(claim.checklist):
            return "Attach what is missing, then record a ticket that was created in time, or file as an exception."
        case Status.OVERDUE if claim.exception_reason:
            return "File it late, as the exception that was asked for, and record the ticket number."
        case Status.OVERDUE:
            return "Record a ticket that was created in time, or file as an exception."
        case Status.FILED if claim.waiting_on is WaitingOn.US:
            return "Microsoft closed the ticket: record its decision."
        case Status.FILED:
            return "Wait for Microsoft; record its decision when it comes."
        case Status.NEEDS_INFORMATION:
            return "Answer Microsoft's question on the ticket."
        case Status.AWAITING_CREDIT if claim.credit.contested_lines:
            return "Allocate the credit by hand: another claim could take the same line."
        case Status.AWAITING_CREDIT if claim.credit.late_since_invoice:
            return "The credit is late: allocate a line by hand, dispute, or write it off."
        case Status.AWAITING_CREDIT:
            return "Wait for the credit on the invoice."
    return claim.closing_reason or "Nothing."


def summary(claim: Claim) -> str:
    """The claim in one line, without personal data (the Temporal UI shows 200 bytes of it)."""
    said = claim.opening
    return (
        f"{said.category.replace('_', ' ')} of {said.incident.date}, raised by the {said.raised_by.replace('_', ' ')}"
    )


def page(claim: Claim) -> str:
    """The claim on one page of markdown: status, due date, checklist, who is waited on, what to do next."""
    lines = [
        f"## {claim.status.replace('_', ' ')}",
        f"**Claim** {summary(claim)}",
        f"**Waiting on** {_WAITING[claim.waiting_on]}",
        f"**Next** {next_step(claim)}",
    ]
    if claim.route and claim.triage:
        lines.append(f"**Route** {claim.route.replace('_', ' ')}: {claim.triage.explanation}")
    if claim.deadline:
        lines.append(f"**Due on** {claim.deadline.due_on} (UTC): {claim.deadline.explanation}")
    if claim.filing:
        lines.append(f"**Ticket** {claim.filing.number}" + ("" if claim.filing.ticket else " (not visible yet)"))
    if claim.decision:
        lines.append(f"**Decision** {claim.decision.outcome.replace('_', ' ')} {claim.decision.amount or ''}".rstrip())
    if claim.credit.allocations:
        lines.append(f"**Credited so far** {claim.credit.allocated} {claim.credit.allocations[0].currency}")
    if claim.checklist:
        lines.append(
            "\n".join(f"- {'✓' if item.satisfied else '✗'} {item.title}" for item in claim.checklist if item.required)
        )
    return "\n\n".join(lines)
