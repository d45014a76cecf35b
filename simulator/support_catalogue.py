"""The services that Azure takes tickets on, and the problems of each. The ids of Billing, subscription management and
quotas are Microsoft's, as are two of Billing's problems; every other one is of the simulator's own invention.
"""

import uuid
from dataclasses import dataclass

PROVIDER = "/providers/Microsoft.Support"
BILLING = "517f2da6-78fd-0498-4e22-ad26996b1dfc"
SUBSCRIPTIONS = "f3dc5421-79ef-1efa-41a5-42bf3cbb52c6"
WITHOUT_SUBSCRIPTION = (BILLING, SUBSCRIPTIONS)
"""Tickets that name no subscription are taken on these only."""

SERVICES = {
    BILLING: "Billing",
    SUBSCRIPTIONS: "Subscription management",
    "06bfd9d3-516b-d5c6-5802-169c800dec89": "Service and subscription limits (quotas)",
    "a1b7c2d8-4e35-0f69-8b21-5c6d7e8f9a01": "Virtual Machine running Windows",
    "b2c8d3e9-5f46-1a70-9c32-6d7e8f9a0b12": "App Service",
}

_PROBLEMS: dict[str, tuple[tuple[str, str], ...]] = {
    BILLING: (
        ("", "Refund request"),
        ("", "Request a copy of an invoice"),
        ("3ec1a070-f242-9ecf-5a7c-e1a88ce029ef", "Add or update VAT, tax id, PO number or profile information"),
        ("44114011-6a66-e902-c00f-e419b6b4509f", "Cost Management / Access control issues"),
        ("", "Reservation Management / Exchanges and Refunds"),
        ("", "Reservation Management / Request Invoices"),
        ("", "Reservation Management / Other Iissues or Requests"),
    ),
    SUBSCRIPTIONS: (("", "Transfer ownership of a subscription"), ("", "Cancel a subscription")),
}


@dataclass(frozen=True)
class Problem:
    """A problem of a service, by its GUID."""

    service: str
    key: str
    name: str

    @property
    def id(self) -> str:
        """The whole id."""
        return f"{PROVIDER}/services/{self.service}/problemClassifications/{self.key}"


def problems_of(service: str) -> list[Problem]:
    """The problems of a service; those that aren't listed above have one."""
    listed = _PROBLEMS.get(service, (("", "Other"),))
    return [
        Problem(service, key or str(uuid.uuid5(uuid.NAMESPACE_URL, f"problem:{service}:{name}")), name)
        for key, name in listed
    ]


def problem(service_id: str, problem_id: str) -> Problem | None:
    """The problem by the whole ids of it and of its service, in any case; None where they name none."""
    found = (each for service in SERVICES for each in problems_of(service) if each.id.lower() == problem_id.lower())
    one = next(found, None)
    return one if one and service_id.lower() == f"{PROVIDER}/services/{one.service}".lower() else None


def service_wire(key: str) -> dict[str, object]:
    """A service as Azure lists it."""
    return {
        "id": f"{PROVIDER}/services/{key}",
        "name": key,
        "type": "Microsoft.Support/services",
        "properties": {"displayName": SERVICES[key], "resourceTypes": []},
    }


def problem_wire(one: Problem) -> dict[str, object]:
    """A problem classification as Azure lists it."""
    return {
        "id": one.id,
        "name": one.key,
        "type": "Microsoft.Support/problemClassifications",
        "properties": {"displayName": one.name, "secondaryConsentEnabled": []},
    }
