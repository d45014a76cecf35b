"""One claim of the tour, and what the people around it do: at the desk through the HTTP API, at Microsoft and at the
customer through the simulator's side door.
"""

import asyncio
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import uuid4

from domain.claims import Outcome, Status
from domain.evidence import EvidenceKind
from domain.policy import Category
from domain.tickets import TicketStatus
from starter.api.models import ClaimView
from starter.papers import paper
from starter.visitors import Microsoft, Person, Unexpected

_LOOK_AGAIN = 0.4
_OFFICE = {"offer_id": "796B6B5F-613C-4E24-A17C-EBA730D49C02", "offer_name": "Office 365 Enterprise E3"}
_BASIC = {"offer_id": "CFQ7TTC0LH18:0001:CFQ7TTC0K971", "offer_name": "Microsoft 365 Business Basic"}


@dataclass
class Case:
    """One claim of the tour and everybody around it."""

    microsoft: Microsoft
    people: dict[str, Person]
    reference: str
    """The incident's, another for each claim of each tour: no two are about the same thing."""
    claim: ClaimView | None = None
    domain: str = ""

    @property
    def ana(self) -> Person:
        """Admin agent: files."""
        return self.people["ana@partner.example"]

    @property
    def hana(self) -> Person:
        """Helpdesk agent: collects, replies."""
        return self.people["hana@partner.example"]

    @property
    def finn(self) -> Person:
        """Billing admin: decisions and money."""
        return self.people["finn@partner.example"]

    @property
    def carl(self) -> Person:
        """The customer Contoso."""
        return self.people["carl@contoso.example"]

    @property
    def now(self) -> ClaimView:
        """The claim as it was last seen."""
        if self.claim is None:
            raise Unexpected("the claim wasn't opened")
        return self.claim

    async def opened(
        self,
        subscription: str | tuple[str, str],
        category: Category,
        description: str,
        *,
        by: Person | None = None,
        on: date | None = None,
        asked: str | None = None,
    ) -> None:
        """Somebody (Hana, unless said) opens it: about a subscription of the seed by name, or (customer, id)."""
        seed = self.microsoft.seed
        if isinstance(subscription, str):
            one = seed.subscriptions[subscription]
            customer_id, subscription_id = one.customer_id, one.id
        else:
            customer_id, subscription_id = subscription
        self.domain = next(
            customer.domain for customer in seed.customers.values() if customer.id.lower() == customer_id.lower()
        )
        body: dict[str, object] = {
            "customer_id": customer_id,
            "subscription_id": subscription_id,
            "category": category,
            "incident": {
                "date": (on or datetime.now(UTC).date() - timedelta(days=3)).isoformat(),
                "reference": self.reference,
                "description": description,
            },
            "contact": {"name": "Ana Admin", "email": "ana@partner.example", "phone": "+1 425 555 0100"},
        }
        if asked:
            body["amount_asked"] = {"amount": asked, "currency": "USD"}
        self.claim = await (by or self.hana).opens(body)
        await self.until(lambda claim: claim.status is not Status.TRIAGING)

    async def attached(self, kind: EvidenceKind, by: Person | None = None) -> None:
        """Somebody (Hana, unless said) attaches a document of this kind."""
        name, content = paper(kind, f"{self.reference}: {self.now.opening.incident.description}", self.domain)
        self.claim = await (by or self.hana).attaches(self.now.id, kind, name, content)

    async def collected(self) -> None:
        """Hana attaches all that is still missing."""
        for item in self.now.checklist:
            if item.required and not item.satisfied:
                await self.attached(item.kind)

    async def filed(self, persona: str, asked: str | None = None) -> None:
        """Ana takes the packet to the portal, files it, and records the number; `persona` plays Microsoft."""
        packet = zipfile.ZipFile(io.BytesIO(await self.ana.fetches_packet(self.now.id)))
        said = self.now.opening
        number = await self.microsoft.file_ticket(
            {
                "customer_id": said.customer_id,
                "subscription_id": said.subscription_id,
                "title": f"Credit request {self.reference}",
                "description": packet.read("fields.txt").decode(),
                "persona": persona,
                "amount": asked,
            }
        )
        self.claim = await self.ana.does(self.now.id, "filing", ticket_number=number)

    async def asked_back(self) -> None:
        """Microsoft asks a question."""
        await self.until(lambda claim: claim.status is Status.NEEDS_INFORMATION)

    async def decided(self, outcome: Outcome, amount: str | None = None) -> None:
        """Microsoft closes the ticket; Finn reads its note and records the decision."""
        await self.until(_ticket_closed)
        ticket = self.now.filing and self.now.filing.ticket
        note = ticket.last_note.text if ticket and ticket.last_note else "The ticket was closed without a note."
        money = {"amount": {"amount": amount, "currency": "USD"}} if amount else {}
        self.claim = await self.finn.does(self.now.id, "decision", outcome=outcome, reason=note, **money)

    async def bought(self, on: datetime, *, customer: str, legacy: bool, price: str, quantity: int, days: int) -> str:
        """A customer bought a subscription then, for so many days, and its charge is on an invoice: its id."""
        key = str(uuid4())
        customer_id = self.microsoft.seed.customers[customer].id
        last = on + timedelta(days=days if legacy else days - 1)
        await self.microsoft.happens(
            "subscriptions",
            {
                "id": key,
                "customer_id": customer_id,
                "commerce": "legacy" if legacy else "new_commerce",
                **(_OFFICE if legacy else _BASIC),
                "quantity": quantity,
                "unit_price": price,
                "creation_date": on.isoformat(),
                "effective_start_date": on.isoformat(),
                "commitment_end_date": datetime.combine(last, time(), UTC).isoformat(),
                "cancellation_allowed_until_date": None if legacy else (on + timedelta(days=7)).isoformat(),
                "billing_cycle": "annual" if days > 31 else "monthly",
                "order_id": uuid4().hex[:12],
            },
        )
        charge = {
            "customer_id": customer_id,
            "subscription_id": key,
            "charge_type": "Cycle fee" if legacy else "new",
            "amount": str(Decimal(price) * quantity),
            "unit_price": price,
            "quantity": quantity,
            "charge_start_date": on.isoformat(),
            "charge_end_date": datetime.combine(last, time(), UTC).isoformat(),
        }
        provider = "recurring" if legacy else "one_time"
        await self.microsoft.happens("invoices", {"billing_provider": provider, "lines": [charge]})
        return key

    async def until(self, reached: Callable[[ClaimView], bool]) -> None:
        """Wait for something that time or Microsoft does; Ana looks."""
        while not reached(self.now):
            await asyncio.sleep(_LOOK_AGAIN)
            self.claim = await self.ana.reads(self.now.id)


def _ticket_closed(claim: ClaimView) -> bool:
    ticket = claim.filing.ticket if claim.filing else None
    return claim.status is Status.FILED and ticket is not None and ticket.status is TicketStatus.CLOSED
