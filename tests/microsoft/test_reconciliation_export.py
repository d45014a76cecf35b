"""The reconciliation export: waited for, downloaded from another host, unpacked line by line, and what can go wrong."""

import asyncio
import gzip
import json
import logging
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from microsoft import reconciliation
from microsoft.answers import Call
from microsoft.billing import Billing, Invoice
from microsoft.errors import Forbidden, Malformed, MicrosoftError, NotFound, Rejected, Unavailable
from microsoft.identity import Identity
from microsoft.invoice_lines import LineItem, lines_in
from microsoft.transport import GRAPH_IDS, Transport
from tests.microsoft.stand_ins import raw_server
from tests.simulated import Simulator

SIGNATURE = "sv=2021-08-06&se=2026-03-10T12%3A00%3A00Z&sr=d&sig=very%2Fsecret%2Bsignature%3D"
INVOICE = Invoice(
    id="G016907411", date=datetime(2026, 3, 5, tzinfo=UTC), currency="USD", total=Decimal(10), invoice_type="one_time"
)
LINE = {
    "CustomerId": "C0FFEE00-0000-4000-8000-00000000000A",
    "SubscriptionId": "A4C1340D-0000-4000-8000-000000000001",
    "ChargeType": "customerCredit",
    "Quantity": 1,
    "BillableQuantity": 1.0,
    "Subtotal": -16.5,
    "Total": -19.64,
    "Currency": "USD",
    "ChargeStartDate": "2026-02-01T00:00:00Z",
    "ChargeEndDate": "2026-02-28T00:00:00.0000000Z",
    "CreditReasonCode": None,
    "Tier2MpnId": "0",
    "SomethingNew": {"nested": [1, 2]},
}


def packed(*lines: object) -> bytes:
    return gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())


