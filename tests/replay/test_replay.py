"""Every history recorded so far runs through today's workflows, and the corpus holds what it must."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product

import pytest
from temporalio.workflow import NondeterminismError

from domain.claims import Event
from domain.triage import Route
from tests.replay.corpus import HERE, IDENTITY, Corpus, Recorded, digest, replay, type_name
from worker import WORKFLOWS

CORPUS = Corpus()


@pytest.mark.parametrize("recorded", CORPUS.all(), ids=lambda recorded: CORPUS.name(recorded.path))
async def test_a_recorded_history_runs_through_the_workflows_of_today(recorded: Recorded) -> None:
    try:
        await replay(WORKFLOWS, [recorded])
    except NondeterminismError as error:
        error.add_note("Claims like this one would be stuck: docs/replay.md says what to do.")
        raise


async def test_a_history_that_the_workflows_did_not_write_fails() -> None:
    [foreign] = (Recorded(path) for path in (HERE / "must_fail").iterdir())
    with pytest.raises(NondeterminismError, match="keep_claim"):
        await replay(WORKFLOWS, [foreign])


def test_every_workflow_type_has_an_open_and_a_closed_history() -> None:
    recorded = {(each.workflow_type, each.end) for each in CORPUS.all()}
    assert set(product(map(type_name, WORKFLOWS), (None, "completed"))) <= recorded


def test_every_route_of_a_claim_has_an_open_and_a_closed_history() -> None:
    recorded = {(each.claim.route, each.end) for each in _claims()}
    assert set(product(Route, (None, "completed"))) <= recorded


def test_everything_that_can_happen_to_a_claim_happens_in_a_history() -> None:
    assert {recording.entry.event for each in _claims() for recording in each.recordings} == set(Event)


def test_a_claim_continues_as_new_in_a_history_and_goes_on_in_another() -> None:
    [before] = (each for each in _claims() if each.end == "continued as new")
    after = [each for each in _claims() if each.claim.id == before.claim.id and each.path != before.path]
    assert {each.end for each in after} == {None, "completed"}
    assert all(each.recordings[0].claim.version == before.claim.version + 1 for each in after)


def test_histories_name_no_process_machine_or_folder_and_hold_no_token() -> None:
    for each in CORPUS.all():
        assert set(re.findall(r'"identity": ?"([^"]*)"', each.text)) == {IDENTITY}, each.path.name
        found = re.search(r"\w\.py\b|Bearer |\beyJ[\w-]{10}|file://|refresh.token|client.secret", each.text)
        assert found is None, f"{each.path.name}: {found}"
        assert each.path.stat().st_size < 1_000_000


def test_released_histories_are_there_and_as_they_were() -> None:
    for name, was in CORPUS.released().items():
        path = HERE / name
        assert path.exists(), f"{name} is released: it may not be removed (docs/replay.md)"
        assert digest(path) == was, f"{name} is released: it may not be changed (docs/replay.md)"


def test_what_was_ever_released_is_still_on_the_list() -> None:
    if shutil.which("git") is None:
        pytest.skip("git isn't installed, so the list's past can't be read")
    command = ["git", "log", "-p", "--format=", "--", "released.sha256"]
    log = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if log.returncode:
        pytest.skip(f"not a clone, so the list's past can't be read: {log.stderr.strip()}")
    ever = set(re.findall(r"^\+([0-9a-f]{64}  .+)$", log.stdout, re.MULTILINE))
    now = {f"{was}  {name}" for name, was in CORPUS.released().items()}
    assert ever <= now, "what is released stays on the list, as it was (docs/replay.md)"


def _claims() -> Iterator[Recorded]:
    return (each for each in CORPUS.all() if each.workflow_type == "CreditClaim")
