"""Record histories of our workflows on a real Temporal server: `python -m tests.replay.record [SCENARIO…]`.

A file that is there is never written over; docs/replay.md says when to record what.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog
from temporalio.testing import WorkflowEnvironment

from runtime.attributes import SEARCH_ATTRIBUTES
from runtime.temporal import plugin
from tests.replay.corpus import IDENTITY, Corpus
from tests.replay.recording import Recording
from tests.replay.scenarios import SCENARIOS, SUGGESTS_CONTINUING
from tests.simulated import running_simulator
from tests.workflows.desk import TEMPORAL, desk

CONTINUE_AFTER = 40
"""Events after which the server suggests continuing as new, in the scenario that is about that."""


def choose(corpus: Corpus, wanted: Sequence[str], version: int, *, replace_unreleased: bool) -> list[str]:
    """The scenarios to record. With `replace_unreleased` their files are taken away first, and those of which anything
    is released are left out.

    Raises FileExistsError, before anything is touched, where a history would be written over.
    """
    there = {name: corpus.of(name, version) for name in wanted}
    if not replace_unreleased:
        if taken := [corpus.name(path) for paths in there.values() for path in paths]:
            raise FileExistsError(
                f"Nothing was recorded, because these are there and a history is never written over: {', '.join(taken)}"
                f". Record the new one beside them with --version {version + 1}; those never released can be recorded "
                "anew with --replace-unreleased."
            )
        return list(wanted)
    chosen = [name for name in wanted if not any(corpus.is_released(path) for path in there[name])]
    for name in chosen:
        for path in there[name]:
            path.unlink()
    return chosen


async def record(corpus: Corpus, scenarios: Sequence[str], version: int) -> None:
    """Live through the scenarios, each with a Microsoft, records and documents of its own, and keep what they keep."""
    for names, options in (
        ([name for name in scenarios if name != SUGGESTS_CONTINUING], []),
        (
            [name for name in scenarios if name == SUGGESTS_CONTINUING],
            ["--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={CONTINUE_AFTER}"],
        ),
    ):
        if not names:
            continue
        async with await WorkflowEnvironment.start_local(
            plugins=[plugin()],
            identity=IDENTITY,
            search_attributes=SEARCH_ATTRIBUTES,
            dev_server_existing_path=str(TEMPORAL),
            dev_server_log_level="error",
            dev_server_extra_args=options,
        ) as server:
            for name in names:
                with tempfile.TemporaryDirectory() as folder, running_simulator(Path(folder)) as simulator:
                    async with desk(server.client, simulator, Path(folder)) as made:
                        at = Recording(made, corpus, name, version)
                        await SCENARIOS[name](at)
                print("\n".join(at.kept))


def main(arguments: Sequence[str] | None = None, corpus: Corpus | None = None) -> int:
    """Do what the command line says; the exit status."""
    corpus = corpus or Corpus()
    parser = argparse.ArgumentParser(prog="python -m tests.replay.record", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"what to record: {', '.join(SCENARIOS)}")
    parser.add_argument("--all", action="store_true", help="every scenario")
    parser.add_argument("--version", type=int, default=1, help="the number in the files' names (default: 1)")
    parser.add_argument("--replace-unreleased", action="store_true", help="record anew what was never released")
    parser.add_argument("--release", action="store_true", help="put every history on the list of those never to change")
    given = parser.parse_args(arguments)
    wanted = list(SCENARIOS) if given.all else given.scenario
    if unknown := set(wanted) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    if not wanted and not given.release:
        parser.error("name scenarios, or give --all or --release")
    try:
        chosen = choose(corpus, wanted, given.version, replace_unreleased=given.replace_unreleased)
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    if left := [name for name in wanted if name not in chosen]:
        print(f"Released, left as they are: {', '.join(left)}", file=sys.stderr)
    if chosen:
        # Much goes wrong on purpose.
        logging.getLogger("temporalio").setLevel(logging.CRITICAL)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        asyncio.run(record(corpus, chosen, given.version))
    if given.release:
        print("\n".join(f"released {name}" for name in corpus.release()))
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # A process that had a client may abort in Python's own clean-up (sdk-python issue 300); there is none left to do.
    os._exit(status)