@dataclass
class Microsoft:
    """Graph, and its storage at another address. `storage` are whole answers, one a request, then the last again;
    `looks` what the operation says each time it is looked at, then the last again."""

    files: Sequence[bytes] = ()
    manifest: dict[str, object] = field(default_factory=dict)
    looks: list[dict[str, object]] = field(default_factory=list)
    storage: list[bytes] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    fetched: list[bytes] = field(default_factory=list)
    graph_host: str = ""
    storage_host: str = ""

    @asynccontextmanager
    async def billing(self) -> AsyncIterator[Billing]:
        async with (
            raw_server(self._store) as (storage, self.fetched),
            raw_server(self._answer) as (graph, self.asked),
        ):
            self.graph_host, self.storage_host = graph.removeprefix("http://"), storage.removeprefix("http://")
            http = Transport(graph, ids=GRAPH_IDS, backoff=0.0)
            identity = Identity(http, tenant="t", client_id="c", client_secret=SecretStr("s"))
            yield Billing(http, identity, http)
            await http.aclose()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        base, path = f"http://{self.graph_host}", request.split(b" ")[1].decode()
        headers, status = "", 200
        if path.endswith("/oauth2/token"):
            body: dict[str, object] = {"access_token": "the-graph-token", "expires_in": 3600}
        elif path.endswith("/export"):
            status, body = 202, {"status": "notStarted", "createdDateTime": "2026-03-09T08:12:53"}
            headers = f"Location: {base}/v1.0/reports/partners/billing/operations/1\r\nRetry-After: 0\r\n"
        elif path.endswith("/operations/1"):
            done: dict[str, object] = {
                "status": "succeeded",
                "resourceLocation@odata.navigationLink": f"{base}/v1.0/reports/partners/billing/manifests/1",
            }
            body = self.looks.pop(0) if len(self.looks) > 1 else (self.looks or [done])[0]
            body, headers = {**done, **body}, "Retry-After: 0\r\n"
        else:
            body = {
                "dataFormat": "compressedJSONLines",
                "eTag": "WYjLro78HdMg6vUWR",
                "rootDirectory": f"http://{self.storage_host}/recon/InvoiceId=G016907411/Fragment=full",
                "sasToken": SIGNATURE,
                "blobCount": len(self.files),
                "blobs": [{"name": f"part-{n}.json.gz", "partitionValue": "default"} for n in range(len(self.files))],
                **self.manifest,
            }
        writer.write(response(json.dumps(body).encode(), status, headers))

    async def _store(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        if self.storage:
            writer.write(self.storage.pop(0) if len(self.storage) > 1 else self.storage[0])
            return
        number = int(request.partition(b"part-")[2].partition(b".")[0])
        writer.write(response(self.files[number]))


def response(body: bytes, status: int = 200, headers: str = "", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body


async def read(billing: Billing, invoice: Invoice = INVOICE) -> list[LineItem]:
    async with billing.lines(invoice) as lines:
        return list(lines)


async def test_lines_in_several_files_on_another_host_that_never_sees_our_token() -> None:
    cloud = Microsoft([packed(LINE, {**LINE, "Total": -1}), packed({**LINE, "Total": -2})])
    async with cloud.billing() as billing:
        lines = await read(billing)
    assert [line.total for line in lines] == [Decimal("-19.64"), -1, -2]
    first = lines[0]
    assert (first.customer_id, first.charge_type) == ("c0ffee00-0000-4000-8000-00000000000a", "customercredit")
    assert (first.subtotal, first.billable_quantity) == (Decimal("-16.5"), Decimal(1))
    assert first.credit_reason_code == ""
    assert (first.charge_end, first.provider) == (datetime(2026, 2, 28, tzinfo=UTC), "onetime")
    paths = [request.split(b" ")[1].decode() for request in cloud.fetched]
    root = "/recon/InvoiceId=G016907411/Fragment=full"
    assert paths == [f"{root}/part-0.json.gz?{SIGNATURE}", f"{root}/part-1.json.gz?{SIGNATURE}"]
    assert not any(b"authorization" in request.lower() for request in cloud.fetched)
    assert all(b"the-graph-token" in request for request in cloud.asked[1:])


async def test_the_export_is_waited_for() -> None:
    looks: list[dict[str, object]] = [
        {"createdDateTime": "2026-03-09T08:12:53", "status": status}
        for status in ("notStarted", "running", "running", "succeeded")
    ]
    cloud = Microsoft([packed(LINE)], looks=looks)
    async with cloud.billing() as billing:
        assert len(await read(billing)) == 1
    assert sum(b"GET /v1.0/reports/partners/billing/operations/1 " in request for request in cloud.asked) == 4


async def test_an_export_that_takes_too_long_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "LONGEST_EXPORT", reconciliation.LONGEST_EXPORT / 12_000)
    async with Microsoft(looks=[{"status": "running"}]).billing() as billing:
        with pytest.raises(Unavailable, match="takes longer"):
            await read(billing)


async def test_an_export_that_does_not_end_is_malformed_however_many_files_it_comes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = [packed(LINE)] * 4
    monkeypatch.setattr(reconciliation, "LARGEST_EXPORT", 3 * len(files[0]))
    cloud = Microsoft(files)
    async with cloud.billing() as billing:
        with pytest.raises(Malformed, match="an export of over"):
            await read(billing)
    assert len(cloud.fetched) == 4
    assert left_in(tmp_path) == []
    cloud = Microsoft(files[:3])
    async with cloud.billing() as billing:
        assert len(await read(billing)) == 3


async def test_an_export_of_no_files_has_no_lines_yet() -> None:
    async with Microsoft().billing() as billing:
        with pytest.raises(NotFound, match="has no lines, or not yet"):
            await read(billing)


@pytest.mark.parametrize(("code", "expected"), [("5000", NotFound), ("4711", Rejected)])
async def test_an_export_that_fails_inside_a_200(code: str, expected: type[MicrosoftError]) -> None:
    failed: dict[str, object] = {"status": "failed", "error": {"code": code, "message": "No data available"}}
    cloud = Microsoft(looks=[failed])
    async with cloud.billing() as billing:
        with pytest.raises(expected, match="No data available") as caught:
            await read(billing)
    assert (caught.value.operation, caught.value.host) == ("export invoice lines", cloud.graph_host)
    assert (caught.value.code, bool(caught.value.correlation_id)) == (code, True)


GOOD = packed(LINE, LINE)
BAD_FILES: dict[str, bytes] = {
    "not gzip": b"<html>Sign in to the proxy</html>",
    "nothing": b"",
    "damaged": GOOD[:40] + bytes([GOOD[40] ^ 0xFF]) + GOOD[41:],
    "cut short": GOOD[:-20],
    "cut short in its checksum": GOOD[:-2],
    "not JSON": gzip.compress(b'{"Total": 1, "Currency"\n'),
    "not UTF-8": gzip.compress(b'{"Total": 1, "Currency": "\xff"}\n'),
    "a list": gzip.compress(b"[1, 2]\n"),
    "a number": gzip.compress(b"7\n"),
    "nested without end": gzip.compress(b'{"Total":' + b"[" * 200_000 + b"\n"),
    "not a line": packed({"Currency": "USD"}),
    "an amount that is none": packed({**LINE, "Total": "much"}),
    "not a number": gzip.compress(b'{"Total": NaN, "Currency": "USD"}\n'),
    "blank lines without end": gzip.compress(b"\n" * 1_000_000),
    "no end of line": gzip.compress(b" " * 40_000_000),
}


@pytest.mark.parametrize("what", BAD_FILES)
async def test_a_file_that_cannot_be_read_is_malformed(what: str) -> None:
    cloud = Microsoft([packed(LINE), BAD_FILES[what]])
    async with cloud.billing() as billing:
        with pytest.raises(Malformed) as caught:
            await read(billing)
    assert (caught.value.operation, caught.value.host) == ("download invoice lines", cloud.storage_host)
    assert caught.value.correlation_id.encode() in cloud.asked[-1]
    assert "secret" not in told(caught.value)


BAD_MANIFESTS: dict[str, dict[str, object]] = {
    "too few files": {"blobCount": 2},
    "too many files": {"blobCount": 0},
    "no count": {"blobCount": None},
    "a format that isn't known": {"dataFormat": "parquet"},
    "no format": {"dataFormat": None},
    "unencrypted": {"rootDirectory": "http://storage.example/recon"},
    "no address": {"rootDirectory": "recon"},
    "another scheme": {"rootDirectory": "file:///etc"},
    "a port that is none": {"rootDirectory": "https://storage.example:x/recon"},
    "with a name": {"rootDirectory": "https://me:you@storage.example/recon"},
    "no signature": {"sasToken": ""},
    "files without names": {"blobs": [{}]},
}


@pytest.mark.parametrize("what", BAD_MANIFESTS)
async def test_a_manifest_that_cannot_be_right_is_malformed(what: str) -> None:
    cloud = Microsoft([packed(LINE)], BAD_MANIFESTS[what])
    async with cloud.billing() as billing:
        with pytest.raises(Malformed) as caught:
            await read(billing)
    assert (caught.value.operation, caught.value.host) == ("export invoice lines", cloud.graph_host)
    assert caught.value.correlation_id
    assert "secret" not in told(caught.value)
    assert cloud.fetched == []


@pytest.mark.parametrize("link", [None, "", "https://elsewhere.example/v1.0/manifests/1"])
async def test_a_manifest_elsewhere_isnt_asked_for(link: str | None) -> None:
    cloud = Microsoft(looks=[{"resourceLocation@odata.navigationLink": link}])
    async with cloud.billing() as billing:
        with pytest.raises(Malformed):
            await read(billing)


def told(error: BaseException) -> str:
    """Everything that could be printed of an exception, what led to it included."""
    parts = ""
    each: BaseException | None = error
    while each is not None:
        parts += f"{each!s} {each!r} {getattr(each, '__dict__', '')} "
        each = each.__cause__ or each.__context__
    return parts


REFUSAL = b"<Error><Code>AuthenticationFailed</Code><Message>Not " + SIGNATURE.encode() + b"</Message></Error>"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (response(REFUSAL, 403), Forbidden),
        (response(json.dumps({"error": {"code": "x", "message": SIGNATURE}}).encode(), 400), Rejected),
        (response(GOOD, length=len(GOOD) + 1), Unavailable),
        (response(b"", 503), Unavailable),
        (b"", Unavailable),
    ],
)
async def test_the_signature_is_in_no_exception_and_no_log_line(
    answer: bytes, expected: type[MicrosoftError], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "BACKOFF", 0.0)
    cloud = Microsoft([GOOD], storage=[answer])
    with caplog.at_level(logging.INFO), structlog.testing.capture_logs() as logged:
        async with cloud.billing() as billing:
            with pytest.raises(expected) as caught:
                await read(billing)
    assert cloud.fetched
    assert "secret" not in told(caught.value)
    assert [entry for entry in logged if entry["operation"] == "download invoice lines"]
    assert "secret" not in repr(logged)
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert "secret" not in repr([record.getMessage() for record in ours])


