"""Each row of the route table, with both kinds of commerce, every category, and the windows to the second."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.deadlines import resolve
from domain.policy import Category, Commerce
from domain.triage import PURCHASE_CATEGORIES, Route, SubscriptionFacts, Triage, triage

BOUGHT = datetime(2026, 1, 10, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
FULL_ENDS = datetime(2026, 2, 10, tzinfo=UTC)
"""The first instant after the 30 days of a legacy licence bought on 10 January."""
WINDOW = datetime(2026, 1, 17, 23, 59, 59, tzinfo=UTC)
"""What Microsoft says of a new-commerce subscription."""

OTHER_CATEGORIES = [category for category in Category if category not in PURCHASE_CATEGORIES]


def test_an_incident_long_after_the_purchase_brings_no_full_refund_back() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    stopped = SubscriptionFacts(
        commerce=Commerce.LEGACY,
        product="Exchange Online",
        status="suspended",
        purchased_at=BOUGHT,
        commitment_ends_at=None,
        cancellable_until=None,
    )
    deadline = resolve(Category.ACCIDENTAL_PURCHASE, Commerce.LEGACY, now.date(), purchased=BOUGHT.date())
    assert now < deadline.due_at
    found = triage(
        category=Category.ACCIDENTAL_PURCHASE,
        is_csp_customer=True,
        is_advisory=False,
        stopped_on=now.date(),
        subscription=stopped,
        deadline=deadline,
        now=now,
    )
    assert found.route is Route.CREDITED_PRO_RATA


def routed(
    category: Category = Category.ACCIDENTAL_PURCHASE,
    commerce: Commerce = Commerce.LEGACY,
    status: str = "active",
    *,
    now: datetime,
    until: datetime | None = None,
    stopped_on: date | None = None,
    is_csp_customer: bool = True,
    is_advisory: bool = False,
    is_known: bool = True,
) -> Triage:
    subscription = SubscriptionFacts(
        commerce=commerce,
        product="Exchange Online",
        status=status,
        purchased_at=BOUGHT,
        commitment_ends_at=None,
        cancellable_until=until,
    )
    return triage(
        category=category,
        is_csp_customer=is_csp_customer,
        is_advisory=is_advisory,
        stopped_on=stopped_on or BOUGHT.date(),
        subscription=subscription if is_known else None,
        deadline=resolve(category, commerce, BOUGHT.date(), purchased=BOUGHT.date()),
        now=now,
    )


# cancel_now


@pytest.mark.parametrize("category", sorted(PURCHASE_CATEGORIES))
@pytest.mark.parametrize("status", ["active", "suspended"])
def test_new_commerce_is_cancelled_as_long_as_microsoft_says_to_the_second(category: Category, status: str) -> None:
    inside = routed(category, Commerce.NEW_COMMERCE, status, now=WINDOW - SECOND, until=WINDOW)
    assert inside.route is Route.CANCEL_NOW
    assert inside.window_shuts_at == WINDOW
    assert "2026-01-17 23:59 UTC" in inside.explanation
    assert status in inside.explanation
    after = routed(category, Commerce.NEW_COMMERCE, status, now=WINDOW, until=WINDOW)
    assert after.route is Route.NOT_CLAIMABLE


@pytest.mark.parametrize("category", sorted(PURCHASE_CATEGORIES))
def test_a_legacy_licence_can_be_cancelled_whole_for_30_days_to_the_second(category: Category) -> None:
    inside = routed(category, now=FULL_ENDS - SECOND)
    assert (inside.route, inside.window_shuts_at) == (Route.CANCEL_NOW, FULL_ENDS)
    after = routed(category, now=FULL_ENDS)
    if category is Category.CANCELLATION:
        assert (after.route, after.window_shuts_at) == (Route.CANCEL_NOW, None)
        assert "pro rata" in after.explanation
    else:
        assert after.route is Route.SERVICE_REQUEST


def test_microsofts_own_date_beats_the_30_days_both_ways() -> None:
    early = BOUGHT + DAY
    assert routed(now=early, until=early).route is not Route.CANCEL_NOW
    late = FULL_ENDS + 40 * DAY
    assert routed(now=late - SECOND, until=late).window_shuts_at == late


def test_what_microsoft_says_can_no_longer_be_cancelled_is_never_called_cancellable() -> None:
    past = routed(Category.CANCELLATION, now=FULL_ENDS + 300 * DAY, until=FULL_ENDS)
    assert past.route is Route.NOT_CLAIMABLE


# refunded_in_full, credited_pro_rata


@pytest.mark.parametrize("category", sorted(PURCHASE_CATEGORIES))
@pytest.mark.parametrize("status", ["suspended", "deleted", "disabled"])
def test_a_legacy_licence_stopped_on_the_30th_day_is_refunded_whole(category: Category, status: str) -> None:
    result = routed(category, status=status, stopped_on=date(2026, 2, 9), now=FULL_ENDS + 100 * DAY)
    assert result.route is Route.REFUNDED_IN_FULL
    assert "2026-02-09" in result.explanation


def test_a_legacy_licence_stopped_on_the_31st_day_is_credited_pro_rata() -> None:
    result = routed(Category.CANCELLATION, status="suspended", stopped_on=date(2026, 2, 10), now=FULL_ENDS + DAY)
    assert result.route is Route.CREDITED_PRO_RATA


@pytest.mark.parametrize(
    ("category", "days"), [(Category.ACCIDENTAL_PURCHASE, 90), (Category.DUPLICATE_ORDER, 120)], ids=str
)
@pytest.mark.parametrize("status", ["active", "suspended"])
def test_a_legacy_purchase_is_claimed_whole_while_its_window_lasts(category: Category, days: int, status: str) -> None:
    shuts = datetime(2026, 1, 11, tzinfo=UTC) + days * DAY
    stopped_on = date(2026, 2, 20)
    inside = routed(category, status=status, stopped_on=stopped_on, now=shuts - SECOND)
    assert inside.route is Route.SERVICE_REQUEST
    assert str(shuts.date() - DAY) in inside.explanation
    after = routed(category, status=status, stopped_on=stopped_on, now=shuts)
    assert after.route is (Route.CANCEL_NOW if status == "active" else Route.CREDITED_PRO_RATA)


@pytest.mark.parametrize("status", ["deleted", "disabled"])
def test_cancelled_new_commerce_is_credited_pro_rata(status: str) -> None:
    result = routed(commerce=Commerce.NEW_COMMERCE, status=status, now=WINDOW + 9 * DAY)
    assert result.route is Route.CREDITED_PRO_RATA


# azure_ticket, service_request


@pytest.mark.parametrize("category", Category)
def test_azure_goes_its_own_way_and_says_who_files_it(category: Category) -> None:
    result = routed(category, Commerce.AZURE, now=BOUGHT + DAY)
    assert result.route is Route.AZURE_TICKET
    assert "Claimdesk files it with its documents" in result.explanation


@pytest.mark.parametrize("category", OTHER_CATEGORIES)
@pytest.mark.parametrize("commerce", [Commerce.LEGACY, Commerce.NEW_COMMERCE])
@pytest.mark.parametrize("status", ["active", "suspended", "deleted", "expired"])
def test_everything_else_is_a_service_request_whatever_became_of_the_subscription(
    category: Category, commerce: Commerce, status: str
) -> None:
    result = routed(category, commerce, status, now=BOUGHT + DAY, until=WINDOW)
    assert result.route is Route.SERVICE_REQUEST
    assert category.replace("_", " ") in result.explanation


# not_claimable


def test_who_is_no_csp_customer_cannot_claim_even_azure() -> None:
    result = routed(commerce=Commerce.AZURE, now=BOUGHT, is_csp_customer=False)
    assert (result.route, result.rule) == (Route.NOT_CLAIMABLE, "not_a_csp_customer")


def test_a_subscription_that_is_not_there_cannot_be_credited() -> None:
    assert routed(now=BOUGHT, is_known=False).rule == "no_such_subscription"


@pytest.mark.parametrize("commerce", Commerce)
def test_an_advisory_is_no_incident(commerce: Commerce) -> None:
    advisory = routed(Category.SERVICE_OUTAGE, commerce, now=BOUGHT, is_advisory=True)
    assert (advisory.route, advisory.rule) == (Route.NOT_CLAIMABLE, "advisory_not_incident")
    assert routed(Category.TECHNICAL_ISSUE, commerce, now=BOUGHT, is_advisory=True).route is not Route.NOT_CLAIMABLE


@pytest.mark.parametrize("category", sorted(PURCHASE_CATEGORIES))
def test_new_commerce_that_microsoft_dates_nowhere_cannot_be_cancelled(category: Category) -> None:
    result = routed(category, Commerce.NEW_COMMERCE, now=BOUGHT + SECOND)
    assert (result.route, result.rule) == (Route.NOT_CLAIMABLE, "past_every_window")


# Any case


@settings(deadline=None)
@given(
    st.sampled_from(Category),
    st.sampled_from(Commerce),
    st.sampled_from(["active", "suspended", "deleted", "expired", "disabled", "pending", ""]),
    st.integers(0, 500 * 86_400).map(lambda seconds: BOUGHT + timedelta(seconds=seconds)),
    st.none() | st.integers(0, 500 * 86_400).map(lambda seconds: BOUGHT + timedelta(seconds=seconds)),
    st.integers(0, 500).map(lambda days: BOUGHT.date() + timedelta(days=days)),
)
def test_every_case_has_a_route_that_explains_itself_and_a_shut_window_stays_shut(
    category: Category, commerce: Commerce, status: str, now: datetime, until: datetime | None, stopped_on: date
) -> None:
    result = routed(category, commerce, status, now=now, until=until, stopped_on=stopped_on)
    assert result.explanation.endswith(".")
    assert result.source
    assert "None" not in result.explanation
    if result.window_shuts_at:
        assert result.route is Route.CANCEL_NOW
        assert result.window_shuts_at > now
        shut = result.window_shuts_at
        later = routed(category, commerce, status, now=shut, until=until, stopped_on=stopped_on)
        assert later.window_shuts_at is None  # else the claim would wait for the same window again
