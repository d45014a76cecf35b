"""New invoices read into records; claims that a line may belong to are told."""

from temporalio import workflow

from activities.credits import Credits, CreditSweepReport
from workflows.parts.options import SWEEP


@workflow.defn(name="CreditSweep")
class CreditSweepWorkflow:
    """Started by a schedule; one activity does it."""

    @workflow.run
    async def run(self) -> CreditSweepReport:
        """What the sweep found."""
        return await workflow.execute_activity_method(Credits.sweep_credits, summary="Sweep", **SWEEP)
