"""Who may do what with a reservation order: Microsoft.Authorization/roleAssignments at the order's scope.

Reservations don't inherit rights from a subscription; a partner's Admin agents have them as the owner group that
Microsoft sets up, until somebody takes them away. Decided: an Admin agent may assign roles on any order of the tenant,
even where it has no right on the order itself (at Microsoft it may be the customer's administrator who does that); a
reader only reads, a contributor may change but not give back.
"""

import uuid
from typing import Literal

from fastapi import APIRouter, Request, Response

from simulator.azure import AzureError, AzureGate
from simulator.capacity_models import Effect, ReservationOrder, RoleAssignment
from simulator.capacity_requests import Asked, asked
from simulator.state import Cloud
from simulator.tokens import Claims
from simulator.wire import instant, reply

VERSION = "2022-04-01"
ADMIN_AGENTS = "9d1f5c30-77aa-4f0e-9a55-2f3b8c1d6e90"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
ADMINISTRATOR = "a8889054-8d42-49c9-bc1c-52486c10e7cd"
CONTRIBUTOR = "b4ebc951-a0c2-41f7-a3cd-a57fe27c8e3a"
READER = "582fc458-8989-419f-a480-75249bc5db7e"

Right = Literal["read", "change", "give_back"]
ROLES: dict[Right, frozenset[str]] = {
    "read": frozenset({OWNER, ADMINISTRATOR, CONTRIBUTOR, READER}),
    "change": frozenset({OWNER, ADMINISTRATOR, CONTRIBUTOR}),
    "give_back": frozenset({OWNER, ADMINISTRATOR}),
}
PATH = "/providers/microsoft.capacity/reservationorders/{order_id}/providers/microsoft.authorization/roleassignments"


class AskedRole(Asked):
    role_definition_id: str
    principal_id: uuid.UUID


class RoleRequest(Asked):
    """A role assignment as it is asked for."""

    properties: AskedRole


def may(cloud: Cloud, caller: Claims, order_id: str, right: Right) -> bool:
    """Whether the caller has the right on the order, of its own or as an Admin agent."""
    principals = {caller.oid.lower()} | ({ADMIN_AGENTS} if "AdminAgent" in caller.roles else set())
    return any(
        each.principal_id.lower() in principals and each.role in ROLES[right]
        for each in cloud.store.listed(RoleAssignment, parent=order_id)
    )


def grant_admin_agents(cloud: Cloud, order_id: str) -> None:
    """Gives the Admin agents what Microsoft gives them."""
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"admin agents on {order_id.lower()}"))
    cloud.write_now(
        RoleAssignment(id=name, order_id=order_id, role=OWNER, principal_id=ADMIN_AGENTS, created=cloud.now())
    )


def revoke_all(cloud: Cloud, order_id: str) -> None:
    """Takes every right on the order away."""
    for each in cloud.store.listed(RoleAssignment, parent=order_id):
        cloud.store.delete(each)


def body_of(one: RoleAssignment) -> dict[str, object]:
    """An assignment as Azure tells it."""
    scope = f"/providers/Microsoft.Capacity/reservationOrders/{one.order_id}"
    return {
        "properties": {
            "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{one.role}",
            "principalId": one.principal_id,
            "principalType": "ForeignGroup" if one.principal_id == ADMIN_AGENTS else "User",
            "scope": scope,
            "createdOn": instant(one.created, 7),
        },
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{one.id}",
        "type": "Microsoft.Authorization/roleAssignments",
        "name": one.id,
    }


def router(cloud: Cloud, gate: AzureGate) -> APIRouter:
    """The paths of role assignments on an order."""
    routes = APIRouter(tags=["Azure reservations"])

    def check(request: Request, order_id: str) -> Claims:
        caller = gate.check(request, VERSION)
        order = cloud.store.get(ReservationOrder, order_id)
        if order is None or order.customer_id.lower() != caller.tid:
            raise AzureError(404, "ReservationOrderNotFound", f"The reservation order {order_id} was not found.")
        return caller

    def check_admin(request: Request, order_id: str) -> Claims:
        caller = check(request, order_id)
        if "AdminAgent" not in caller.roles and not may(cloud, caller, order_id, "give_back"):
            raise AzureError(403, "AuthorizationFailed", "The client does not have authorization to assign roles.")
        return caller

    @routes.get(PATH)
    async def list_assignments(request: Request, order_id: str) -> Response:
        check(request, order_id)
        found = cloud.store.listed(RoleAssignment, parent=order_id)
        return reply({"value": [body_of(each) for each in found]})

    @routes.put(PATH + "/{name}")
    async def assign(request: Request, order_id: str, name: str) -> Response:
        caller = check_admin(request, order_id)
        wanted = (await asked(request, RoleRequest)).properties
        role, principal = wanted.role_definition_id.rpartition("/")[2].lower(), str(wanted.principal_id)
        try:
            uuid.UUID(name)
        except ValueError:
            raise AzureError(400, "InvalidRequestContent", "The role assignment is not valid.") from None
        if role not in ROLES["read"]:
            raise AzureError(400, "RoleDefinitionDoesNotExist", f"There is no role definition '{role}'.")
        for each in cloud.store.listed(RoleAssignment, parent=order_id):
            same = (each.role, each.principal_id.lower()) == (role, principal)
            if each.id.lower() == name and same:
                return reply(body_of(each))
            if each.id.lower() == name:
                raise AzureError(409, "RoleAssignmentUpdateNotPermitted", "A role assignment can't be changed.")
            if same:
                raise AzureError(409, "RoleAssignmentExists", "The role assignment already exists.")
        new = RoleAssignment(id=name, order_id=order_id, role=role, principal_id=principal, created=cloud.now())
        with cloud.store.transaction():
            cloud.write_now(new)
            cloud.write_now(
                Effect(
                    id=str(uuid.uuid4()),
                    what="role_assignment",
                    customer_id=caller.tid,
                    order_id=order_id,
                    at=cloud.now(),
                )
            )
        return reply(body_of(new), 201)

    @routes.delete(PATH + "/{name}")
    async def unassign(request: Request, order_id: str, name: str) -> Response:
        check_admin(request, order_id)
        found = cloud.store.get(RoleAssignment, name)
        if found is None or found.order_id.lower() != order_id.lower():
            return Response(status_code=204)
        cloud.store.delete(found)
        return reply(body_of(found))

    return routes
