"""Decisions and credits: counted once, kept through disputes, and never mistaken for one another."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import lifecycle, settlement
from domain.claims import Allocation, Claim, Event, Outcome, Status, next_timer
from domain.credits import CreditLine, InvoiceType, assign
from domain.messages import Dispute, RecordDecision, ReleaseCredit, Reopen, WriteOff
from domain.model import Refused
from domain.money import Money
from domain.policy import POLICY
from domain.settlement import Matched
from domain.tickets import TicketStatus
from domain.triage import Route
from tests.domain.samples import (
    DUE_AT,
    FORM,
    OPENED_AT,
    REQUEST,
    actor,
    allocation,
    asking,
    decision,
    do,
    document,
    found,
    opened,
    reach,
    seen,
    ticket,
)

LATER = OPENED_AT + timedelta(days=20)


def dispute() -> Dispute:
    return Dispute(actor=actor(), request_hash="hash", reason="Half of it is missing")


def release(allocation_id: str) -> ReleaseCredit:
    return ReleaseCredit(actor=actor(), request_hash="hash", allocation_id=allocation_id, reason="Not ours")


def awaiting(*expected: str) -> Claim:
    """Waiting for the credit that follows a cancellation by itself."""
    claim = opened()
    return do(claim, lifecycle.triaged(claim, found(Route.CREDITED_PRO_RATA, expected=expected)))


def allocate(claim: Claim, amount: str, name: str = "1") -> Claim:
    return do(claim, settlement.allocated(claim, allocation(amount, name)))


# Decisions


@pytest.mark.parametrize(
    ("asked", "outcome", "amount", "expected"),
    [
        ("100.00", Outcome.APPROVED, None, "100.00"),
        ("100.00", Outcome.APPROVED, "120.00", "120.00"),  # asked was an estimate
        (None, Outcome.APPROVED, "80.00", "80.00"),
        ("100.00", Outcome.APPROVED_IN_PART, "99.99", "99.99"),
        (None, Outcome.APPROVED_IN_PART, "50.00", "50.00"),
    ],
)
def test_an_approval_waits_for_its_amount(
    asked: str | None, outcome: Outcome, amount: str | None, expected: str
) -> None:
    claim = reach(Status.FILED, asked)
    change = settlement.decided(claim, decision(outcome, amount), LATER)
    after = do(claim, change, LATER)
    assert after.status is Status.AWAITING_CREDIT
    assert after.credit.expected == (Decimal(expected),)
    assert after.credit.since == LATER.date()
    assert after.decision is not None
    assert after.decision.amount == Money(amount=expected, currency="EUR")
    assert f"{expected} EUR" in change.text


@pytest.mark.parametrize(
    ("asked", "outcome", "amount", "field", "says"),
    [
        (None, Outcome.APPROVED, None, "amount", "how much"),
        ("100", Outcome.APPROVED_IN_PART, None, "amount", "how much"),
        ("100", Outcome.APPROVED_IN_PART, "100.00", "amount", "record approved"),
        ("100", Outcome.APPROVED, "0", "amount", "above zero"),
        ("100", Outcome.APPROVED, "-5", "amount", "above zero"),
        ("100", Outcome.DENIED, "5", "amount", "Leave it out"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_with_what_would(
    asked: str | None, outcome: Outcome, amount: str | None, field: str, says: str
) -> None:
    with pytest.raises(Refused, match=says) as refused:
        settlement.decided(reach(Status.FILED, asked), decision(outcome, amount), LATER)
    assert refused.value.refusal.field == field


def test_a_decision_in_another_currency_is_refused() -> None:
    in_dollars = decision().model_copy(update={"amount": Money(amount="5", currency="USD")})
    with pytest.raises(Refused, match="EUR") as refused:
        settlement.decided(reach(Status.FILED, "100"), in_dollars, LATER)
    assert refused.value.refusal.field == "amount.currency"


def test_a_denial_closes_the_claim_and_needs_no_amount() -> None:
    claim = reach(Status.FILED)
    after = do(claim, settlement.decided(claim, decision(Outcome.DENIED, None), LATER))
    assert after.status is Status.DENIED
    assert after.closing_reason == "Denied: Their mail"


def test_a_decision_ends_the_question() -> None:
    claim = reach(Status.NEEDS_INFORMATION)
    assert do(claim, settlement.decided(claim, decision(), LATER)).question is None


def test_a_second_decision_is_not_taken_while_the_first_is_paid() -> None:
    claim = reach(Status.AWAITING_CREDIT)
    with pytest.raises(Refused, match="does not allow record decision"):
        do(claim, settlement.decided(claim, decision(), LATER))


# Money that came


def test_parts_add_up_and_the_last_one_settles() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    assert claim.status is Status.AWAITING_CREDIT
    claim = allocate(claim, "40.00", "2")
    assert claim.status is Status.CREDITED
    assert claim.closing_reason == "Credited: 100.00 EUR on the invoice."


def test_one_allocation_told_twice_counts_once() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    again = allocate(claim, "60.00")
    assert again.status is Status.AWAITING_CREDIT
    assert again.credit.allocated == 60


def test_any_amount_settles_where_none_was_known() -> None:
    claim = awaiting()
    assert settlement.expectation(claim) is None
    assert allocate(claim, "0.01").status is Status.CREDITED


def test_a_charge_of_nothing_waits_for_a_person() -> None:
    claim = awaiting("0")
    assert settlement.matched(claim, Matched(allocations=())) is None


def test_what_is_taken_back_can_come_from_another_line_but_not_from_the_same() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    change = settlement.released(claim, release("alloc-1"))
    after = do(claim, change)
    assert after.credit.allocations == ()
    wanted = settlement.expectation(after)
    assert wanted is not None
    assert wanted.excluded_lines == {"line-1"}
    with pytest.raises(Refused, match="no allocation with that id"):
        settlement.released(after, release("alloc-1"))


def test_matching_tells_credit_contest_and_lateness_once() -> None:
    claim = reach(Status.AWAITING_CREDIT)
    nothing = Matched(allocations=())
    assert settlement.matched(claim, nothing) is None
    trouble = Matched(allocations=(), contested_lines=("line-7",), late_since_invoice="G000777")
    change = settlement.matched(claim, trouble)
    assert change is not None
    assert "line-7" in change.text
    assert "G000777" in change.text
    claim = do(claim, change)
    assert settlement.matched(claim, trouble) is None
    cleared = settlement.matched(claim, nothing)
    assert cleared is not None
    assert do(claim, cleared).credit.late_since_invoice is None
    came = settlement.matched(claim, Matched(allocations=(allocation(),)))
    assert came is not None
    assert "100.00 EUR found on invoice G000123" in came.text
    assert do(claim, came).status is Status.CREDITED


@pytest.mark.parametrize(
    ("parts", "status", "says"),
    [
        ((), Status.WITHDRAWN, "Written off with nothing credited: Too : little"),
        (("30.00",), Status.CREDITED, "Written off after 30.00 EUR: Too : little"),
    ],
)
def test_writing_off_ends_with_what_there_is(parts: tuple[str, ...], status: Status, says: str) -> None:
    claim = reach(Status.AWAITING_CREDIT)
    for part in parts:
        claim = allocate(claim, part)
    change = settlement.written_off(claim, WriteOff(actor=actor(), request_hash="hash", reason="Too : little"))
    after = do(claim, change)
    assert (after.status, after.closing_reason) == (status, says)


# Disputes


def test_a_disputed_decision_goes_back_to_its_ticket_and_keeps_what_was_paid() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    disputed = do(claim, settlement.disputed(claim, dispute()))
    assert disputed.status is Status.FILED
    assert disputed.decision is None
    again = do(disputed, settlement.decided(disputed, decision(), LATER), LATER)
    assert again.status is Status.AWAITING_CREDIT
    assert again.credit.allocated == 60
    wanted = settlement.expectation(again)
    assert wanted is not None
    assert wanted.amounts == (Decimal("40.00"),)
    assert allocate(again, "40.00", "2").status is Status.CREDITED


def test_a_decision_that_what_was_paid_already_covers_settles_at_once() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    disputed = do(claim, settlement.disputed(claim, dispute()))
    in_part = decision(Outcome.APPROVED_IN_PART, "60.00")
    after = do(disputed, settlement.decided(disputed, in_part, LATER), LATER)
    assert after.status is Status.CREDITED
    assert after.decision is not None


def test_a_new_decision_is_in_the_currency_of_what_was_paid() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    disputed = do(claim, settlement.disputed(claim, dispute()))
    in_dollars = RecordDecision(
        actor=actor(),
        request_hash="hash",
        outcome=Outcome.APPROVED,
        amount=Money(amount="100", currency="USD"),
        reason="Their mail",
    )
    with pytest.raises(Refused, match="EUR"):
        settlement.decided(disputed, in_dollars, LATER)


def test_what_a_person_took_back_stays_back_after_a_new_decision() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    claim = do(claim, settlement.released(claim, release("alloc-1")))
    claim = do(claim, settlement.disputed(claim, dispute()))
    claim = do(claim, settlement.decided(claim, decision(), LATER), LATER)
    assert claim.credit.released_lines == ("line-1",)


def test_a_question_asked_while_the_credit_was_awaited_is_asked_after_the_dispute() -> None:
    claim = reach(Status.AWAITING_CREDIT)
    asked = ticket(status=TicketStatus.ATTENTION_NEEDED, modified=LATER, note="Which line?")
    change = lifecycle.ticket_seen(claim, seen(asked), LATER)
    assert change is not None
    claim = do(claim, change)
    after = do(claim, settlement.disputed(claim, dispute()))
    assert (after.status, after.question) == (Status.NEEDS_INFORMATION, "Which line?")


def test_a_disputed_cancellation_credit_is_filed_as_an_exception_however_late() -> None:
    claim = awaiting("41.34", "41.82")
    half_a_year_later = DUE_AT + timedelta(days=120)
    change = settlement.disputed(claim, dispute())
    after = do(claim, change, half_a_year_later)
    assert after.status is Status.COLLECTING_EVIDENCE
    assert after.route is Route.SERVICE_REQUEST
    assert after.triage is not None
    assert "no service request" not in after.triage.explanation
    assert next_timer(after) is None  # neither overdue nor reminded of what has passed
    for kind in (FORM, REQUEST):
        after = do(after, lifecycle.attached(after, document(kind)), half_a_year_later)
    assert after.status is Status.READY_TO_FILE


def test_a_cancellation_credit_disputed_in_time_is_still_reminded() -> None:
    after = do(awaiting("41.34"), settlement.disputed(awaiting("41.34"), dispute()), DUE_AT - timedelta(days=5))
    timer = next_timer(after)
    assert timer is not None
    assert timer.event is Event.REMINDER_DUE
    assert [reminder.days_before for reminder in after.reminders] == [3, 1]


def test_reopening_a_claim_that_was_paid_in_part_counts_that_part() -> None:
    claim = allocate(reach(Status.AWAITING_CREDIT), "60.00")
    claim = do(claim, settlement.disputed(claim, dispute()))
    claim = do(claim, settlement.decided(claim, decision(Outcome.DENIED, None), LATER))
    claim = do(claim, lifecycle.reopened(claim, Reopen(actor=actor(), request_hash="hash", reason="New facts")))
    claim = do(claim, lifecycle.triaged(claim, found(Route.CREDITED_PRO_RATA, expected=("60.00",))))
    assert claim.credit.allocated == 60
    change = settlement.matched(claim, Matched(allocations=claim.credit.allocations))
    assert change is not None
    assert do(claim, change).status is Status.CREDITED


# What is still looked for


def test_a_granted_credit_may_be_on_an_invoice_older_than_its_record_but_not_than_its_ticket() -> None:
    wanted = settlement.expectation(reach(Status.AWAITING_CREDIT))
    assert wanted is not None
    assert wanted.since == (OPENED_AT + timedelta(days=1)).date()
    assert wanted.charge_types == POLICY.charge_types.granted_credit.names


def test_a_cancellations_credit_has_its_own_charge_types_and_counts_from_the_stop() -> None:
    wanted = settlement.expectation(awaiting("41.34", "41.82"))
    assert wanted is not None
    assert wanted.since == OPENED_AT.date()
    assert wanted.charge_types == POLICY.charge_types.self_service_cancellation.names
    assert wanted.amounts == (Decimal("41.34"), Decimal("41.82"))


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.AWAITING_CREDIT])
def test_nothing_is_looked_for_in_another_status(status: Status) -> None:
    assert settlement.expectation(reach(status)) is None


def line(amount: str, number: int, invoice_date: date = OPENED_AT.date()) -> CreditLine:
    return CreditLine(
        id=f"line-{number}",
        invoice_id="G000123",
        invoice_type=InvoiceType.ONE_TIME,
        invoice_date=invoice_date,
        customer_id="7d3c8a0e-CUSTOMER",
        subscription_id="51ab-SUBSCRIPTION",
        currency="EUR",
        amount=Decimal(amount),
        charge_type="Cancel fee",
    )


cents = st.integers(1, 500).map(lambda number: str(Decimal(number) / 100))


@settings(deadline=None)
@given(
    st.lists(cents, min_size=1, max_size=3),
    st.lists(cents, max_size=2),
    st.lists(cents, max_size=8),
)
def test_a_line_that_is_taken_by_itself_always_settles_the_claim(
    expected: list[str], parts: list[str], lines: list[str]
) -> None:
    claim = awaiting(*expected)
    for number, part in enumerate(parts):
        if claim.status is Status.AWAITING_CREDIT:
            claim = allocate(claim, part, f"part-{number}")
    wanted = settlement.expectation(claim)
    if wanted is None:
        return
    taken = assign([line(amount, number) for number, amount in enumerate(lines)], {claim.id: wanted}).allocations
    assert len(taken) <= 1
    for one in taken:
        got = Allocation(
            id="auto", line_id=one.line_id, invoice_id="G000123", amount=one.amount, currency="EUR", by_hand=False
        )
        change = settlement.matched(claim, Matched(allocations=(*claim.credit.allocations, got)))
        assert change is not None
        after = do(claim, change)
        assert after.status is Status.CREDITED
        assert after.credit.allocated in {Decimal(amount) for amount in expected}


def test_a_question_that_was_never_answered_still_stands_after_the_dispute() -> None:
    claim = asking(reach(Status.FILED))
    claim = do(claim, settlement.decided(claim, decision(), LATER), LATER)
    after = do(claim, settlement.disputed(claim, dispute()))
    assert after.status is Status.NEEDS_INFORMATION
    assert after.question == "Which users?"


def test_an_amount_finer_than_its_currency_can_never_be_on_an_invoice_and_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        settlement.decided(reach(Status.FILED), decision(amount="240.001"), OPENED_AT)
    assert caught.value.refusal.rule == "amount_exact"
    assert "2 decimals" in caught.value.refusal.message
