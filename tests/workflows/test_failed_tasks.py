"""A workflow task that fails is tried again without anybody being told: here it fails the test beside it."""

from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateStage
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.workflows.careless import Careless
from tests.workflows.desk import failed_tasks, until


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("wait_for_ever", "UnfinishedUpdateHandlersWarning"),
        ("linger", "UnfinishedSignalHandlersWarning"),
    ],
)
async def test_what_goes_wrong_in_the_workers_thread_is_found(
    temporal: WorkflowEnvironment, caplog: pytest.LogCaptureFixture, wrong: str, said: str
) -> None:
    queue = f"careless-{uuid4()}"
    async with Worker(temporal.client, task_queue=queue, workflows=[Careless]):
        handle = await temporal.client.start_workflow(Careless.run, id=queue, task_queue=queue)
        if wrong == "wait_for_ever":
            await handle.start_update(wrong, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
        else:
            await handle.signal(wrong)
        await handle.signal(Careless.end)
        await until(lambda: bool(failed_tasks(caplog)))
        await handle.terminate()
    assert all(said in each for each in failed_tasks(caplog))
    caplog.clear()  # or this test would fail for it
    assert failed_tasks(caplog) == []
