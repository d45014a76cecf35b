"""Deadlines against oracles that walk the calendar day by day, and reminders that people would be glad of."""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.deadlines import Deadline, grace_ends_at, reminders, resolve
from domain.policy import Category, Commerce, PolicyError

DAY = timedelta(days=1)

unhurried = settings(deadline=None)  # other tests run on the same cores

days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
instants = st.builds(
    lambda day, second: datetime.combine(day, time.min, UTC) + timedelta(seconds=second),
    days,
    st.just(0) | st.integers(0, 86_399),
)
categories = st.sampled_from(Category)
commerces = st.sampled_from(Commerce)
billing_days = st.none() | st.integers(1, 31)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kolkata"]
)


def begins_billing_month(day: date, billing_day: int) -> bool:
    return day.day == min(billing_day, calendar.monthrange(day.year, day.month)[1])


def walk_to_end_of_billing_month(incident: date, billing_day: int, months_later: int) -> date:
    day = incident
    while True:
        if begins_billing_month(day + DAY, billing_day):
            if months_later == 0:
                return day
            months_later -= 1
        day += DAY


def walk(start: date, steps: int) -> date:
    for _ in range(steps):
        start += DAY
    return start


def expected_dates(
    category: Category, commerce: Commerce, incident: date, purchased: date | None, billing_day: int | None
) -> list[date]:
    """The published windows again, by walking; no product."""
    dates = [walk_to_end_of_billing_month(incident, 1, 1)]
    if commerce is not Commerce.LEGACY:
        billing_day = 1  # only legacy is billed by its anniversary
    if category is Category.SERVICE_OUTAGE and commerce is Commerce.AZURE:
        dates.append(walk_to_end_of_billing_month(incident, billing_day or 1, 2))
    elif category is Category.SERVICE_OUTAGE:
        dates.append(walk_to_end_of_billing_month(incident, 1, 1))
        dates.append(walk_to_end_of_billing_month(incident, billing_day or 1, 1))
    elif purchased and commerce is Commerce.LEGACY and category is Category.ACCIDENTAL_PURCHASE:
        dates.append(walk(purchased, 90))
    elif purchased and commerce is Commerce.LEGACY and category is Category.DUPLICATE_ORDER:
        dates.append(walk(purchased, 120))
    return dates


def midnight_after(day: date) -> datetime:
    return datetime.combine(day + DAY, time.min, UTC)


def others(deadline: Deadline) -> dict[str, date | None]:
    return {other.rule: other.due_on for other in deadline.also}


@pytest.mark.parametrize("category", Category)
def test_15_february_must_be_received_by_31_march(category: Category) -> None:
    deadline = resolve(category, Commerce.NEW_COMMERCE, date(2021, 2, 15))
    assert deadline.due_on == date(2021, 3, 31)
    assert deadline.due_at == datetime(2021, 4, 1, tzinfo=UTC)
    assert "15 February 2021" in deadline.explanation
    assert "31 March 2021" in deadline.explanation
    assert "UTC" in deadline.explanation


@pytest.mark.parametrize(
    ("incident", "due_on"),
    [
        (date(2024, 1, 31), date(2024, 2, 29)),
        (date(2023, 1, 1), date(2023, 2, 28)),
        (date(2100, 1, 31), date(2100, 2, 28)),
        (date(2026, 12, 1), date(2027, 1, 31)),
        (date(2026, 12, 31), date(2027, 1, 31)),
    ],
)
def test_leap_years_and_december(incident: date, due_on: date) -> None:
    assert resolve(Category.TECHNICAL_ISSUE, Commerce.LEGACY, incident).due_on == due_on


@unhurried
@given(categories, commerces, days, st.none() | days, billing_days)
def test_the_latest_published_date_is_the_deadline_and_the_earliest_drives_reminders(
    category: Category, commerce: Commerce, incident: date, purchased: date | None, billing_day: int | None
) -> None:
    deadline = resolve(category, commerce, incident, purchased=purchased, billing_day=billing_day)
    expected = expected_dates(category, commerce, incident, purchased, billing_day)
    dated = [deadline.due_on, *(other.due_on for other in deadline.also if other.due_on)]
    assert sorted(dated) == sorted(expected)
    assert deadline.due_on == max(expected)
    assert deadline.earliest_due_at == midnight_after(min(expected))
    assert deadline.due_on > incident
    assert deadline.due_at == midnight_after(deadline.due_on)
    assert deadline.instants == tuple(sorted({midnight_after(day) for day in expected}))


@unhurried
@given(days, days, st.sampled_from(["Microsoft 365 A1", "microsoft 365 a1 for Students", None, "Power BI Premium P1"]))
def test_an_exclusive_rule_is_the_deadline_and_the_others_are_only_shown(
    incident: date, purchased: date, product: str | None
) -> None:
    deadline = resolve(Category.ACCIDENTAL_PURCHASE, Commerce.LEGACY, incident, purchased=purchased, product=product)
    is_a1 = product is not None and "365" in product
    assert (deadline.rule == "microsoft-365-a1-30-days") is is_a1
    assert all(other.shut_out is is_a1 for other in deadline.also)
    assert "one-full-calendar-month" in {deadline.rule, *others(deadline)}
    if is_a1:
        assert deadline.due_on == walk(purchased, 30)
        assert deadline.instants == (deadline.earliest_due_at,) == (midnight_after(walk(purchased, 30)),)


