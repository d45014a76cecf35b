"""Amounts of money: a Decimal with its ISO 4217 currency, read from text, never from a float."""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Annotated, Self

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema, field_serializer

from domain.model import Frozen

_CURRENCY = re.compile(r"[A-Z]{3}")
_PLAIN_DECIMAL = r"-?[0-9]{1,15}(\.[0-9]{1,9})?"
_LIMIT = Decimal(10) ** 15
_SMALLEST = Decimal(10) ** -9

# ISO 4217: decimal places of the minor unit, where they aren't 2.
_EXPONENTS = {
    code: places
    for places, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}


def _read_amount(value: object) -> Decimal:
    if isinstance(value, str):
        if not re.fullmatch(_PLAIN_DECIMAL, value):
            raise ValueError('an amount is digits with at most 9 decimals after a point, such as "12.50"')
        value = Decimal(value)
    if not isinstance(value, Decimal):
        # A number in JSON or a float in code has already lost what was written: 0.1 isn't one tenth.
        raise ValueError(f'an amount is given as text such as "12.50" or as a Decimal, not as {type(value).__name__}')
    if not value.is_finite() or abs(value) >= _LIMIT or value != value.quantize(_SMALLEST):
        raise ValueError("an amount has at most 15 digits before the point and 9 after it")
    return value if value else Decimal(0)  # no minus zero


def _read_currency(value: object) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise ValueError("a currency is an ISO 4217 code of three capital letters, such as EUR")
    return value


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


Amount = Annotated[
    Decimal,
    BeforeValidator(_read_amount),
    PlainSerializer(_plain, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{_PLAIN_DECIMAL}$", "examples": ["12.50"]}),
]
"""A Decimal read from text or a Decimal (a float or a JSON number is refused) and written to JSON as plain text."""

Currency = Annotated[
    str,
    BeforeValidator(_read_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]}),
]
"""An ISO 4217 code in capital letters."""


def exponent(currency: str) -> int:
    """Decimal places of a currency's minor unit: 2 for EUR, 0 for JPY, 3 for KWD (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for EUR, 1 for JPY, 0.001 for KWD."""
    return Decimal(1).scaleb(-exponent(currency))


def round_half_up(value: Decimal, places: int = 2) -> Decimal:
    """Round to so many decimal places, a half away from zero, as a spreadsheet's ROUND does."""
    return value.quantize(_step(places), ROUND_HALF_UP)


@cache
def _step(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


class Money(Frozen):
    """An amount in one currency. In JSON `{"amount": "12.50", "currency": "EUR"}`.

    Adding, subtracting and ordering raise ValueError for two currencies: claimdesk never converts.
    It holds unit prices too, so it may be finer than the currency's minor unit; `exact` refuses that.
    """

    amount: Amount
    currency: Currency

    @field_serializer("amount", when_used="json")
    def _amount_text(self, amount: Decimal) -> str:
        places = exponent(self.currency)
        written = -int(amount.as_tuple().exponent)
        return format(amount, f".{places}f") if written < places else _plain(amount)

    def __str__(self) -> str:
        return f"{self._amount_text(self.amount)} {self.currency}"

    def __add__(self, other: Self) -> "Money":
        return self._combined(other, Decimal.__add__)

    def __sub__(self, other: Self) -> "Money":
        return self._combined(other, Decimal.__sub__)

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._same_currency(other)

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._same_currency(other)

    def __gt__(self, other: Self) -> bool:
        return self.amount > self._same_currency(other)

    def __ge__(self, other: Self) -> bool:
        return self.amount >= self._same_currency(other)

    def _same_currency(self, other: Self) -> Decimal:
        if self.currency != other.currency:
            raise ValueError(f"{self} and {other} are in different currencies and can't be combined or compared")
        return other.amount

    def _combined(self, other: Self, operation: Callable[[Decimal, Decimal], Decimal]) -> "Money":
        return Money(amount=operation(self.amount, self._same_currency(other)), currency=self.currency)


def exact(amount: str | Decimal, currency: str) -> Money:
    """Money as a person states it: no finer than the currency's minor unit.

    Raises ValueError (pydantic's for a malformed amount or currency), naming how many decimals the currency has.
    """
    money = Money(amount=amount, currency=currency)
    places = exponent(currency)
    rounded = round_half_up(money.amount, places)
    if rounded != money.amount:
        allowed = f"at most {places} decimals" if places else "no decimals"
        raise ValueError(f"{currency} amounts have {allowed}; {_plain(money.amount)} is finer than that")
    return Money(amount=rounded, currency=currency)
