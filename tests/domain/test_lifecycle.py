"""What events do to a claim: nothing is lost, nothing is asked twice, and what was filed in time stays so."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import lifecycle, settlement
from domain.claims import TABLE, Claim, Entry, Event, Outcome, RaisedBy, Status, next_timer
from domain.lifecycle import Change
from domain.messages import (
    Assign,
    CheckAgain,
    Dispute,
    FileAsException,
    ReleaseCredit,
    Reopen,
    Reply,
    RevokeEvidence,
    WriteOff,
)
from domain.model import Refused
from domain.roles import Role
from domain.settlement import Matched
from domain.tickets import Ticket, TicketLookup, TicketStatus
from domain.triage import Route
from tests.domain.samples import (
    DUE_AT,
    FORM,
    NUMBER,
    OPENED_AT,
    REQUEST,
    actor,
    allocation,
    asking,
    decision,
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
    withdrawal,
)

OTHER = "2602160040009999"
DAY = timedelta(days=1)


def reply(text: str = "Twelve users.") -> Reply:
    return Reply(actor=actor(), request_hash="hash", text=text)


def revoke(kind: str, reason: str = "The wrong one") -> RevokeEvidence:
    return RevokeEvidence(actor=actor(), request_hash="hash", document_id=f"doc-{kind}-1", reason=reason)


def reopening() -> Reopen:
    return Reopen(actor=actor(), request_hash="hash", reason="They found it")


def exception() -> FileAsException:
    return FileAsException(actor=actor(), request_hash="hash", reason="Their manager agreed")


def unverified(status: Status = Status.READY_TO_FILE, at: datetime = OPENED_AT) -> Claim:
    claim = reach(status)
    return do(claim, lifecycle.filed(claim, filing(), seen(None), at), at)


def asks(question: str | None, *, at: datetime, number: str = NUMBER) -> Ticket:
    return ticket(number, status=TicketStatus.ATTENTION_NEEDED, modified=at, note=question)


# Making a change


def test_a_change_counts_the_version_and_tells_who_did_it() -> None:
    claim = opened()
    by = actor(Role.HELPDESK_AGENT)
    change = lifecycle.assigned(claim, Assign(actor=by, request_hash="hash", assignee="Ann"))
    after, entry = lifecycle.apply(claim, change, OPENED_AT + DAY, by)
    assert (after.version, entry.version, entry.actor) == (claim.version + 1, claim.version + 1, by)
    assert after.assignee == "Ann"
    assert after.status_since == claim.status_since  # it didn't move
    moved = do(after, lifecycle.withdrawn(after, withdrawal()), OPENED_AT + 2 * DAY)
    assert moved.status_since == OPENED_AT + 2 * DAY


def test_what_the_table_or_the_role_forbids_changes_nothing() -> None:
    claim = reach(Status.FILED)
    with pytest.raises(Refused, match="does not allow reopen"):
        lifecycle.apply(claim, lifecycle.reopened(claim, reopening()), OPENED_AT)
    with pytest.raises(Refused, match="can't turn"):
        lifecycle.apply(claim, Change(Event.WITHDRAW, Status.CREDITED, ""), OPENED_AT)
    with pytest.raises(Refused, match="may not record decision"):
        lifecycle.apply(
            claim, settlement.decided(claim, decision(), OPENED_AT), OPENED_AT, actor(Role.INDIRECT_RESELLER)
        )


def test_the_answer_to_a_request_is_kept_under_its_id() -> None:
    claim = lifecycle.remember(opened(), "update-1", "body", "doc-1")
    answer = claim.answers["update-1"]
    assert (answer.request_hash, answer.result, answer.status, answer.version) == ("body", "doc-1", "triaging", 1)
    assert set(lifecycle.remember(claim, "update-2", "other", None).answers) == {"update-1", "update-2"}


def test_the_first_entry_says_who_raised_it_in_words() -> None:
    claim = opened(raised_by=RaisedBy.INDIRECT_RESELLER)
    assert "raised by the indirect reseller" in lifecycle.opened(claim).text


# Triage


@pytest.mark.parametrize(
    ("route", "status"),
    [
        (Route.CANCEL_NOW, Status.CANCEL_NOW),
        (Route.REFUNDED_IN_FULL, Status.AWAITING_CREDIT),
        (Route.CREDITED_PRO_RATA, Status.AWAITING_CREDIT),
        (Route.AZURE_TICKET, Status.COLLECTING_EVIDENCE),
        (Route.SERVICE_REQUEST, Status.COLLECTING_EVIDENCE),
        (Route.NOT_CLAIMABLE, Status.NOT_CLAIMABLE),
    ],
)
def test_where_a_route_leads(route: Route, status: Status) -> None:
    claim = opened()
    after = do(claim, lifecycle.triaged(claim, found(route)))
    assert after.status is status
    assert after.route is route
    assert (after.closing_reason is not None) is (status is Status.NOT_CLAIMABLE)


def test_documents_sent_before_the_route_was_known_count() -> None:
    claim = opened()
    for kind in (FORM, REQUEST):
        claim = do(claim, lifecycle.attached(claim, document(kind)))
    assert do(claim, lifecycle.triaged(claim, found())).status is Status.READY_TO_FILE


def test_an_exception_overrules_the_rule_and_says_why() -> None:
    refused = reach(Status.NOT_CLAIMABLE)
    claim = do(refused, lifecycle.excepted(refused, exception()))
    assert claim.closing_reason is None
    change = lifecycle.triaged(claim, found(Route.NOT_CLAIMABLE))
    after = do(claim, change)
    assert after.status is Status.COLLECTING_EVIDENCE
    assert after.route is Route.SERVICE_REQUEST
    assert "Their manager agreed" in change.text


# Documents


def test_the_last_document_makes_it_ready_and_a_revoked_one_takes_it_back() -> None:
    claim = reach(Status.READY_TO_FILE)
    back = do(claim, lifecycle.revoked(claim, revoke(FORM)))
    assert back.status is Status.COLLECTING_EVIDENCE
    assert [document.kind for document in back.documents] == [REQUEST]
    again = do(back, lifecycle.attached(back, document(FORM, "2")))
    assert again.status is Status.READY_TO_FILE


def test_the_same_document_is_attached_once_a_kind() -> None:
    claim = reach(Status.READY_TO_FILE)
    refused = lifecycle.document_refusal(claim, document(FORM), 50)
    assert refused is not None
    assert refused.field == "file"
    other_kind = document(FORM).model_copy(update={"kind": REQUEST})
    assert lifecycle.document_refusal(claim, other_kind, 50) is None


def test_a_document_that_is_not_there_cannot_be_revoked() -> None:
    with pytest.raises(Refused, match="no document with that id"):
        lifecycle.revoked(reach(Status.COLLECTING_EVIDENCE), revoke(FORM))


@pytest.mark.parametrize("status", [Status.READY_TO_FILE, Status.OVERDUE])
def test_documents_stay_while_the_ticket_they_went_with_is_looked_for(status: Status) -> None:
    claim = unverified(status)
    with pytest.raises(Refused, match=NUMBER):
        do(claim, lifecycle.revoked(claim, revoke(FORM)))
    late_addition = do(claim, lifecycle.attached(claim, document(FORM, "2")))
    assert late_addition.status is status
    given_up = until(late_addition, Event.TICKET_REFUSED)
    assert len(do(given_up, lifecycle.revoked(given_up, revoke(FORM))).documents) == 2


# Filing


def test_filed_on_the_last_day_and_recorded_the_day_after_is_in_time() -> None:
    claim = reach(Status.OVERDUE)
    last = ticket(created=DUE_AT - timedelta(seconds=1))
    after = do(claim, lifecycle.filed(claim, filing(), seen(last), DUE_AT + DAY), DUE_AT + DAY)
    assert after.status is Status.FILED


def test_a_ticket_created_at_the_first_instant_too_late_is_refused_unless_as_an_exception() -> None:
    claim = reach(Status.OVERDUE)
    late = seen(ticket(created=DUE_AT))
    with pytest.raises(Refused, match="file as exception") as refused:
        lifecycle.filed(claim, filing(), late, DUE_AT + DAY)
    assert refused.value.refusal.field == "ticket_number"
    excepted = do(claim, lifecycle.excepted(claim, exception()), DUE_AT + DAY)
    assert do(excepted, lifecycle.filed(excepted, filing(), late, DUE_AT + DAY), DUE_AT + DAY).status is Status.FILED


def test_a_ticket_of_another_customer_is_refused_now_and_when_it_becomes_visible() -> None:
    strange = TicketLookup(ticket=None, other_customer=True)
    with pytest.raises(Refused, match="this customer's ticket"):
        lifecycle.filed(reach(Status.READY_TO_FILE), filing(), strange, OPENED_AT)
    claim = unverified()
    change = lifecycle.ticket_seen(claim, strange, OPENED_AT)
    assert change is not None
    after = do(claim, change)
    assert (after.status, after.filing, after.earlier_filings) == (Status.READY_TO_FILE, None, (NUMBER,))


def test_a_number_that_turns_out_to_have_been_filed_late_is_refused_when_it_becomes_visible() -> None:
    claim = unverified(Status.OVERDUE, DUE_AT + DAY)
    change = lifecycle.ticket_seen(claim, seen(ticket(created=DUE_AT + timedelta(hours=1))), DUE_AT + 2 * DAY)
    assert change is not None
    assert do(claim, change).status is Status.OVERDUE
    assert "exception" in change.text


def test_an_unverified_number_becomes_the_filing_once_it_is_visible() -> None:
    claim = unverified()
    assert lifecycle.ticket_seen(claim, seen(None), OPENED_AT) is None
    change = lifecycle.ticket_seen(claim, seen(ticket()), OPENED_AT)
    assert change is not None
    after = do(claim, change)
    assert after.status is Status.FILED
    assert after.ticket == ticket()


def test_an_unverified_number_is_corrected_by_another_with_its_own_24_hours() -> None:
    claim = unverified()
    later = OPENED_AT + timedelta(hours=20)
    after = do(claim, lifecycle.filed(claim, filing(OTHER), seen(None), later), later)
    assert after.filing is not None
    assert (after.filing.number, after.filing.give_up_at) == (OTHER, later + DAY)
    assert after.earlier_filings == (NUMBER,)


def test_the_same_number_given_again_does_not_start_another_24_hours() -> None:
    claim = unverified()
    later = OPENED_AT + timedelta(hours=20)
    after = do(claim, lifecycle.filed(claim, filing(), seen(None), later), later)
    assert due(after).at == OPENED_AT + DAY
    assert after.earlier_filings == ()
    visible = do(claim, lifecycle.filed(claim, filing(), seen(ticket()), later), later)
    assert visible.status is Status.FILED


def test_a_wrong_number_is_corrected_after_filing_but_never_by_one_that_is_not_visible() -> None:
    claim = reach(Status.FILED)
    after = do(claim, lifecycle.filed(claim, filing(OTHER), seen(ticket(OTHER)), OPENED_AT))
    assert after.ticket is not None
    assert (after.ticket.number, after.earlier_filings) == (OTHER, (NUMBER,))
    with pytest.raises(Refused, match="stays"):
        lifecycle.filed(claim, filing(OTHER), seen(None), OPENED_AT)


def test_the_number_on_record_given_again_changes_nothing() -> None:
    claim = reach(Status.NEEDS_INFORMATION)
    assert claim.ticket is not None
    with pytest.raises(Refused, match="recorded already"):
        lifecycle.filed(claim, filing(), seen(claim.ticket), OPENED_AT)


@pytest.mark.parametrize("status", [Status.WITHDRAWN, Status.COLLECTING_EVIDENCE, Status.TRIAGING])
def test_a_ticket_that_becomes_visible_after_the_claim_moved_on_is_no_news(status: Status) -> None:
    claim = unverified().model_copy(update={"status": status})
    assert lifecycle.ticket_seen(claim, seen(ticket()), OPENED_AT) is None


# Questions


def test_a_question_is_shown_answered_and_not_shown_again_while_microsoft_lags() -> None:
    claim = reach(Status.NEEDS_INFORMATION)
    assert claim.question == "Which users?"
    assert claim.ticket is not None
    # Microsoft doesn't show our note yet: it answers with the ticket as it was.
    replied = do(claim, lifecycle.replied(claim, reply(), claim.ticket))
    assert (replied.status, replied.question) == (Status.FILED, None)
    later = OPENED_AT + 3 * DAY
    touched = claim.ticket.model_copy(update={"modified_at": later, "fingerprint": "attention_needed|touched"})
    change = lifecycle.ticket_seen(replied, seen(touched), later)
    assert change is not None
    assert change.to is Status.FILED
    ours = asks("  Twelve\n users. ", at=later + DAY)
    change = lifecycle.ticket_seen(replied, seen(ours), later + DAY)
    assert change is not None
    assert change.to is Status.FILED


def test_an_older_state_of_the_ticket_is_no_news() -> None:
    claim = reach(Status.NEEDS_INFORMATION)
    assert lifecycle.ticket_seen(claim, seen(ticket()), OPENED_AT + 3 * DAY) is None


def test_the_same_words_asked_again_later_are_a_new_question() -> None:
    claim = reach(Status.NEEDS_INFORMATION)
    assert claim.ticket is not None
    replied = do(claim, lifecycle.replied(claim, reply(), claim.ticket))
    assert asking(replied, "Which users?", OPENED_AT + 5 * DAY).status is Status.NEEDS_INFORMATION


def test_a_question_without_a_note_still_asks_for_attention() -> None:
    claim = reach(Status.FILED)
    for note in (None, ""):
        change = lifecycle.ticket_seen(claim, seen(asks(note, at=OPENED_AT + 2 * DAY)), OPENED_AT)
        assert change is not None
        after = do(claim, change)
        assert after.status is Status.NEEDS_INFORMATION
        assert after.question == "Microsoft needs attention; see the ticket."


@pytest.mark.parametrize("status", [Status.READY_TO_FILE, Status.OVERDUE, Status.FILED, Status.NEEDS_INFORMATION])
def test_a_question_that_was_on_the_ticket_when_it_was_recorded_is_asked(status: Status) -> None:
    claim = reach(status)
    asked = asks("Since when?", at=OPENED_AT + 2 * DAY, number=OTHER)
    after = do(claim, lifecycle.filed(claim, filing(OTHER), seen(asked), OPENED_AT))
    assert (after.status, after.question) == (Status.NEEDS_INFORMATION, "Since when?")


def test_a_question_that_was_on_the_ticket_when_it_became_visible_is_asked() -> None:
    claim = unverified()
    change = lifecycle.ticket_seen(claim, seen(asks("Since when?", at=OPENED_AT + 2 * DAY)), OPENED_AT)
    assert change is not None
    assert do(claim, change).question == "Since when?"


def test_a_second_question_that_came_while_the_first_was_answered_is_asked() -> None:
    claim = reach(Status.NEEDS_INFORMATION)
    another = asks("And since when?", at=OPENED_AT + 3 * DAY)
    after = do(claim, lifecycle.replied(claim, reply(), another))
    assert (after.status, after.question) == (Status.NEEDS_INFORMATION, "And since when?")


def test_there_is_no_reply_without_a_ticket() -> None:
    with pytest.raises(Refused, match="Record the filing first"):
        lifecycle.replied(reach(Status.READY_TO_FILE), reply(), ticket())


def test_a_closed_ticket_waits_for_its_decision_and_repeats_change_nothing() -> None:
    claim = reach(Status.FILED)
    closed = ticket(status=TicketStatus.CLOSED, modified=OPENED_AT + 9 * DAY)
    change = lifecycle.ticket_seen(claim, seen(closed), OPENED_AT)
    assert change is not None
    after = do(claim, change)
    assert after.status is Status.FILED
    assert "decision" in change.text
    assert lifecycle.ticket_seen(after, seen(closed), OPENED_AT) is None


def test_a_ticket_that_changes_after_the_decision_is_noted() -> None:
    claim = reach(Status.AWAITING_CREDIT)
    change = lifecycle.ticket_seen(claim, seen(asks("?", at=OPENED_AT + 30 * DAY)), OPENED_AT)
    assert change is not None
    assert do(claim, change).status is Status.AWAITING_CREDIT
    assert "attention needed" in change.text


# Reminders


def test_reminders_stop_at_filing_and_go_on_at_a_question_with_those_still_ahead() -> None:
    claim = reach(Status.FILED)
    assert next_timer(claim) is None
    ten_days_before = DUE_AT - 10 * DAY
    asked = asking(claim, at=ten_days_before)
    assert [reminder.days_before for reminder in asked.reminders] == [7, 3, 1]
    timer = due(asked)
    assert timer.event is Event.REMINDER_DUE
    assert timer.at > ten_days_before
    assert "7 days" in lifecycle.timed(asked, timer).text


def test_a_question_after_the_deadline_reminds_of_nothing_and_expires_nothing() -> None:
    claim = asking(reach(Status.FILED), at=DUE_AT + DAY)
    assert next_timer(claim) is None


def test_a_question_found_at_filing_drops_the_reminders_that_passed() -> None:
    claim = reach(Status.OVERDUE)
    in_time = ticket(created=OPENED_AT, status=TicketStatus.ATTENTION_NEEDED, modified=OPENED_AT, note="?")
    claim = claim.model_copy(update={"reminders": reach(Status.READY_TO_FILE).reminders})
    after = do(claim, lifecycle.filed(claim, filing(), seen(in_time), DUE_AT + DAY), DUE_AT + DAY)
    assert after.status is Status.NEEDS_INFORMATION
    assert next_timer(after) is None


def test_a_reminder_names_its_day_and_comes_once() -> None:
    claim = reach(Status.COLLECTING_EVIDENCE)
    change = lifecycle.timed(claim, due(claim))
    assert "14 days" in change.text
    assert "2026-03-31" in change.text
    last = claim.model_copy(update={"reminders": claim.reminders[-1:]})
    assert "1 day before" in lifecycle.timed(last, due(last)).text
    assert do(last, lifecycle.timed(last, due(last))).reminders == ()


# Taken up again


@pytest.mark.parametrize("status", [Status.DENIED, Status.EXPIRED, Status.WITHDRAWN, Status.NOT_CLAIMABLE])
def test_reopening_keeps_documents_and_leaves_filing_and_decision_behind(status: Status) -> None:
    closed = reach(status)
    claim = do(closed, lifecycle.reopened(closed, reopening()))
    assert claim.status is Status.TRIAGING
    assert claim.documents == closed.documents
    assert (claim.filing, claim.decision, claim.question, claim.closing_reason) == (None, None, None, None)
    if closed.filing:
        assert closed.filing.number in claim.earlier_filings


def test_a_claim_reopened_after_the_deadline_is_overdue_with_fresh_grace_and_its_old_ticket_still_counts() -> None:
    denied = reach(Status.DENIED)
    later = DUE_AT + 60 * DAY
    claim = do(denied, lifecycle.reopened(denied, reopening()), later)
    claim = do(claim, lifecycle.triaged(claim, found(now=later)), later)
    assert claim.status is Status.READY_TO_FILE
    assert claim.reminders == ()
    timer = due(claim)
    assert (timer.event, timer.at) == (Event.DEADLINE_PASSED, DUE_AT)
    claim = do(claim, lifecycle.timed(claim, timer), later)
    assert due(claim).at > later + 10 * DAY
    assert do(claim, lifecycle.filed(claim, filing(), seen(ticket()), later), later).status is Status.FILED


# Any order


def _at(claim: Claim, at: datetime) -> Ticket:
    number = claim.filing.number if claim.filing else NUMBER
    return ticket(number, modified=at)


Step = Callable[[Claim, datetime], Change | None]

STEPS: list[tuple[Event, Step]] = [
    (Event.TRIAGED, lambda claim, at: lifecycle.triaged(claim, found(now=at))),
    (
        Event.TRIAGED,
        lambda claim, at: lifecycle.triaged(claim, found(Route.CREDITED_PRO_RATA, now=at, expected=("41.34", "41.82"))),
    ),
    (
        Event.TRIAGED,
        lambda claim, at: lifecycle.triaged(claim, found(Route.CANCEL_NOW, now=at, window_shuts_at=at + DAY)),
    ),
    (Event.TRIAGED, lambda claim, at: lifecycle.triaged(claim, found(Route.NOT_CLAIMABLE, now=at))),
    (Event.ATTACH_EVIDENCE, lambda claim, at: lifecycle.attached(claim, document(FORM, str(claim.version)))),
    (Event.ATTACH_EVIDENCE, lambda claim, at: lifecycle.attached(claim, document(REQUEST, str(claim.version)))),
    (
        Event.REVOKE_EVIDENCE,
        lambda claim, at: lifecycle.revoked(
            claim, revoke(FORM).model_copy(update={"document_id": claim.documents[0].id if claim.documents else "none"})
        ),
    ),
    (Event.RECORD_FILING, lambda claim, at: lifecycle.filed(claim, filing(), seen(ticket(modified=at)), at)),
    (Event.RECORD_FILING, lambda claim, at: lifecycle.filed(claim, filing(), seen(None), at)),
    (Event.RECORD_FILING, lambda claim, at: lifecycle.filed(claim, filing(), seen(ticket(created=DUE_AT + DAY)), at)),
    (
        Event.RECORD_FILING,
        lambda claim, at: lifecycle.filed(claim, filing(OTHER), seen(ticket(OTHER, modified=at)), at),
    ),
    (Event.TICKET_READ, lambda claim, at: lifecycle.ticket_seen(claim, seen(_at(claim, at)), at)),
    (Event.TICKET_CHANGED, lambda claim, at: lifecycle.ticket_seen(claim, seen(_at(claim, at)), at)),
    (
        Event.QUESTION_ASKED,
        lambda claim, at: lifecycle.ticket_seen(
            claim, seen(asks(f"Question {claim.version}?", at=at, number=_at(claim, at).number)), at
        ),
    ),
    (Event.REPLY, lambda claim, at: lifecycle.replied(claim, reply(), claim.ticket or ticket())),
    (Event.RECORD_DECISION, lambda claim, at: settlement.decided(claim, decision(), at)),
    (Event.RECORD_DECISION, lambda claim, at: settlement.decided(claim, decision(Outcome.DENIED, None), at)),
    (
        Event.CREDIT_MATCHED,
        lambda claim, at: settlement.matched(
            claim, Matched(allocations=(*claim.credit.allocations, allocation("30", f"m{claim.version}")))
        ),
    ),
    (
        Event.CREDIT_MATCHED,
        lambda claim, at: settlement.matched(
            claim, Matched(allocations=claim.credit.allocations, contested_lines=("line-9",), late_since_invoice="G9")
        ),
    ),
    (Event.ALLOCATE_CREDIT, lambda claim, at: settlement.allocated(claim, allocation("25.50", f"a{claim.version}"))),
    (
        Event.RELEASE_CREDIT,
        lambda claim, at: settlement.released(
            claim,
            ReleaseCredit(
                actor=actor(),
                request_hash="hash",
                allocation_id=claim.credit.allocations[0].id if claim.credit.allocations else "none",
                reason="Not ours",
            ),
        ),
    ),
    (
        Event.WRITE_OFF,
        lambda claim, at: settlement.written_off(claim, WriteOff(actor=actor(), request_hash="hash", reason="Enough")),
    ),
    (
        Event.DISPUTE,
        lambda claim, at: settlement.disputed(claim, Dispute(actor=actor(), request_hash="hash", reason="Too little")),
    ),
    (Event.WITHDRAW, lambda claim, at: lifecycle.withdrawn(claim, withdrawal())),
    (Event.REOPEN, lambda claim, at: lifecycle.reopened(claim, reopening())),
    (Event.FILE_AS_EXCEPTION, lambda claim, at: lifecycle.excepted(claim, exception())),
    (
        Event.CHECK_AGAIN,
        lambda claim, at: lifecycle.checked_again(claim, CheckAgain(actor=actor(), request_hash="hash")),
    ),
]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, 999), st.integers(0, 10 * 24), st.sampled_from([True, True, True, False])),
        min_size=30,
        max_size=60,
    )
)
def test_whatever_happens_in_whatever_order_nothing_is_lost_and_the_table_holds(
    steps: list[tuple[int, int, bool]],
) -> None:
    claim, at = opened(), OPENED_AT
    for which, hours, is_patient in steps:
        timer = next_timer(claim)
        if timer and is_patient and which % 5 == 0:
            at = max(at, timer.at)
            before = claim
            claim, entry = lifecycle.apply(claim, lifecycle.timed(claim, timer), at)
            _holds(before, claim, entry)
            continue
        at += timedelta(hours=hours)
        wanted = (
            {event for event in TABLE if claim.status in TABLE[event]} - {Event.WITHDRAW} if is_patient else set(TABLE)
        )
        possible = [step for event, step in STEPS if event in wanted]
        if not possible:  # credited
            break
        made = _tried(claim, possible[which % len(possible)], at)
        if made:
            _holds(claim, *made)
            claim = made[0]


def _tried(claim: Claim, step: Step, at: datetime) -> tuple[Claim, Entry] | None:
    try:
        change = step(claim, at)
        return lifecycle.apply(claim, change, at, actor()) if change else None
    except Refused as refused:
        why = refused.refusal.message
    assert why
    assert "None" not in why
    return None


def _holds(before: Claim, after: Claim, entry: Entry) -> None:
    assert entry.version == after.version == before.version + 1
    assert entry.status is after.status
    assert after.status in TABLE[entry.event][before.status].to
    assert entry.text
    assert "None" not in entry.text
    if entry.event is not Event.REVOKE_EVIDENCE:
        assert set(before.documents) <= set(after.documents)
    if before.status.is_closed:
        assert entry.actor is not None
    if before.filing and (after.filing is None or after.filing.number != before.filing.number):
        assert before.filing.number in after.earlier_filings
    assert set(before.earlier_filings) <= set(after.earlier_filings)
    if entry.event is not Event.RELEASE_CREDIT:
        assert set(before.credit.allocations) <= set(after.credit.allocations)
    assert set(before.credit.released_lines) <= set(after.credit.released_lines)
    assert len({held.id for held in after.credit.allocations}) == len(after.credit.allocations)
    if after.status is Status.FILED:
        assert after.ticket is not None
        assert after.question is None
    if after.status is Status.NEEDS_INFORMATION:
        assert after.question
    if after.status is Status.CREDITED:
        assert after.credit.allocations
    reminded = TABLE[Event.REMINDER_DUE]
    if after.status in reminded and before.status not in reminded:
        assert all(reminder.at > entry.at for reminder in after.reminders)
    assert Claim.model_validate_json(after.model_dump_json()) == after


def test_a_claim_holds_so_many_documents_and_no_more() -> None:
    claim = reach(Status.READY_TO_FILE)
    count = len(claim.documents)
    assert lifecycle.document_refusal(claim, document(name="another"), count + 1) is None
    refused = lifecycle.document_refusal(claim, document(name="another"), count)
    assert refused is not None
    assert refused.rule == "document_count"
