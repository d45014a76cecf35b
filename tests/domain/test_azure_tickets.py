"""Azure tickets: which claims claimdesk files by itself, what it says in them, and what becomes of them."""

from datetime import timedelta

import pytest

from domain import azure_tickets, lifecycle, settlement
from domain.claims import Claim, Contact, Event, Outcome, Status, WaitingOn, next_timer, refusal
from domain.evidence import Document
from domain.messages import FileAsException, FileTicket, Reopen, Reply
from domain.model import Refused
from domain.packet import fields
from domain.page import next_step
from domain.roles import PERMISSIONS, Action, Role
from domain.tickets import TicketLookup
from domain.triage import Route
from tests.domain.samples import (
    AZURE_SUBSCRIPTION,
    DUE_AT,
    FORM,
    NUMBER,
    OPENED_AT,
    REQUEST,
    actor,
    asking,
    azure,
    decision,
    do,
    document,
    due,
    filing,
    found,
    reach,
    seen,
    ticket,
    until,
    withdrawal,
)

AT = OPENED_AT + timedelta(days=1)


def file_ticket() -> FileTicket:
    return FileTicket(actor=actor(), request_hash="hash")


def under_way(claim: Claim | None = None) -> Claim:
    claim = claim or azure()
    return do(claim, lifecycle.sent(claim, AT), AT)


def test_a_complete_claim_of_somebody_who_may_file_is_filed_without_being_asked() -> None:
    claim = azure()
    assert (claim.status, claim.is_to_be_sent, claim.waiting_on) == (Status.READY_TO_FILE, True, WaitingOn.CLAIMDESK)
    assert "Claimdesk files" in next_step(claim)
    assert not azure(complete=False).is_to_be_sent


@pytest.mark.parametrize("role", Role, ids=str)
def test_only_who_may_file_has_it_filed_by_opening_it(role: Role) -> None:
    claim = azure(role)
    assert claim.is_to_be_sent is (role in PERMISSIONS[Action.RECORD_FILING])
    if not claim.is_to_be_sent:
        assert claim.waiting_on is WaitingOn.US
        handed_over = do(claim, lifecycle.to_be_sent(claim, file_ticket()), by=actor())
        assert handed_over.is_to_be_sent
        assert under_way(handed_over).filing is not None
        assert refusal(claim, Event.FILE_TICKET, actor(Role.HELPDESK_AGENT)) is not None


@pytest.mark.parametrize("status", [Status.READY_TO_FILE, Status.OVERDUE])
def test_a_claim_that_is_no_azure_ticket_can_only_be_filed_by_hand(status: Status) -> None:
    refused = refusal(reach(status), Event.FILE_TICKET)
    assert refused is not None
    assert refused.rule == "filed_by_hand"
    assert "by hand" in refused.message


def test_it_is_on_record_under_its_own_name_before_it_is_sent() -> None:
    claim = under_way()
    assert claim.filing is not None
    assert (claim.filing.number, claim.filing.ticket) == ("claim-0123456789abcdef0123-1", None)
    assert (claim.filing.recorded_by, claim.filing.give_up_at) == (claim.opened_by, AT + timedelta(hours=24))
    assert (claim.status, claim.waiting_on, claim.is_to_be_sent) == (Status.READY_TO_FILE, WaitingOn.CLAIMDESK, True)
    # What is on its way isn't sent a second time, and its documents stay.
    for event in (Event.FILE_TICKET, Event.REVOKE_EVIDENCE):
        assert refusal(claim, event) is not None, event


def test_read_back_it_is_filed_under_microsofts_number() -> None:
    claim = under_way()
    change = lifecycle.ticket_seen(claim, seen(ticket(created=AT)), AT)
    assert change is not None
    claim = do(claim, change, AT)
    assert claim.filing is not None
    assert (claim.status, claim.filing.number, claim.ticket) == (Status.FILED, NUMBER, ticket(created=AT))
    assert not claim.is_to_be_sent


