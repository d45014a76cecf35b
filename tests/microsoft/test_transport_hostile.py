"""The transport against hosts that wear it out or want what isn't theirs: bombs, drips, redirects, echoes."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing

import httpx
import pytest

from microsoft import bodies
from microsoft.answers import Call
from microsoft.errors import Ambiguous, MicrosoftError, Unavailable
from microsoft.transport import Transport
from tests.microsoft.stand_ins import HOST, Script, fixed_token, raw_server

ZEROS = bytes(40 * 1024 * 1024)
BOMB = gzip.compress(ZEROS)


class Pieces(httpx.AsyncByteStream):
    """A body that httpx hasn't inflated already."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        yield self.body


def encoded(status: int, body: bytes, encoding: str) -> httpx.Response:
    return httpx.Response(status, stream=Pieces(body), headers={"Content-Encoding": encoding})


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(("body", "encoding"), [(BOMB, "gzip"), (gzip.compress(BOMB), "gzip, gzip")])
async def test_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, encoding: str) -> None:
    monkeypatch.setattr(bodies, "LONGEST_ANSWER", 1024 * 1024)
    http = Script([encoded(status, body, encoding) for _ in range(3)]).transport()
    tracemalloc.start()
    try:
        with pytest.raises(MicrosoftError):
            await http.get(http.call("read"), "/x")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(ZEROS) / 4


async def test_an_encoding_that_was_not_asked_for_tells_nothing_of_a_write() -> None:
    script = Script([encoded(200, gzip.compress(gzip.compress(b"{}")), "gzip, gzip")])
    http = script.transport()
    with pytest.raises(Ambiguous, match="DecodingError"):
        await http.write(http.call("write"), "POST", "/x", {})
    assert script.sent("Accept-Encoding") == ["gzip"]


async def test_gzip_is_read_in_whatever_pieces_it_comes() -> None:
    http = Script([encoded(200, gzip.compress(b'{"id": "%b"}' % (b"1" * 100_000)), "GZIP")]).transport()
    assert (await http.get(http.call("read"), "/x")).data == {"id": "1" * 100_000}


async def drip(writer: asyncio.StreamWriter, piece: bytes) -> None:
    try:
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
    except ConnectionError:
        pass


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
async def test_a_dripping_answer_is_given_up(head: bytes, piece: bytes) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await drip(writer, piece)

    async with raw_server(answer) as (url, requests):
        http = Transport(url, timeout=0.1, backoff=0.0)
        async with asyncio.timeout(10):
            with pytest.raises(Ambiguous, match="too slow"):
                await http.write(http.call("write"), "POST", "/x", {})
            with pytest.raises(Unavailable, match="too slow"):
                await http.get(http.call("read"), "/x")
        assert len(requests) == 2  # it costs too much to be tried three times
        await http.aclose()


async def test_a_download_may_take_longer_than_an_answer() -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
        for _ in range(30):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_server(answer) as (url, _):
        http = Transport(url, timeout=0.1)
        http_call = http.call("download")
        assert b"".join([piece async for piece in http.stream(http_call, "/x")]) == b"x" * 30
        await http.aclose()


async def test_a_redirect_is_not_followed_with_our_token() -> None:
    elsewhere = httpx.Response(307, headers={"Location": f"{HOST}/elsewhere"})
    script = Script([elsewhere, httpx.Response(200, json={})])
    http = script.transport()
    with pytest.raises(MicrosoftError, match="HTTP 307"):
        await http.get(http.call("read"), "/x", token=fixed_token)
    assert [request.url.path for request in script.requests] == ["/x"]


async def test_twenty_connections_and_no_more_and_a_write_that_finds_none_was_not_sent() -> None:
    done = asyncio.Event()

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx")
            await writer.drain()
            await done.wait()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with raw_server(answer) as (url, requests), AsyncExitStack() as open_ones:
        http = Transport(url, timeout=0.5)
        for _ in range(20):
            download = await open_ones.enter_async_context(aclosing(http.stream(http.call("download"), "/file")))
            assert await anext(download) == b"x"
        with pytest.raises(Unavailable, match="PoolTimeout"):
            await http.write(http.call("write"), "POST", "/x", {})
        assert len(requests) == 20
        done.set()
        await http.aclose()


SIGNATURE = "aB3%2Fsecret%2bsignature%3D"
ECHOES = [
    f"sig={SIGNATURE} does not match",
    "The signature aB3/secret+signature= does not match",
    "The signature aB3%2Fsecret%2Bsignature%3D does not match",
]


async def downloaded(http: Transport, call: Call, path: str) -> None:
    async for _ in http.stream(call, path):
        pass


async def got(http: Transport, call: Call, path: str) -> None:
    await http.get(call, path, token=fixed_token)


@pytest.mark.parametrize("said", ECHOES)
@pytest.mark.parametrize("ask", [downloaded, got])
async def test_no_signature_of_an_address_comes_out(
    ask: Callable[[Transport, Call, str], Awaitable[None]], said: str
) -> None:
    http = Script([httpx.Response(403, json={"error": {"code": "AuthenticationFailed", "message": said}})]).transport()
    with pytest.raises(MicrosoftError, match="does not match") as caught:
        await ask(http, http.call("download"), f"/file?sv=2024-01-01&sig={SIGNATURE}")
    assert "secret" not in repr(caught.value)
    assert "[withheld]" in str(caught.value)
