"""The recorder adds to the corpus, and never takes from it what was released."""

import re
from pathlib import Path

import pytest

from tests.replay.corpus import Corpus, digest, replay
from tests.replay.record import choose, main, record
from worker import WORKFLOWS


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """One history released, one not."""
    made = Corpus(tmp_path)
    folder = made.histories / "CreditClaim"
    folder.mkdir(parents=True)
    (folder / "denied-closed.v1.json").write_text("what a released version did")
    assert main(["--release"], made) == 0
    (folder / "stuck-triaging.v1.json").write_text("what we did yesterday")
    return made


def _files(corpus: Corpus) -> dict[str, str]:
    return {path.name: path.read_text() for path in corpus.histories.glob("*/*")}


def test_a_history_that_is_there_is_not_written_over(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    before = _files(corpus)
    assert main(["cancel_now", "stuck"], corpus) == 1
    assert re.search(r"histories/CreditClaim/stuck-triaging\.v1\.json.*--version 2", capsys.readouterr().err)
    assert _files(corpus) == before


def test_recording_anew_touches_only_what_was_never_released(corpus: Corpus) -> None:
    chosen = choose(corpus, ["denied", "stuck", "question"], 1, replace_unreleased=True)
    assert chosen == ["stuck", "question"]
    assert _files(corpus) == {"denied-closed.v1.json": "what a released version did"}


def test_releasing_adds_to_the_list_and_leaves_what_is_on_it(corpus: Corpus) -> None:
    before = corpus.released()
    assert main(["--release"], corpus) == 0
    new = corpus.histories / "CreditClaim" / "stuck-triaging.v1.json"
    assert corpus.released() == before | {corpus.name(new): digest(new)}


def test_a_scenario_that_is_not_there_is_named(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["refunded_twice"], corpus)
    assert "no such scenario: refunded_twice" in capsys.readouterr().err


async def test_what_is_recorded_on_a_real_server_replays(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    await record(corpus, ["cancel_now"], version=2)
    assert {path.name for path in corpus.of("cancel_now", 2)} == {
        "cancel_now-open.v2.json",
        "cancel_now-withdrawn.v2.json",
    }
    assert [(each.claim.route, each.end) for each in corpus.all()] == [
        ("cancel_now", None),
        ("cancel_now", "completed"),
    ]
    await replay(WORKFLOWS, corpus.all())