async def test_a_file_whose_connection_is_lost_is_fetched_again_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciliation, "BACKOFF", 0.0)
    whole = packed(*({**LINE, "Total": n} for n in range(3000)))
    cut = response(whole[: len(whole) // 2], length=len(whole))
    cloud = Microsoft([whole], storage=[cut, response(b"", 503), response(whole)])
    async with cloud.billing() as billing:
        assert [line.total for line in await read(billing)] == list(range(3000))
    assert len(cloud.fetched) == 3


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_million_lines_take_no_memory_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few hundred times as few, each a few times as long."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    text = json.dumps({**LINE, "Padding": "x" * 10_000}).encode() + b"\n"
    cloud = Microsoft([gzip.compress(text * 1_500, 1)] * 2)
    async with cloud.billing() as billing, billing.lines(INVOICE) as lines:
        tracemalloc.start()
        count = sum(1 for _ in lines)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 3_000
    assert peak < 5_000_000
    assert left_in(tmp_path) == []


async def test_what_fails_half_way_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with Microsoft([GOOD, b"nothing of the kind"]).billing() as billing:
        with pytest.raises(Malformed):
            await read(billing)
    assert left_in(tmp_path) == []


CALL = Call("download invoice lines", "storage.example", "a-correlation-id")


def lines_of(folder: Path, *texts: str) -> list[LineItem]:
    file = folder / "0.gz"
    file.write_bytes(gzip.compress("\n".join(texts).encode()))
    return list(lines_in([file], "G1", CALL))


AMOUNTS = (
    "0.1",
    "100.00",
    "-0.0",
    "0",
    "1e-7",
    "1E5",
    "1.0E+2",
    "12345678901234.5",
    "123456789012345.6",
    "1234567890123456.78",
    "90071992547409.93",
    "9007199254740993",
    "9007199254740993.0",
    "0.10000000000000001",
    "0.12345678901234567",
    "123456789012345678901234567890",
)


def test_amounts_keep_every_digit_as_numbers_and_as_text(tmp_path: Path) -> None:
    for text in AMOUNTS:
        [number, words] = lines_of(
            tmp_path, f'{{"Total": {text}, "Currency": "USD"}}', f'{{"Total": " {text} ", "Currency": "USD"}}'
        )
        assert number.total == words.total == Decimal(text), text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18))
