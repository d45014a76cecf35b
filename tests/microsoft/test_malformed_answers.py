"""What no client of ours may choke on: answers that are cut short, of a proxy, of the wrong kind, huge or hostile.

Every operation gets every bad answer. What comes out is one of our exceptions, which names operation, host and
correlation id, and holds nothing of the answer but Microsoft's own words; a write whose answer doesn't count may take
it for what it is.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from uuid import UUID

import httpx
import pytest
from pydantic import AliasChoices, AliasPath, ValidationError
from pydantic_core import to_json

from microsoft.bodies import LONGEST_ERROR
from microsoft.errors import Malformed, MicrosoftError
from microsoft.fields import Resource
from microsoft.operations import Operation
from tests.microsoft.every_operation import HOST, OPERATIONS, PLACE, TENANT, WRITES, Work, outcome

HTML = b"<!doctype html><html><body>The proxy's secret page for Contoso</body></html>"
# Of each field that some answer has, something that it can't be.
WRONG: dict[str, object] = {
    **dict.fromkeys(("items", "value", "properties", "invoiceDetails", "notes", "links"), "x"),
    **{key: ["x"] for key in ("id", "name", "status", "nameAvailable", "access_token", "nextLink")},
}


class Chunks(httpx.AsyncByteStream):
    """A body in pieces, and how much of it was read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks, self.given = chunks, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.given += len(chunk)
            yield chunk


HALF_A_CHARACTER = (
    b'{"id": "\\ud800\\u0000", "name": "\\ud800", "status": "\\udfff", "companyProfile": {"companyName": "\\ud83d"},'
    b' "invoiceDate": "2026-01-01", "currencyCode": "\\ud83d", "totalCharges": 1, "currency": "\\udfff",'
    b' "totalForCustomer": 1, "properties": {"title": "\\ud83d\\u0000", "displayName": "refund billing \\ud83d"}}'
)


def nested(depth: int) -> bytes:
    return b'{"id":"1","name":"1","status":"open","value":' + b'{"a":' * depth + b"1" + b"}" * (depth + 1)


