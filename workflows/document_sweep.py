"""Documents that no claim refers to are deleted after a day."""

from temporalio import workflow

from activities.evidence import Evidence
from workflows.parts.options import SWEEP


@workflow.defn(name="DocumentSweep")
class DocumentSweepWorkflow:
    """Started by a schedule; one activity does it."""

    @workflow.run
    async def run(self) -> int:
        """How many documents were deleted."""
        return await workflow.execute_activity_method(Evidence.sweep_documents, summary="Sweep", **SWEEP)
