"""The `$filter` of a list of reservations: `eq`, `and`, `or` and brackets, nothing else (the document's word); and its
`$orderby`."""

import re
from collections.abc import Callable

from simulator.azure import AzureError

Test = Callable[[dict[str, object]], bool]
LONGEST = 200
"""Words and brackets of a filter."""
TOKEN = re.compile(r"\s*(?:(\(|\))|'((?:[^']|'')*)'|([^\s()']+))")


def filter_of(text: str) -> Test:
    """Whether a reservation, as it goes out, passes. Raises a 400 for any other expression."""
    tokens = [(mark or word, quoted) for mark, quoted, word in TOKEN.findall(text)]
    if TOKEN.sub("", text).strip() or len(tokens) > LONGEST:
        raise refusal(text)
    test, rest = any_of(tokens, text)
    if rest:
        raise refusal(text)
    return test


Tokens = list[tuple[str, str]]


def any_of(tokens: Tokens, text: str) -> tuple[Test, Tokens]:
    """Parts joined by `or`."""
    first, rest = all_of(tokens, text)
    if not rest or rest[0][0].lower() != "or":
        return first, rest
    second, rest = any_of(rest[1:], text)
    return lambda one: first(one) or second(one), rest


def all_of(tokens: Tokens, text: str) -> tuple[Test, Tokens]:
    """Parts joined by `and`."""
    first, rest = part(tokens, text)
    if not rest or rest[0][0].lower() != "and":
        return first, rest
    second, rest = all_of(rest[1:], text)
    return lambda one: first(one) and second(one), rest


def part(tokens: Tokens, text: str) -> tuple[Test, Tokens]:
    """A comparison, or an expression in brackets."""
    if tokens and tokens[0][0] == "(":
        inner, rest = any_of(tokens[1:], text)
        if not rest or rest[0][0] != ")":
            raise refusal(text)
        return inner, rest[1:]
    if len(tokens) < 3 or tokens[1][0].lower() != "eq":
        raise refusal(text)
    path, wanted = tokens[0][0].split("/"), (tokens[2][0] or tokens[2][1]).lower()
    return lambda one: told(one, path) == wanted, tokens[3:]


def in_order(bodies: list[dict[str, object]], text: str) -> list[dict[str, object]]:
    """Reservations by the field that `$orderby` names, as text. Raises a 400 for more than a field and a direction."""
    field, *direction = text.split()[:2] or [""]
    if text.count(",") or len(text.split()) > 2 or direction not in ([], ["asc"], ["desc"]):
        raise AzureError(400, "BadRequest", f"The order '{text[:80]}' is not supported.")
    return sorted(bodies, key=lambda one: told(one, field.split("/")), reverse=direction == ["desc"])


def told(one: dict[str, object], path: list[str]) -> str:
    """The field at a path as text in lower case; "" where there is none."""
    found: object = one
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return "" if found is None else str(found).lower()


def refusal(text: str) -> AzureError:
    """The error for a filter that isn't one."""
    return AzureError(400, "BadRequest", f"The filter '{text[:80]}' is not supported.")
