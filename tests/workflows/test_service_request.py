"""A claim from its opening to the line on the invoice, by service request."""

from domain.claims import Outcome, Status
from domain.evidence import EvidenceKind
from domain.messages import RecordDecision, RecordFiling
from tests.workflows.desk import ANA, FORM, Desk, mail, new_claim


async def test_a_service_request_goes_from_the_incident_to_the_line_on_the_invoice(at_desk: Desk) -> None:
    handle = await at_desk.open(new_claim(at_desk.simulator, "nce_active_past_window"))
    claim = await at_desk.until(handle, Status.COLLECTING_EVIDENCE)
    assert [item.kind for item in claim.checklist if item.required and not item.satisfied] == [
        EvidenceKind.CREDIT_REQUEST_FORM,
        EvidenceKind.CUSTOMER_REQUEST,
    ]
    await at_desk.attach(handle, EvidenceKind.CREDIT_REQUEST_FORM, FORM)
    await at_desk.attach(handle, EvidenceKind.CUSTOMER_REQUEST, mail("contoso.example"))
    assert (await at_desk.claim(handle)).status is Status.READY_TO_FILE

    number = at_desk.ticket(claim)
    await at_desk.ask(handle, "record_filing", RecordFiling(actor=ANA, request_hash="2" * 64, ticket_number=number))
    assert (await at_desk.claim(handle)).status is Status.FILED

    decision = RecordDecision(actor=ANA, request_hash="3" * 64, outcome=Outcome.APPROVED, reason="As asked.")
    await at_desk.ask(handle, "record_decision", decision)
    at_desk.invoice(claim, "-48.00", charge_type="customerCredit")
    await at_desk.sweep("CreditSweep")
    claim = await at_desk.until(handle, Status.CREDITED)
    assert str(claim.credit.allocated) == "48.00"
    assert await handle.result() == Status.CREDITED
