"""What every model of the domain has in common."""

import unicodedata

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _readable(text: str) -> str:
    if any(unicodedata.category(each) in {"Cc", "Cf"} and each not in "\n\r\t\u200d" for each in text):
        raise ValueError("text may hold no control or direction characters besides tabs and line breaks")
    return text


def _one_line(text: str) -> str:
    if len(text.splitlines()) > 1:
        raise ValueError("this is one line of text")
    return _readable(text)


READABLE = AfterValidator(_readable)
"""For what a person wrote: it holds nothing that can't be seen."""

ONE_LINE = AfterValidator(_one_line)
"""For a name or a reference: it can't pretend to be two fields in a text for people."""


def written(longest: int) -> StringConstraints:
    """For what a person wrote: blanks around it don't count, and something is left."""
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


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
