"""Calls the simulated Microsoft.Capacity with tokens of a customer's tenant."""

from decimal import Decimal

import httpx

from simulator.people import AZURE
from tests.simulator.conftest import Caller, Clock, Json

CAPACITY = "/providers/Microsoft.Capacity"


class Azure:
    """Speaks to Microsoft.Capacity about the seeded reservations, by their names."""

    def __init__(self, cloud: Caller) -> None:
        self.cloud = cloud
        self.seed: Json = cloud.names["reservations"]

    async def call(
        self, tenant: str, method: str, path: str, body: Json | None = None, version: str = "2022-11-01"
    ) -> httpx.Response:
        names = self.cloud.names
        got = await self.cloud.token(
            tenant=tenant, grant_type="refresh_token", refresh_token=names["refresh_token"], resource=AZURE
        )
        assert got.status_code == 200, got.text
        url = path if "api-version" in path else f"{path}{'&' if '?' in path else '?'}api-version={version}"
        headers = {"Authorization": f"Bearer {got.json()['access_token']}"}
        return await self.cloud.http.request(method, url, json=body, headers=headers)

    async def of(self, name: str, method: str, below: str, body: Json | None = None) -> httpx.Response:
        """A call to the order of a seeded reservation."""
        one = self.seed[name]
        return await self.call(
            one["customer_id"], method, f"{CAPACITY}/reservationOrders/{one['order_id']}{below}", body
        )

    def reservation(self, name: str) -> str:
        one = self.seed[name]
        return f"{CAPACITY}/reservationOrders/{one['order_id']}/reservations/{one['reservation_id']}"

    def to_return(self, name: str, quantity: int) -> Json:
        return {
            "scope": "Reservation",
            "reservationToReturn": {"reservationId": self.reservation(name), "quantity": quantity},
        }

    async def quote(self, name: str, quantity: int = 1) -> Json:
        got = await self.of(name, "POST", "/calculateRefund", {"properties": self.to_return(name, quantity)})
        assert got.status_code == 200, got.text
        return dict(got.json(parse_float=Decimal)["properties"])

    async def give_back(self, name: str, session: str, quantity: int = 1) -> httpx.Response:
        body = {"properties": {"sessionId": session, **self.to_return(name, quantity), "returnReason": "too many"}}
        return await self.of(name, "POST", "/return", body)

    async def states(self, name: str) -> tuple[str, list[tuple[str, int]]]:
        """The order's state, and state and quantity of each of its reservations."""
        order = (await self.of(name, "GET", "")).json()["properties"]["provisioningState"]
        found = (await self.of(name, "GET", "/reservations")).json()["value"]
        return order, [(each["properties"]["provisioningState"], each["properties"]["quantity"]) for each in found]

    async def counts(self, **query: str) -> Json:
        url = f"/reservation-effects?{'&'.join(f'{name}={value}' for name, value in query.items())}"
        return dict((await self.cloud.door("GET", url))["counts"])

    def purchase(self, name: str, sku: str = "Standard_D2s_v3", quantity: int = 8, **more: object) -> Json:
        properties = {
            "reservedResourceType": "VirtualMachines",
            "billingScopeId": self.seed[name]["subscription_id"],
            "term": "P1Y",
            "billingPlan": "Upfront",
            "quantity": quantity,
            "displayName": "new",
            "appliedScopeType": "Shared",
            **more,
        }
        return {"sku": {"name": sku}, "location": "westeurope", "properties": properties}

    async def exchange_quote(self, name: str, bought: Json, quantity: int = 1) -> Json:
        body = {
            "properties": {
                "reservationsToExchange": [{"reservationId": self.reservation(name), "quantity": quantity}],
                "reservationsToPurchase": [bought],
            }
        }
        tenant = self.seed[name]["customer_id"]
        got = await self.call(tenant, "POST", f"{CAPACITY}/calculateExchange", body)
        assert (got.status_code, got.content) == (202, b""), got.text
        assert got.headers["Azure-AsyncOperation"] == got.headers["Location"]
        assert got.headers["Retry-After"] == "5"
        return {"url": got.headers["Location"], "tenant": tenant}

    async def quoted(self, clock: Clock, name: str, bought: Json, quantity: int = 1) -> Json:
        """The properties of an exchange's quote."""
        asked = await self.exchange_quote(name, bought, quantity)
        clock.advance(seconds=20)
        got = (await self.call(asked["tenant"], "GET", asked["url"])).json(parse_float=Decimal)
        assert got["status"] == "Succeeded"
        return dict(got["properties"])
