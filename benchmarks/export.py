"""`make bench-export`: a reconciliation export of a million lines, read as the credit sweep reads it, from the request
to the credit line, beside `gzip | json.loads` alone over the same bytes. It reports; nothing passes or fails on it."""

import argparse
import asyncio
import gzip
import json
import logging
import multiprocessing
import resource
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import structlog
from pydantic import SecretStr

from activities.invoices import credit_line
from benchmarks.reconciliation import INVOICE, serve, write_file
from microsoft.billing import Billing, Invoice
from microsoft.identity import Identity
from microsoft.transport import GRAPH_IDS, Transport

FILES = 10


class Measured(NamedTuple):
    """Lines read, seconds by the clock and of processor time, and the most memory the process had, in bytes."""

    lines: int
    seconds: float
    processor: float
    memory: int


def measured(read: Callable[[], int]) -> Measured:
    """What it takes this process to read."""
    clock, processor = time.perf_counter(), time.process_time()
    lines = read()
    seconds, processor = time.perf_counter() - clock, time.process_time() - processor
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Measured(lines, seconds, processor, peak)


def parse_alone(files: list[Path]) -> Measured:
    """The yardstick: unpacked and parsed, and nothing done with it."""

    def read() -> int:
        lines = 0
        for file in files:
            with gzip.open(file) as unpacked:
                for text in unpacked:
                    json.loads(text)
                    lines += 1
        return lines

    return measured(read)


def read_export(url: str) -> Measured:
    """Our client: asks for the export, downloads it, and makes a credit line of each line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return measured(lambda: asyncio.run(_credit_lines(url)))


async def _credit_lines(url: str) -> int:
    invoice = Invoice(
        id=INVOICE, date=datetime(2026, 3, 5, tzinfo=UTC), currency="EUR", total=Decimal(1), invoice_type="one_time"
    )
    async with AsyncExitStack() as closing:
        http = Transport(url, ids=GRAPH_IDS)
        closing.push_async_callback(http.aclose)
        identity = Identity(http, tenant="partner", client_id="app", client_secret=SecretStr("secret"))
        async with Billing(http, identity, http).lines(invoice) as lines:
            count = 0
            for line in lines:
                credit_line(line, invoice)
                count += 1
            return count


def main() -> None:
    """Makes the export, measures both, and prints the comparison."""
    options = argparse.ArgumentParser(prog="benchmarks.export", description=__doc__)
    options.add_argument("--lines", type=int, default=1_000_000)
    wanted: int = options.parse_args().lines
    each = max(wanted // FILES, 1)
    processes = multiprocessing.get_context("spawn")
    with TemporaryDirectory(prefix="claimdesk-bench-") as folder:
        files = [Path(folder) / f"part-{number:05d}.json.gz" for number in range(FILES)]
        print(f"Making {each * FILES:,} lines …", flush=True)
        with ProcessPoolExecutor(mp_context=processes) as makers:
            list(makers.map(write_file, files, range(FILES), [each] * FILES))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        server = processes.Process(target=serve, args=(Path(folder), [file.name for file in files], port), daemon=True)
        server.start()
        try:
            with ProcessPoolExecutor(1, mp_context=processes) as alone:
                yardstick = alone.submit(parse_alone, files).result()
            wait_for_port(port)
            with ProcessPoolExecutor(1, mp_context=processes) as ours:
                read = ours.submit(read_export, f"http://127.0.0.1:{port}").result()
        finally:
            server.terminate()
            server.join()
        report(sum(file.stat().st_size for file in files), yardstick, read)


def wait_for_port(port: int) -> None:
    """Raises OSError when nobody listens there within ten seconds."""
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def report(packed: int, yardstick: Measured, ours: Measured) -> None:
    """Prints both, and how they compare."""
    print(f"{ours.lines:,} lines in {FILES} files, {packed / 1e6:.0f} MB packed")
    for name, one in (("gzip | json.loads", yardstick), ("claimdesk", ours)):
        print(
            f"{name:18} {one.lines / one.seconds:9,.0f} lines/s   {one.seconds:6.1f} s by the clock"
            f"   {one.processor:6.1f} s of processor   peak {one.memory / 1e6:4.0f} MB"
        )
    print(f"lines/s beside gzip | json.loads: {yardstick.seconds / ours.seconds:.2f} (aim: at least 0.50)")
    print(f"the same by processor time:       {yardstick.processor / ours.processor:.2f}")
    print(f"peak memory: {ours.memory / 1e6:.0f} MB (aim: under 200)")


if __name__ == "__main__":
    main()
