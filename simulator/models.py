"""What the simulated cloud remembers. Every document is stored whole, as JSON, under its kind and id.

Instants are aware and UTC, cut to milliseconds. Amounts are `Decimal` in the document's currency. How Microsoft would
write these things on the wire (its casing, its odd dates) is the routers' business; here stands the truth.
"""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, AliasGenerator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Commerce = Literal["legacy", "new_commerce", "azure_plan", "azure_legacy"]
BillingProvider = Literal["recurring", "one_time"]
Persona = Literal["approve", "deny", "ask_for_more", "half_credit", "silence"]
TicketStatus = Literal["open", "closed", "attention_needed"]
SubscriptionStatus = Literal["active", "suspended", "deleted", "expired", "disabled", "pending"]


def in_utc(moment: datetime) -> datetime:
    """The instant in UTC, cut to milliseconds; without a zone it is taken as UTC, as everywhere in Partner Center."""
    try:
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # before the year 1, or after 9999
        raise ValueError("not an instant") from None
    return aware.replace(microsecond=aware.microsecond // 1000 * 1000)


Instant = Annotated[datetime, AfterValidator(in_utc)]


class Model(BaseModel):
    """Takes `snake_case` and Microsoft's `camelCase` names, gives `snake_case`, and refuses names it doesn't know."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=to_camel), populate_by_name=True, extra="forbid"
    )


class Document(Model):
    """Something stored. `parent_id` is what lists of it are asked by: a customer, an invoice, a user code."""

    kind: ClassVar[str]
    id: str

    def parent_id(self) -> str:
        """The id this document is listed under; empty when it is only listed as a whole."""
        return ""


class Customer(Document):
    """A customer of the partner. `id` is also its tenant id."""

    kind: ClassVar[str] = "customer"
    company_name: str
    domain: str
    country: str = "US"
    relationship_to_partner: str = "reseller"
    has_consented: bool = True
    """Whether an administrator of the customer consented to the partner's app, for Azure."""
    has_reseller: bool = False
    """Whether the partner's indirect reseller sells to it."""


class RefundOption(Model):
    """One way to get money back when cancelling, and the instant it ends."""

    type: Literal["Full", "Partial"]
    expires_at: Instant | None = None


class RefundableQuantity(Model):
    """Licences that may still be given back, in all and by the instant each part stops being refundable."""

    class Detail(Model):
        quantity: int
        allowed_until_date_time: Instant

    total_quantity: int
    details: list[Detail] = []


class AzureSubscription(Model):
    """An Azure subscription, as Azure knows it: what Partner Center calls an entitlement of an Azure plan."""

    id: str
    friendly_name: str = "Azure subscription 1"
    status: str = "active"


class Subscription(Document):
    """A subscription. `commerce`, `unit_price`, `currency`, `suspended_at` and `version` never go over Microsoft's
    wire as such.
    """

    kind: ClassVar[str] = "subscription"
    customer_id: str
    commerce: Commerce
    offer_id: str
    offer_name: str
    quantity: int = 1
    status: SubscriptionStatus = "active"
    creation_date: Instant
    effective_start_date: Instant
    commitment_end_date: Instant
    cancellation_allowed_until_date: Instant | None = None
    refund_options: list[RefundOption] = []
    refundable_quantity: RefundableQuantity | None = None
    auto_renew_enabled: bool = True
    billing_cycle: Literal["monthly", "annual", "one_time", "none"] = "annual"
    term_duration: str = "P1Y"
    product_type: str = "OnlineServicesNCE"
    order_id: str
    unit_price: Decimal = Decimal("48.00")
    currency: str = "USD"
    suspended_at: Instant | None = None
    version: int = 1
    has_etag: bool = True
    azure_subscriptions: list[AzureSubscription] = []
    """An Azure plan has one unless it was given others; a legacy Azure subscription is one itself."""

    @model_validator(mode="after")
    def _with_azure_subscriptions(self) -> "Subscription":
        if self.commerce.startswith("azure") and not self.azure_subscriptions:
            key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"azure:{self.id.lower()}"))
            self.azure_subscriptions = [AzureSubscription(id=self.id if self.commerce == "azure_legacy" else key)]
        return self

    def parent_id(self) -> str:
        return self.customer_id.lower()


class Note(Model):
    """A note on a service request, and who wrote it: the partner by API, or Microsoft."""

    text: str
    by: Literal["partner", "microsoft"]
    created_by_name: str
    created_date: Instant


class ServiceRequest(Document):
    """A ticket at the Partner Center, with the persona that plays Microsoft's side of it."""

    kind: ClassVar[str] = "service_request"
    customer_id: str
    title: str
    description: str
    persona: Persona
    severity: Literal["critical", "moderate", "minimal"] = "moderate"
    status: TicketStatus = "open"
    created_date: Instant
    last_modified_date: Instant
    last_closed_date: Instant | None = None
    contact_first_name: str = "Ana"
    contact_last_name: str = "Admin"
    notes: list[Note] = []
    amount: Decimal | None = None
    currency: str = "USD"
    subscription_id: str | None = None
    invoice_type: BillingProvider | None = None

    def parent_id(self) -> str:
        return self.customer_id.lower()


class PersonaStep(Document):
    """What a persona does next to the ticket with this id, once it is due."""

    kind: ClassVar[str] = "persona_step"
    action: Persona
    due_at: Instant


class Invoice(Document):
    """An invoice. `total_charges` follows its lines unless it was given."""

    kind: ClassVar[str] = "invoice"
    billing_provider: BillingProvider
    invoice_date: Instant
    currency: str
    document_type: Literal["invoice", "void_note", "adjustment_note", "none"] = "invoice"
    total_charges: Decimal
    paid_amount: Decimal = Decimal(0)
    amends_of: str | None = None


class InvoiceLine(Document):
    """A line of an invoice. `amount` is before tax; credits are negative."""

    kind: ClassVar[str] = "invoice_line"
    invoice_id: str
    customer_id: str
    subscription_id: str
    charge_type: str
    unit_price: Decimal
    quantity: int
    amount: Decimal
    tax: Decimal
    currency: str
    charge_start_date: Instant
    charge_end_date: Instant
    credit_reason_code: str = ""
    description: str = ""

    def parent_id(self) -> str:
        return self.invoice_id.lower()


class Export(Document):
    """A reconciliation export that was asked for: of which invoice, with all attributes or the basic ones."""

    kind: ClassVar[str] = "export"
    invoice_id: str
    attribute_set: Literal["full", "basic"]
    asked_at: Instant


class RefreshToken(Document):
    """A refresh token. `public`: it came from the device flow, so no secret is asked when it is redeemed."""

    kind: ClassVar[str] = "refresh_token"
    user: str
    resource: str
    public: bool
    last_used: Instant


class DeviceCode(Document):
    """A device sign-in under way; `user` is set once somebody approved it."""

    kind: ClassVar[str] = "device_code"
    user_code: str
    resource: str
    scopes: list[str]
    expires_at: Instant
    user: str | None = None
    redeemed: bool = False

    def parent_id(self) -> str:
        return self.user_code.lower()


class Answered(Document):
    """The answer once given to a write with this MS-RequestId, so a retry of it changes nothing."""

    kind: ClassVar[str] = "answered"
    status: int
    body: str


class Secret(Document):
    """The signing key of the tenant, as PEM."""

    kind: ClassVar[str] = "secret"
    text: str = Field(repr=False)


class SeedRecord(Document):
    """The named ids of the seed, for `GET /_simulator/seed`."""

    kind: ClassVar[str] = "seed"
    names: dict[str, dict[str, dict[str, str | list[str]]]]
    seeded_at: Instant