def test_azure_outage_has_two_months_after_the_billing_month_and_reminds_by_the_earlier_rule() -> None:
    deadline = resolve(Category.SERVICE_OUTAGE, Commerce.AZURE, date(2026, 2, 15))
    assert deadline.due_on == date(2026, 4, 30)
    assert others(deadline) == {"one-full-calendar-month": date(2026, 3, 31)}
    assert deadline.earliest_due_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert "31 March 2026" in deadline.explanation


@pytest.mark.parametrize(
    ("billing_day", "incident", "due_on"),
    [
        (15, date(2026, 2, 14), date(2026, 3, 14)),
        (15, date(2026, 2, 15), date(2026, 4, 14)),
        (31, date(2026, 2, 27), date(2026, 3, 30)),
        (31, date(2026, 2, 28), date(2026, 4, 29)),
        (29, date(2024, 2, 29), date(2024, 4, 28)),
        (None, date(2026, 12, 31), date(2027, 1, 31)),
    ],
)
def test_a_billing_month_begins_on_its_day_or_on_the_last_of_a_short_month(
    billing_day: int | None, incident: date, due_on: date
) -> None:
    deadline = resolve(Category.SERVICE_OUTAGE, Commerce.LEGACY, incident, billing_day=billing_day)
    assert {deadline.rule: deadline.due_on, **others(deadline)}["sla-billing-month"] == due_on


def test_power_bi_premium_keeps_its_90_days_and_says_what_is_deducted_after_seven() -> None:
    bought = date(2026, 3, 1)
    deadline = resolve(
        Category.ACCIDENTAL_PURCHASE, Commerce.LEGACY, bought, purchased=bought, product="POWER BI PREMIUM (P2)"
    )
    assert deadline.due_on == date(2026, 5, 30)
    assert deadline.earliest_due_at == datetime(2026, 3, 9, tzinfo=UTC)
    seven_days = next(other for other in deadline.also if other.rule == "power-bi-premium-7-days")
    assert "USD 33" in seven_days.effect


@pytest.mark.parametrize("product", ["Microsoft 365 A10", "Office 365 A1", "Microsoft 365 E3 and A1", None, ""])
def test_another_product_is_not_taken_for_microsoft_365_a1(product: str | None) -> None:
    day = date(2026, 3, 1)
    deadline = resolve(Category.ACCIDENTAL_PURCHASE, Commerce.LEGACY, day, purchased=day, product=product)
    assert "microsoft-365-a1-30-days" not in {deadline.rule, *others(deadline)}


def test_without_the_date_of_purchase_the_rule_is_listed_and_says_what_it_needs() -> None:
    deadline = resolve(Category.DUPLICATE_ORDER, Commerce.LEGACY, date(2026, 2, 15))
    assert deadline.due_on == date(2026, 3, 31)
    undated = deadline.also[0]
    assert (undated.rule, undated.due_on, undated.due_at) == ("duplicate-order-120-days", None, None)
    assert "give the date of purchase" in undated.explanation


def test_purchase_windows_are_for_legacy_only() -> None:
    day = date(2026, 2, 15)
    for commerce in (Commerce.NEW_COMMERCE, Commerce.AZURE):
        assert resolve(Category.ACCIDENTAL_PURCHASE, commerce, day, purchased=day).also == ()


def test_rules_of_an_earlier_day() -> None:
    """Before the article of May 2023 nothing but the calendar month was published for Azure."""
    incident = date(2022, 2, 15)
    assert resolve(Category.SERVICE_OUTAGE, Commerce.AZURE, incident, as_of=incident).due_on == date(2022, 3, 31)
    with pytest.raises(PolicyError, match="2021-04-09 or later") as caught:
        resolve(Category.CANCELLATION, Commerce.AZURE, incident, as_of=date(2020, 1, 1))
    assert caught.value.field == "as_of"


@pytest.mark.parametrize("billing_day", [0, -1, 32])
def test_a_day_that_no_month_has_is_refused(billing_day: int) -> None:
    with pytest.raises(PolicyError, match="1 to 31") as caught:
        resolve(Category.SERVICE_OUTAGE, Commerce.LEGACY, date(2026, 1, 1), billing_day=billing_day)
    assert caught.value.field == "billing_day"


def test_a_date_beyond_all_calendars_is_refused() -> None:
    with pytest.raises(PolicyError, match="purchased"):
        resolve(Category.DUPLICATE_ORDER, Commerce.LEGACY, date(2026, 1, 1), purchased=date.max)


def test_a_deadline_reads_the_same_after_its_way_through_json() -> None:
    deadline = resolve(Category.SERVICE_OUTAGE, Commerce.LEGACY, date(2026, 2, 15), billing_day=9)
    assert Deadline.model_validate_json(deadline.model_dump_json()) == deadline
    assert deadline.model_dump(mode="json")["due_at"] == "2026-04-09T00:00:00Z"