def test_no_amount_whatever_loses_a_digit(amount: Decimal) -> None:
    with tempfile.TemporaryDirectory() as folder:
        [line] = lines_of(Path(folder), f'{{"Total": {amount:f}, "Currency": "USD"}}')
    assert line.total == amount


def test_what_the_quick_way_does_not_take_is_read_all_the_same(tmp_path: Path) -> None:
    odd = {
        "Total": "-16.00",
        "Currency": " usd ",
        "CustomerId": 17,
        "SkuId": None,
        "ChargeType": "New\u0000",
        "OrderId": "half \ud83d",
        "Quantity": "",
        "ChargeStartDate": "0001-01-01T00:00:00",
        "ReferenceId": "12345678901234567890",
    }
    [line] = lines_of(tmp_path, "\ufeff" + json.dumps(odd), "", "  ")
    assert (line.total, line.currency, line.customer_id, line.sku_id) == (Decimal(-16), "USD", "17", "")
    assert (line.charge_type, line.quantity, line.charge_start) == ("new\ufffd", None, None)
    assert line.order_id == "half \ufffd"


def test_lines_exactly_alike_are_told_apart_and_keep_their_ids(tmp_path: Path) -> None:
    text, other = json.dumps(LINE), json.dumps({**LINE, "Total": -1})
    spelled = json.dumps({**LINE, "Total": "-19.640", "ChargeType": "CUSTOMERCREDIT", "CreditReasonCode": ""})
    once = [line.id for line in lines_of(tmp_path, text, other, text, text)]
    assert len(set(once)) == 4
    assert [line.id for line in lines_of(tmp_path, spelled, text, other, spelled)] == [
        once[0],
        once[2],
        once[1],
        once[3],
    ]


@pytest.mark.parametrize("count", [1, 5])
async def test_an_invoice_has_the_same_lines_by_export_and_at_partner_center(
    simulator: Simulator, cloud: tuple[Transport, Identity], count: int
) -> None:
    subscription = simulator.seed["subscriptions"]["nce_active_past_window"]
    line: dict[str, object] = {
        "customer_id": subscription["customer_id"],
        "subscription_id": subscription["id"],
        "charge_type": "customerCredit",
        "credit_reason_code": "Azure credit for consumption",
        "tax": "0.19",
        "amount": "-41.34",
    }
    lines = [line | {"quantity": n // 2 + 1} for n in range(count)] + [line | {"amount": "0.1"}, line]
    number = simulator.post("/invoices", {"billing_provider": "one_time", "lines": lines})["id"]
    billing = Billing(*cloud, cloud[0])
    [invoice] = [each async for page in billing.invoices() for each in page if each.id == number]
    assert invoice.is_exported
    exported = await read(billing, invoice)
    frozen = await read(billing, invoice.model_copy(update={"date": datetime(2023, 8, 31, tzinfo=UTC)}))
    by_id = {each.id: each for each in exported}
    assert len(by_id) == len(lines)
    assert {each.id for each in frozen} == set(by_id)
    for each in frozen:
        same = by_id[each.id]
        assert each.model_dump(exclude={"unit_price"}) == same.model_dump(exclude={"unit_price"})
