"""Triage: from what Microsoft says to route, deadline, reminders, checklist and the credit to expect."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from activities.customers import TriageRequest
from domain.claims import Claim, Status
from domain.credits import CreditLine
from domain.evidence import EvidenceKind
from domain.expected_credit import expected_credit
from domain.lifecycle import Triaged
from domain.money import Money
from domain.policy import Category, Commerce
from domain.triage import Route
from tests.activities.conftest import Desk
from tests.records.samples import claim, invoice, line
from tests.simulated import Simulator


def _claim(simulator: Simulator, name: str, category: Category, **said: object) -> Claim:
    """A claim about a seeded subscription."""
    seeded = simulator.seed["subscriptions"][name]
    made = claim(1, customer_id=seeded["customer_id"], subscription_id=seeded["id"])
    stopped = seeded.get("suspended_on")
    update = {"category": category, "stopped_on": date.fromisoformat(stopped) if stopped else None, **said}
    return made.model_copy(update={"opening": made.opening.model_copy(update=update)})


async def _triaged(desk: Desk, about: Claim, now: datetime | None = None) -> Triaged:
    return await desk.run(desk.customers.triage, TriageRequest(claim=about, now=now or datetime.now(UTC)))


@pytest.mark.parametrize(
    ("name", "category", "route"),
    [
        ("nce_active_cancellable", Category.ACCIDENTAL_PURCHASE, Route.CANCEL_NOW),
        ("nce_active_past_window", Category.ACCIDENTAL_PURCHASE, Route.NOT_CLAIMABLE),
        ("software_perpetual_refundable", Category.CANCELLATION, Route.CANCEL_NOW),
        ("legacy_suspended_within_30_days", Category.CANCELLATION, Route.REFUNDED_IN_FULL),
        ("legacy_suspended_in_month_5", Category.CANCELLATION, Route.CREDITED_PRO_RATA),
        ("azure_plan", Category.SERVICE_OUTAGE, Route.AZURE_TICKET),
        ("azure_legacy", Category.TECHNICAL_ISSUE, Route.AZURE_TICKET),
        ("nce_active_past_window", Category.SERVICE_OUTAGE, Route.SERVICE_REQUEST),
    ],
)
async def test_the_route_follows_from_what_microsoft_says(
    desk: Desk, simulator: Simulator, name: str, category: Category, route: Route
) -> None:
    found = await _triaged(desk, _claim(simulator, name, category))
    assert found.triage.route is route


async def test_what_microsoft_says_of_the_window_is_when_it_shuts(desk: Desk, simulator: Simulator) -> None:
    customer, until = str(simulator.seed["customers"]["tailspin"]["id"]), datetime(2090, 3, 2, 9, 30, tzinfo=UTC)
    made = simulator.post(
        "/subscriptions",
        {
            "id": str(uuid4()),
            "customerId": customer,
            "commerce": "new_commerce",
            "offerId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
            "offerName": "Microsoft 365 Business Basic",
            "creationDate": "2090-03-01T00:00:00Z",
            "effectiveStartDate": "2090-03-01T00:00:00Z",
            "commitmentEndDate": "2091-02-28T00:00:00Z",
            "orderId": "34b37d7340cc",
            "cancellationAllowedUntilDate": "2090-03-02T00:00:00Z",
            "refundOptions": [{"type": "Full"}, {"type": "Partial", "expiresAt": until.isoformat()}],
            "refundableQuantity": {
                "totalQuantity": 1,
                "details": [{"quantity": 0, "allowedUntilDateTime": "2099-01-01T00:00:00Z"}],
            },
        },
    )
    about = claim(1, customer_id=customer, subscription_id=str(made["id"]))
    opening = about.opening.model_copy(update={"category": Category.ACCIDENTAL_PURCHASE})
    about = about.model_copy(update={"opening": opening})
    found = await _triaged(desk, about, until - timedelta(seconds=1))
    assert (found.triage.route, found.triage.window_shuts_at) == (Route.CANCEL_NOW, until)
    assert (await _triaged(desk, about, until)).triage.route is Route.NOT_CLAIMABLE


async def test_a_customer_microsoft_does_not_know_has_no_claim(desk: Desk) -> None:
    found = await _triaged(desk, claim(1, customer_id=str(uuid4())))
    assert (found.triage.route, found.triage.rule) == (Route.NOT_CLAIMABLE, "not_a_csp_customer")
    assert found.commerce is None


async def test_a_customer_whose_reseller_we_are_not_has_no_claim(desk: Desk, simulator: Simulator) -> None:
    customer = str(uuid4())
    simulator.post(
        "/customers",
        {"id": customer, "companyName": "Trey", "domain": "trey.example", "relationshipToPartner": "advisor"},
    )
    found = await _triaged(desk, claim(1, customer_id=customer))
    assert found.triage.rule == "not_a_csp_customer"


async def test_a_subscription_that_is_not_there_has_no_claim(desk: Desk, simulator: Simulator) -> None:
    found = await _triaged(desk, claim(1, customer_id=simulator.seed["customers"]["contoso"]["id"]))
    assert found.triage.rule == "no_such_subscription"
    # A person may still file it as an exception: then there is a deadline and a checklist.
    assert found.deadline.due_on == date(2026, 3, 31)
    assert EvidenceKind.CREDIT_REQUEST_FORM in {needed.kind for needed in found.requirements}


async def test_deadline_reminders_and_checklist_are_resolved_for_the_partners_country(
    desk: Desk, simulator: Simulator
) -> None:
    about = _claim(simulator, "nce_active_past_window", Category.SERVICE_OUTAGE)
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    found = await _triaged(desk, about, now)
    assert found.deadline.due_on == date(2026, 3, 31)
    # 09:00 in Berlin; 28 March is a Saturday, and summer time begins on the 29th.
    assert [each.at for each in found.reminders] == [
        datetime(2026, 3, 17, 8, tzinfo=UTC),
        datetime(2026, 3, 24, 8, tzinfo=UTC),
        datetime(2026, 3, 27, 8, tzinfo=UTC),
        datetime(2026, 3, 30, 7, tzinfo=UTC),
    ]
    # Ten German working days after 31 March 2026: Good Friday and Easter Monday are none.
    assert found.grace_ends_at == datetime(2026, 4, 17, tzinfo=UTC)
    assert {(needed.kind, needed.required) for needed in found.requirements} == {
        (EvidenceKind.CREDIT_REQUEST_FORM, True),
        (EvidenceKind.CUSTOMER_REQUEST, True),
        (EvidenceKind.OUTAGE_EVIDENCE, True),
    }


async def test_a_claim_taken_up_after_its_deadline_has_its_grace_from_now(desk: Desk, simulator: Simulator) -> None:
    about = _claim(simulator, "nce_active_past_window", Category.SERVICE_OUTAGE)
    found = await _triaged(desk, about, datetime(2026, 6, 8, 12, tzinfo=UTC))
    assert found.reminders == ()
    assert found.grace_ends_at == datetime(2026, 6, 23, tzinfo=UTC)


async def test_a_date_no_rule_can_count_from_is_refused_by_field(desk: Desk, simulator: Simulator) -> None:
    about = _claim(simulator, "nce_active_past_window", Category.SERVICE_OUTAGE)
    incident = about.opening.incident.model_copy(update={"date": date(1850, 1, 1)})
    about = about.model_copy(update={"opening": about.opening.model_copy(update={"incident": incident})})
    refusal = await desk.refusal(desk.customers.triage, TriageRequest(claim=about, now=datetime.now(UTC)))
    assert (refusal.rule, refusal.field) == ("deadline", "incident")


async def test_microsoft_out_of_reach_is_tried_again(desk: Desk, simulator: Simulator) -> None:
    simulator.post("/faults", {"kind": "error", "status": 503, "times": 3, "path": "/v1/customers"})
    about = _claim(simulator, "azure_plan", Category.SERVICE_OUTAGE)
    with pytest.raises(ApplicationError) as caught:
        await _triaged(desk, about)
    assert (caught.value.type, caught.value.non_retryable) == ("microsoft_unavailable", False)


async def test_without_a_charge_on_record_the_amount_asked_is_expected(desk: Desk, simulator: Simulator) -> None:
    asked = Money(amount=Decimal("30.00"), currency="EUR")
    about = _claim(simulator, "legacy_suspended_in_month_5", Category.CANCELLATION, amount_asked=asked)
    found = await _triaged(desk, about)
    assert (found.credit.expected, found.credit.currency) == ((Decimal("30.00"),), "EUR")
    assert found.credit.since == about.opening.stopped_on
    nothing = await _triaged(desk, _claim(simulator, "legacy_suspended_in_month_5", Category.CANCELLATION))
    assert (nothing.credit.expected, nothing.credit.currency) == ((), None)


def _charge(
    amount: str, start: date, end: date, quantity: str = "1", price: str | None = None, **more: object
) -> CreditLine:
    unit_price = Decimal(price) if price else -Decimal(amount) / Decimal(quantity)
    return line(
        f"charge of {start}",
        amount,
        invoice(),
        charge_start=start,
        charge_end=end,
        quantity=Decimal(quantity),
        unit_price=unit_price,
        **more,
    )


_YEAR = (date(2018, 1, 13), date(2019, 1, 12))


@pytest.mark.parametrize(
    ("route", "commerce", "stopped_on", "charge", "published"),
    [
        (Route.REFUNDED_IN_FULL, Commerce.LEGACY, date(2018, 2, 1), _charge("-48.00", *_YEAR), "48.00"),
        (Route.CREDITED_PRO_RATA, Commerce.LEGACY, date(2018, 3, 1), _charge("-48.00", *_YEAR), "41.34"),
        (
            Route.CREDITED_PRO_RATA,
            Commerce.LEGACY,
            date(2018, 3, 1),
            _charge("-48.00", _YEAR[0], date(2019, 1, 13)),  # the same year, ended by the first day after it
            "41.34",
        ),
        (
            Route.CREDITED_PRO_RATA,
            Commerce.LEGACY,
            date(2018, 3, 1),
            _charge("-4.00", date(2018, 2, 13), date(2018, 3, 12)),
            "1.71",
        ),
        (
            Route.CREDITED_PRO_RATA,
            Commerce.NEW_COMMERCE,
            date(2021, 9, 1),
            _charge("-4.00", date(2021, 9, 1), date(2021, 9, 30)),
            "3.87",
        ),
        (
            Route.CREDITED_PRO_RATA,
            Commerce.NEW_COMMERCE,
            date(2021, 9, 1),
            _charge("-8.00", date(2021, 9, 1), date(2021, 9, 30), "2"),
            "7.74",
        ),
        (
            Route.CREDITED_PRO_RATA,
            Commerce.NEW_COMMERCE,
            date(2021, 9, 1),
            # Priced in another currency: what was charged counts.
            _charge("-8.00", date(2021, 9, 1), date(2021, 9, 30), "2", price="3.60"),
            "7.74",
        ),
    ],
)
def test_the_published_amount_is_expected(
    route: Route, commerce: Commerce, stopped_on: date, charge: CreditLine, published: str
) -> None:
    credit = expected_credit(claim(1), route, commerce, stopped_on, [charge, line("credit", "5.00")])
    assert Decimal(published) in credit.expected
    assert (credit.currency, credit.since) == ("USD", stopped_on)


def test_the_published_1_72_is_within_a_cent_of_the_exact_figure() -> None:
    charge = _charge("-4.00", date(2018, 2, 13), date(2018, 3, 12))
    credit = expected_credit(claim(1), Route.CREDITED_PRO_RATA, Commerce.LEGACY, date(2018, 3, 1), [charge])
    assert credit.exact is not None
    assert abs(Decimal("1.72") - credit.exact) <= credit.tolerance


def test_licences_added_in_between_are_credited_together() -> None:
    charges = [
        _charge("-4.00", date(2021, 9, 1), date(2021, 9, 30)),
        _charge("-3.00", date(2021, 9, 11), date(2021, 9, 30)),
        _charge("-4.00", date(2021, 8, 1), date(2021, 8, 31)),  # used up
    ]
    credit = expected_credit(claim(1), Route.CREDITED_PRO_RATA, Commerce.NEW_COMMERCE, date(2021, 9, 15), charges)
    assert credit.expected[0] == Decimal("2.00") + Decimal("2.25")


def test_what_the_claim_was_given_before_stays() -> None:
    before = claim(1, status=Status.TRIAGING)
    before = before.model_copy(update={"credit": before.credit.model_copy(update={"released_lines": ("a",)})})
    credit = expected_credit(before, Route.CREDITED_PRO_RATA, Commerce.LEGACY, date(2018, 3, 1), [])
    assert credit.released_lines == ("a",)