def test_what_microsoft_refuses_becomes_a_filing_by_hand_with_the_reason_and_can_be_tried_again() -> None:
    claim = do(under_way(), lifecycle.refused_ticket(under_way(), "The support plan is too low."), AT)
    assert (claim.status, claim.filing, claim.assisted_reason) == (
        Status.READY_TO_FILE,
        None,
        "The support plan is too low.",
    )
    assert (claim.is_to_be_sent, claim.waiting_on) == (False, WaitingOn.US)
    assert "Claimdesk can't: The support plan is too low." in next_step(claim)
    by_hand = do(claim, lifecycle.filed(claim, filing(), seen(ticket(created=AT)), AT), AT)
    assert by_hand.status is Status.FILED
    again = do(claim, lifecycle.to_be_sent(claim, file_ticket()), AT, actor())
    assert again.is_to_be_sent
    # Under the same name: should Azure have taken the first all the same, there won't be two.
    second = under_way(again).filing
    assert second is not None
    assert second.number == "claim-0123456789abcdef0123-1"


def test_a_number_that_a_person_gives_takes_the_place_of_what_is_on_its_way() -> None:
    claim = under_way()
    claim = do(claim, lifecycle.filed(claim, filing(), seen(None), AT), AT)
    assert claim.filing is not None
    assert (claim.filing.number, claim.filing.ticket_name, claim.is_to_be_sent) == (NUMBER, None, False)
    assert claim.earlier_filings == ("claim-0123456789abcdef0123-1",)
    assert claim.waiting_on is WaitingOn.MICROSOFT


def test_after_24_hours_without_a_ticket_a_person_files_it() -> None:
    claim = under_way()
    for _ in range(2):
        timer = due(claim)
        if timer.event is Event.TICKET_REFUSED:
            break
        claim = do(claim, lifecycle.timed(claim, timer), timer.at)
    assert due(claim).event is Event.TICKET_REFUSED
    claim = do(claim, lifecycle.timed(claim, due(claim)), due(claim).at)
    assert claim.filing is None
    assert claim.assisted_reason is not None
    assert "by hand" in claim.assisted_reason


def test_past_the_deadline_nothing_is_sent_unless_as_an_exception() -> None:
    overdue = until(azure(), Event.DEADLINE_PASSED)
    assert (overdue.status, overdue.is_to_be_sent) == (Status.OVERDUE, False)
    refused = refusal(overdue, Event.FILE_TICKET)
    assert refused is not None
    assert refused.rule == "filed_in_time"
    command = FileAsException(actor=actor(), request_hash="hash", reason="Promised by phone")
    assert do(overdue, lifecycle.excepted(overdue, command), DUE_AT).is_to_be_sent


def test_what_was_sent_in_time_is_still_looked_for_after_the_deadline() -> None:
    claim = azure().model_copy(update={"reminders": ()})
    at = DUE_AT - timedelta(minutes=5)
    claim = do(claim, lifecycle.sent(claim, at), at)
    claim = until(claim, Event.DEADLINE_PASSED)
    assert (claim.status, claim.is_to_be_sent) == (Status.OVERDUE, True)
    late = lifecycle.ticket_seen(claim, seen(ticket(created=DUE_AT)), DUE_AT)
    assert late is not None
    assert late.event is Event.TICKET_REFUSED
    timer = next_timer(claim)
    assert timer is not None
    assert timer.event is Event.TICKET_REFUSED


def test_a_denied_claim_that_is_reopened_is_filed_under_another_name_once_somebody_asks_again() -> None:
    opened = azure(Role.CUSTOMER)
    claim = under_way(do(opened, lifecycle.to_be_sent(opened, file_ticket()), by=actor()))
    change = lifecycle.ticket_seen(claim, seen(ticket(created=AT)), AT)
    assert change is not None
    claim = do(claim, change, AT)
    claim = do(claim, settlement.decided(claim, decision(Outcome.DENIED, None), AT), AT)
    claim = do(claim, lifecycle.reopened(claim, Reopen(actor=actor(), request_hash="hash", reason="New")), AT)
    found_again = found(Route.AZURE_TICKET).model_copy(update={"azure_subscription_id": AZURE_SUBSCRIPTION})
    claim = do(claim, lifecycle.triaged(claim, found_again), AT)
    assert (claim.status, claim.is_to_be_sent) == (Status.READY_TO_FILE, False)
    claim = do(claim, lifecycle.to_be_sent(claim, file_ticket()), AT, actor())
    again = under_way(claim).filing
    assert again is not None
    assert again.number == "claim-0123456789abcdef0123-2"


