"""Which way a claim goes: the route, the rule that decided, and what to do about it.

Microsoft's own `cancellationAllowedUntilDate`, `refundOptions` and `refundableQuantity` beat every constant here.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum

from domain.deadlines import Deadline, purchase_window
from domain.model import Frozen
from domain.policy import POLICY, Category, Commerce


class Route(StrEnum):
    """The ways of DESIGN 2."""

    CANCEL_NOW = "cancel_now"
    REFUNDED_IN_FULL = "refunded_in_full"
    CREDITED_PRO_RATA = "credited_pro_rata"
    AZURE_TICKET = "azure_ticket"
    SERVICE_REQUEST = "service_request"
    NOT_CLAIMABLE = "not_claimable"


PURCHASE_CATEGORIES = frozenset({Category.ACCIDENTAL_PURCHASE, Category.DUPLICATE_ORDER, Category.CANCELLATION})
"""The categories whose remedy is to cancel the subscription, where that's still possible."""


class SubscriptionFacts(Frozen):
    """What Microsoft says of the claim's subscription at the moment of triage."""

    commerce: Commerce
    product: str
    status: str
    """Microsoft's word in lower case: active, suspended, deleted, expired, disabled, pending."""
    purchased_at: datetime
    commitment_ends_at: datetime | None
    cancellable_until: datetime | None
    """The latest instant at which Microsoft still takes a cancellation: the latest of `cancellationAllowedUntilDate`,
    `refundOptions` and `refundableQuantity`; None where it states none."""

    @property
    def is_stopped(self) -> bool:
        """Cancelled or suspended: Microsoft calls a cancelled one suspended (legacy) or deleted (new commerce)."""
        return self.status in {"suspended", "deleted", "disabled"}


class Triage(Frozen):
    """The route with its reasons, as they stood when it was decided."""

    route: Route
    rule: str
    explanation: str
    source: str
    window_shuts_at: datetime | None = None
    """For `cancel_now`: the instant after which cancelling is no longer possible; None if Microsoft sets no end."""


def triage(
    *,
    category: Category,
    is_csp_customer: bool,
    is_advisory: bool,
    stopped_on: date,
    subscription: SubscriptionFacts | None,
    deadline: Deadline,
    now: datetime,
) -> Triage:
    """The route of a claim.

    `stopped_on` is the day on which the subscription was suspended or cancelled, as the person who opened the claim
    states it (Microsoft's subscription carries no such date); it only counts where the subscription is stopped.
    `deadline` is the one that category and commerce have, for the window that a purchase must be within.
    """
    if not is_csp_customer:
        return Triage(
            route=Route.NOT_CLAIMABLE,
            rule="not_a_csp_customer",
            explanation="Microsoft shows no reseller relationship with this customer; only a CSP partner can claim.",
            source="S0 credit-requests-and-refunds",
        )
    if subscription is None:
        return Triage(
            route=Route.NOT_CLAIMABLE,
            rule="no_such_subscription",
            explanation="The customer has no such subscription at Microsoft, so there is nothing to credit.",
            source="Partner Center API: get a subscription by id",
        )
    if category is Category.SERVICE_OUTAGE and is_advisory:
        return Triage(
            route=Route.NOT_CLAIMABLE,
            rule="advisory_not_incident",
            explanation="Service health published this as an advisory; only incidents are eligible for an SLA credit.",
            source="RC23 request-credit (2023-05-04)",
        )
    if subscription.commerce is Commerce.AZURE:
        return Triage(
            route=Route.AZURE_TICKET,
            rule="azure_related",
            explanation="An Azure credit goes through an Azure support ticket on behalf of the customer. Claimdesk "
            "files it with its documents; where Microsoft refuses that, a person does, in the Azure portal.",
            source="S0 credit-requests-and-refunds; report-problems-on-behalf-of-a-customer",
        )
    if category in PURCHASE_CATEGORIES:
        return _triage_purchase(category, stopped_on, subscription, deadline, now)
    return service_request(f"A {category.replace('_', ' ')} is claimed by a service request.")