BAD: dict[str, Callable[[], httpx.Response]] = {
    "cut short": lambda: httpx.Response(200, content=b'{"id": "1", "value": [{"id"'),
    "a proxy's page as a success": lambda: httpx.Response(200, content=HTML),
    "a proxy's page as a 502": lambda: httpx.Response(502, content=HTML),
    "a proxy's page as a 403": lambda: httpx.Response(403, content=HTML),
    "a redirect to a sign-in": lambda: httpx.Response(302, content=HTML, headers={"Location": "https://evil.example/"}),
    "fields of the wrong kind": lambda: httpx.Response(200, json=WRONG),
    "an empty body": lambda: httpx.Response(200),
    "blanks": lambda: httpx.Response(200, content=b" \r\n\t "),
    "an array": lambda: httpx.Response(200, json=[{"id": "1"}]),
    "a number": lambda: httpx.Response(200, json=5),
    "a text": lambda: httpx.Response(200, json="id"),
    "nothing": lambda: httpx.Response(200, json=None),
    "nested without end": lambda: httpx.Response(200, content=nested(100_000)),
    "not UTF-8": lambda: httpx.Response(200, content=b'{"id": "\xff\xfe\xc3"}'),
    "not gzip": lambda: httpx.Response(200, stream=Chunks([HTML]), headers={"Content-Encoding": "gzip"}),
    "zeros": lambda: httpx.Response(200, content=bytes(1000)),
    "a number without end": lambda: httpx.Response(200, content=b'{"id": ' + b"9" * 10_000 + b"}"),
    "a number that is none": lambda: httpx.Response(200, content=b'{"id": NaN}'),
    "an exponent beyond all bounds": lambda: httpx.Response(200, content=b'{"totalCount": 1e999999999}'),
    "half a character in an error": lambda: httpx.Response(
        400, content=b'{"code": "\\ud800\\u0000", "description": "Why\\udfff\\u001b[2J\\u0000."}'
    ),
    "an error of wrong kinds": lambda: httpx.Response(400, json={"error": {"code": ["x"], "message": {"x": 1}}}),
    "a pause beyond all bounds": lambda: httpx.Response(
        429, headers={"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}
    ),
    "a pause until the end of time": lambda: httpx.Response(
        429, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2300"}
    ),
    "an unknown status": lambda: httpx.Response(799, content=HTML),
}
ODD: dict[str, Callable[[], httpx.Response]] = {
    "half a character": lambda: httpx.Response(200, content=HALF_A_CHARACTER),
    "half a character in a list": lambda: httpx.Response(
        200, content=b'{"items":[%b],"value":[%b]}' % (HALF_A_CHARACTER, HALF_A_CHARACTER)
    ),
    "nested too deep to be walked": lambda: httpx.Response(200, content=b'{"items":[%b]}' % nested(700)),
}
"""What may be taken for an answer, as far as it can be written down afterwards."""


def told_well(error: MicrosoftError, operation: str) -> bool:
    """Whether it names operation, host and correlation id, in one short line that can be written down."""
    text = str(error)
    named = text.startswith(f"{operation} at {HOST}: ") and str(UUID(error.correlation_id)) in text
    return named and text.isprintable() and len(text.encode()) < 1000 and "Contoso" not in text


def _always(answer: Callable[[], httpx.Response]) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: answer()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_bad_answer_is_one_of_our_exceptions(operation: str) -> None:
    for name, answer in BAD.items():
        came = await outcome(OPERATIONS[operation], _always(answer))
        if isinstance(came, MicrosoftError):
            assert told_well(came, operation), (name, str(came))
        else:
            # JSON or nothing at all, to a write whose answer doesn't count.
            assert operation in WRITES, name
            assert answer().status_code == 200, name


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_what_is_taken_of_an_odd_answer_can_be_written_down(operation: str) -> None:
    for name, answer in ODD.items():
        came = await outcome(OPERATIONS[operation], _always(answer))
        if isinstance(came, MicrosoftError):
            assert told_well(came, operation), (name, str(came))
        else:
            if isinstance(came, Operation):
                came = came.status  # the rest of its answer isn't handed on
            assert b"\\u0000" not in to_json(came), name


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", [200, 404, 500])
async def test_a_page_of_10_megabytes_costs_no_more_memory_than_it_may(operation: str, status: int) -> None:
    pages: list[Chunks] = []

    def answer(request: httpx.Request) -> httpx.Response:
        pages.append(Chunks(b"<p>Contoso</p>" * 4000 for _ in range(200)))
        return httpx.Response(status, stream=pages[-1])

    came = await outcome(OPERATIONS[operation], answer)
    assert isinstance(came, MicrosoftError)
    assert told_well(came, operation)
    assert all(page.given < 3 * LONGEST_ERROR for page in pages if status != 200)
    assert len(pages) <= 3


ACCEPTED = {
    "create support ticket": Malformed,
    "create communication": Malformed,
    "quote exchange": Malformed,
    "change reservation": None,
    "return reservation": None,
    "exchange reservations": None,
    "purchase reservation": None,
}
"""What a 202 that names no place to ask becomes. Where the outcome is asked for at a place that is known anyway, it is
taken for what it says."""


@pytest.mark.parametrize(("operation", "expected"), ACCEPTED.items())
async def test_accepted_without_saying_where_its_outcome_is(
    operation: str, expected: type[MicrosoftError] | None
) -> None:
    came = await outcome(OPERATIONS[operation], lambda _: httpx.Response(202))
    if expected is None:
        assert not isinstance(came, MicrosoftError)
    else:
        assert type(came) is expected
        assert told_well(came, operation)


@pytest.mark.parametrize("operation", ["look at support operation", "look at exchange quote", "look at exchange"])
@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": " "}, {"state": "Succeeded"}, {"status": {"x": 1}}])
async def test_an_operation_without_a_status_is_malformed(operation: str, body: object) -> None:
    came = await outcome(OPERATIONS[operation], lambda _: httpx.Response(200, json=body))
    assert isinstance(came, Malformed)
    assert told_well(came, operation)


ELSEWHERE = [
    "https://evil.example/operations/1",
    f"http://{HOST}/operations/1",
    f"https://{HOST}:8443/operations/1",
    f"https://{HOST}@evil.example/",
    f"https://{HOST}.evil.example/",
    "https://[::1",
    "https://evil.example:99999999/",
    "\x00",
]


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_no_token_goes_to_an_address_of_another_host(url: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"value": [], "nextLink": url})

    looks: dict[str, Work] = {
        "look at support operation": lambda it: it.support.look(PLACE, url),
        "look at exchange quote": lambda it: it.reservations.look_at_quote(TENANT, url),
        "look at exchange": lambda it: it.reservations.look_at_exchange(TENANT, url),
    }
    for operation, work in looks.items():
        came = await outcome(work, answer)
        assert isinstance(came, Malformed)
        assert told_well(came, operation)
    assert asked == []
    by_link = ("find problem classification", "list support tickets", "list reservations", "list catalogue")
    for operation in (*by_link, "list communications", "list reservations of order", "list role assignments"):
        came = await outcome(OPERATIONS[operation], answer)
        assert isinstance(came, Malformed), operation
        assert told_well(came, operation)
    assert {(request.url.scheme, request.url.netloc) for request in asked} == {("https", HOST.encode())}


def all_below(model: type[Resource]) -> list[type[Resource]]:
    return [found for each in model.__subclasses__() for found in (each, *all_below(each))]


def spelled(path: str | AliasPath | AliasChoices | None, name: str) -> list[list[str | int]]:
    """The ways into an answer by which a field is found."""
    if isinstance(path, AliasChoices):
        return [way for each in path.choices for way in spelled(each, name)]
    return [path.path] if isinstance(path, AliasPath) else [[path or name]]


WRONG_KINDS: list[object] = [
    *(
        None,
        True,
        5,
        -1,
        10**40,
        "",
        "x",
        "\ud800",
        "9" * 5000,
        [],
        {},
        ["x"],
        {"x": 1},
        [[]],
        [{}],
        [None],
        {"": None},
    ),
    *(Decimal("1E+90"), Decimal("-0.0"), Decimal("1E-90"), 1.5, "2021-13-45", "0001-01-01T00:00:00Z", "P1D"),
]


@pytest.mark.parametrize("model", all_below(Resource), ids=lambda model: model.__qualname__)
def test_no_kind_of_value_in_any_field_crashes_a_model(model: type[Resource]) -> None:
    """Anything but the model comes out as a ValidationError (Malformed at the client), never as another exception."""
    fields = model.model_fields
    assert fields
    for name, field in fields.items():
        for way in spelled(field.validation_alias, name):
            for wrong in WRONG_KINDS:
                body = wrong
                for step in reversed(way):
                    body = {step: body} if isinstance(step, str) else [body]
                with suppress(ValidationError):
                    model.model_validate(body)
