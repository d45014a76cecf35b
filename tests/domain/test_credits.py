"""Credits: the amounts Microsoft published, to the cent, and lines that go to one claim or to a person."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.credits import (
    Assignment,
    CreditLine,
    Expectation,
    InvoiceDate,
    InvoiceType,
    PublishedAmounts,
    Rounding,
    assign,
    days_inclusive,
    full_refund,
    late_since,
    legacy_prorated,
    matches,
    nce_licence_subtotal,
    nce_usage_subtotal,
    published_amounts,
)
from domain.policy import POLICY, Commerce

unhurried = settings(deadline=None)  # other tests run on the same cores

CANCELLED = POLICY.charge_types.self_service_cancellation.names
GRANTED = POLICY.charge_types.granted_credit.names
CENT = Decimal("0.01")


def prorated(unit_price: str, days_in_period: int, days: int, quantity: int = 1) -> PublishedAmounts:
    return published_amounts(Decimal(unit_price), Decimal(quantity), days_in_period, days, "USD", Commerce.LEGACY)


def new_commerce(unit_price: str, days_in_period: int, days: int, quantity: int) -> PublishedAmounts:
    return published_amounts(Decimal(unit_price), Decimal(quantity), days_in_period, days, "USD", Commerce.NEW_COMMERCE)


def line(amount: object = "41.34", **changes: object) -> CreditLine:
    return CreditLine.model_validate(
        {
            "id": "D100-1",
            "invoice_id": "D100",
            "invoice_type": "recurring",
            "invoice_date": date(2018, 3, 13),
            "customer_id": "c1",
            "subscription_id": "s1",
            "currency": "USD",
            "amount": amount,
            "charge_type": "Cancel instance prorate",
            **changes,
        }
    )


def expects(*amounts: str | Decimal, **changes: object) -> Expectation:
    return Expectation.model_validate(
        {
            "customer_id": "c1",
            "subscription_id": "s1",
            "currency": "USD",
            "amounts": amounts,
            "charge_types": CANCELLED,
            "since": date(2018, 3, 1),
            **changes,
        }
    )


def expects_published(published: PublishedAmounts, **changes: object) -> Expectation:
    return expects(*published.amounts, exact=published.exact, tolerance=published.tolerance, **changes)


def pays(published: PublishedAmounts, credit: str) -> bool:
    """Whether an invoice line over this amount (negative, as it stands on the invoice) pays the claim by itself."""
    assignment = assign([line(-Decimal(credit))], {"claim-1": expects_published(published)})
    return [allocation.amount for allocation in assignment.allocations] == [-Decimal(credit)]


# The published examples


def test_annual_48_bought_13_january_cancelled_1_february_is_48_00() -> None:
    published = full_refund(Decimal("48"), Decimal(1), "USD")
    assert published.amounts == (Decimal("48.00"),)
    assert matches(expects_published(published), line("48.00", charge_type="Cancel fee"))
    assert not pays(published, "-45.50")


def test_annual_48_suspended_1_march_is_41_34() -> None:
    left = days_inclusive(date(2018, 3, 1), date(2019, 1, 12))
    published = prorated("48", 365, left)
    assert left == 318
    assert published.by_rounding[Rounding.LEGACY_DAILY_RATE] == Decimal("41.34")
    assert pays(published, "-41.34")
    assert pays(published, "-41.82"), "the exact figure is as good"
    assert not pays(published, "-41.35")
    assert not pays(published, "-41.80")


def test_monthly_4_suspended_1_march_is_1_72() -> None:
    """No published formula gives 1.72 for 12 of 28 days (1.71, or 1.68): it is within a cent of the exact 1.714."""
    published = prorated("4", 28, 12)
    assert published.amounts == (Decimal("1.68"), Decimal("1.71"))
    assert pays(published, "-1.72")
    assert not pays(published, "-1.73")


def test_new_commerce_4_for_29_of_30_days_is_3_87() -> None:
    published = new_commerce("4", 30, 29, quantity=1)
    assert published.by_rounding[Rounding.PER_LICENCE] == Decimal("3.87")
    assert pays(published, "-3.87")
    assert not pays(published, "-3.88")


def test_new_commerce_two_licences_are_rounded_each_before_they_are_added() -> None:
    published = new_commerce("4", 30, 29, quantity=2)
    assert published.by_rounding[Rounding.PER_LICENCE] == Decimal("7.74")
    assert pays(published, "-7.74")
    assert not pays(published, "-7.76")


@pytest.mark.parametrize(
    ("unit_price", "days_in_period", "days", "amount"),
    [
        ("211.20", 365, 1, "0.58"),
        ("211.20", 365, 27, "15.62"),
        ("211.20", 365, 337, "195.00"),
        ("4", 31, 19, "2.45"),
    ],
)
def test_published_examples_that_round_at_the_end(unit_price: str, days_in_period: int, days: int, amount: str) -> None:
    published = prorated(unit_price, days_in_period, days)
    assert published.by_rounding[Rounding.LEGACY_AT_THE_END] == Decimal(amount)
    assert pays(published, f"-{amount}")


def test_the_legacy_formula_for_many_licences() -> None:
    """10 licences of 48 for 318 days: 1.32 a day, 419.76 in all, 41.98 each."""
    assert legacy_prorated(Decimal(48), Decimal(10), 365, 318) == Decimal("419.80")


def test_new_commerce_subtotals_round_down() -> None:
    assert nce_licence_subtotal(Decimal("3.8667"), Decimal(2), Decimal("0.9")) == Decimal("6.96")  # 3.48003 each
    assert nce_usage_subtotal(Decimal("0.0199"), Decimal("1.5"), Decimal("2.5")) == Decimal("0.05")  # 0.02985, 0.02
    assert nce_licence_subtotal(Decimal("-3.8667"), Decimal(2)) == Decimal("-7.72")


@unhurried
@given(st.integers(1, 10**6), st.integers(1, 300), st.integers(1, 366), st.data(), st.sampled_from(Commerce))
def test_the_exact_figure_to_the_cent_is_always_accepted_and_far_off_never(
    cents: int, quantity: int, days_in_period: int, data: st.DataObject, commerce: Commerce
) -> None:
    days = data.draw(st.integers(1, days_in_period))
    price = Decimal(cents) * CENT
    published = published_amounts(price, Decimal(quantity), days_in_period, days, "USD", commerce)
    expectation = expects_published(published)
    exact = price * quantity * days / days_in_period
    assert expectation.accepts(exact.quantize(CENT))
    assert all(expectation.accepts(amount) for amount in published.amounts)
    furthest = max(abs(amount - exact) for amount in published.amounts)
    assert not expectation.accepts((exact + max(furthest, quantity * CENT) + CENT * 2).quantize(CENT))


@pytest.mark.parametrize(("quantity", "days_in_period", "days"), [(0, 30, 1), (1, 30, 0), (1, 30, 31), (1, 0, 0)])
def test_what_can_not_be_prorated_is_refused(quantity: int, days_in_period: int, days: int) -> None:
    with pytest.raises(ValueError, match="can't be prorated"):
        published_amounts(Decimal(4), Decimal(quantity), days_in_period, days, "USD", Commerce.LEGACY)


def test_a_yen_per_licence_is_the_tolerance_in_a_currency_without_cents() -> None:
    published = published_amounts(Decimal(600), Decimal(3), 31, 10, "JPY", Commerce.NEW_COMMERCE)
    assert published.tolerance == 3


# Matching


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"customer_id": "C1", "subscription_id": "S1", "charge_type": "CANCEL INSTANCE PRORATE"}, True),
        ({"customer_id": "c2"}, False),
        ({"subscription_id": "s2"}, False),
        ({"currency": "EUR"}, False),
        ({"charge_type": "customerCredit"}, False),
        ({"charge_type": "Cycle fee"}, False),
        ({"invoice_date": date(2018, 2, 28)}, False),
        ({"invoice_date": date(2018, 3, 1)}, True),
        ({"amount": "-41.34"}, False),
        ({"allocated": "41.34"}, False),
        ({"amount": "50.00", "allocated": "8.66"}, True),
    ],
)
def test_what_makes_a_line_fit_a_claim(changes: dict[str, object], fits: bool) -> None:
    assert matches(expects("41.34"), line(**{"amount": "41.34", **changes})) is fits


@pytest.mark.parametrize(
    ("reason", "fits"), [("sla CREDIT", True), ("", True), ("Azure credit for consumption", False)]
)
def test_a_reason_that_is_given_must_be_an_expected_one(reason: str, fits: bool) -> None:
    expectation = expects("41.34", reason_codes={"SLA credit"})
    assert matches(expectation, line(reason_code=reason)) is fits


def test_a_granted_credit_isnt_taken_for_a_cancellation() -> None:
    granted = line(charge_type="Offset a line item")
    assert assign([granted], {"cancelled": expects("41.34")}) == Assignment(allocations=(), contested=(), candidates=())
    assert assign([granted], {"granted": expects("41.34", charge_types=GRANTED)}).allocations


# Assigning


def test_of_equal_lines_the_earliest_pays_and_the_others_stay() -> None:
    lines = [
        line(id=key, invoice_date=date(2018, month, 13)) for key, month in (("c", 4), ("b", 3), ("a", 4), ("d", 3))
    ]
    assignment = assign(lines, {"claim-1": expects("41.34")})
    assert [allocation.line_id for allocation in assignment.allocations] == ["b"]
    assert not assignment.contested


def test_what_two_claims_could_take_is_left_for_a_person() -> None:
    assignment = assign([line()], {"claim-2": expects("41.34"), "claim-1": expects("41.34")})
    assert not assignment.allocations
    assert [(left.line_id, left.claim_ids) for left in assignment.contested] == [("D100-1", ("claim-1", "claim-2"))]


def test_a_claim_that_knows_no_amount_is_a_candidate_and_takes_nothing() -> None:
    assignment = assign([line()], {"claim-1": expects()})
    assert not assignment.allocations
    assert [(left.line_id, left.claim_ids) for left in assignment.candidates] == [("D100-1", ("claim-1",))]


def test_only_what_is_left_of_a_line_is_given() -> None:
    shared = line("50.00", allocated="8.66")
    (allocation,) = assign([shared], {"claim-1": expects("41.34")}).allocations
    assert allocation.amount == Decimal("41.34")


@pytest.mark.parametrize("nothing_left", [line("41.34", allocated="41.34"), line("-41.34")])
def test_a_line_with_no_credit_left_is_nobodys_candidate(nothing_left: CreditLine) -> None:
    assert not assign([nothing_left], {"claim-1": expects()}).candidates


def test_a_claim_that_knows_no_amount_still_contests_a_line() -> None:
    assignment = assign([line()], {"claim-1": expects(), "claim-2": expects("41.34")})
    assert not assignment.allocations
    assert len(assignment.contested) == 1


few_amounts = st.sampled_from(["1.00", "2.00", "3.00"])
some_lines = st.lists(
    st.builds(
        lambda key, amount, day, subscription: line(
            amount, id=str(key), invoice_date=date(2018, 3, 1) + timedelta(days=day), subscription_id=subscription
        ),
        st.integers(0, 12),
        few_amounts | st.just("-1.00"),
        st.integers(-2, 5),
        st.sampled_from(["s1", "S1", "s2"]),
    ),
    max_size=10,
    unique_by=lambda item: item.id,
)
some_expectations = st.dictionaries(
    st.sampled_from(["claim-1", "claim-2", "claim-3", "claim-4"]),
    st.builds(
        lambda amounts, subscription: expects(*amounts, subscription_id=subscription),
        st.lists(few_amounts, max_size=2),
        st.sampled_from(["s1", "s2"]),
    ),
)


@unhurried
@given(some_lines, some_expectations)
def test_no_line_is_given_twice_none_contested_and_no_money_appears(
    lines: list[CreditLine], expectations: dict[str, Expectation]
) -> None:
    assignment = assign(lines, expectations)
    by_id = {item.id: item for item in lines}
    takers = {item.id: [key for key, value in expectations.items() if matches(value, item)] for item in lines}

    assert max(Counter(item.line_id for item in assignment.allocations).values(), default=0) <= 1
    assert max(Counter(item.claim_id for item in assignment.allocations).values(), default=0) <= 1
    for allocation in assignment.allocations:
        assert takers[allocation.line_id] == [allocation.claim_id]
        assert 0 < allocation.amount <= by_id[allocation.line_id].left
        assert expectations[allocation.claim_id].accepts(allocation.amount)
    assert {item.line_id for item in assignment.contested} == {key for key, claims in takers.items() if len(claims) > 1}
    credits_there = sum(max(item.left, Decimal(0)) for item in lines)
    assert sum(item.amount for item in assignment.allocations) <= credits_there
    # A claim with a line of its own never goes without.
    paid = {item.claim_id for item in assignment.allocations}
    for key, expectation in expectations.items():
        if expectation.amounts and [key] in takers.values():
            assert key in paid
    # And the order in which lines were read doesn't matter.
    assert assign(lines[::-1], expectations) == assignment


@unhurried
@given(some_lines, some_expectations)
def test_reading_the_same_lines_again_gives_nothing_away_twice(
    lines: list[CreditLine], expectations: dict[str, Expectation]
) -> None:
    first = assign(lines, expectations)
    given_away = {item.line_id: item.amount for item in first.allocations}
    read_again = [item.model_copy(update={"allocated": given_away.get(item.id, Decimal(0))}) for item in lines]
    still_lacking = {
        key: value for key, value in expectations.items() if key not in {a.claim_id for a in first.allocations}
    }
    second = assign(read_again, still_lacking)
    assert not {item.line_id for item in second.allocations} & given_away.keys()


# Lateness


def test_a_claim_is_late_from_the_first_invoice_after_the_decision() -> None:
    recurring, one_time = InvoiceType.RECURRING, InvoiceType.ONE_TIME
    invoices = [
        InvoiceDate(recurring, "USD", date(2018, 5, 13)),
        InvoiceDate(recurring, "USD", date(2018, 4, 13)),
        InvoiceDate(recurring, "USD", date(2018, 3, 13)),
        InvoiceDate(one_time, "USD", date(2018, 3, 20)),
        InvoiceDate(recurring, "EUR", date(2018, 3, 21)),
    ]
    assert late_since(date(2018, 3, 13), recurring, "USD", invoices) == date(2018, 4, 13)
    assert late_since(date(2018, 3, 13), one_time, "USD", invoices) == date(2018, 3, 20)
    assert late_since(date(2018, 5, 13), recurring, "USD", invoices) is None
