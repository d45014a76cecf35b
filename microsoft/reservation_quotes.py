"""What reservations cost and give back: catalogue, prices, refunds and exchanges.

Policy errors come with HTTP 200: they are part of a quote, and a quote with any is not to be acted on (facts 1.5).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, AliasPath, BeforeValidator, Field, model_validator

from microsoft.fields import Id, Items, MaybeNumber, Resource, Text, Word
from microsoft.reservation_models import Payment, Price, inside, last_id


class PolicyError(Resource):
    """Why Microsoft's policy forbids it: `selfservicerefundnotsupported`, `refundlimitexceeded` and others."""

    code: Word = ""
    message: Text = ""


class BillingInformation(Resource):
    """How far a reservation is paid, in the billing currency: `paid` so far, `consumed` of that, and what is
    `remaining` of payments to come, which a return cancels. An exchange doesn't tell plan and number of payments."""

    plan: Annotated[Word, Field(validation_alias="billingPlan")] = ""
    payments_made: Annotated[int | None, Field(validation_alias="completedTransactions")] = None
    payments_in_all: Annotated[int | None, Field(validation_alias="totalTransactions")] = None
    paid: Annotated[Price | None, Field(validation_alias="billingCurrencyTotalPaidAmount")] = None
    consumed: Annotated[Price | None, Field(validation_alias="billingCurrencyProratedAmount")] = None
    remaining: Annotated[Price | None, Field(validation_alias="billingCurrencyRemainingCommitmentAmount")] = None


def _limits(name: str) -> AliasPath:
    """A refund's policy result has `properties` of its own; an exchange's hasn't."""
    return inside("policyResult", "properties", name)


class RefundQuote(Resource):
    """What a return would give. `refund` is paid back, in the billing currency; `priced_refund` is the same in the
    pricing currency, in which `consumed_total` (of the last 12 months) and `limit` are told too. `session_id` is what
    the return has to name, once. Session, quantity and refund may only be missing where there are policy errors."""

    session_id: Annotated[Id, Field(validation_alias=inside("sessionId"))] = ""
    reservation: Annotated[Id, Field(validation_alias="id")] = ""
    quantity: Annotated[int | None, Field(validation_alias=inside("quantity"))] = None
    refund: Annotated[Price | None, Field(validation_alias=inside("billingRefundAmount"))] = None
    priced_refund: Annotated[Price | None, Field(validation_alias=inside("pricingRefundAmount"))] = None
    billing: Annotated[BillingInformation | None, Field(validation_alias=inside("billingInformation"))] = None
    consumed_total: Annotated[Price | None, Field(validation_alias=_limits("consumedRefundsTotal"))] = None
    limit: Annotated[Price | None, Field(validation_alias=_limits("maxRefundLimit"))] = None
    policy_errors: Annotated[Items[PolicyError], Field(validation_alias=_limits("policyErrors"))] = ()

    @model_validator(mode="after")
    def _can_be_acted_on(self) -> Self:
        if not self.policy_errors and (not self.session_id or self.quantity is None or self.refund is None):
            raise ValueError("neither a refund nor what forbids it")
        return self


class ItemGivenUp(Resource):
    """A reservation that an exchange takes back. `status` is "" in a quote."""

    reservation: Annotated[Id, Field(validation_alias="reservationId")]
    quantity: int
    refund: Annotated[Price | None, Field(validation_alias="billingRefundAmount")] = None
    billing: Annotated[BillingInformation | None, Field(validation_alias="billingInformation")] = None
    status: Word = ""


class ItemBought(Resource):
    """What an exchange buys. `order_id` is known once it was accepted, `reservation_id` for sure only once it
    succeeded; `status` is "" in a quote."""

    order_id: Annotated[Id, AfterValidator(last_id), Field(validation_alias="reservationOrderId")] = ""
    reservation_id: Annotated[Id, AfterValidator(last_id), Field(validation_alias="reservationId")] = ""
    sku: Annotated[Text, Field(validation_alias=inside("sku", "name"))] = ""
    quantity: Annotated[int | None, Field(validation_alias=inside("properties", "quantity"))] = None
    total: Annotated[Price | None, Field(validation_alias="billingCurrencyTotal")] = None
    status: Word = ""


class Exchange(Resource):
    """An exchange as quoted or as carried out, in the billing currency. `refunds` includes the cancelled payments to
    come, and `net_payable` is purchases less refunds. Without a session only where there are policy errors."""

    session_id: Id = ""
    net_payable: Price | None = None
    refunds: Annotated[Price | None, Field(validation_alias="refundsTotal")] = None
    purchases: Annotated[Price | None, Field(validation_alias="purchasesTotal")] = None
    given_up: Annotated[Items[ItemGivenUp], Field(validation_alias="reservationsToExchange")] = ()
    bought: Annotated[Items[ItemBought], Field(validation_alias="reservationsToPurchase")] = ()
    policy_errors: Annotated[Items[PolicyError], Field(validation_alias=AliasPath("policyResult", "policyErrors"))] = ()

    @model_validator(mode="after")
    def _can_be_acted_on(self) -> Self:
        if not self.policy_errors and not self.session_id:
            raise ValueError("neither a session nor what forbids it")
        return self


@dataclass(frozen=True)
class ExchangeState:
    """An exchange, or its quote, as it stood when it was asked for. `status` is Microsoft's word in lower case
    (`pending`, `pendingrefunds`, `pendingpurchases`, `succeeded`, `failed`, `cancelled`); `pause` is how long to wait
    before the next look at `url`. One that failed may have done a part: the items of `exchange` say which."""

    url: str
    status: str
    pause: timedelta
    exchange: Exchange | None
    code: str = ""
    message: str = ""

    @property
    def is_over(self) -> bool:
        return self.status in ("succeeded", "failed", "cancelled", "canceled")


def _prices(value: object) -> object:
    """Terms and plans are keys (`p1Y`) in the catalogue: in lower case, as everywhere here."""
    return {str(key).lower(): each for key, each in value.items() if each} if isinstance(value, dict) else {}


class CatalogItem(Resource):
    """Something that can be reserved; `prices` are list prices of a whole term (`p1y`) in the pricing currency."""

    sku: Annotated[Text, Field(validation_alias="name", min_length=1)]
    resource_type: Word = ""
    terms: Items[Word] = ()
    locations: Items[Word] = ()
    prices: Annotated[dict[str, Price], BeforeValidator(_prices), Field(validation_alias="msrp", default_factory=dict)]


class PriceQuote(Resource):
    """What a purchase would cost. `order_id` is the order to put; `priced` counts for the refund limit."""

    order_id: Annotated[Id, Field(validation_alias=inside("reservationOrderId"), min_length=1)]
    billed: Annotated[Price | None, Field(validation_alias=inside("billingCurrencyTotal"))] = None
    priced: Annotated[Price | None, Field(validation_alias=inside("pricingCurrencyTotal"))] = None
    grand_total: Annotated[MaybeNumber, Field(validation_alias=inside("grandTotal"))] = None
    is_partner_billed: Annotated[bool | None, Field(validation_alias=inside("isBillingPartnerManaged"))] = None
    title: Annotated[Text, Field(validation_alias=inside("skuTitle"))] = ""
    payments: Annotated[Items[Payment], Field(validation_alias=inside("paymentSchedule"))] = ()
