"""Microsoft's published rules of credit claims: which exist, what each applies to and where it was read.

The rules are data in `policy.toml`; this module reads that file once and refuses it when it doesn't make sense.
What a rule's dates come to is worked out in `domain.deadlines`.
"""

import re
import tomllib
from datetime import date
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from domain.evidence import EvidenceKind
from domain.model import Frozen


class PolicyError(ValueError):
    """A value the rules can't be applied to: `field` names it, `accepted` says what would do."""

    def __init__(self, field: str, problem: str, accepted: str) -> None:
        super().__init__(field, problem, accepted)
        self.field = field
        self.problem = problem
        self.accepted = accepted

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}. Accepted: {self.accepted}."


class Category(StrEnum):
    """Why a credit is claimed: Microsoft's categories (RC23), and a cancellation of our own (S0)."""

    ACCIDENTAL_PURCHASE = "accidental_purchase"
    DUPLICATE_ORDER = "duplicate_order"
    SERVICE_OUTAGE = "service_outage"
    TECHNICAL_ISSUE = "technical_issue"
    INCORRECT_INFORMATION = "incorrect_information"
    CANCELLATION = "cancellation"


class Commerce(StrEnum):
    """How the subscription was bought; Microsoft's windows differ by it."""

    LEGACY = "legacy"
    NEW_COMMERCE = "new_commerce"
    AZURE = "azure"


class CountsFrom(StrEnum):
    """The date a rule's window counts from."""

    INCIDENT = "incident"
    PURCHASE = "purchase"
    BILLING_MONTH = "billing_month"


_Tag = Annotated[str, Field(pattern=r"^[A-Z]+[0-9]*$")]
_Positive = Annotated[int, Field(gt=0)]


class Source(Frozen):
    """Where a rule can be read: what the page is called, and its address."""

    reference: str = Field(min_length=1)
    url: str = Field(pattern="^https://")


class ChargeTypes(Frozen):
    """Names that invoice lines of one sort carry, in small letters: compare without case."""

    source: _Tag
    names: frozenset[str] = Field(min_length=1)

    @field_validator("names")
    @classmethod
    def _without_case(cls, names: frozenset[str]) -> frozenset[str]:
        return frozenset(name.lower() for name in names)


class InvoiceChargeTypes(Frozen):
    """The charge types that pay back a cancellation of our own, and those of a credit granted on a claim."""

    self_service_cancellation: ChargeTypes
    granted_credit: ChargeTypes


class Rule(Frozen):
    """One published rule; the fields are explained at the top of `policy.toml`."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str = Field(min_length=1)
    categories: frozenset[Category] = Field(min_length=1)
    commerce: frozenset[Commerce] = Field(min_length=1)
    products: tuple[str, ...] = ()
    counts_from: CountsFrom
    months: _Positive | None = None
    days: _Positive | None = None
    exclusive: bool = False
    evidence: tuple[EvidenceKind, ...] = Field(min_length=1)
    effect: str = ""
    source: _Tag
    effective_from: date
    verified_on: date

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        wanted, other = ("days", "months") if self.counts_from is CountsFrom.PURCHASE else ("months", "days")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"a rule that counts from {self.counts_from} has a window in {wanted} only")
        if any(not _words(product) for product in self.products):
            raise ValueError("a product is named by at least one word")
        return self

    def applies_to(self, category: Category, commerce: Commerce, product: str | None) -> bool:
        """Whether the rule is for such a claim. A rule for certain products needs their words in the product's name."""
        return (
            category in self.categories
            and commerce in self.commerce
            and (not self.products or any(_named(words, product or "") for words in self.products))
        )


class Policy(Frozen):
    """The rules, the few published or chosen numbers that aren't rules, and the version all of them were read at."""

    version: str = Field(min_length=1)
    legacy_full_refund_days: _Positive
    grace_working_days: _Positive
    reminder_days: tuple[_Positive, ...] = Field(min_length=1)
    reminder_hour: int = Field(ge=0, le=23)
    sources: dict[_Tag, Source]
    charge_types: InvoiceChargeTypes
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if repeated := sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1}):
            raise ValueError(f"rule ids must differ, these repeat: {', '.join(repeated)}")
        tags = {rule.source for rule in self.rules}
        tags |= {self.charge_types.self_service_cancellation.source, self.charge_types.granted_credit.source}
        if unknown := sorted(tags - self.sources.keys()):
            raise ValueError(f"no such source: {', '.join(unknown)}")
        for category in Category:
            for commerce in Commerce:
                rules = self.rules_for(category, commerce)
                if all(rule.counts_from is CountsFrom.PURCHASE for rule in rules):
                    raise ValueError(f"no rule dates a {category} claim in {commerce} by its incident alone")
        return self

    def rules_for(
        self, category: Category, commerce: Commerce, product: str | None = None, as_of: date | None = None
    ) -> tuple[Rule, ...]:
        """The rules that apply to such a claim, in the order of the file; with `as_of`, those published by that day."""
        return tuple(
            rule
            for rule in self.rules
            if rule.applies_to(category, commerce, product) and (as_of is None or rule.effective_from <= as_of)
        )

    def evidence_for(
        self, category: Category, commerce: Commerce, product: str | None = None
    ) -> tuple[EvidenceKind, ...]:
        """The kinds of document such a claim needs: what any of its rules asks for, each once, in the file's order."""
        rules = self.rules_for(category, commerce, product)
        return tuple(dict.fromkeys(kind for rule in rules for kind in rule.evidence))

    def cite(self, tag: str) -> str:
        """A source as people read it: its tag, what it is and its address."""
        source = self.sources[tag]
        return f"{tag}: {source.reference}, {source.url}"


def parse(text: str) -> Policy:
    """Read a policy file. Raises PolicyError with the place in the file and what is wrong there."""
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError("policy.toml", str(error), "a TOML file") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "policy.toml"
        problem = first["msg"].removeprefix("Value error, ")
        raise PolicyError(place, problem, "what the top of policy.toml describes") from error


def _words(name: str) -> list[str]:
    return re.findall(r"\w+", name.lower())


def _named(product: str, name: str) -> bool:
    """Whether the product's words stand next to each other in the name: 'Microsoft 365 A1' isn't in '… A10'."""
    return f" {' '.join(_words(product))} " in f" {' '.join(_words(name))} "


POLICY = parse(files("domain").joinpath("policy.toml").read_text("utf-8"))
"""The policy in force, read from `policy.toml` when this module is first imported."""

LEGACY_FULL_REFUND_DAYS = POLICY.legacy_full_refund_days
"""A legacy licence cancelled within so many days of its purchase is refunded whole, without a claim (S0)."""
