"""Triage: what Microsoft says of the customer and the subscription, and what follows from it for the claim."""

from collections.abc import Container
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from temporalio import activity

from activities.failures import told
from domain import deadlines
from domain.claims import Claim, CreditState, Opening
from domain.evidence import KINDS, Requirement
from domain.expected_credit import expected_credit
from domain.lifecycle import Triaged
from domain.model import Frozen, Refusal, Refused
from domain.policy import POLICY, Commerce, PolicyError
from domain.triage import Route, SubscriptionFacts, triage
from microsoft.errors import Forbidden, NotFound, Rejected
from microsoft.partner_center import PartnerCenter, Subscription
from records.credits import CreditRecords

_NO_RELATIONSHIP = "20002"
"""Partner Center's code, with a 403, for a customer that we have no commerce relationship with."""

_LEGACY_AZURE = "ms-azr-"

_WAITS_FOR_THE_INVOICE = frozenset({Route.REFUNDED_IN_FULL, Route.CREDITED_PRO_RATA})


class TriageRequest(Frozen):
    """The claim, and the instant (UTC) at which its route is decided."""

    claim: Claim
    now: datetime


class Customers:
    """Reads customers and subscriptions at Partner Center. `zone` is the partner's, for reminders; `country` the one
    (ISO 3166) whose public holidays are no working days, None for weekends only."""

    def __init__(
        self, partner_center: PartnerCenter, credit_records: CreditRecords, zone: ZoneInfo, country: str | None
    ) -> None:
        self._partner_center = partner_center
        self._records = credit_records
        self._zone = zone
        self._country = country

    @activity.defn(name="triage")
    async def triage(self, wanted: TriageRequest) -> Triaged:
        """The claim's route with its reasons, deadline, reminders, checklist and the credit to expect, all resolved.

        Reads only. Raises ApplicationError as `failures.told` says, and `refused` for a date no rule can count from.
        """
        claim, said, now = wanted.claim, wanted.claim.opening, wanted.now
        with told():
            is_ours = await self._is_csp_customer(said.customer_id)
            subscription = await self._subscription(said) if is_ours else None
            facts = _facts(subscription, said) if subscription else None
            # A claim about nothing known still gets a deadline: a person may file it as an exception.
            commerce = facts.commerce if facts else Commerce.NEW_COMMERCE
            product = facts.product if facts else None
            purchased = _purchased(subscription) if subscription else None
            deadline = _deadline(said, commerce, purchased, product)
            stopped_on = said.stopped_on or said.incident.date
            route = triage(
                category=said.category,
                is_csp_customer=is_ours,
                is_advisory=said.incident.is_advisory,
                stopped_on=stopped_on,
                subscription=facts,
                deadline=deadline,
                now=now,
            )
        credit = CreditState(allocations=claim.credit.allocations, released_lines=claim.credit.released_lines)
        if route.route in _WAITS_FOR_THE_INVOICE:
            lines = await self._records.lines(said.customer_id, said.subscription_id)
            credit = expected_credit(claim, route.route, commerce, stopped_on, lines)
        azure: tuple[str, ...] = ()
        why_not = None
        if facts and facts.commerce is Commerce.AZURE and subscription:
            with told():
                azure, why_not = await self._azure_subscriptions(said.customer_id, subscription)
        holidays = self._holidays()
        return Triaged(
            triage=route,
            commerce=facts.commerce if facts else None,
            product=product,
            deadline=deadline,
            grace_ends_at=deadlines.grace_ends_at(max(deadline.due_at, now), holidays),
            reminders=deadlines.reminders(deadline.instants, self._zone, holidays, now),
            requirements=tuple(
                Requirement(kind=kind, required=True, source=KINDS[kind].source)
                for kind in POLICY.evidence_for(said.category, commerce, product)
            ),
            credit=credit,
            azure_subscription_id=azure[0] if azure else None,
            other_azure_subscriptions=azure[1:],
            assisted_reason=why_not,
        )

    async def _azure_subscriptions(
        self, customer_id: str, subscription: Subscription
    ) -> tuple[tuple[str, ...], str | None]:
        """The Azure subscriptions on which a ticket about this one can be filed, or why there are none.

        A legacy one is an Azure subscription itself; an Azure plan has some, of which any active one will do.
        """
        if subscription.offer_id.startswith(_LEGACY_AZURE):
            return (subscription.id,), None
        try:
            found = await self._partner_center.azure_entitlements(customer_id, subscription.id)
        except (NotFound, Rejected, Forbidden) as error:
            return (), f"Microsoft doesn't show the Azure subscriptions under this one. {error}"
        active = tuple(each.id for each in found if each.status == "active")
        return active, None if active else "Microsoft shows no active Azure subscription under this one."

    async def _is_csp_customer(self, customer_id: str) -> bool:
        try:
            customer = await self._partner_center.customer(customer_id)
        except NotFound:
            return False
        except Forbidden as error:
            if error.code != _NO_RELATIONSHIP:
                raise
            return False
        return customer.relationship == "reseller"

    async def _subscription(self, said: Opening) -> Subscription | None:
        try:
            return await self._partner_center.subscription(said.customer_id, said.subscription_id)
        except NotFound:
            return None

    def _holidays(self) -> Container[date]:
        if self._country is None:
            return frozenset()
        # Loaded when first needed: it is big, and this module is imported by workflow code.
        from holidays import country_holidays

        return country_holidays(self._country)


def _purchased(subscription: Subscription) -> datetime | None:
    return subscription.created or subscription.effective_start


def _facts(subscription: Subscription, said: Opening) -> SubscriptionFacts:
    refundable = subscription.refundable_quantity
    ends = [
        subscription.cancellation_allowed_until,
        *(option.expires_at for option in subscription.refund_options),
        *(part.allowed_until for part in (refundable.details if refundable else ()) if part.quantity > 0),
    ]
    return SubscriptionFacts(
        commerce=Commerce(subscription.commerce),
        product=subscription.offer_name or subscription.offer_id,
        status=subscription.status,
        # Microsoft always dates a purchase; should it not, the incident is the latest it can have been.
        purchased_at=_purchased(subscription) or datetime.combine(said.incident.date, time(), UTC),
        commitment_ends_at=subscription.commitment_end,
        cancellable_until=max((end for end in ends if end is not None), default=None),
    )


def _deadline(said: Opening, commerce: Commerce, purchased: datetime | None, product: str | None) -> deadlines.Deadline:
    try:
        return deadlines.resolve(
            said.category,
            commerce,
            said.incident.date,
            purchased=purchased.date() if purchased else None,
            billing_day=said.billing_day,
            product=product,
        )
    except PolicyError as error:
        raise Refused(Refusal(rule="deadline", field=error.field, message=str(error))) from None
