"""The side door: plays the people at the portal, the customers, and Microsoft. JSON, no sign-in, never part of the
real thing.

Names are taken in `snake_case` and in Microsoft's `camelCase`. Its documentation is at `/_simulator/docs`.
"""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

from fastapi import APIRouter, HTTPException

from simulator.booking import Charge, book_invoice, cents, next_invoice_id
from simulator.faults import Fault, Faults
from simulator.models import (
    Customer,
    Invoice,
    RefreshToken,
    SeedRecord,
    ServiceRequest,
    Subscription,
)
from simulator.partner_center import change_subscription
from simulator.people import (
    CLIENT_ID,
    CLIENT_SECRET,
    PARTNER_CENTER,
    PARTNER_TENANT,
    REFRESH_TOKEN,
    RESELLER_TENANT,
    USERS,
)
from simulator.personas import QUESTION, noted, play_due_steps, schedule
from simulator.side_door_bodies import (
    Behaviour,
    Calls,
    InvoiceIn,
    ManyChanges,
    ManyTickets,
    Numbers,
    SubscriptionChange,
    TicketAtPortal,
    TicketChange,
)
from simulator.state import Cloud


def router(cloud: Cloud, faults: Faults, calls: Counter[str]) -> APIRouter:
    """The paths of the side door."""
    routes = APIRouter(prefix="/_simulator", tags=["Side door"])

    def ticket_of(number: str) -> ServiceRequest:
        play_due_steps(cloud)
        ticket = cloud.store.get(ServiceRequest, number)
        if ticket is None:
            raise HTTPException(404, f"There is no service request {number}, visible or not.")
        return ticket

    def check_customer(customer_id: str) -> None:
        if cloud.store.get(Customer, customer_id) is None:
            raise HTTPException(422, f"There is no customer {customer_id}; add it first at /_simulator/customers.")

    def create(wanted: TicketAtPortal) -> ServiceRequest:
        if cloud.store.get(Customer, wanted.customer_id) is None:
            raise HTTPException(
                422, f"There is no customer {wanted.customer_id}; add it first at /_simulator/customers."
            )
        created = wanted.created_date or cloud.now()
        ticket = ServiceRequest(
            id=ticket_number(cloud.store.count(ServiceRequest), created),
            created_date=created,
            last_modified_date=created,
            **wanted.model_dump(exclude={"created_date", "count"}),
        )
        cloud.write(ticket)
        schedule(cloud, ticket, ticket.persona)
        return ticket

    def change(number: str, wanted: TicketChange) -> ServiceRequest:
        ticket = ticket_of(number)
        text = wanted.note or (QUESTION if wanted.status == "attention_needed" else None)
        if text is not None:
            ticket = noted(ticket, text, wanted.status, cloud.now())
        else:
            closed = cloud.now() if wanted.status == "closed" else ticket.last_closed_date
            update = {"status": wanted.status, "last_modified_date": cloud.now(), "last_closed_date": closed}
            ticket = ticket.model_copy(update=update)
        cloud.write(ticket)
        return ticket

    @routes.get("/health")
    async def health() -> dict[str, str]:
        """Says that the process answers and its state can be read."""
        return {"status": "ok", "service_requests": str(cloud.store.count(ServiceRequest))}

    @routes.get("/seed")
    async def seed_map() -> dict[str, object]:
        """The ids of everything seeded, by name: tenants, the app registration, users, customers, and subscriptions
        by persona.
        """
        record = cloud.store.get(SeedRecord, "seed")
        names = {} if record is None else record.names
        return {
            "tenant": PARTNER_TENANT,
            "reseller_tenant": RESELLER_TENANT,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": REFRESH_TOKEN,
            "resource": PARTNER_CENTER,
            "audience": cloud.config.audience,
            "seeded_at": None if record is None else record.seeded_at,
            "users": {
                user.upn: {
                    "name": user.name,
                    "tenant": user.tenant,
                    "roles": list(user.roles),
                    "object_id": user.object_id,
                }
                for user in USERS.values()
            },
            **names,
        }

    @routes.post("/service-requests", status_code=201)
    async def create_service_request(wanted: TicketAtPortal) -> ServiceRequest:
        """A person files a ticket at the portal. Answers with the whole ticket; `id` is its number of 15 digits."""
        with cloud.store.transaction():
            return create(wanted)

    @routes.post("/service-requests/bulk", status_code=201)
    async def create_many(wanted: ManyTickets) -> Numbers:
        """The same ticket many times."""
        with cloud.store.transaction():
            return Numbers(ids=[create(wanted).id for _ in range(wanted.count)])

    @routes.post("/service-requests/bulk-change")
    async def change_many(wanted: ManyChanges) -> Numbers:
        """Microsoft does the same to many tickets: to `ids`, else to the first `count`, else to all."""
        ids = wanted.ids
        if ids is None:
            ids = [ticket.id for ticket in cloud.store.listed(ServiceRequest, limit=wanted.count or -1)]
        with cloud.store.transaction():
            return Numbers(ids=[change(number, wanted).id for number in ids])

    @routes.get("/service-requests/{number}")
    async def whole_truth(number: str) -> ServiceRequest:
        """A ticket as it is, visible or not, with the persona and with who wrote each note."""
        return ticket_of(number)

    @routes.post("/service-requests/{number}/status")
    async def change_one(number: str, wanted: TicketChange) -> ServiceRequest:
        """Microsoft asks (`attention_needed`, the note is the question), closes, or opens again (`open`)."""
        return change(number, wanted)

    @routes.post("/customers", status_code=201)
    async def add_customer(customer: Customer) -> Customer:
        """Adds a customer, or replaces the one with this id."""
        cloud.write_now(customer)
        return customer

    @routes.post("/subscriptions", status_code=201)
    async def add_subscription(subscription: Subscription) -> Subscription:
        """Adds a subscription of any kind, or replaces the one with this id."""
        if cloud.store.get(Customer, subscription.customer_id) is None:
            raise HTTPException(
                422, f"There is no customer {subscription.customer_id}; add it first at /_simulator/customers."
            )
        cloud.write_now(subscription)
        return subscription

    @routes.post("/subscriptions/{subscription_id}/status")
    async def change_subscription_status(subscription_id: str, wanted: SubscriptionChange) -> Subscription:
        """Someone cancels, suspends or reactivates at the portal, with no window to stop them; the credit is booked
        as by API.
        """
        old = cloud.store.get(Subscription, subscription_id)
        if old is None:
            raise HTTPException(404, f"There is no subscription {subscription_id}.")
        since = None if wanted.status == "active" else wanted.at or cloud.now()
        new = old.model_copy(update={"status": wanted.status, "suspended_at": since, "version": old.version + 1})
        if wanted.book_credit:
            change_subscription(cloud, old, new)
        else:
            cloud.write(new)
        return new

    @routes.post("/invoices", status_code=201)
    async def add_invoice(wanted: InvoiceIn) -> Invoice:
        """Microsoft issues an invoice with these lines. `total_charges` is their sum unless given. 409 for an id
        that is taken.
        """
        if wanted.id is not None and cloud.store.get(Invoice, wanted.id) is not None:
            raise HTTPException(409, f"There is an invoice {wanted.id} already.")
        date = wanted.invoice_date or cloud.now()
        charges = [
            Charge(
                customer_id=line.customer_id,
                subscription_id=line.subscription_id,
                charge_type=line.charge_type,
                amount=line.amount,
                unit_price=cents(line.amount / line.quantity) if line.unit_price is None else line.unit_price,
                quantity=line.quantity,
                start=line.charge_start_date or date,
                end=line.charge_end_date or date,
                tax=line.tax,
                credit_reason_code=line.credit_reason_code,
                description=line.description,
            )
            for line in wanted.lines
        ]
        total = sum((charge.amount + charge.tax for charge in charges), Decimal(0))
        invoice = Invoice(
            id=wanted.id or next_invoice_id(cloud, wanted.billing_provider),
            billing_provider=wanted.billing_provider,
            invoice_date=date,
            currency=wanted.currency,
            document_type=wanted.document_type,
            total_charges=total if wanted.total_charges is None else wanted.total_charges,
            paid_amount=wanted.paid_amount,
            amends_of=wanted.amends_of,
        )
        return book_invoice(cloud, invoice, charges)

    @routes.get("/faults")
    async def list_faults() -> list[Fault]:
        """The faults set now, with the times each has left."""
        return faults.set_now()

    @routes.post("/faults", status_code=201)
    async def add_fault(fault: Fault) -> Fault:
        """Sets a fault; see its fields."""
        faults.add(fault)
        return fault

    @routes.delete("/faults", status_code=204)
    async def clear_faults() -> None:
        """Forgets every fault."""
        faults.clear()

    @routes.get("/behaviour")
    async def behaviour() -> Behaviour:
        """How long it takes until what is written is seen, and until a persona acts; how Azure's times are scaled."""
        config = cloud.config
        return Behaviour(
            visible_after=config.visible_after, persona_delay=config.persona_delay, time_scale=config.time_scale
        )

    @routes.put("/behaviour")
    async def set_behaviour(wanted: Behaviour) -> Behaviour:
        """Sets any of them for what is written from now on."""
        if wanted.visible_after is not None:
            cloud.config.visible_after = wanted.visible_after
        if wanted.persona_delay is not None:
            cloud.config.persona_delay = wanted.persona_delay
        if wanted.time_scale is not None:
            cloud.config.time_scale = wanted.time_scale
        return await behaviour()

    @routes.get("/calls")
    async def count_calls() -> Calls:
        """How often each endpoint was called, faults included, the side door not."""
        total = sum(number for name, number in calls.items() if " /v1/" in name)
        return Calls(calls=dict(sorted(calls.items())), partner_center=total)

    @routes.delete("/calls", status_code=204)
    async def reset_calls() -> None:
        """Begins to count anew."""
        calls.clear()

    @routes.post("/refresh-tokens/idle", status_code=204)
    async def age_refresh_tokens() -> None:
        """Every refresh token has lain unused for 91 days: redeeming one gives AADSTS700082."""
        for token in cloud.store.listed(RefreshToken):
            cloud.write_now(token.model_copy(update={"last_used": cloud.now() - timedelta(days=91)}))

    return routes


def ticket_number(earlier: int, created: datetime) -> str:
    """A number of 15 digits like Microsoft's: 6, the date, and eight digits that no other ticket has."""
    return f"6{created:%y%m%d}{(earlier * 7919 + 28745760) % 100_000_000:08d}"
