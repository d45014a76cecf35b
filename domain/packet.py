"""What a person needs to file a claim by hand: the portal's fields in its order, and where to go with them.

Sources of the fields and of the path: Microsoft's support-form definitions for the topic "Credit requests and refunds"
(SelfHelpContent_v2, 2021) and the request-credit article (4 May 2023).
"""

from domain.claims import Claim, complete
from domain.deadlines import Deadline
from domain.model import Refusal
from domain.roles import is_partner
from domain.triage import Route

FILED_BY_HAND = frozenset({Route.SERVICE_REQUEST, Route.AZURE_TICKET})

OURS = "(yours: the contact is the partner's, never the customer's)"

PORTAL = "https://partner.microsoft.com/support/v2/?stage=2&topicid=cb49dd48-9497-e427-1a6e-f4d5f51da512"


def packet_refusal(claim: Claim) -> Refusal | None:
    """Why there is no packet of the claim yet, or None where there is."""
    if claim.route is None:
        return Refusal(rule="triaged_first", message="The claim isn't triaged yet, so it isn't known where to file it.")
    if claim.route not in FILED_BY_HAND:
        return Refusal(
            rule="nothing_to_file",
            message=f"The route {claim.route} needs no service request: there is nothing to file.",
        )
    return complete(claim)


def fields(claim: Claim, partner_name: str) -> str:
    """What to put into each field of the form, in the portal's order."""
    return _azure_fields(claim, partner_name) if claim.route is Route.AZURE_TICKET else _csp_fields(claim, partner_name)


def where_to_go(claim: Claim) -> str:
    """Where to file, with which account, until when, and what to do afterwards."""
    if claim.route is Route.AZURE_TICKET:
        steps = [
            "Sign in to Partner Center (https://partner.microsoft.com/dashboard/home) as an Admin agent.",
            "Customers > the customer named in fields.txt > Service management > Microsoft Azure Management Portal.",
            "In the Azure portal, in the customer's directory: Help + support > Create a support request.",
            "Issue type: Billing. Problem type: Refund request. Support plan: Cloud Solution Provider.",
            "The contact is ours, the partner's, not the customer's.",
        ]
    else:
        steps = [
            f"Sign in to Partner Center as an Admin agent and open {PORTAL}",
            "Should that address have moved: Help + support > New request > workspace Cloud solution provider, "
            "topic Billing and invoicing, subtopic Credit requests and refunds.",
            "Only we, the CSP partner, may submit; the customer or an indirect reseller may not.",
        ]
    steps += [
        "Copy each field from fields.txt, and attach every file of the folder documents before you submit.",
        "Give the number of the ticket to claimdesk, which reads it back: "
        f"claimdesk claim file {claim.id} --ticket NUMBER",
    ]
    lines = [f"Where to file {claim.id}", ""]
    lines += [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    if claim.deadline:
        lines += ["", _until(claim.deadline)]
    if claim.exception_reason:
        lines += ["", f"Filed as an exception: {claim.exception_reason}"]
    return _text(lines)


def _csp_fields(claim: Claim, partner_name: str) -> str:
    said = claim.opening
    rows = [
        ("Subscription ID", said.subscription_id),
        ("Customer tenant ID", said.customer_id),
        ("Number of customers impacted", "1"),
        ("Outage incident ID", said.incident.reference or ""),
        ("Billing admin e-mail address", said.contact.email if is_partner(claim.opened_by.role) else OURS),
        ("Problem start time", f"{said.incident.date} 00:00 UTC"),
        ("Problem description", description(claim, partner_name)),
        *_contact(claim),
    ]
    return _rows(claim, rows)


def _azure_fields(claim: Claim, partner_name: str) -> str:
    said = claim.opening
    rows = [
        ("Customer tenant ID (directory)", said.customer_id),
        ("Subscription", claim.azure_subscription_id or said.subscription_id),
        ("Tracking ID", said.incident.reference or ""),
        ("Problem start time", f"{said.incident.date} 00:00 UTC"),
        ("Refund amount details", amount_asked(claim)),
        ("Refund reason details", said.category.replace("_", " ")),
        ("Problem description", description(claim, partner_name)),
        *_contact(claim),
    ]
    return _rows(claim, rows)


def _contact(claim: Claim) -> list[tuple[str, str]]:
    # Microsoft writes to the partner; whoever else opened the claim gave an address of their own.
    if not is_partner(claim.opened_by.role):
        return [("Contact name", OURS), ("Contact e-mail", OURS), ("Contact phone", OURS)]
    contact = claim.opening.contact
    return [
        ("Contact name", contact.name),
        ("Contact e-mail", contact.email),
        ("Contact phone", contact.phone or ""),
    ]


def description(claim: Claim, partner_name: str) -> str:
    """What is asked for whom and why, for Microsoft's agent."""
    said = claim.opening
    lines = [
        f"Credit request by the CSP partner{f' {partner_name}' if partner_name else ''} for the customer "
        f"{claim.customer_name} ({said.customer_id}).",
        f"Reason: {said.category.replace('_', ' ')}; incident on {said.incident.date} (UTC)"
        + (f", {said.incident.reference}" if said.incident.reference else "")
        + ".",
        f"Product: {claim.product or 'see the subscription'}; subscription {said.subscription_id}.",
        f"Amount asked: {amount_asked(claim)}.",
        said.incident.description,
    ]
    if claim.exception_reason:
        lines.append(f"We ask for an exception: {claim.exception_reason}")
    return "\n".join(lines)


def amount_asked(claim: Claim) -> str:
    """The amount asked, with its basis."""
    said = claim.opening
    if said.amount_asked is None:
        return "as Microsoft works it out"
    return f"{said.amount_asked} before tax" + (f" ({said.amount_basis})" if said.amount_basis else "")


def _until(deadline: Deadline) -> str:
    return f"Microsoft must have it all by the end of {deadline.due_on} UTC ({deadline.rule}). {deadline.explanation}"


def _rows(claim: Claim, rows: list[tuple[str, str]]) -> str:
    lines = [f"Fields for {claim.id}, in the portal's order", ""]
    for name, value in rows:
        # A value of several lines stands below its name, so that it can be copied whole.
        lines += [f"{name}:", *value.splitlines(), ""] if "\n" in value else [f"{name}: {value}", ""]
    return _text(lines)


def _text(lines: list[str]) -> str:
    return "\r\n".join(lines).rstrip() + "\r\n"
