"""The packet: a ZIP of what a person needs to file a claim by hand. The same claim gives the same bytes."""

import io
import unicodedata
import zipfile
from collections.abc import AsyncIterator, Callable

from domain.claims import Claim
from domain.packet import fields, where_to_go

_LONGEST_NAME = 200
_EPOCH = (1980, 1, 1, 0, 0, 0)


async def packet(
    claim: Claim, partner_name: str, content: Callable[[str], AsyncIterator[bytes]]
) -> AsyncIterator[bytes]:
    """The ZIP, piece by piece; `content` gives a document's bytes by its SHA-256.

    The caller has asked `domain.packet.packet_refusal` first.
    """
    sink = _Sink()
    # Stored, not deflated: what deflate makes of the same bytes depends on the zlib at hand.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry("where-to-go.txt"), where_to_go(claim))
        archive.writestr(_entry("fields.txt"), fields(claim, partner_name))
        for position, document in enumerate(claim.documents, 1):
            name = f"documents/{position:02}-{document.kind}-{safe_name(document.filename)}"
            with archive.open(_entry(name), "w", force_zip64=True) as member:
                async for chunk in content(document.sha256):
                    member.write(chunk)
                    yield sink.taken()
    yield sink.taken()


def safe_name(name: str) -> str:
    """A file's name without folders and without characters that are invisible or that some system forbids.

    At most 200 characters; the ending is kept. Never empty.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = "".join(
        "_" if character in '<>:"|?*' else character
        for character in last
        if not unicodedata.category(character).startswith("C")
    ).strip(" .")
    if len(kept) > _LONGEST_NAME:
        stem, dot, ending = kept.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 10 else ""
        kept = kept[: _LONGEST_NAME - len(ending)].rstrip() + ending
    return kept or "document"


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


class _Sink(io.RawIOBase):
    """Where the archive is written to, to be taken away piece by piece; it can't be read or gone back in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        content = bytes(piece)  # type: ignore[call-overload]  # any buffer, as RawIOBase has it
        self._pieces.append(content)
        return len(content)

    def taken(self) -> bytes:
        """What was written since the last time."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content
