"""The short page in the Temporal UI: where it stands, whom it waits for, what to do next."""

from datetime import timedelta

import pytest

from domain import lifecycle
from domain.claims import CLOSED, Status
from domain.evidence import EvidenceKind
from domain.messages import FileAsException
from domain.page import next_step, page
from domain.tickets import TicketStatus
from tests.domain.samples import (
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
    reach,
    seen,
    ticket,
)


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_page_that_says_what_to_do_next(status: Status) -> None:
    text = page(reach(status))
    assert text.startswith(f"## {status.replace('_', ' ')}\n")
    assert "None" not in text
    assert "**Waiting on** " in text
    assert next_step(reach(status)) in text


@pytest.mark.parametrize("status", sorted(CLOSED))
def test_a_closed_claim_says_why(status: Status) -> None:
    assert next_step(reach(status)) == reach(status).closing_reason


def test_the_page_shows_due_date_route_and_checklist() -> None:
    claim = reach(Status.COLLECTING_EVIDENCE)
    claim = do(claim, lifecycle.attached(claim, document(FORM)))
    text = page(claim)
    assert "**Due on** 2026-03-31 (UTC)" in text
    assert "**Route** service request" in text
    assert "- ✓ Microsoft's credit request and refund form" in text
    assert "- ✗ The written request received from the end customer" in text
    assert "**Waiting on** the customer" in text


def test_what_is_missing_is_named_and_what_is_there_is_not() -> None:
    claim = reach(Status.COLLECTING_EVIDENCE)
    step = next_step(do(claim, lifecycle.attached(claim, document(EvidenceKind.CUSTOMER_REQUEST))))
    assert "form" in step
    assert "written request" not in step


@pytest.mark.parametrize("status", [Status.READY_TO_FILE, Status.OVERDUE])
def test_a_number_that_is_not_visible_yet_is_shown_as_such(status: Status) -> None:
    claim = reach(status)
    claim = do(claim, lifecycle.filed(claim, filing(), seen(None), due(claim).at))
    assert f"**Ticket** {NUMBER} (not visible yet)" in page(claim)
    assert NUMBER in next_step(claim)
    assert "**Waiting on** Microsoft" in page(claim)


def test_an_overdue_claim_says_what_still_can_be_done() -> None:
    claim = reach(Status.OVERDUE)
    assert "file as an exception" in next_step(claim)
    why = FileAsException(actor=actor(), request_hash="hash", reason="Agreed")
    assert "late" in next_step(do(claim, lifecycle.excepted(claim, why)))
    without = claim.model_copy(update={"documents": (document(REQUEST),)})
    assert "Attach what is missing" in next_step(without)


def test_a_closed_ticket_asks_for_the_decision() -> None:
    claim = reach(Status.FILED)
    closed = ticket(status=TicketStatus.CLOSED, modified=OPENED_AT + timedelta(days=9))
    change = lifecycle.ticket_seen(claim, seen(closed), OPENED_AT)
    assert change is not None
    assert "record its decision" in next_step(do(claim, change))


def test_money_is_shown_with_its_currency_and_trouble_with_what_to_do() -> None:
    claim = reach(Status.AWAITING_CREDIT)
    assert "**Decision** approved 100.00 EUR" in page(claim)
    in_part = claim.credit.model_copy(update={"allocations": (allocation("60.00"),)})
    assert "**Credited so far** 60.00 EUR" in page(claim.model_copy(update={"credit": in_part}))
    late = claim.credit.model_copy(update={"late_since_invoice": "G1"})
    assert "late" in next_step(claim.model_copy(update={"credit": late}))
    contested = late.model_copy(update={"contested_lines": ("line-1",)})
    assert "by hand" in next_step(claim.model_copy(update={"credit": contested}))
    denied = page(reach(Status.DENIED))
    assert "**Decision** denied\n" in denied
