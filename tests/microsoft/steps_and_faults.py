"""The steps of filing a ticket, of a return and of an exchange, the faults that can befall each, and the exception
that each is: see the table in test_faults_on_every_step."""

from dataclasses import dataclass

import pytest

from microsoft.errors import Ambiguous, MicrosoftError, Throttled, Unavailable
from microsoft.transport import ATTEMPTS
from tests.simulated import Simulator

TIMEOUT = 0.25
FAULTS: dict[str, dict[str, object]] = {
    "throttled": {"kind": "throttle", "seconds": 57},
    "503": {"kind": "error"},
    "500 after the work": {"kind": "error", "status": 500, "when": "after"},
    "late": {"kind": "slow", "seconds": 4 * TIMEOUT},
    "late after the work": {"kind": "slow", "seconds": 4 * TIMEOUT, "when": "after"},
    "dropped": {"kind": "drop"},
    "dropped after the work": {"kind": "drop", "when": "after"},
    "cut in the status line": {"kind": "drop", "at_byte": 10},
    "cut in the head": {"kind": "drop", "at_byte": 120},
    "cut in the body": {"kind": "drop"},
}
OF_A_READ = [name for name in FAULTS if not name.endswith("after the work")]


@dataclass(frozen=True)
class Step:
    """A call of a journey: its method and the pattern of its path. `body` is a byte in the body of its answer, 0 where
    it has none or is a refusal, whose head is enough; `earlier` calls alike come before it in the journey."""

    name: str
    method: str
    path: str
    body: int
    is_write: bool = False
    earlier: int = 0

    def faults(self) -> list[str]:
        """The faults that can befall it."""
        every = list(FAULTS) if self.is_write else OF_A_READ
        return every if self.body else [name for name in every if name != "cut in the body"]

    def set(self, simulator: Simulator, name: str) -> None:
        """Sets the fault as often as the call is tried."""
        at: dict[str, object] = {"method": self.method, "path": self.path}
        if self.earlier:
            simulator.post("/faults", {**at, "kind": "slow", "seconds": 0, "times": self.earlier})
        fault = FAULTS[name] | ({"at_byte": self.body} if name == "cut in the body" else {})
        simulator.post("/faults", {**at, **fault, "times": 1 if self.is_write else ATTEMPTS})

    def expected(self, fault: str) -> type[MicrosoftError]:
        """The exception by the table above."""
        if fault == "throttled":
            return Throttled
        return Ambiguous if self.is_write else Unavailable


S = "/subscriptions/.+/Microsoft.Support"
TICKET = [
    Step("look first", "GET", f"{S}/supportTickets/[^/]+$", 0),
    Step("services", "GET", "/providers/Microsoft.Support/services$", 400),
    Step("classification", "GET", "/providers/Microsoft.Support/services/.+/problemClassifications$", 400),
    Step("workspace", "PUT", f"{S}/fileWorkspaces/[^/]+$", 400, is_write=True),
    Step("file", "PUT", f"{S}/fileWorkspaces/.+/files/[^/]+$", 400, is_write=True),
    Step("first chunk", "POST", f"{S}/fileWorkspaces/.+/upload$", 0, is_write=True),
    Step("ticket", "PUT", f"{S}/supportTickets/[^/]+$", 0, is_write=True),
    Step("operation", "GET", f"{S}/operationsStatus/[^/]+$", 400),
    Step("read back", "GET", f"{S}/supportTickets/[^/]+$", 400, earlier=1),
    Step("messages", "GET", f"{S}/supportTickets/.+/communications$", 375),
    # Last, since the simulator's side door hashes every large file each time it is asked.
    Step("second chunk", "POST", f"{S}/fileWorkspaces/.+/upload$", 0, is_write=True, earlier=1),
]
C = "/providers/Microsoft.Capacity"
RETURN = [
    Step("quote", "POST", f"{C}/reservationOrders/.+/calculateRefund$", 400),
    Step("order before", "GET", f"{C}/reservationOrders/[^/]+$", 400),
    Step("reservations before", "GET", f"{C}/reservationOrders/.+/reservations$", 400),
    Step("return", "POST", f"{C}/reservationOrders/.+/return$", 600, is_write=True),
    Step("order after", "GET", f"{C}/reservationOrders/[^/]+$", 400, earlier=1),
    Step("reservations after", "GET", f"{C}/reservationOrders/.+/reservations$", 400, earlier=1),
]
EXCHANGE = [
    Step("quote", "POST", f"{C}/calculateExchange$", 0),
    Step("quote's outcome", "GET", f"{C}/operationResults/[^/]+$", 400),
    Step("look first", "GET", f"{C}/operationResults/[^/]+$", 0, earlier=1),
    Step("exchange", "POST", f"{C}/exchange$", 0, is_write=True),
    Step("operation", "GET", f"{C}/operationResults/[^/]+$", 400, earlier=2),
]


def cases(steps: list[Step]) -> pytest.MarkDecorator:
    """Each step with each of its faults."""
    every = [pytest.param(step, fault, id=f"{step.name}, {fault}") for step in steps for fault in step.faults()]
    return pytest.mark.parametrize(("step", "fault"), every)
