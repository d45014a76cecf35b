"""What tests of our client of Microsoft.Capacity share: things to buy, what really happened, and waiting for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from microsoft.reservation_quotes import ExchangeState
from microsoft.reservation_requests import Purchase
from microsoft.reservations import Reservations
from tests.simulated import Simulator

CUSTOMER = "c0a1b2d3-0006-4f5e-8a6b-1c2d3e4f5a06"
T = TypeVar("T")
Add = Callable[..., dict[str, Any]]


def purchase(one: dict[str, Any], quantity: int = 9, **more: Any) -> Purchase:
    return Purchase(
        sku="Standard_D2s_v3",
        location="westeurope",
        resource_type="VirtualMachines",
        billing_scope=f"/subscriptions/{one['billing_subscription']}",
        term="P1Y",
        billing_plan="Upfront",
        quantity=quantity,
        name="new",
        **more,
    )


def happened(simulator: Simulator, what: str, **about: str) -> int:
    """How often it really happened."""
    effects = simulator.door.get("/reservation-effects").json()["effects"]
    return sum(each["what"] == what and all(each[key] == value for key, value in about.items()) for each in effects)


async def until(ask: Callable[[], Awaitable[T]], done: Callable[[T], bool]) -> T:
    """Asks until it is so, for ten seconds at most."""
    async with asyncio.timeout(10):
        found = await ask()
        while not done(found):
            await asyncio.sleep(0.01)
            found = await ask()
    return found


async def quoted(azure: Reservations, one: dict[str, Any], quantity: int, bought: Purchase) -> ExchangeState:
    """An exchange's quote, once it is made."""
    asked = await azure.exchange_quote(CUSTOMER, [(one["order_id"], one["id"], quantity)], [bought])
    assert (asked.status, asked.exchange, asked.is_over) == ("accepted", None, False)
    return await until(lambda: azure.look_at_quote(CUSTOMER, asked.url), lambda state: state.is_over)
