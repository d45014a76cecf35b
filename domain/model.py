"""What every model of the domain has in common."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value that refuses fields it doesn't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(Frozen):
    """Why something may not be done, for the person who tried: which rule, which field, what would be accepted."""

    rule: str
    message: str
    field: str | None = None
    forbidden: bool = False
    """True when it's the caller's role that may not, False when the claim or the input is the reason."""


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """Raised by a rule that can't go on; carries the refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
