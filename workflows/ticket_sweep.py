"""Open tickets at Microsoft against the records; claims whose ticket changed are told."""

from temporalio import workflow

from activities.tickets import Tickets, TicketSweepReport
from workflows.parts.options import SWEEP


@workflow.defn(name="TicketSweep")
class TicketSweepWorkflow:
    """Started by a schedule; one activity does it."""

    @workflow.run
    async def run(self) -> TicketSweepReport:
        """What the sweep found."""
        return await workflow.execute_activity_method(Tickets.sweep_tickets, summary="Sweep", **SWEEP)
