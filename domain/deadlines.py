"""Until when Microsoft must have a claim, why, and when to remind whom it waits on.

Microsoft states no time zone for its dates; they are read as UTC, and every explanation says so.
"""

import calendar
from collections.abc import Container, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.model import Frozen
from domain.policy import POLICY, Category, Commerce, CountsFrom, PolicyError, Rule

_DAY = timedelta(days=1)


class OtherRule(Frozen):
    """A published rule that applies beside the one that sets the deadline, or that an exclusive rule shuts out."""

    rule: str
    due_on: date | None
    """The last day; None where the rule counts from a purchase whose date isn't known."""
    due_at: datetime | None
    """The first instant too late, UTC."""
    source: str
    explanation: str
    effect: str = ""
    shut_out: bool = False
    """True when an exclusive rule takes this one's place."""


class Deadline(Frozen):
    """When Microsoft must have received the claim and all that it requires, with the rules it follows from."""

    due_on: date
    """The last day."""
    due_at: datetime
    """The first instant too late: midnight UTC after `due_on`."""
    rule: str
    source: str
    explanation: str
    effect: str = ""
    also: tuple[OtherRule, ...] = ()
    earliest_due_at: datetime
    """The earliest `due_at` of all rules that apply; reminders count from it."""
    policy_version: str

    @property
    def instants(self) -> tuple[datetime, ...]:
        """The `due_at` of every rule that applies, earliest first, for `reminders`."""
        others = {other.due_at for other in self.also if other.due_at and not other.shut_out}
        return tuple(sorted({self.due_at} | others))


class Reminder(Frozen):
    """One reminder: the instant (UTC), and how many days before the last day it was meant to be."""

    at: datetime
    days_before: int
    """14, 7, 3 or 1; the day itself may be earlier, moved off a weekend or holiday."""


class _Dated(NamedTuple):
    rule: Rule
    due_on: date | None
    explanation: str


def resolve(
    category: Category,
    commerce: Commerce,
    incident: date,
    *,
    purchased: date | None = None,
    billing_day: int | None = None,
    product: str | None = None,
    as_of: date | None = None,
) -> Deadline:
    """The deadline of a claim, from every published rule that applies to it.

    The latest date is the deadline, unless an exclusive rule applies: then its date is. A rule that counts from
    the purchase can't be dated without `purchased`; it is listed undated and says so. `purchased` may lie before or
    after the incident: a duplicate order counts from the newer purchase. `billing_day` is the day of the month on
    which the customer's billing month begins; without it that is the 1st. `as_of` leaves out rules published later.

    Raises PolicyError for a billing day outside 1 to 31, a date too far off to be meant, or an `as_of` before any rule.
    """
    if billing_day is not None and not 1 <= billing_day <= 31:
        raise PolicyError("billing_day", f"{billing_day} isn't a day of a month", "1 to 31")
    for field, day in (("incident", incident), ("purchased", purchased)):
        if day is not None and not 1970 <= day.year <= 2999:
            raise PolicyError(field, f"{day.isoformat()} is too far off", "a date from 1970 to 2999")

    rules = POLICY.rules_for(category, commerce, product, as_of)
    # Only legacy is billed by its anniversary; new commerce and Azure by the calendar month (A1, RC23).
    month_begins = billing_day if billing_day and commerce is Commerce.LEGACY else 1
    dated = [_dated(rule, incident, purchased, month_begins) for rule in rules]
    known = {entry.rule.id: entry.due_on for entry in dated if entry.due_on is not None}
    if not known:
        first = min(rule.effective_from for rule in POLICY.rules_for(category, commerce, product))
        raise PolicyError("as_of", "no rule for such a claim was published by then", f"{first.isoformat()} or later")

    exclusive = [entry for entry in dated if entry.rule.exclusive and entry.rule.id in known]
    # Of equal dates, the rule written for fewer categories tells the person more.
    chosen = max(
        (entry for entry in exclusive or dated if entry.rule.id in known),
        key=lambda entry: (known[entry.rule.id], -len(entry.rule.categories)),
    )
    due_on = known[chosen.rule.id]
    earliest = min([known[entry.rule.id] for entry in exclusive] or known.values())
    others = tuple(
        OtherRule(
            rule=entry.rule.id,
            due_on=entry.due_on,
            due_at=_end_of(entry.due_on) if entry.due_on else None,
            source=POLICY.cite(entry.rule.source),
            explanation=entry.explanation + (f" The rule {chosen.rule.id} takes its place." if exclusive else ""),
            effect=entry.rule.effect,
            shut_out=bool(exclusive),
        )
        for entry in dated
        if entry is not chosen
    )
    return Deadline(
        due_on=due_on,
        due_at=_end_of(due_on),
        rule=chosen.rule.id,
        source=POLICY.cite(chosen.rule.source),
        explanation=(
            f"{chosen.explanation} Microsoft must have the claim and all that it requires by the end of that day; it "
            "states no time zone, so the day is taken to end at midnight UTC."
            + (f" Another rule that applies ends earlier, with {_say(earliest)}." if earliest < due_on else "")
        ),
        effect=chosen.rule.effect,
        also=others,
        earliest_due_at=_end_of(earliest),
        policy_version=POLICY.version,
    )


