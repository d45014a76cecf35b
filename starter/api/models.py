"""What the API shows of a claim. Money is text with a currency, an instant is RFC 3339 in UTC, a date is a UTC day."""

from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from domain.claims import Claim, Decision, Entry, Filing, Opening, Status, WaitingOn, allowed_actions
from domain.credits import CreditLine
from domain.deadlines import Deadline
from domain.evidence import ChecklistItem, Document, KindRule
from domain.money import Money
from domain.page import next_step
from domain.policy import Category, Commerce
from domain.roles import Action, Actor
from domain.triage import Route, Triage
from starter.api.auth import Caller


def claim_path(claim_id: str) -> str:
    """Where a claim is read."""
    return f"/v1/claims/{claim_id}"


class View(BaseModel):
    """Something the API shows."""

    model_config = ConfigDict(frozen=True)


class CustomerView(View):
    id: str
    name: str


class OpeningView(Opening):
    """What the person who opened the claim said, and when."""

    opened_at: datetime
    opened_by: Actor


class DocumentView(Document):
    """A document, and where its content is fetched."""

    link: str

    @classmethod
    def of(cls, document: Document, claim_id: str) -> Self:
        """The document of this claim."""
        return cls(**dict(document), link=f"{claim_path(claim_id)}/evidence/{document.id}")


class FilingView(Filing):
    """The ticket number as a person gave it, and the ticket as Microsoft shows it."""

    verified: bool = Field(description="Microsoft shows the ticket; until then the number is looked up again.")


class AllocationView(View):
    id: str
    line_id: str
    invoice_id: str
    amount: Money = Field(description="Before tax.")
    by_hand: bool
    link: str


class CreditView(View):
    """What is known of the money. All amounts are before tax."""

    expected: tuple[Money, ...] = Field(
        description="Totals that would settle the claim, one for each published rounding; empty while none is known."
    )
    allocated: Money | None
    settled: bool
    since: date | None = Field(description="The first invoice date that can carry the credit.")
    allocations: tuple[AllocationView, ...]
    contested_lines: tuple[str, ...] = Field(description="Lines that another claim could take too: allocate by hand.")
    late_since_invoice: str | None = Field(description="The first invoice that should have carried the credit.")

    @classmethod
    def of(cls, claim: Claim) -> Self:
        """The claim's credit with currencies on its amounts."""
        credit, currency = claim.credit, claim.credit.currency
        return cls(
            expected=tuple(Money(amount=amount, currency=currency) for amount in credit.expected if currency),
            allocated=Money(amount=credit.allocated, currency=currency) if currency else None,
            settled=credit.is_settled,
            since=credit.since,
            allocations=tuple(
                AllocationView(
                    id=item.id,
                    line_id=item.line_id,
                    invoice_id=item.invoice_id,
                    amount=Money(amount=item.amount, currency=item.currency),
                    by_hand=item.by_hand,
                    link=f"{claim_path(claim.id)}/credits/{item.id}",
                )
                for item in credit.allocations
            ),
            contested_lines=credit.contested_lines,
            late_since_invoice=credit.late_since_invoice,
        )


class LineView(View):
    """An invoice line of the claim's subscription, in the claim's currency, that has something left to give."""

    id: str
    invoice_id: str
    invoice_date: date
    subscription_id: str
    charge_type: str
    reason_code: str
    amount: Money = Field(description="Before tax.")
    left: Money = Field(description="What no claim has yet.")
    contested: bool

    @classmethod
    def of(cls, line: CreditLine, contested: bool) -> Self:
        """The line with its currency on its amounts."""
        return cls(
            id=line.id,
            invoice_id=line.invoice_id,
            invoice_date=line.invoice_date,
            subscription_id=line.subscription_id,
            charge_type=line.charge_type,
            reason_code=line.reason_code,
            amount=Money(amount=line.amount, currency=line.currency),
            left=Money(amount=line.left, currency=line.currency),
            contested=contested,
        )


class CreditsView(CreditView):
    """The claim's credit, with the lines that a person may allocate."""

    candidates: tuple[LineView, ...] = Field(description="Only people of the partner see any.")


class Links(View):
    self: str
    timeline: str
    packet: str
    temporal_ui: str | None = Field(description="The claim's run in the Temporal UI; for people of the partner.")


