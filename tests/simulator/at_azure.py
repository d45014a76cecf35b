"""Azure as a partner sees it from one customer's tenant: what the tests of the simulated support tickets share."""

import base64
from dataclasses import dataclass
from typing import Any

import httpx

from tests.simulator.conftest import Caller, Clock

Json = dict[str, Any]
AZURE = "https://management.azure.com"
BILLING = "/providers/Microsoft.Support/services/517f2da6-78fd-0498-4e22-ad26996b1dfc"
PLAN = "azure_plan"
SLEPT = 90  # seconds: 20 for an operation, up to 60 until what it made is listed


@dataclass
class Azure:
    """Azure as the partner sees it, in one customer's tenant, on one of its Azure subscriptions."""

    cloud: Caller
    tenant: str
    subscription: str
    headers: dict[str, str]
    problem: str = ""

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Sends to a path below the subscription's Microsoft.Support, or to a path from the root."""
        if not path.startswith(("/providers", "http")):
            path = f"/subscriptions/{self.subscription}/providers/Microsoft.Support/{path}"
        if "api-version" not in path:
            path += ("&" if "?" in path else "?") + "api-version=2024-04-01"
        given = {name: value for name, value in (self.headers | headers).items() if value}
        return await self.cloud.http.request(method, path, headers=given, json=body)

    async def get(self, path: str) -> Json:
        got = await self.send("GET", path)
        assert got.status_code == 200, got.text
        return dict(got.json())

    def ticket(self, **more: object) -> Json:
        contact = {
            "firstName": "Ana",
            "lastName": "Admin",
            "preferredContactMethod": "email",
            "primaryEmailAddress": "ana@partner.example",
            "preferredTimeZone": "W. Europe Standard Time",
            "country": "CHE",
            "preferredSupportLanguage": "en-us",
        }
        return {
            "serviceId": BILLING,
            "problemClassificationId": self.problem,
            "title": "Credit for the outage",
            "description": "Virtual machines were down.",
            "severity": "minimal",
            "advancedDiagnosticConsent": "No",
            "contactDetails": contact,
        } | more

    async def file(self, name: str, clock: Clock, **more: object) -> Json:
        """Files a ticket and lets the time pass until it is listed."""
        got = await self.send("PUT", f"supportTickets/{name}", {"properties": self.ticket(**more)})
        assert got.status_code == 202, got.text
        clock.advance(seconds=SLEPT)
        return await self.get(f"supportTickets/{name}")

    async def truth(self, number: str) -> Json:
        return await self.cloud.door("GET", f"/azure-tickets/{number}")


async def azure_token(cloud: Caller, tenant: str, **form: str) -> str:
    given = form or {"grant_type": "refresh_token", "refresh_token": cloud.names["refresh_token"]}
    return str((await cloud.token(tenant=tenant, resource=AZURE, **given)).json()["access_token"])


async def azure_of(cloud: Caller, name: str = PLAN) -> Azure:
    plan = cloud.names["subscriptions"][name]
    tenant, subscription = plan["customer_id"], plan["azure_subscriptions"][0]
    headers = {
        "Authorization": f"Bearer {await azure_token(cloud, tenant)}",
        "x-ms-authorization-auxiliary": f"Bearer {await azure_token(cloud, cloud.names['tenant'])}",
    }
    azure = Azure(cloud, tenant, subscription, headers)
    problems = (await azure.get(f"{BILLING}/problemClassifications"))["value"]
    azure.problem = next(one["id"] for one in problems if one["properties"]["displayName"] == "Refund request")
    return azure


def wire_error(got: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, in either shape."""
    body = got.json()
    return got.status_code, str(body["Error"]["Code"] if "Error" in body else body["error"]["code"])


async def uploaded(azure: Azure, workspace: str, name: str, content: bytes, size: int = 2_621_440) -> None:
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    sizes = {"fileSize": len(content), "chunkSize": len(chunks[0]), "numberOfChunks": len(chunks)}
    path = f"fileWorkspaces/{workspace}/files/{name}"
    assert (await azure.send("PUT", path, {"properties": sizes})).status_code == 201
    for index, chunk in enumerate(chunks):
        body = {"content": base64.b64encode(chunk).decode(), "chunkIndex": index}
        assert (await azure.send("POST", f"{path}/upload", body)).status_code == 204
