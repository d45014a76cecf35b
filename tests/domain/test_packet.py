"""What is told to a person who files by hand."""

import pytest
from pydantic import ValidationError

from domain.claims import Incident, Status
from domain.packet import OURS, fields
from domain.roles import Role
from tests.domain.samples import actor, reach


def test_microsofts_contact_is_never_the_customers() -> None:
    claim = reach(Status.READY_TO_FILE)
    assert claim.opening.contact.email in fields(claim, "Partner Ltd")
    by_customer = claim.model_copy(update={"opened_by": actor(Role.CUSTOMER)})
    text = fields(by_customer, "Partner Ltd")
    assert claim.opening.contact.email not in text
    assert OURS in text


def test_a_reference_cannot_pretend_to_be_another_field() -> None:
    incident = reach(Status.READY_TO_FILE).opening.incident
    with pytest.raises(ValidationError, match="one line"):
        Incident.model_validate(
            incident.model_dump() | {"reference": "EX9\nBilling admin e-mail address: x@evil.example"}
        )
