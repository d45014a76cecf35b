"""Documents by content hash, in a real folder and in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.blobs import BlobNotFound, Blobs, TooLarge

LIMIT = 20_000_000


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs((tmp_path / "not yet" / "there").as_uri() if request.param == "folder" else "memory:///")


async def everything(blobs: Blobs) -> list[str]:
    return [sha256 async for sha256, _ in blobs.list_older_than(datetime.now(UTC) + timedelta(days=1))]


@pytest.mark.parametrize("size", [0, 1, 12_000_000], ids=["empty", "one byte", "several parts"])
async def test_what_was_put_is_read_back_by_its_hash(blobs: Blobs, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    stored = await blobs.put(pieces(*(content[at : at + 700_001] for at in range(0, size, 700_001))), LIMIT)
    assert (stored.sha256, stored.size) == (hashlib.sha256(content).hexdigest(), size)
    assert await blobs.exists(stored.sha256)
    assert await blobs.read(stored.sha256, LIMIT) == content
    assert b"".join([chunk async for chunk in blobs.open(stored.sha256)]) == content


async def test_the_same_content_is_kept_once(blobs: Blobs) -> None:
    stored = await asyncio.gather(*(blobs.put(pieces(b"form ", b"A"), LIMIT) for _ in range(8)))
    assert len(set(stored)) == 1
    assert await everything(blobs) == [stored[0].sha256]


async def test_too_large_is_refused_and_leaves_nothing(blobs: Blobs) -> None:
    drawn = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal drawn
        while True:
            drawn += 1
            yield b"x" * 1_000_000

    with pytest.raises(TooLarge) as refusal:
        await blobs.put(endless(), 7_500_000)
    assert refusal.value.limit == 7_500_000
    assert drawn == 8, "it must not read on once the limit is passed"
    assert await everything(blobs) == []
    assert await blobs.delete_unfinished(datetime.now(UTC) + timedelta(days=1)) == 0


async def test_content_of_exactly_the_limit_is_taken(blobs: Blobs) -> None:
    stored = await blobs.put(pieces(b"12345"), 5)
    assert await blobs.read(stored.sha256, 5) == b"12345"
    with pytest.raises(TooLarge):
        await blobs.read(stored.sha256, 4)


async def test_an_upload_that_breaks_off_leaves_nothing(blobs: Blobs) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"first half"
        raise ConnectionResetError("the browser went away")

    with pytest.raises(ConnectionResetError, match="the browser went away"):
        await blobs.put(breaking(), LIMIT)
    assert await everything(blobs) == []


async def test_half_an_upload_is_never_visible(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    go_on = asyncio.Event()
    halfway = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 12_000_000
        halfway.set()
        await go_on.wait()
        yield b"y"

    upload = asyncio.create_task(blobs.put(slow(), LIMIT))
    await halfway.wait()
    assert await everything(blobs) == []
    assert not await blobs.exists(hashlib.sha256(b"x" * 12_000_000).hexdigest())
    go_on.set()
    stored = await upload
    assert await everything(blobs) == [stored.sha256]


async def test_what_is_not_there_is_said_so(blobs: Blobs) -> None:
    absent = hashlib.sha256(b"never put").hexdigest()
    assert not await blobs.exists(absent)
    assert not await blobs.delete(absent)
    with pytest.raises(BlobNotFound):
        await blobs.read(absent, LIMIT)
    with pytest.raises(BlobNotFound):
        await blobs.touch(absent)


@pytest.mark.parametrize(
    "name", ["", "../secret", "/etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 64 + "/.."]
)
async def test_only_a_hash_names_content(blobs: Blobs, name: str) -> None:
    for attempt in (blobs.exists(name), blobs.read(name, LIMIT), blobs.touch(name), blobs.delete(name)):
        with pytest.raises(ValueError, match="SHA-256"):
            await attempt


async def test_the_sweep_sees_the_old_and_leaves_the_touched(blobs: Blobs) -> None:
    kept = await blobs.put(pieces(b"still used"), LIMIT)
    orphan = await blobs.put(pieces(b"orphan"), LIMIT)
    between = datetime.now(UTC)
    assert {sha256 async for sha256, _ in blobs.list_older_than(between)} == {kept.sha256, orphan.sha256}

    while True:  # file times are coarser than the clock
        await blobs.touch(kept.sha256)
        if kept.sha256 not in [sha256 async for sha256, _ in blobs.list_older_than(between)]:
            break

    assert [sha256 async for sha256, _ in blobs.list_older_than(between)] == [orphan.sha256]
    assert not await blobs.delete(kept.sha256, older_than=between)
    assert await blobs.delete(orphan.sha256, older_than=between)
    assert await everything(blobs) == [kept.sha256]
    assert await blobs.read(kept.sha256, LIMIT) == b"still used"
    assert await blobs.delete(kept.sha256)
    assert await everything(blobs) == []


async def test_content_survives_a_restart_of_the_process(tmp_path: Path) -> None:
    stored = await Blobs(tmp_path.as_uri()).put(pieces(b"kept"), LIMIT)
    assert await Blobs(tmp_path.as_uri()).read(stored.sha256, LIMIT) == b"kept"


async def test_an_upload_killed_before_its_end_can_be_cleared_away(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    stored = await blobs.put(pieces(b"whole"), LIMIT)
    # What stays when the process dies between the last byte and the move to the hash.
    (tmp_path / "incoming" / "0123").write_bytes(b"whole, but never named")
    assert await everything(blobs) == [stored.sha256]
    assert await blobs.delete_unfinished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert await blobs.delete_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert list((tmp_path / "incoming").iterdir()) == []
