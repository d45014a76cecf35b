"""The reconciliation export of Microsoft Graph: the billed lines of a new-commerce invoice as files (facts B)."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO
from urllib.parse import urlsplit

import structlog
from pydantic import Field, SecretStr

from microsoft.answers import Call, read
from microsoft.errors import NotFound, Rejected, Unavailable
from microsoft.fields import Items, Resource, Text, Word
from microsoft.identity import GRAPH, Identity
from microsoft.operations import accepted, look, wait_for
from microsoft.transport import ATTEMPTS, AZURE_IDS, LOOPBACK, Transport

LONGEST_EXPORT = timedelta(minutes=20)
"""How long one export may take; nothing is published, and a sweep has half an hour for all it reads."""

LARGEST_EXPORT = 4 * 1024**3
"""Bytes of all files of an export together, packed: over twenty million lines (`make bench-export`)."""

_log = structlog.get_logger(__name__)

_EXPORT = "/v1.0/reports/partners/billing/reconciliation/billed/export"
# The resource's page names the first; the sample of a manifest has the second.
_FORMATS = ("compressedjsonlines", "compressedjson")
_NO_DATA = "5000"
_BLOB_TIMEOUT = 60.0
BACKOFF = 0.5
"""Seconds until a file is asked for again, and as many more each time."""


class _Exported(Resource):
    manifest_url: Annotated[str, Field(validation_alias="resourceLocation@odata.navigationLink", min_length=1)]


class Blob(Resource):
    """One file of an export."""

    name: Annotated[str, Field(min_length=1)]


class Manifest(Resource):
    """Where the files of an export lie. `etag` is the version of Microsoft's data: another one, other data.

    `sas_token` is a signature that opens `root_directory` to anyone, for some hours.
    """

    schema_version: Text = ""
    data_format: Word
    etag: Annotated[Text, Field(validation_alias="eTag")] = ""
    root_directory: Annotated[str, Field(min_length=1)]
    sas_token: Annotated[SecretStr, Field(min_length=1)]
    blob_count: int
    blobs: Items[Blob] = ()


class Reconciliation:
    """Exports of billed reconciliation lines. `http` is the transport of Graph's host; the identity needs the
    permission PartnerBilling.Read.All."""

    def __init__(self, http: Transport, identity: Identity) -> None:
        self._http = http
        self._token = partial(identity.token, GRAPH)

    async def download(self, invoice_id: str, folder: Path) -> tuple[list[Path], Call]:
        """The lines of the invoice as files of gzipped JSON lines in `folder`, and the call they came with.

        Raises NotFound where Microsoft has no data of that invoice, or not yet; Unavailable for an export that takes
        longer than LONGEST_EXPORT; Malformed, also for over LARGEST_EXPORT bytes; Forbidden, Throttled, Rejected,
        ConsentExpired.
        """
        call = self._http.call("export invoice lines")
        manifest = await self._export(invoice_id, call)
        if manifest.data_format not in _FORMATS:
            raise call.malformed("lines in a format that isn't known")
        if manifest.blob_count != len(manifest.blobs):
            raise call.malformed(f"{manifest.blob_count} files announced and {len(manifest.blobs)} named")
        store = Transport(_store(manifest, call), timeout=_BLOB_TIMEOUT, ids=AZURE_IDS)
        try:
            reading = Call("download invoice lines", store.host, call.correlation_id)
            files = [folder / f"{number}.gz" for number in range(manifest.blob_count)]
            room = LARGEST_EXPORT
            for blob, file in zip(manifest.blobs, files, strict=True):
                address = f"{manifest.root_directory.rstrip('/')}/{blob.name}?{manifest.sas_token.get_secret_value()}"
                room -= await _fetch(store, reading, address, file, room)
        finally:
            await store.aclose()
        _log.info(
            "invoice_exported",
            invoice=invoice_id,
            etag=manifest.etag,
            files=len(files),
            correlation_id=call.correlation_id,
        )
        return files, reading

    async def _export(self, invoice_id: str, call: Call) -> Manifest:
        wanted = {"invoiceId": invoice_id, "attributeSet": "full"}
        started = accepted(await self._http.ask(call, _EXPORT, wanted, token=self._token))
        if started is None:
            raise call.malformed("an export that wasn't accepted as one")
        try:
            ended = await wait_for(
                started, lambda: look(self._http, call, started.url, self._token), longest=LONGEST_EXPORT
            )
        except TimeoutError:
            raise call.failed(Unavailable, f"the export takes longer than {LONGEST_EXPORT}") from None
        except Rejected as error:
            if error.code != _NO_DATA:
                raise
            raise NotFound(
                call.operation,
                call.host,
                status=error.status,
                code=error.code,
                description=error.description,
                correlation_id=call.correlation_id,
            ) from None
        exported = read(_Exported, ended.data, call)
        return (await self._http.get(call, exported.manifest_url, token=self._token)).read(Manifest)


def _store(manifest: Manifest, call: Call) -> str:
    """Scheme and host of the files. Raises Malformed for one to which the signature would go unencrypted."""
    try:
        parts = urlsplit(manifest.root_directory)
        is_named = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        is_named = False
    if not is_named or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        raise call.malformed("files at an address that isn't safe to ask")
    return f"{parts.scheme}://{parts.netloc}"


async def _fetch(store: Transport, call: Call, address: str, file: Path, room: int) -> int:
    """The file at `address`, from its beginning again where the connection was lost on the way; gives its bytes.

    Raises Malformed for one of over `room` bytes.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _emptied(file) as target:
                async with aclosing(store.stream(call, address)) as chunks:
                    async for chunk in chunks:
                        target.write(chunk)
                        if target.tell() > room:
                            raise call.malformed(f"an export of over {LARGEST_EXPORT} bytes")
                if not target.tell():
                    raise call.malformed("an empty file")
                return target.tell()
        except Unavailable:
            if attempt == ATTEMPTS:
                raise
            await asyncio.sleep(BACKOFF * attempt)
    raise AssertionError("unreachable")


def _emptied(file: Path) -> BinaryIO:
    return file.open("wb")