def test_reminders_at_nine_in_the_partners_zone_moved_off_the_weekend() -> None:
    """31 March 2026 is a Tuesday: three days before is a Saturday, so that one comes on the Friday."""
    planned = reminders(
        [datetime(2026, 4, 1, tzinfo=UTC)], ZoneInfo("Europe/Berlin"), frozenset(), datetime(2026, 3, 1, tzinfo=UTC)
    )
    assert [(reminder.at.isoformat(), reminder.days_before) for reminder in planned] == [
        ("2026-03-17T08:00:00+00:00", 14),
        ("2026-03-24T08:00:00+00:00", 7),
        ("2026-03-27T08:00:00+00:00", 3),
        ("2026-03-30T07:00:00+00:00", 1),  # summer time began on the 29th
    ]


def test_two_reminders_moved_to_one_day_are_one() -> None:
    """From Friday 27 to Monday 30 nobody works, so 'three days' and 'one day' both fall on Thursday."""
    away = {date(2026, 3, 27), date(2026, 3, 30)}
    planned = reminders([datetime(2026, 4, 1, tzinfo=UTC)], ZoneInfo("UTC"), away, datetime(2026, 3, 25, tzinfo=UTC))
    assert [(reminder.at.date(), reminder.days_before) for reminder in planned] == [(date(2026, 3, 26), 1)]


def test_when_the_earliest_rule_has_passed_the_next_one_is_reminded_of() -> None:
    bought = date(2026, 3, 2)
    deadline = resolve(
        Category.ACCIDENTAL_PURCHASE, Commerce.LEGACY, bought, purchased=bought, product="Power BI Premium"
    )
    zone, now = ZoneInfo("UTC"), datetime(2026, 3, 3, tzinfo=UTC)
    first = reminders(deadline.instants, zone, frozenset(), now)
    assert [reminder.at.date() for reminder in first] == [date(2026, 3, 6)]  # the 9th less 3 days; less 1 is a Sunday
    second = reminders(deadline.instants, zone, frozenset(), datetime(2026, 3, 10, tzinfo=UTC))
    assert second[-1].at.date() == date(2026, 4, 29)
    assert reminders(deadline.instants, zone, frozenset(), deadline.due_at) == ()


@unhurried
@given(
    st.lists(days, min_size=1, max_size=3),
    zones,
    st.integers(-40, 5),
    st.sets(st.integers(0, 30), max_size=20),
    st.integers(0, 86_399),
)
def test_reminders_are_ahead_in_time_and_on_working_days(
    last_days: list[date], zone_name: str, start: int, away: set[int], second: int
) -> None:
    zone = ZoneInfo(zone_name)
    due_ats = [midnight_after(day) for day in last_days]
    now = min(due_ats) + timedelta(days=start, seconds=second)
    holidays = {min(last_days) - timedelta(days=offset) for offset in away}
    planned = reminders(due_ats, zone, holidays, now)

    ahead = [due_at for due_at in due_ats if due_at > now]
    wanted = set()
    for days_before in (14, 7, 3, 1) if ahead else ():
        day = min(ahead).date() - DAY - timedelta(days=days_before)
        while day.weekday() >= 5 or day in holidays:
            day -= DAY
        wanted.add(datetime.combine(day, time(9), zone).astimezone(UTC))
    assert [reminder.at for reminder in planned] == sorted(at for at in wanted if at > now)
    for reminder in planned:
        local = reminder.at.astimezone(zone)
        assert reminder.at < min(ahead)
        assert local.weekday() < 5
        assert local.date() not in holidays


def test_grace_is_ten_working_days_after_the_deadline() -> None:
    """1 April 2026 is a Wednesday; with Good Friday and Easter Monday off, the tenth working day is the 16th."""
    easter = {date(2026, 4, 3), date(2026, 4, 6)}
    assert grace_ends_at(datetime(2026, 4, 1, tzinfo=UTC), easter) == datetime(2026, 4, 17, tzinfo=UTC)


@unhurried
@given(instants, st.sets(st.integers(0, 30)), st.integers(1, 15))
def test_grace_holds_exactly_that_many_full_working_days(start: datetime, away: set[int], working_days: int) -> None:
    holidays = {start.date() + n * DAY for n in away}
    end = grace_ends_at(start, holidays, working_days)
    assert end.time() == time.min
    full = []
    day = start.date()
    while midnight_after(day) <= end:
        if datetime.combine(day, time.min, UTC) >= start and day.weekday() < 5 and day not in holidays:
            full.append(day)
        day += DAY
    assert len(full) == working_days
    assert midnight_after(full[-1]) == end


@pytest.mark.parametrize(
    ("commerce", "due_on"), [(Commerce.NEW_COMMERCE, date(2026, 12, 31)), (Commerce.AZURE, date(2027, 1, 31))]
)
def test_only_legacy_is_billed_by_its_anniversary(commerce: Commerce, due_on: date) -> None:
    assert resolve(Category.SERVICE_OUTAGE, commerce, date(2026, 11, 21), billing_day=20).due_on == due_on