def _triage_purchase(
    category: Category, stopped_on: date, subscription: SubscriptionFacts, deadline: Deadline, now: datetime
) -> Triage:
    legacy = subscription.commerce is Commerce.LEGACY
    purchased_on = subscription.purchased_at.date()
    full_until = purchased_on + timedelta(days=POLICY.legacy_full_refund_days)
    suspended_only = subscription.commerce is Commerce.NEW_COMMERCE and subscription.status == "suspended"
    if subscription.status == "active" or suspended_only:  # new commerce goes on billing what is only suspended
        shuts_at = subscription.cancellable_until
        if legacy and shuts_at is None and now.date() <= full_until:
            shuts_at = datetime.combine(full_until + timedelta(days=1), datetime.min.time(), tzinfo=now.tzinfo)
        if shuts_at is not None and now < shuts_at:
            return _cancel_now(subscription.status, shuts_at)
    if legacy and subscription.is_stopped and stopped_on <= full_until:
        return Triage(
            route=Route.REFUNDED_IN_FULL,
            rule="legacy_within_30_days",
            explanation=f"Bought {purchased_on}, stopped {stopped_on}: "
            f"{POLICY.legacy_full_refund_days} days at most, so it is "
            "refunded at 100 % with no service request. Expect it on the invoice after the suspension.",
            source="S0 credit-requests-and-refunds",
        )
    # Not the deadline: that may count from an incident long after the purchase, and then refunds nothing whole.
    window = None if category is Category.CANCELLATION else purchase_window(deadline)
    if legacy and window and now < window[1]:
        return service_request(
            f"A full refund is granted only if asked for in time, by {window[0]}; by itself the invoice would "
            "bring no more than the pro-rated amount."
        )
    if legacy and subscription.status == "active" and subscription.cancellable_until is None:
        return _cancel_now(subscription.status, None)
    if legacy and subscription.is_stopped:
        return Triage(
            route=Route.CREDITED_PRO_RATA,
            rule="legacy_months_2_to_12",
            explanation=f"Bought {purchased_on}, stopped {stopped_on}: "
            f"over {POLICY.legacy_full_refund_days} days, so it "
            "is credited pro rata with no service request. Expect it on the invoice after the suspension.",
            source="S0 credit-requests-and-refunds",
        )
    if subscription.commerce is Commerce.NEW_COMMERCE and subscription.status in {"deleted", "disabled"}:
        return Triage(
            route=Route.CREDITED_PRO_RATA,
            rule="new_commerce_cancelled",
            explanation="The subscription is cancelled, which Microsoft allows only inside the window; the "
            "prorated refund comes on the next invoice with no service request.",
            source="NCEPOL new-commerce-cancellation-policy",
        )
    return Triage(
        route=Route.NOT_CLAIMABLE,
        rule="past_every_window",
        explanation=f"Bought {purchased_on}: the window in which this could be cancelled or claimed has shut"
        + (
            " (new commerce bills the full term after it)." if not legacy else f" ({deadline.rule}: {deadline.due_on})."
        ),
        source="NCEPOL new-commerce-cancellation-policy" if not legacy else deadline.source,
    )


def _cancel_now(status: str, shuts_at: datetime | None) -> Triage:
    until = f"until {shuts_at:%Y-%m-%d %H:%M} UTC" if shuts_at else "at any time, credited pro rata"
    return Triage(
        route=Route.CANCEL_NOW,
        rule="still_cancellable",
        explanation=f"The subscription is {status} and can be cancelled in Partner Center {until}; the credit then "
        "comes with no claim. Cancel it there, then check again here.",
        source="NCEPOL new-commerce-cancellation-policy; S0 credit-requests-and-refunds",
        window_shuts_at=shuts_at,
    )


def service_request(why: str, rule: str = "service_request") -> Triage:
    """Filed in Partner Center, for the reason that `why` tells in a sentence."""
    return Triage(
        route=Route.SERVICE_REQUEST,
        rule=rule,
        explanation=f"{why} Microsoft documents no endpoint to create one: it is filed assisted, in Partner Center.",
        source="S0 credit-requests-and-refunds; RC23 request-credit (2023-05-04)",
    )
