"""The transport on real connections that break, stall or were never there."""

import asyncio
from collections.abc import Callable

import pytest

from microsoft.errors import Ambiguous, NotFound, Unavailable
from microsoft.transport import Transport
from tests.microsoft.stand_ins import raw_server
from tests.simulated import free_port


async def hang_up(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def half(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"id":')
    await writer.drain()


async def half_refusal(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"code":')
    await writer.drain()


@pytest.mark.parametrize("answer", [hang_up, half])
async def test_on_a_real_connection_a_lost_read_is_repeated_and_a_lost_write_is_not(
    answer: Callable[[bytes, asyncio.StreamWriter], object],
) -> None:
    async with raw_server(answer) as (url, requests):  # type: ignore[arg-type]  # pytest parametrizes plain functions
        http = Transport(url, backoff=0.0)
        with pytest.raises(Unavailable):
            await http.get(http.call("read"), "/x")
        assert len(requests) == 3
        with pytest.raises(Ambiguous):
            await http.write(http.call("write"), "PATCH", "/x", {"a": 1})
        assert len(requests) == 4
        await http.aclose()


async def test_a_refusal_whose_body_broke_off_is_still_a_refusal() -> None:
    async with raw_server(half_refusal) as (url, requests):
        http = Transport(url, backoff=0.0)
        with pytest.raises(NotFound):
            await http.write(http.call("write"), "PATCH", "/x", {"a": 1})
        assert len(requests) == 1
        await http.aclose()


async def test_silence_ends_at_the_timeout() -> None:
    async def silent(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(lambda r, w: silent(b"", w), "127.0.0.1", 0)
    async with server:
        http = Transport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.1)
        with pytest.raises(Ambiguous, match="ReadTimeout"):
            await http.write(http.call("write"), "PATCH", "/x", {})
        await http.aclose()
        for task in asyncio.all_tasks():
            if task.get_coro().__qualname__.endswith("silent"):  # type: ignore[union-attr]  # it is a coroutine
                task.cancel()


async def test_nobody_there_is_unavailable_even_for_a_write() -> None:
    http = Transport(f"http://127.0.0.1:{free_port()}", backoff=0.0)
    with pytest.raises(Unavailable, match="ConnectError"):
        await http.write(http.call("write"), "PATCH", "/x", {})
    await http.aclose()
