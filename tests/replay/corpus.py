"""The recorded histories, what can be read from them, and which of them are released: never to change again."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from activities.records import RecordClaim
from domain.claims import Claim
from runtime.temporal import DATA_CONVERTER, plugin
from workflows.credit_claim import ClaimStart

HERE = Path(__file__).parent

IDENTITY = "claimdesk"
"""Who client and worker say they are while recording; left alone they would name the process and the machine."""

_ENDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "canceled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed out",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "continued as new",
}

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Recorded:
    """A history in a file. What it is is read from its events, not from the file's name."""

    path: Path

    @cached_property
    def history(self) -> WorkflowHistory:
        text = self.path.read_text()
        started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
        return WorkflowHistory.from_json(started["workflowId"], text)

    @property
    def workflow_type(self) -> str:
        started = self.history.events[0].workflow_execution_started_event_attributes
        return started.workflow_type.name

    @property
    def end(self) -> str | None:
        """How the run ended; None where it is open."""
        return _ENDS.get(EventType.ValueType(self.history.events[-1].event_type))

    @cached_property
    def recordings(self) -> tuple[RecordClaim, ...]:
        """What a claim had recorded of itself, in order."""
        scheduled = (event.activity_task_scheduled_event_attributes for event in self.history.events)
        return tuple(
            _decoded(each.input.payloads, RecordClaim)
            for each in scheduled
            if each.activity_type.name == "record_claim"
        )

    @cached_property
    def claim(self) -> Claim:
        """A claim as the history leaves it."""
        if self.recordings:
            return self.recordings[-1].claim
        started = self.history.events[0].workflow_execution_started_event_attributes
        return _decoded(started.input.payloads, ClaimStart).claim

    @property
    def text(self) -> str:
        """The file's text with its payloads, which are written in base64, made readable."""
        return re.sub(
            r'("data": ?)"([^"]+)"', lambda data: data[1] + base64.b64decode(data[2]).decode(), self.path.read_text()
        )


def _decoded(payloads: Sequence[Payload], model: type[M]) -> M:
    found: M = DATA_CONVERTER.payload_converter.from_payloads(payloads, [model])[0]
    return found


class Corpus:
    """A folder with `histories/<WorkflowType>/<scenario>-<moment>.v<N>.json`, and the list of those released."""

    def __init__(self, folder: Path = HERE) -> None:
        self.folder = folder
        self.histories = folder / "histories"
        self._list = folder / "released.sha256"

    def all(self) -> list[Recorded]:
        """Every history."""
        return [Recorded(path) for path in sorted(self.histories.glob("*/*.json"))]

    def of(self, scenario: str, version: int) -> list[Path]:
        """The files that a scenario left at that version."""
        return sorted(self.histories.glob(f"*/{scenario}-*.v{version}.json"))

    def name(self, path: Path) -> str:
        """How a history is called on the list, and to people."""
        return path.relative_to(self.folder).as_posix()

    def released(self) -> dict[str, str]:
        """The SHA-256 of each released history, by its name."""
        lines = self._list.read_text().splitlines() if self._list.exists() else []
        return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}

    def release(self) -> list[str]:
        """Put the histories that aren't on the list on it, as `sha256sum` would; their names."""
        known = self.released()
        new = [each.path for each in self.all() if self.name(each.path) not in known]
        with self._list.open("a") as file:
            file.writelines(f"{digest(path)}  {self.name(path)}\n" for path in new)
        return [self.name(path) for path in new]

    def is_released(self, path: Path) -> bool:
        """Whether the history may never change again."""
        return self.name(path) in self.released()


def type_name(workflow: type) -> str:
    """The name that a workflow's class is registered under."""
    name: str = getattr(workflow, "__temporal_workflow_definition").name
    return name


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def replay(workflows: Sequence[type], recorded: Iterable[Recorded]) -> None:
    """Run histories through the workflows as a worker would. Raises what goes wrong first: NondeterminismError where a
    workflow asks for something else than it did, or in another order."""

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for each in recorded:
            yield each.history

    await Replayer(workflows=workflows, plugins=[plugin()]).replay_workflows(histories())
