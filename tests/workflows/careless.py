"""A workflow that does what none of ours may: it ends while something is still being worked on."""

from temporalio import workflow


@workflow.defn
class Careless:
    """Ends when told, whoever is still waiting for an answer."""

    def __init__(self) -> None:
        self.told = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.told)

    @workflow.update
    async def wait_for_ever(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    async def linger(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def end(self) -> None:
        self.told = True
