"""What our transport makes of each way a call can end."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel, SecretStr
from structlog.testing import capture_logs

from microsoft import bodies
from microsoft.answers import explain
from microsoft.errors import (
    Ambiguous,
    Conflict,
    Forbidden,
    Malformed,
    MicrosoftError,
    NotFound,
    Rejected,
    StaleETag,
    Throttled,
    Unavailable,
)
from tests.microsoft.stand_ins import Reply, Script, fixed_token

TOKEN = "eyJhbGciOi.some-bearer"


def answered(status: int, body: object = None, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers=names)


async def failing_get(reply: Reply, *more: Reply) -> MicrosoftError:
    script = Script([reply, *more])
    http = script.transport()
    with pytest.raises(MicrosoftError) as caught:
        await http.get(http.call("read customer"), "/v1/customers/1", token=fixed_token)
    return caught.value


async def failing_patch(reply: Reply, body: dict[str, object] | None = None) -> MicrosoftError:
    script = Script([reply])
    http = script.transport()
    with pytest.raises(MicrosoftError) as caught:
        await http.write(
            http.call("add note"), "PATCH", "/v1/servicerequests/1", body or {"Status": "none"}, token=fixed_token
        )
    assert len(script.requests) == 1
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "1000", NotFound),
        (401, "400", Forbidden),
        (403, "2006", Forbidden),
        (400, "2006", Rejected),
        (400, "2055", StaleETag),
        (403, "2055", Forbidden),
        (412, "", StaleETag),
        (409, "900278", Conflict),
        (400, "900117", Rejected),
        (418, "", Rejected),
        (302, "", Malformed),
    ],
)
async def test_status_and_code_together_decide_the_exception(
    status: int, code: str, expected: type[MicrosoftError]
) -> None:
    def reply() -> httpx.Response:
        return answered(status, {"code": code, "description": "Why.", "data": [], "source": "PartnerFD"})

    error = await failing_get(*[reply(), reply()] if status == 401 else [reply()])
    assert type(error) is expected
    assert (error.status, error.code, error.description) == (status, code, "Why.")
    assert error.operation in str(error)
    assert "api.partnercenter.example" in str(error)
    assert str(UUID(error.correlation_id)) in str(error)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": "2055", "description": "Etag is no longer valid."}, ("2055", "Etag is no longer valid.")),
        ({"code": 800019, "description": "Non-Sandbox"}, ("800019", "Non-Sandbox")),
        ({"error": {"code": "Denied", "message": "No."}}, ("Denied", "No.")),
        ({"Error": {"Code": "Denied", "Message": "No."}}, ("Denied", "No.")),
        (
            {"error": "invalid_client", "error_description": "AADSTS7000215: Wrong."},
            ("invalid_client", "AADSTS7000215: Wrong."),
        ),
        ({"statusCode": 429, "message": "Slow down."}, ("", "Slow down.")),
        ({"error": None}, ("", "")),
        ({"code": {"deep": 1}, "description": ["x"]}, ("", "")),
        ([], ("", "")),
    ],
)
def test_every_error_shape_is_understood(body: object, expected: tuple[str, str]) -> None:
    assert explain(json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Customer Contoso secret page</body></html>",
        b'{"code": "1000", "descri',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
async def test_an_unreadable_error_page_is_named_by_size_and_type_only(body: bytes) -> None:
    error = await failing_get(httpx.Response(404, content=body, headers={"content-type": "text/html; charset=x"}))
    # A proxy's page with a 404 isn't Microsoft's word that something isn't there; an answer without any body is.
    assert type(error) is (NotFound if body[:1] in (b"", b"{") else Malformed)
    assert f"{len(body)} bytes of text/html" in str(error) or "65536 bytes of text/html" in str(error)
    assert "Contoso" not in str(error)


async def test_a_huge_error_page_is_not_read_to_its_end() -> None:
    given = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]  # httpx's own is untyped for generators
            nonlocal given
            while True:
                given += 65536
                yield b"x" * 65536

    error = await failing_get(httpx.Response(404, stream=Endless()))
    assert isinstance(error, Malformed)
    assert given <= 4 * 65536
    assert len(str(error)) < 1000


async def test_a_long_description_is_cut() -> None:
    error = await failing_get(answered(400, {"code": "1", "description": "word " * 500}))
    assert len(error.description) <= 300


async def test_a_success_that_is_too_long_is_malformed_and_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LONGEST_ANSWER", 1000)
    error = await failing_get(httpx.Response(200, content=b"[" + b"1," * 1000 + b"1]"))
    assert isinstance(error, Malformed)


@pytest.mark.parametrize(
    "body", [b'{"id": "1', b"<html>sign in</html>", b"[NaN]", b"\xff", b"[" * 100_000, b"1" * 5000]
)
async def test_a_success_that_is_not_json_is_malformed(body: bytes) -> None:
    error = await failing_get(httpx.Response(200, content=body))
    assert isinstance(error, Malformed)
    assert "sign in" not in str(error)
    assert error.__context__ is None


async def test_wrong_types_name_the_field_but_not_the_value() -> None:
    class Thing(BaseModel):
        count: int

    http = Script([answered(200, {"count": "Contoso's secret"})]).transport()
    answer = await http.get(http.call("read thing"), "/thing")
    with pytest.raises(Malformed, match="count: int_parsing") as caught:
        answer.read(Thing)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_money_keeps_the_digits_microsoft_wrote() -> None:
    http = Script([httpx.Response(200, content=b'\xef\xbb\xbf{"amount": 107661.120, "small": 0.1}')]).transport()
    answer = await http.get(http.call("read"), "/x")
    assert answer.data == {"amount": Decimal("107661.120"), "small": Decimal("0.1")}
    assert "107661.120" in str(answer.data)


LOST: list[Callable[[], Exception]] = [
    lambda: httpx.ConnectError("x"),
    lambda: httpx.ConnectTimeout("x"),
    lambda: httpx.ReadTimeout("x"),
    lambda: httpx.ReadError("x"),
    lambda: httpx.RemoteProtocolError("x"),
    lambda: httpx.WriteError("x"),
]


@pytest.mark.parametrize("lost", LOST)
async def test_a_read_without_an_answer_is_repeated_with_the_same_request_id(lost: Callable[[], Exception]) -> None:
    script = Script([lost(), lost(), answered(200, {})])
    http = script.transport()
    await http.get(http.call("read"), "/x", token=fixed_token)
    assert len(set(script.sent("MS-RequestId"))) == 1
    assert len(set(script.sent("MS-CorrelationId"))) == 1


async def test_after_any_answer_the_request_id_is_new_and_the_correlation_id_is_not() -> None:
    script = Script([answered(503), answered(500), httpx.ReadTimeout("x")])
    http = script.transport()
    with pytest.raises(Unavailable):
        await http.get(http.call("read"), "/x")
    assert len(set(script.sent("MS-RequestId"))) == 3
    assert len(set(script.sent("MS-CorrelationId"))) == 1
    assert all(UUID(each) for each in script.sent("MS-RequestId"))


async def test_a_read_gives_up_after_three_attempts() -> None:
    script = Script([*(httpx.ReadTimeout("x") for _ in range(3)), answered(200)])
    http = script.transport()
    with pytest.raises(Unavailable, match="ReadTimeout"):
        await http.get(http.call("read"), "/x")
    assert len(script.requests) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412])
async def test_a_refusal_is_not_repeated(status: int) -> None:
    script = Script([answered(status), answered(200)])
    http = script.transport()
    with pytest.raises(MicrosoftError):
        await http.get(http.call("read"), "/x")
    assert len(script.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_to_a_read_is_unavailable(status: int) -> None:
    assert isinstance(await failing_get(answered(status), answered(status), answered(status)), Unavailable)


async def test_a_short_retry_after_is_waited_out() -> None:
    script = Script([answered(429, retry_after="0"), answered(503, retry_after="0"), answered(200, {"id": 1})])
    http = script.transport()
    assert (await http.get(http.call("read"), "/x")).data == {"id": 1}


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (lambda: answered(429, {"statusCode": 429, "message": "Try again in 9 seconds."}, retry_after="57"), 57),
        (lambda: answered(429, {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 41 seconds."}), 41),
        (lambda: answered(429, {"code": "429", "description": "Too many.", "data": []}, retry_after="57"), 57),
        (lambda: answered(429), 30),
        (lambda: answered(429, retry_after="soon"), 30),
    ],
)
async def test_a_long_throttle_is_handed_up_with_the_time_to_wait(
    reply: Callable[[], httpx.Response], seconds: int
) -> None:
    error = await failing_get(reply())
    assert isinstance(error, Throttled)
    assert error.retry_after == timedelta(seconds=seconds)


async def test_retry_after_may_be_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    error = await failing_get(answered(429, retry_after=at))
    assert isinstance(error, Throttled)
    assert timedelta(minutes=9) < error.retry_after <= timedelta(minutes=10)


@pytest.mark.parametrize("lost", LOST[2:])
async def test_a_write_without_an_answer_is_ambiguous_and_not_repeated(lost: Callable[[], Exception]) -> None:
    assert isinstance(await failing_patch(lost()), Ambiguous)


@pytest.mark.parametrize("lost", LOST[:2])
async def test_a_write_that_never_left_is_unavailable(lost: Callable[[], Exception]) -> None:
    assert isinstance(await failing_patch(lost()), Unavailable)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_to_a_write_is_ambiguous(status: int) -> None:
    assert isinstance(await failing_patch(answered(status)), Ambiguous)


async def test_a_success_from_something_that_is_not_microsoft_is_ambiguous_for_a_write() -> None:
    assert isinstance(await failing_patch(httpx.Response(200, content=b"<html>proxy</html>")), Ambiguous)


async def test_a_throttled_write_is_handed_up_at_once() -> None:
    error = await failing_patch(answered(429, retry_after="0"))
    assert isinstance(error, Throttled)


async def test_a_write_refused_for_its_token_goes_out_once_more_with_another() -> None:
    script = Script([answered(401), answered(200, {})])
    http = script.transport()
    await http.write(http.call("add note"), "PATCH", "/x", {}, token=fixed_token)
    assert script.sent("Authorization") == [f"Bearer {TOKEN}", "Bearer eyJhbGciOi.another-bearer"]
    assert len(set(script.sent("MS-RequestId"))) == 2


async def test_a_token_refused_twice_is_forbidden() -> None:
    assert isinstance(await failing_get(answered(401), answered(401)), Forbidden)


async def test_nothing_we_sent_and_no_token_comes_out_in_an_exception() -> None:
    said = f"Cannot add 'a confidential note' for Bearer {TOKEN} with eyJ0eXAiOiJKV1Qi.aaa.bbb"
    for status in (400, 500):
        error = await failing_patch(
            answered(status, {"code": "1", "description": said}), {"NewNote": {"Text": "a confidential note"}}
        )
        for text in (str(error), repr(error), error.description):
            assert "confidential" not in text
            assert "eyJ" not in text
            assert "Cannot add" in text


async def test_one_log_line_a_call_with_its_correlation_id_and_no_body_or_token() -> None:
    script = Script([answered(500, {"description": "Contoso"}), answered(200, {"name": "Contoso"})])
    http = script.transport()
    call = http.call("read customer")
    with capture_logs() as logs:
        await http.get(call, "/v1/customers/1", token=fixed_token)
    assert [line["status"] for line in logs] == [500, 200]
    assert {line["operation"] for line in logs} == {"read customer"}
    assert {line["host"] for line in logs} == {"api.partnercenter.example"}
    assert {line["correlation_id"] for line in logs} == set(script.sent("MS-CorrelationId"))
    assert all(line["milliseconds"] >= 0 for line in logs)
    assert not any(word in repr(logs) for word in ("eyJ", "Contoso", "Bearer"))


async def test_a_lost_call_is_logged_too() -> None:
    script = Script([httpx.ReadTimeout("x")] * 3)
    http = script.transport()
    with capture_logs() as logs, pytest.raises(Unavailable):
        await http.get(http.call("read"), "/x")
    assert [(line["status"], line["lost"]) for line in logs] == [(None, "ReadTimeout")] * 3


async def test_an_answer_does_not_show_its_data() -> None:
    http = Script([answered(200, {"access_token": "hush"})]).transport()
    assert "hush" not in repr(await http.get(http.call("read"), "/x"))


async def test_a_refused_token_is_named_to_the_source_so_that_it_gives_another() -> None:
    asked: list[SecretStr | None] = []

    async def source(refused: SecretStr | None) -> SecretStr:
        asked.append(refused)
        return SecretStr(f"token-{len(asked)}")

    script = Script([answered(401), answered(200, {})])
    http = script.transport()
    await http.get(http.call("read"), "/x", token=source)
    assert asked == [None, SecretStr("token-1")]


async def test_what_must_go_out_once_is_not_sent_again_even_for_a_refused_token() -> None:
    asked: list[SecretStr | None] = []

    async def source(refused: SecretStr | None) -> SecretStr:
        asked.append(refused)
        return SecretStr(f"token-{len(asked)}")

    script = Script([answered(401), answered(200, {})])
    http = script.transport()
    with pytest.raises(Unavailable, match="the token was refused and nothing was done"):
        await http.write(http.call("return"), "POST", "/x", {}, token=source, once=True)
    assert len(script.requests) == 1
    assert asked == [None, SecretStr("token-1")]
