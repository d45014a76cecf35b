"""Money: exact from text, never from a float, never mixed."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.money import Money, exact, exponent, minor_unit, round_half_up

cents = st.integers(-(10**12), 10**12).map(lambda n: Decimal(n).scaleb(-2))
unhurried = settings(deadline=None)  # other tests run on the same cores


def euro(amount: str | Decimal) -> Money:
    return Money(amount=amount, currency="EUR")


def test_json_is_text_with_a_currency() -> None:
    money = euro("12.50")
    assert json.loads(money.model_dump_json()) == {"amount": "12.50", "currency": "EUR"}
    assert Money.model_validate_json('{"amount": "12.50", "currency": "EUR"}') == money


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("12.5", "EUR", "12.50"),
        ("-0.0", "EUR", "0.00"),
        ("0.5786", "EUR", "0.5786"),
        ("1200", "JPY", "1200"),
        ("1", "KWD", "1.000"),
        (Decimal("1E+3"), "EUR", "1000.00"),
    ],
)
def test_amounts_are_written_plainly_with_their_currencys_decimals(
    amount: str | Decimal, currency: str, text: str
) -> None:
    money = Money(amount=amount, currency=currency)
    assert money.model_dump(mode="json")["amount"] == text
    assert str(money) == f"{text} {currency}"


@pytest.mark.parametrize("amount", [12.5, 12, True, None])
def test_anything_but_text_or_decimal_is_refused(amount: object) -> None:
    with pytest.raises(ValidationError, match="given as text"):
        Money.model_validate({"amount": amount, "currency": "EUR"})


def test_a_json_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="not as float"):
        Money.model_validate_json('{"amount": 12.5, "currency": "EUR"}')


@pytest.mark.parametrize(
    "text", ["", " 1", "1,50", "1e3", "NaN", "Infinity", "1_000", "１２", "--1", ".5", "1.", "9" * 16]
)
def test_text_that_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="such as"):
        euro(text)


@pytest.mark.parametrize(
    "amount", [Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+15"), Decimal("1E+400"), Decimal("1E-10")]
)
def test_decimals_beyond_money_are_refused(amount: Decimal) -> None:
    with pytest.raises(ValidationError, match="at most 15 digits"):
        euro(amount)


@pytest.mark.parametrize("currency", ["eur", "EU", "EURO", "E1R", "", "€"])
def test_a_currency_is_an_iso_4217_code(currency: str) -> None:
    with pytest.raises(ValidationError, match="ISO 4217"):
        Money(amount="1", currency=currency)


@pytest.mark.parametrize(
    ("currency", "places"), [("EUR", 2), ("JPY", 0), ("KRW", 0), ("CLP", 0), ("VND", 0), ("KWD", 3), ("BHD", 3)]
)
def test_minor_units(currency: str, places: int) -> None:
    assert exponent(currency) == places
    assert minor_unit(currency) * 10**places == 1


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [("12.345", "EUR", "at most 2 decimals"), ("0.5", "JPY", "no decimals"), ("1.2345", "KWD", "at most 3 decimals")],
)
def test_a_person_can_not_state_more_than_the_currency_has(amount: str, currency: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        exact(amount, currency)


def test_zeros_too_many_are_no_precision() -> None:
    assert str(exact("12.5000", "EUR")) == "12.50 EUR"
    assert str(exact("100.00", "JPY")) == "100 JPY"


@unhurried
@given(cents, cents)
def test_adding_and_taking_away_loses_nothing(one: Decimal, other: Decimal) -> None:
    assert (euro(one) + euro(other)) - euro(other) == euro(one)
    assert (euro(one) < euro(other)) == (one < other)
    assert (euro(one) >= euro(other)) == (one >= other)


@unhurried
@given(cents)
def test_json_brings_back_the_same_money(amount: Decimal) -> None:
    assert Money.model_validate_json(euro(amount).model_dump_json()) == euro(amount)


def test_two_currencies_are_never_combined_or_compared() -> None:
    dollars = Money(amount="1", currency="USD")
    for operation in (lambda: euro("1") + dollars, lambda: euro("1") - dollars, lambda: euro("1") > dollars):
        with pytest.raises(ValueError, match="different currencies"):
            operation()
    assert euro("1") != dollars


@pytest.mark.parametrize(
    ("value", "rounded"), [("0.125", "0.13"), ("-0.125", "-0.13"), ("0.1249", "0.12"), ("2.675", "2.68")]
)
def test_a_half_is_rounded_away_from_zero(value: str, rounded: str) -> None:
    assert round_half_up(Decimal(value)) == Decimal(rounded)