@pytest.mark.parametrize("role", [Role.ADMIN_AGENT, Role.HELPDESK_AGENT])
def test_a_reopened_claim_is_not_given_a_second_ticket_unasked(role: Role) -> None:
    change = lifecycle.ticket_seen(under_way(), seen(ticket(created=AT)), AT)
    assert change is not None
    claim = do(under_way(), change, AT)
    claim = do(claim, lifecycle.withdrawn(claim, withdrawal()), AT)
    claim = do(claim, lifecycle.reopened(claim, Reopen(actor=actor(role), request_hash="hash", reason="New")), AT)
    again = found(Route.AZURE_TICKET).model_copy(update={"azure_subscription_id": AZURE_SUBSCRIPTION})
    claim = do(claim, lifecycle.triaged(claim, again), AT)
    assert (claim.status, claim.is_to_be_sent, claim.waiting_on) == (Status.READY_TO_FILE, False, WaitingOn.US)
    # The ticket that is there can be given again, as after any reopening.
    assert do(claim, lifecycle.filed(claim, filing(), seen(ticket(created=AT)), AT), AT).status is Status.FILED


def test_who_ends_or_overtakes_a_filing_is_told_of_the_ticket_that_may_be_there() -> None:
    name = "claim-0123456789abcdef0123-1"
    assert name in lifecycle.withdrawn(under_way(), withdrawal()).text
    assert name in lifecycle.filed(under_way(), filing(), seen(ticket(created=AT)), AT).text
    assert name not in lifecycle.withdrawn(azure(), withdrawal()).text


def test_a_withdrawn_filing_that_is_taken_up_again_looks_for_the_same_ticket() -> None:
    claim = do(under_way(), lifecycle.withdrawn(under_way(), withdrawal()), AT)
    claim = do(claim, lifecycle.reopened(claim, Reopen(actor=actor(), request_hash="hash", reason="New")), AT)
    again = found(Route.AZURE_TICKET).model_copy(update={"azure_subscription_id": AZURE_SUBSCRIPTION})
    claim = do(claim, lifecycle.triaged(claim, again), AT)
    assert not claim.is_to_be_sent, "not unasked"
    claim = under_way(do(claim, lifecycle.to_be_sent(claim, file_ticket()), AT, actor()))
    assert claim.filing is not None
    assert (claim.filing.number, claim.earlier_filings) == ("claim-0123456789abcdef0123-1", ())


def test_a_ticket_that_microsoft_does_not_let_us_read_is_taken_on_the_persons_word() -> None:
    claim = do(under_way(), lifecycle.refused_ticket(under_way(), "No rights."), AT)
    change = lifecycle.filed(claim, filing(), TicketLookup(ticket=None, unreadable="No rights."), AT)
    assert "on your word: No rights." in change.text
    claim = do(claim, change, AT)
    assert (claim.status, claim.ticket and claim.ticket.created_at) == (Status.FILED, AT)
    # Once it can be read, it is.
    read = lifecycle.ticket_seen(claim, seen(ticket(created=AT - timedelta(hours=1))), AT)
    assert read is not None
    assert read.event is Event.TICKET_CHANGED
    with pytest.raises(Refused, match="after the deadline"):
        lifecycle.filed(
            until(azure(), Event.DEADLINE_PASSED), filing(), TicketLookup(ticket=None, unreadable="No."), DUE_AT
        )


def test_a_ticket_on_another_subscription_of_the_customer_is_followed_there() -> None:
    claim = azure().model_copy(update={"other_azure_subscriptions": ("other",)})
    lookup = TicketLookup(ticket=ticket(created=AT), azure_subscription_id="other")
    claim = do(claim, lifecycle.filed(claim, filing(), lookup, AT), AT)
    assert (claim.azure_subscription_id, claim.other_azure_subscriptions) == ("other", (AZURE_SUBSCRIPTION,))


def test_a_document_after_the_ticket_is_told_to_be_missing_there() -> None:
    change = lifecycle.ticket_seen(under_way(), seen(ticket(created=AT)), AT)
    assert change is not None
    claim = do(under_way(), change, AT)
    assert "attach it there too" in lifecycle.attached(claim, document(FORM, "2")).text
    assert "attach it there too" not in lifecycle.attached(azure(), document(FORM, "2")).text


