"""The one table: what may happen in which status, for whom it waits, what time does, and that the page tells it."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import lifecycle
from domain.claims import CLOSED, OPEN, TABLE, Claim, CreditState, Event, Status, WaitingOn, next_timer, refusal
from domain.evidence import DOCX, EML, JPEG, KINDS, MSG, PDF, PNG, TEXT, XLSX
from domain.messages import FileAsException
from domain.policy import Category
from domain.roles import PERMISSIONS, Action, Role
from domain.tickets import TicketStatus
from domain.triage import Route
from tests.domain.samples import (
    DUE_AT,
    FORM,
    NUMBER,
    OPENED_AT,
    REQUEST,
    actor,
    allocation,
    do,
    document,
    due,
    filing,
    found,
    opened,
    reach,
    seen,
    ticket,
    until,
)

PAGE = (Path(__file__).parents[2] / "docs" / "claims.md").read_text("utf-8")


# The table


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", Event)
def test_a_status_that_does_not_allow_an_event_says_which_do(status: Status, event: Event) -> None:
    refused = refusal(reach(status), event)
    if status in TABLE[event]:
        # None of these is Azure-related, and no other is filed by claimdesk.
        assert (refused and refused.rule) == ("filed_by_hand" if event is Event.FILE_TICKET else None)
        return
    assert refused is not None
    assert refused.rule == "status_allows"
    for other in TABLE[event]:
        assert other in refused.message.partition("these do:")[2]


def test_everything_a_person_does_is_an_event_and_needs_a_right() -> None:
    by_people = {event.action for event in Event} - {None}
    assert by_people == set(Action) - {Action.OPEN, Action.READ}


def test_from_every_open_status_a_person_can_end_the_claim() -> None:
    for status in OPEN:
        assert Status.WITHDRAWN in TABLE[Event.WITHDRAW][status].to


def test_closed_claims_are_only_taken_up_again_by_a_person_and_credited_ones_never() -> None:
    for event, moves in TABLE.items():
        for status in CLOSED & set(moves):
            assert event in {Event.REOPEN, Event.FILE_AS_EXCEPTION}
            assert status is not Status.CREDITED
    assert set(TABLE[Event.REOPEN]) == CLOSED - {Status.CREDITED}


def test_every_status_is_reached_and_every_open_one_leads_to_the_credit() -> None:
    leads = {
        status: {to for moves in TABLE.values() if status in moves for to in moves[status].to} for status in Status
    }

    def reachable(start: Status) -> set[Status]:
        known, ahead = {start}, [start]
        while ahead:
            for to in leads[ahead.pop()] - known:
                known.add(to)
                ahead.append(to)
        return known

    assert reachable(Status.TRIAGING) == set(Status)
    for status in set(Status) - {Status.CREDITED}:
        assert Status.CREDITED in reachable(status), status


def test_filing_needs_every_required_document_and_the_refusal_names_them() -> None:
    claim = reach(Status.COLLECTING_EVIDENCE)
    overdue = until(claim, Event.DEADLINE_PASSED)
    refused = refusal(overdue, Event.RECORD_FILING)
    assert refused is not None
    assert refused.rule == "checklist_complete"
    assert "form" in refused.message
    assert "written request" in refused.message
    for kind in (FORM, REQUEST):
        overdue = do(overdue, lifecycle.attached(overdue, document(kind)))
    assert overdue.status is Status.OVERDUE
    assert refusal(overdue, Event.RECORD_FILING) is None


def test_the_wrong_role_is_told_which_roles_may() -> None:
    refused = refusal(reach(Status.READY_TO_FILE), Event.RECORD_FILING, actor(Role.CUSTOMER))
    assert refused is not None
    assert refused.forbidden
    assert "admin_agent, global_admin" in refused.message


# Whom it waits for


def _with_request_missing() -> Claim:
    claim = reach(Status.COLLECTING_EVIDENCE)
    return do(claim, lifecycle.attached(claim, document(FORM)))


def _unverified(status: Status) -> Claim:
    claim = reach(status)
    return do(claim, lifecycle.filed(claim, filing(), seen(None), due(claim).at))


def _closed_ticket() -> Claim:
    claim = reach(Status.FILED)
    closed = ticket(status=TicketStatus.CLOSED, modified=OPENED_AT + timedelta(days=9))
    change = lifecycle.ticket_seen(claim, seen(closed), OPENED_AT)
    assert change is not None
    return do(claim, change)


def _credit(**state: object) -> Claim:
    claim = reach(Status.AWAITING_CREDIT)
    return claim.model_copy(update={"credit": claim.credit.model_copy(update=state)})


@pytest.mark.parametrize(
    ("make", "whom"),
    [
        (lambda: reach(Status.TRIAGING), WaitingOn.CLAIMDESK),
        (lambda: reach(Status.CANCEL_NOW), WaitingOn.US),
        (lambda: reach(Status.COLLECTING_EVIDENCE), WaitingOn.US),
        (_with_request_missing, WaitingOn.CUSTOMER),
        (lambda: reach(Status.READY_TO_FILE), WaitingOn.US),
        (lambda: _unverified(Status.READY_TO_FILE), WaitingOn.MICROSOFT),
        (lambda: reach(Status.OVERDUE), WaitingOn.US),
        (lambda: _unverified(Status.OVERDUE), WaitingOn.MICROSOFT),
        (lambda: reach(Status.FILED), WaitingOn.MICROSOFT),
        (_closed_ticket, WaitingOn.US),
        (lambda: reach(Status.NEEDS_INFORMATION), WaitingOn.US),
        (lambda: reach(Status.AWAITING_CREDIT), WaitingOn.MICROSOFT_BILLING),
        (lambda: _credit(late_since_invoice="G1"), WaitingOn.US),
        (lambda: _credit(contested_lines=("line-1",)), WaitingOn.US),
        *((lambda status=status: reach(status), WaitingOn.NOBODY) for status in sorted(CLOSED)),
    ],
)
def test_whom_a_claim_waits_for(make: Callable[[], Claim], whom: WaitingOn) -> None:
    assert make().waiting_on is whom


# One open claim about one thing


def test_two_claims_about_the_same_thing_share_a_key_whatever_the_case_and_blanks() -> None:
    assert opened(reference="EX25194").open_key == opened(reference=" ex25194 ").open_key


def test_another_incident_or_category_is_another_thing() -> None:
    keys = {
        opened().open_key,
        opened(reference="EX99999").open_key,
        opened(reference=None).open_key,
        opened(Category.SERVICE_OUTAGE).open_key,
    }
    assert len(keys) == 4


@pytest.mark.parametrize("status", Status)
def test_only_an_open_claim_keeps_others_out(status: Status) -> None:
    assert (reach(status).open_key is None) is (status in CLOSED)


# What time does


def test_reminders_come_first_then_the_deadline_then_the_end_of_grace() -> None:
    claim, came = reach(Status.READY_TO_FILE), []
    while timer := next_timer(claim):
        came.append((timer.event, timer.at))
        claim = do(claim, lifecycle.timed(claim, timer), timer.at)
    assert [event for event, _ in came] == [Event.REMINDER_DUE] * 4 + [Event.DEADLINE_PASSED, Event.GRACE_ENDED]
    assert [at for _, at in came] == sorted(at for _, at in came)
    assert came[4][1] == DUE_AT
    assert claim.status is Status.EXPIRED


@pytest.mark.parametrize("status", [Status.FILED, Status.AWAITING_CREDIT, *sorted(CLOSED)])
def test_nothing_is_due_once_filed_or_closed(status: Status) -> None:
    assert next_timer(reach(status)) is None


def test_an_unverified_number_is_given_up_after_24_hours_to_the_second() -> None:
    claim = reach(Status.READY_TO_FILE)
    claim = do(claim, lifecycle.filed(claim, filing(), seen(None), OPENED_AT))
    timer = due(claim)
    assert timer.event is Event.TICKET_REFUSED
    assert timer.at == OPENED_AT + timedelta(hours=24)
    after = do(claim, lifecycle.timed(claim, timer), timer.at)
    assert after.status is Status.READY_TO_FILE
    assert after.filing is None
    assert after.earlier_filings == (NUMBER,)


def test_an_overdue_claim_does_not_expire_while_its_ticket_is_looked_for() -> None:
    overdue = reach(Status.OVERDUE)
    assert overdue.grace_ends_at is not None
    last_minute = overdue.grace_ends_at - timedelta(minutes=1)
    claim = do(overdue, lifecycle.filed(overdue, filing(), seen(None), last_minute), last_minute)
    timer = due(claim)
    assert timer.event is Event.TICKET_REFUSED
    assert timer.at == last_minute + timedelta(hours=24)
    in_time = lifecycle.ticket_seen(claim, seen(ticket(created=DUE_AT - timedelta(seconds=1))), timer.at)
    assert in_time is not None
    assert in_time.to is Status.FILED
    refused = do(claim, lifecycle.timed(claim, timer), timer.at)
    assert until(refused, Event.GRACE_ENDED).status is Status.EXPIRED


def test_a_deadline_that_passes_while_the_ticket_is_looked_for_says_so() -> None:
    claim = reach(Status.READY_TO_FILE)
    at = DUE_AT - timedelta(hours=1)
    claim = claim.model_copy(update={"reminders": ()})
    claim = do(claim, lifecycle.filed(claim, filing(), seen(None), at), at)
    change = lifecycle.timed(claim, due(claim))
    assert change.to is Status.OVERDUE
    assert NUMBER in change.text


def test_an_exception_has_no_deadline_but_an_overdue_one_still_ends_with_its_grace() -> None:
    why = FileAsException(actor=actor(), request_hash="hash", reason="Microsoft asked for it")
    refused = reach(Status.NOT_CLAIMABLE)
    taken_up = do(refused, lifecycle.excepted(refused, why))
    collecting = do(taken_up, lifecycle.triaged(taken_up, found(Route.NOT_CLAIMABLE, now=DUE_AT)), DUE_AT)
    assert collecting.status is Status.COLLECTING_EVIDENCE
    assert next_timer(collecting) is None

    overdue = reach(Status.OVERDUE)
    excepted = do(overdue, lifecycle.excepted(overdue, why))
    assert due(excepted).event is Event.GRACE_ENDED


# Settled


@pytest.mark.parametrize(
    ("expected", "exact", "tolerance", "allocated", "settled"),
    [
        ((), None, "0", (), False),
        ((), None, "0", ("0.01",), True),
        (("100",), None, "0", ("99.99",), False),
        (("100",), None, "0", ("60", "40"), True),
        (("100",), None, "0", ("60", "40.01"), True),
        (("41.34", "41.82"), None, "0", ("41.33",), False),
        (("41.34", "41.82"), None, "0", ("41.34",), True),
        (("41.34", "41.82"), None, "0", ("41.50",), True),
        (("41.82",), "41.82", "0.01", ("41.81",), True),
        (("41.82",), "41.82", "0.01", ("41.80",), False),
        (("0",), None, "0", (), False),
        (("0.01",), "0.005", "0.01", (), False),
    ],
)
def test_when_a_credit_is_whole(
    expected: tuple[str, ...], exact: str | None, tolerance: str, allocated: tuple[str, ...], settled: bool
) -> None:
    credit = CreditState(
        expected=tuple(map(Decimal, expected)),
        exact=Decimal(exact) if exact else None,
        tolerance=Decimal(tolerance),
        currency="EUR",
        allocations=tuple(allocation(amount, str(n)) for n, amount in enumerate(allocated)),
    )
    assert credit.is_settled is settled


cents = st.integers(1, 100_000).map(lambda number: str(Decimal(number) / 100))


@settings(deadline=None)
@given(st.lists(cents, max_size=3), st.lists(cents, min_size=1, max_size=4), cents)
def test_more_money_never_unsettles(expected: list[str], parts: list[str], more: str) -> None:
    given_so_far = tuple(allocation(amount, str(n)) for n, amount in enumerate(parts))
    credit = CreditState(expected=tuple(map(Decimal, expected)), currency="EUR", allocations=given_so_far)
    with_more = credit.model_copy(update={"allocations": (*given_so_far, allocation(more, "more"))})
    assert with_more.is_settled >= credit.is_settled


# The page for users


def _rows(*rows: Iterable[str]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _names(values: Iterable[str]) -> str:
    return " ".join(f"`{value}`" for value in values)


def _events() -> str:
    rows = [("what happens", "in", "becomes"), ("---", "---", "---")]
    for event, moves in TABLE.items():
        by_target: dict[tuple[Status, ...], list[Status]] = {}
        for status in moves:
            stays = moves[status].to == {status}
            to = () if stays else tuple(target for target in Status if target in moves[status].to)
            by_target.setdefault(to, []).append(status)
        for to, statuses in by_target.items():
            ordered = (status for status in Status if status in statuses)
            rows.append((f"`{event}`", _names(ordered), _names(to) or "the same"))
    return _rows(*rows)


def _permissions() -> str:
    head = ("", *(role.replace("_", " ") for role in Role))
    body = ((f"`{action}`", *("✓" if role in PERMISSIONS[action] else "" for role in Role)) for action in Action)
    return _rows(head, ("---",) * len(head), *body)


_TYPES = {
    PDF: "PDF",
    DOCX: "Word (.docx)",
    XLSX: "Excel (.xlsx)",
    EML: "e-mail (.eml)",
    MSG: "Outlook e-mail (.msg)",
    PNG: "PNG",
    JPEG: "JPEG",
    TEXT: "text in UTF-8",
}


def _evidence() -> str:
    body = (
        (f"`{rule.kind}`", rule.title, ", ".join(_TYPES[kind] for kind in rule.media_types)) for rule in KINDS.values()
    )
    return _rows(("kind", "what it is", "accepted as"), ("---",) * 3, *body)


@pytest.mark.parametrize("table", [_events, _permissions, _evidence])
def test_the_page_holds_the_table_as_the_code_has_it(table: Callable[[], str]) -> None:
    assert table() in PAGE, f"put this into docs/claims.md:\n\n{table()}"


@pytest.mark.parametrize(("section", "words"), [("Statuses", Status), ("Routes", Route)])
def test_the_page_explains_every_word(section: str, words: type[Status] | type[Route]) -> None:
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == list(words)


def test_a_reference_of_blanks_is_none_to_be_given() -> None:
    with pytest.raises(ValidationError, match="at least 1 character"):
        opened(reference="  ")
