"""The policy file: what it holds for a claim, and that a mistake in it is named."""

from importlib.resources import files

import pytest

from domain.evidence import EvidenceKind
from domain.policy import POLICY, Category, Commerce, PolicyError, parse

TEXT = files("domain").joinpath("policy.toml").read_text("utf-8")


def test_every_claim_needs_the_form_and_the_customers_request() -> None:
    for category in Category:
        for commerce in Commerce:
            kinds = POLICY.evidence_for(category, commerce)
            assert kinds[:2] == (EvidenceKind.CREDIT_REQUEST_FORM, EvidenceKind.CUSTOMER_REQUEST)
            assert (EvidenceKind.OUTAGE_EVIDENCE in kinds) is (category is Category.SERVICE_OUTAGE)


def test_every_rule_cites_a_page_with_an_address() -> None:
    for rule in POLICY.rules:
        assert POLICY.cite(rule.source).startswith(f"{rule.source}: ")
        assert "https://" in POLICY.cite(rule.source)
        assert rule.effective_from <= rule.verified_on


def test_charge_types_of_a_cancellation_and_of_a_granted_credit_are_told_apart() -> None:
    cancelled, granted = POLICY.charge_types.self_service_cancellation.names, POLICY.charge_types.granted_credit.names
    assert {"cancel fee", "cancel instance prorate", "prorate fees when cancel", "cancelimmediate"} <= cancelled
    assert {"customercredit", "offset a line item", "one time refund"} <= granted
    assert not cancelled & granted


def test_a_cancellation_window_of_new_commerce_is_never_a_constant() -> None:
    """Microsoft changed it three times: its own dates decide, so no rule here may count from a purchase there."""
    for rule in POLICY.rules:
        if Commerce.NEW_COMMERCE in rule.commerce:
            assert rule.days is None, rule.id


@pytest.mark.parametrize(
    ("wrong", "right", "place", "said"),
    [
        ("months = 2", "months = 0", "rules.3.months", "greater than 0"),
        ("months = 2", "days = 60", "rules.3", "window in months"),
        ("days = 90", "months = 3", "rules.4", "window in days"),
        ('commerce = ["azure"]', 'commerce = ["cloud"]', "rules.3.commerce", "'new_commerce'"),
        ('"outage_evidence"', '"outage_evidense"', "rules.1.evidence.2", "outage_evidence"),
        ('id = "sla-billing-month"', 'id = "sla-following-month"', "policy.toml", "sla-following-month"),
        ('source = "RC21"', 'source = "RC99"', "policy.toml", "no such source: RC99"),
        ("exclusive = true", "exlusive = true", "rules.7.exlusive", "not permitted"),
        ("effective_from = 2021-04-09\n", "", "rules.0.effective_from", "required"),
        ('"technical_issue", ', "", "policy.toml", "technical_issue"),
        ('products = ["Power BI Premium"]', 'products = ["…"]', "rules.6", "at least one word"),
        ("reminder_hour = 9", "reminder_hour = 24", "reminder_hour", "less than or equal to 23"),
        ("version = ", "version ", "policy.toml", "line"),
    ],
)
def test_a_mistake_in_the_file_is_named(wrong: str, right: str, place: str, said: str) -> None:
    assert wrong in TEXT
    with pytest.raises(PolicyError) as caught:
        parse(TEXT.replace(wrong, right))
    assert caught.value.field.startswith(place)
    assert said in str(caught.value)