def purchase_window(deadline: Deadline) -> tuple[date, datetime] | None:
    """The last day, and the first instant too late, of the longest rule that counts from the purchase: after it no
    rule grants the whole price (RC23). None where no such rule applies, or the purchase isn't dated."""
    by_purchase = {rule.id for rule in POLICY.rules if rule.counts_from is CountsFrom.PURCHASE}
    rules: list[Deadline | OtherRule] = [deadline, *(other for other in deadline.also if not other.shut_out)]
    ends = [
        (each.due_on, each.due_at)
        for each in rules
        if each.rule in by_purchase and each.due_on is not None and each.due_at is not None
    ]
    return max(ends, default=None)


def reminders(
    due_ats: Iterable[datetime], zone: ZoneInfo, holidays: Container[date], now: datetime
) -> tuple[Reminder, ...]:
    """The reminders still ahead of `now`, earliest first, for the earliest of `due_ats` that is still ahead.

    Each is 14, 7, 3 or 1 days before that last day (a UTC date) at 09:00 in the partner's `zone`; on a weekend or a
    holiday it moves to the working day before. Two that meet on one day are one: the nearer to the deadline.
    Once that instant has passed, asking again gives the reminders of the next one.
    """
    ahead = [due_at for due_at in due_ats if due_at > now]
    if not ahead:
        return ()
    last_day = _last_day(min(ahead))
    planned: dict[datetime, Reminder] = {}
    for days_before in sorted(POLICY.reminder_days, reverse=True):
        day = last_day - timedelta(days=days_before)
        while _rests(day, holidays) and _at_reminder_hour(day, zone) > now:
            day -= _DAY
        at = _at_reminder_hour(day, zone)
        if at > now:
            planned[at] = Reminder(at=at, days_before=days_before)
    return tuple(planned[at] for at in sorted(planned))


def grace_ends_at(
    from_instant: datetime, holidays: Container[date], working_days: int = POLICY.grace_working_days
) -> datetime:
    """The instant (UTC) after so many full working days that follow `from_instant`. A day already begun isn't full."""
    start = from_instant.astimezone(UTC)
    day = start.date() if start.time() == time.min else start.date() + _DAY
    left = working_days
    while left:
        if not _rests(day, holidays):
            left -= 1
        day += _DAY
    return datetime.combine(day, time.min, UTC)


def _dated(rule: Rule, incident: date, purchased: date | None, billing_day: int) -> _Dated:
    if rule.counts_from is CountsFrom.PURCHASE:
        assert rule.days is not None
        if purchased is None:
            needed = f"It counts {rule.days} days from the purchase: give the date of purchase to see its last day."
            if rule.exclusive:
                needed += " Once dated, it takes the place of every other rule."
            return _Dated(rule, None, f"{rule.title}. {needed}")
        due_on = purchased + timedelta(days=rule.days)
        counted = f"{rule.days} days from the purchase on {_say(purchased)} end with {_say(due_on)}."
        return _Dated(rule, due_on, f"{rule.title}. {counted}")

    assert rule.months is not None
    if rule.counts_from is CountsFrom.INCIDENT:
        due_on = _billing_month(incident, 1, later=rule.months)[1]
        following = "following month" if rule.months == 1 else f"month {rule.months} months later"
        counted = f"The incident was on {_say(incident)}: the last day is that of the {following}, {_say(due_on)}."
        return _Dated(rule, due_on, f"{rule.title}. {counted}")

    first, last = _billing_month(incident, billing_day)
    due_on = _billing_month(incident, billing_day, later=rule.months)[1]
    counted = (
        f"The incident on {_say(incident)} is in the billing month from {_say(first)} to {_say(last)}; "
        f"the last day, {'one month' if rule.months == 1 else f'{rule.months} months'} from its end, is {_say(due_on)}."
    )
    return _Dated(rule, due_on, f"{rule.title}. {counted}")


def _billing_month(day: date, billing_day: int, later: int = 0) -> tuple[date, date]:
    """First and last day of the billing month that holds `day`, or of the one so many months later."""
    number = day.year * 12 + day.month - 1 + later
    if day < _billing_date(day.year * 12 + day.month - 1, billing_day):
        number -= 1
    return _billing_date(number, billing_day), _billing_date(number + 1, billing_day) - _DAY


def _billing_date(month_number: int, billing_day: int) -> date:
    """The day on which a billing month begins; in a month that lacks that day, the month's last day."""
    year, month = divmod(month_number, 12)
    return date(year, month + 1, min(billing_day, calendar.monthrange(year, month + 1)[1]))


def _end_of(day: date) -> datetime:
    return datetime.combine(day + _DAY, time.min, UTC)


def _last_day(due_at: datetime) -> date:
    return (due_at.astimezone(UTC) - timedelta(microseconds=1)).date()


def _at_reminder_hour(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(POLICY.reminder_hour), zone).astimezone(UTC)


def _rests(day: date, holidays: Container[date]) -> bool:
    return day.weekday() >= 5 or day in holidays


def _say(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