def replying() -> Claim:
    """Filed in Azure, asked, and answered by a reply that Azure is still at."""
    change = lifecycle.ticket_seen(under_way(), seen(ticket(created=AT)), AT)
    assert change is not None
    claim = asking(do(under_way(), change, AT), at=AT + timedelta(hours=1))
    assert claim.ticket is not None
    reply = Reply(actor=actor(), request_hash="hash", text="All.")
    return do(claim, lifecycle.replied(claim, reply, claim.ticket, "https://azure/operation"), AT)


def test_a_reply_that_azure_is_at_is_followed_until_it_is_known_what_came_of_it() -> None:
    claim = replying()
    assert (claim.status, claim.is_reply_under_way) == (Status.FILED, True)
    taken = do(claim, lifecycle.reply_taken(claim, None), AT)
    assert (taken.status, taken.is_reply_under_way) == (Status.FILED, False)
    refused = do(claim, lifecycle.reply_taken(claim, "The plan is too low."), AT)
    assert (refused.status, refused.question) == (Status.NEEDS_INFORMATION, "Which users?")
    assert "The plan is too low." in lifecycle.reply_taken(claim, "The plan is too low.").text


def test_a_reply_that_arrived_leaves_a_newer_question_open() -> None:
    claim = asking(replying(), "And since when?", AT + timedelta(hours=2))
    claim = do(claim, lifecycle.reply_taken(claim, None), AT)
    assert (claim.status, claim.question) == (Status.NEEDS_INFORMATION, "And since when?")


# What goes into the ticket


def of_size(size: int, number: int = 1) -> Document:
    return document(FORM, str(number)).model_copy(update={"size": size})


def test_every_document_must_fit_into_the_ticket() -> None:
    most = azure_tickets.LARGEST_FILE
    assert azure_tickets.attachments_refusal([of_size(most, number) for number in range(5)]) is None
    assert "5,242,881" in (azure_tickets.attachments_refusal([of_size(most + 1)]) or "")
    assert "6 documents" in (azure_tickets.attachments_refusal([of_size(1, number) for number in range(6)]) or "")


def test_a_file_is_named_for_its_kind_and_never_as_somebody_called_it() -> None:
    evil = document(REQUEST).model_copy(update={"filename": "../Carl Contoso<script>.js"})
    assert azure_tickets.attachment_name(2, evil) == "02-customer_request.pdf"


def test_microsoft_writes_to_the_partner_and_never_to_the_customer() -> None:
    ours = Contact(name="Desk", email="claims@partner.example")
    assert azure_tickets.contact(azure(), None) == azure().opening.contact
    assert azure_tickets.contact(azure(Role.CUSTOMER), ours) == ours
    assert azure_tickets.contact(azure(Role.CUSTOMER), None) is None


def test_the_ticket_says_what_the_form_for_a_refund_request_asks() -> None:
    claim = azure()
    text = azure_tickets.text(claim, "Partner Ltd")
    for said in ("Partner Ltd", "Contoso", "EX25194", "Mail stood still for a day", "2 documents"):
        assert said in text
    assert claim.id in azure_tickets.title(claim)
    assert "Contoso" not in azure_tickets.title(claim)
    assert AZURE_SUBSCRIPTION in fields(claim, "Partner Ltd")


def test_a_reply_under_way_is_not_charged_to_another_ticket() -> None:
    claim = replying()
    other = lifecycle.filed(claim, filing("2602160040009999"), seen(ticket("2602160040009999", created=AT)), AT)
    assert not do(claim, other, AT).is_reply_under_way
    withdrawn = do(claim, lifecycle.withdrawn(claim, withdrawal()), AT)
    change = lifecycle.reopened(withdrawn, Reopen(actor=actor(), request_hash="hash", reason="New"))
    assert do(withdrawn, change, AT).reply_under_way is None


def test_a_document_while_the_ticket_is_on_its_way_may_be_missing_there() -> None:
    assert "may go without it" in lifecycle.attached(under_way(), document(FORM, "2")).text