class ClaimView(View):
    """A claim, with everything a person at the desk needs."""

    id: str
    version: int
    status: Status
    status_since: datetime
    waiting_on: WaitingOn
    next_step: str = Field(description="What has to happen next, in one sentence.")
    allowed_actions: tuple[Action, ...] = Field(description="What you may do to the claim now.")
    customer: CustomerView
    opening: OpeningView
    route: Route | None = Field(description="Which way the claim goes; null until triaged.")
    triage: Triage | None = Field(description="The rule that decided the route, and why.")
    commerce: Commerce | None
    product: str | None
    deadline: Deadline | None
    grace_ends_at: datetime | None = Field(description="When an overdue claim expires, UTC.")
    checklist: tuple[ChecklistItem, ...]
    documents: tuple[DocumentView, ...]
    azure_subscription_id: str | None = Field(description="Where an Azure-related claim's ticket is filed.")
    assisted_reason: str | None = Field(description="Why claimdesk can't file it by itself; null while it can or may.")
    filing: FilingView | None
    earlier_filings: tuple[str, ...]
    question: str | None = Field(description="Microsoft's question, while it waits for an answer.")
    decision: Decision | None
    credit: CreditView
    assignee: str | None
    exception_reason: str | None
    closing_reason: str | None
    links: Links

    @classmethod
    def of(cls, claim: Claim, caller: Caller, temporal_ui: str | None) -> Self:
        """The claim as this caller may see and change it."""
        said, filing = claim.opening, claim.filing
        path = claim_path(claim.id)
        return cls(
            id=claim.id,
            version=claim.version,
            status=claim.status,
            status_since=claim.status_since,
            waiting_on=claim.waiting_on,
            next_step=next_step(claim),
            allowed_actions=allowed_actions(claim, tuple(caller.roles)),
            customer=CustomerView(id=said.customer_id, name=claim.customer_name),
            opening=OpeningView(**dict(said), opened_at=claim.opened_at, opened_by=claim.opened_by),
            route=claim.route,
            triage=claim.triage,
            commerce=claim.commerce,
            product=claim.product,
            deadline=claim.deadline,
            grace_ends_at=claim.grace_ends_at,
            checklist=claim.checklist,
            documents=tuple(DocumentView.of(document, claim.id) for document in claim.documents),
            azure_subscription_id=claim.azure_subscription_id,
            assisted_reason=claim.assisted_reason,
            filing=FilingView(**dict(filing), verified=filing.ticket is not None) if filing else None,
            earlier_filings=claim.earlier_filings,
            question=claim.question,
            decision=claim.decision,
            credit=CreditView.of(claim),
            assignee=claim.assignee,
            exception_reason=claim.exception_reason,
            closing_reason=claim.closing_reason,
            links=Links(
                self=path,
                timeline=f"{path}/timeline",
                packet=f"{path}/packet",
                temporal_ui=temporal_ui if caller.is_partner else None,
            ),
        )


class ClaimSummary(View):
    """A claim as a list shows it."""

    id: str
    version: int
    status: Status
    status_since: datetime
    waiting_on: WaitingOn
    customer: CustomerView
    subscription_id: str
    category: Category
    incident_date: date
    route: Route | None
    assignee: str | None
    due_on: date | None
    due_at: datetime | None
    ticket_number: str | None
    opened_at: datetime
    link: str

    @classmethod
    def of(cls, claim: Claim) -> Self:
        """The line of the list."""
        deadline = claim.deadline
        return cls(
            id=claim.id,
            version=claim.version,
            status=claim.status,
            status_since=claim.status_since,
            waiting_on=claim.waiting_on,
            customer=CustomerView(id=claim.opening.customer_id, name=claim.customer_name),
            subscription_id=claim.opening.subscription_id,
            category=claim.opening.category,
            incident_date=claim.opening.incident.date,
            route=claim.route,
            assignee=claim.assignee,
            due_on=deadline.due_on if deadline else None,
            due_at=deadline.due_at if deadline else None,
            ticket_number=claim.filing.number if claim.filing else None,
            opened_at=claim.opened_at,
            link=claim_path(claim.id),
        )


class ClaimPage(View):
    """Some claims; `next_cursor` asks for those after them, with the same filters, and is null after the last."""

    items: tuple[ClaimSummary, ...]
    next_cursor: str | None


class TimelinePage(View):
    """Some entries, oldest first; `next_after` asks for those after them, and is null after the last."""

    items: tuple[Entry, ...]
    next_after: int | None


class EvidenceKinds(View):
    """What may be attached, told before anything is uploaded."""

    max_bytes: int = Field(description="Largest document, in bytes.")
    max_documents: int = Field(description="Most documents of one claim.")
    kinds: tuple[KindRule, ...]
