"""The corpus notices what it is there for: workflow code that asks for something else, or in another order."""

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.workflow import NondeterminismError

from tests.replay.corpus import Corpus, replay, type_name
from worker import WORKFLOWS
from workflows.credit_claim import CreditClaimWorkflow

ACTIVITIES = {"execute_activity_method", "start_activity_method"}
COMMANDS = ACTIVITIES | {"upsert_search_attributes", "continue_as_new", "sleep"}
ANOTHER_COMMAND = ast.Expr(ast.Await(ast.parse("workflow.sleep(1)", mode="eval").body))

Block = list[ast.stmt]


@dataclass(frozen=True)
class Site:
    """A statement that gives Temporal a command, and the block that it stands in."""

    function: str
    command: str
    block: Block
    index: int


def sites(node: ast.AST, function: str = "") -> Iterator[Site]:
    """Every such statement in the source, in its order."""
    name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
    for _, value in ast.iter_fields(node):
        if not isinstance(value, list):
            continue
        for index, child in enumerate(value):
            if isinstance(child, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return):
                yield from (Site(name, command, value, index) for command in _commands(child))
            elif isinstance(child, ast.AST):
                yield from sites(child, name)


def _commands(statement: ast.stmt) -> Iterator[str]:
    for call in ast.walk(statement):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            named = {keyword.arg for keyword in call.keywords}
            if call.func.attr in COMMANDS or (call.func.attr == "wait_condition" and "timeout" in named):
                yield call.func.attr


def parsed(workflow: type) -> ast.Module:
    """The source of the file that a workflow is in."""
    return ast.parse(inspect.getsource(importlib.import_module(workflow.__module__)))


async def replay_mutated(tree: ast.Module, workflow: type, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay the workflow's histories with its file changed."""
    module = f"mutated_{folder.name}"
    (folder / f"{module}.py").write_text(ast.unparse(ast.fix_missing_locations(tree)))
    monkeypatch.syspath_prepend(folder)
    mutated: type = getattr(importlib.import_module(module), workflow.__name__)
    await replay([mutated], (each for each in Corpus().all() if each.workflow_type == type_name(workflow)))


@pytest.mark.parametrize(
    ("workflow", "number"),
    [
        pytest.param(workflow, number, id=f"{workflow.__name__}.{site.function}-{number}-{site.command}")
        for workflow in WORKFLOWS
        for number, site in enumerate(sites(parsed(workflow)))
    ],
)
async def test_a_command_put_in_before_another_is_noticed(
    workflow: type, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not noticed: no history goes through that place. Record one that does."""
    tree = parsed(workflow)
    site = list(sites(tree))[number]
    site.block.insert(site.index, ANOTHER_COMMAND)
    with pytest.raises(NondeterminismError):
        await replay_mutated(tree, workflow, tmp_path, monkeypatch)


def _recorded_last(tree: ast.Module) -> None:
    [site] = (site for site in sites(tree) if site.function == "_apply" and site.command in ACTIVITIES)
    site.block.append(site.block.pop(site.index))


def _instead(old: str, new: str) -> Callable[[ast.Module], None]:
    def change(tree: ast.Module) -> None:
        text = ast.unparse(tree)
        assert text.count(old) == 1, f"{old!r} isn't in the workflow once: this test has to follow what changed there"
        tree.body = ast.parse(text.replace(old, new)).body

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_recorded_last, id="the search attributes are set before the claim is recorded"),
        pytest.param(_instead("await self._triage()", "await self._wait()"), id="no triage"),
        pytest.param(
            _instead("await self._look_up(command.ticket_number)", "TicketLookup(ticket=None)"), id="no look-up"
        ),
        pytest.param(_instead("Customers.triage", "Credits.match"), id="another activity"),
        pytest.param(_instead("timeout=remaining,", ""), id="no timer"),
        pytest.param(_instead("await self._cancelled()", ""), id="a cancellation isn't recorded"),
    ],
)
async def test_a_workflow_that_does_something_else_is_noticed(
    change: Callable[[ast.Module], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = parsed(CreditClaimWorkflow)
    change(tree)
    with pytest.raises(NondeterminismError):
        await replay_mutated(tree, CreditClaimWorkflow, tmp_path, monkeypatch)
