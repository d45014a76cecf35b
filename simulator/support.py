"""Microsoft.Support 2024-04-01: the catalogue, tickets, communications and their operations, on a subscription and,
for billing and subscription management, without one.

Decided where the facts are silent: the PUT of a name that is taken is answered with the ticket, or with the operation
that makes it, where the body is the same, else with a 409; a name whose operation failed is free. A message of the
partner's leaves the status of its ticket alone.
"""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response

from simulator.azure import AzureError, AzureGate
from simulator.personas import play_due_steps
from simulator.support_catalogue import (
    PROVIDER,
    SERVICES,
    WITHOUT_SUBSCRIPTION,
    problem,
    problem_wire,
    problems_of,
    service_wire,
)
from simulator.support_desk import PLAN_TOO_LOW, VERSION, Caller, Desk, digest_of
from simulator.support_files import complete_workspace
from simulator.support_models import (
    AzureCommunication,
    AzureTicket,
    CommunicationBody,
    FileWorkspace,
    InScope,
    NameBody,
    SupportOperation,
    TicketBody,
    TicketChange,
)
from simulator.support_personas import new_number, replied_to, schedule
from simulator.support_routes import both
from simulator.support_wire import (
    body_as,
    communication_wire,
    filtered,
    invalid,
    is_guid,
    json_of,
    name_trouble,
    paged,
    properties_of,
    resource_prefix,
    ticket_wire,
)
from simulator.wire import reply


def new_ticket(desk: Desk, caller: Caller, name: str, body: TicketBody, operation: SupportOperation) -> None:
    """Writes the ticket that an operation makes, and calls the persona."""
    now, listed = desk.cloud.now(), desk.listed_at(operation)
    ticket = AzureTicket(
        id=operation.makes,
        scope=caller.scope,
        name=name,
        number=new_number(desk.cloud, now),
        customer_id=caller.claims.tid,
        body=body,
        created=now,
        modified=now,
        made_at=operation.over_at,
        listed_at=listed,
        digest=digest_of(body),
        operation=operation.id,
        persona=caller.mark.persona,
        amount=caller.mark.amount,
        currency=caller.mark.currency,
        plan=caller.plan.id if caller.plan else None,
    )
    desk.cloud.write_now(ticket)
    schedule(desk.cloud, ticket, ticket.persona, listed)


def check_ticket(desk: Desk, caller: Caller, name: str, body: TicketBody) -> None:
    """Refuses a ticket that can't be one, with the recorded 400."""
    found = problem(body.service_id, body.problem_classification_id)
    if trouble := name_trouble(name):
        raise invalid(trouble)
    if found is None:
        raise invalid("The problem classification is not one of the service's.")
    if caller.plan is None and found.service not in WITHOUT_SUBSCRIPTION:
        raise invalid("Without a subscription only billing and subscription management tickets can be created.")
    if body.file_workspace_name is not None:
        complete_workspace(desk, caller, body.file_workspace_name)


def router(gate: AzureGate) -> APIRouter:
    """The paths of the catalogue, tickets, communications and operations."""
    routes, desk = APIRouter(tags=["Microsoft.Support"]), Desk(gate)
    cloud, store = desk.cloud, desk.store

    def known_service(request: Request, service: str) -> str:
        gate.check(request, VERSION)
        if service.lower() not in SERVICES:
            raise AzureError(404, "ResourceNotFound", f"The service '{service}' was not found.")
        return service.lower()

    @routes.get(f"{PROVIDER}/services")
    async def list_services(request: Request) -> Response:
        gate.check(request, VERSION)
        return reply({"value": [service_wire(key) for key in SERVICES]})

    @routes.get(f"{PROVIDER}/services/{{service}}")
    async def get_service(request: Request, service: str) -> Response:
        return reply(service_wire(known_service(request, service)))

    @routes.get(f"{PROVIDER}/services/{{service}}/problemClassifications")
    async def list_problems(request: Request, service: str) -> Response:
        return reply({"value": [problem_wire(one) for one in problems_of(known_service(request, service))]})

    @routes.get(f"{PROVIDER}/services/{{service}}/problemClassifications/{{name}}")
    async def get_problem(request: Request, service: str, name: str) -> Response:
        found = [one for one in problems_of(known_service(request, service)) if one.key == name.lower()]
        if not found:
            raise AzureError(404, "ResourceNotFound", f"The problem classification '{name}' was not found.")
        return reply(problem_wire(found[0]))

    async def check_name(request: Request, scope: str, guids: bool) -> Response:
        wanted = body_as(NameBody, await json_of(request))
        if not guids and is_guid(wanted.name):
            raise invalid("The name of a communication must not be a GUID.")
        models: dict[str, type[InScope]] = {"supporttickets": AzureTicket, "communications": AzureCommunication}
        model = models.get(wanted.type.partition("/")[2], FileWorkspace)
        trouble = name_trouble(wanted.name)
        taken = store.get(model, f"{scope}/{wanted.name}") is not None
        if not trouble and not taken:
            return reply({"nameAvailable": True})
        reason = "Invalid" if trouble else "AlreadyExists"
        return reply({"nameAvailable": False, "reason": reason, "message": trouble or "The name is taken."})

    @both(routes, "POST", "/checkNameAvailability")
    async def check_ticket_name(request: Request) -> Response:
        return await check_name(request, desk.caller(request).scope, True)

    @both(routes, "POST", "/supportTickets/{name}/checkNameAvailability")
    async def check_communication_name(request: Request, name: str) -> Response:
        return await check_name(request, desk.ticket(desk.caller(request), name).id, False)

    @both(routes, "GET", "/supportTickets")
    async def list_tickets(request: Request) -> Response:
        caller = desk.caller(request)
        play_due_steps(cloud)
        tickets = [one for one in store.listed(AzureTicket, parent=caller.scope) if one.listed_at <= cloud.now()]
        fields: dict[str, Callable[[AzureTicket], str | datetime]] = {
            "status": lambda one: one.status,
            "createddate": lambda one: one.created,
            "serviceid": lambda one: one.body.service_id.rpartition("/")[2],
            "problemclassificationid": lambda one: one.body.problem_classification_id.rpartition("/")[2],
        }
        found = filtered(tickets, request.query_params.get("$filter"), fields)
        return paged(request, gate.base(request), [ticket_wire(one) for one in found], 25, 100)

    @both(routes, "GET", "/supportTickets/{name}")
    async def get_ticket(request: Request, name: str) -> Response:
        caller = desk.caller(request)
        play_due_steps(cloud)
        return reply(ticket_wire(desk.ticket(caller, name)))

    @both(routes, "PUT", "/supportTickets/{name}")
    async def create_ticket(request: Request, name: str) -> Response:
        caller = desk.caller(request)
        body = await properties_of(request, TicketBody)
        play_due_steps(cloud)
        there = store.get(AzureTicket, f"{caller.scope}/{name}")
        if there is not None:
            if there.digest != digest_of(body):
                raise AzureError(409, "Conflict", f"There is another support ticket with the name '{name}'.")
            if there.made_at <= cloud.now():
                return reply(ticket_wire(there))
            return desk.accepted(request, there.operation)
        check_ticket(desk, caller, name, body)
        with store.transaction():
            error = "" if caller.has_plan else PLAN_TOO_LOW
            operation = desk.begin(caller.scope, f"{caller.scope}/{name}", error)
            if caller.has_plan:
                new_ticket(desk, caller, name, body, operation)
        return desk.accepted(request, operation.id)

    @both(routes, "PATCH", "/supportTickets/{name}")
    async def change_ticket(request: Request, name: str) -> Response:
        caller = desk.caller(request)
        change = body_as(TicketChange, await json_of(request))
        play_due_steps(cloud)
        old = desk.ticket(caller, name)
        caller.check_plan()
        fields = change.model_dump(exclude_none=True, exclude={"status", "contact_details"})
        contact = old.body.contact_details
        if change.contact_details is not None:
            contact = contact.model_copy(update=change.contact_details.model_dump(exclude_none=True))
        body = old.body.model_copy(update={**fields, "contact_details": contact})
        status = change.status.capitalize() if change.status else old.status
        new = old.model_copy(update={"body": body, "status": status})
        if new != old:
            new = new.model_copy(update={"modified": cloud.now()})
            cloud.write_now(new)
        return reply(ticket_wire(new))

    @both(routes, "GET", "/supportTickets/{name}/chatTranscripts")
    async def list_transcripts(request: Request, name: str) -> Response:
        desk.ticket(desk.caller(request), name)
        return reply({"value": []})

    @both(routes, "GET", "/supportTickets/{name}/communications")
    async def list_communications(request: Request, name: str) -> Response:
        caller = desk.caller(request)
        play_due_steps(cloud)
        ticket = desk.ticket(caller, name)
        everything = [one for one in store.listed(AzureCommunication, parent=ticket.id) if one.listed_at <= cloud.now()]
        fields: dict[str, Callable[[AzureCommunication], str | datetime]] = {
            "communicationtype": lambda _: "web",
            "createddate": lambda one: one.created,
        }
        found = filtered(everything, request.query_params.get("$filter"), fields)
        return paged(request, gate.base(request), [communication_wire(ticket, one) for one in found], 10, 10)

    @both(routes, "GET", "/supportTickets/{name}/communications/{message}")
    async def get_communication(request: Request, name: str, message: str) -> Response:
        caller = desk.caller(request)
        play_due_steps(cloud)
        ticket = desk.ticket(caller, name)
        found = store.get(AzureCommunication, f"{ticket.id}/{message}")
        if found is None or found.made_at > cloud.now():
            raise AzureError(404, "ResourceNotFound", f"The communication '{message}' was not found.")
        return reply(communication_wire(ticket, found))

    @both(routes, "PUT", "/supportTickets/{name}/communications/{message}")
    async def create_communication(request: Request, name: str, message: str) -> Response:
        caller = desk.caller(request)
        body = await properties_of(request, CommunicationBody)
        play_due_steps(cloud)
        ticket = desk.ticket(caller, name)
        there = store.get(AzureCommunication, f"{ticket.id}/{message}")
        if there is not None:
            if there.digest != digest_of(body):
                raise AzureError(409, "Conflict", f"There is another communication with the name '{message}'.")
            if there.made_at <= cloud.now():
                return reply(communication_wire(ticket, there))
            return desk.accepted(request, there.operation)
        if is_guid(message) or name_trouble(message):
            raise invalid(name_trouble(message) or "The name of a communication must not be a GUID.")
        if body.sender is None and caller.claims.idtyp == "app":
            raise invalid("The property 'sender' is required when an application calls without a user.")
        with store.transaction():
            error = "" if caller.has_plan else PLAN_TOO_LOW
            operation = desk.begin(caller.scope, f"{ticket.id}/{message}", error)
            if caller.has_plan:
                one = AzureCommunication(
                    id=operation.makes,
                    scope=ticket.id,
                    name=message,
                    subject=body.subject,
                    body=body.body,
                    sender=body.sender or caller.claims.upn,
                    by="partner",
                    created=cloud.now(),
                    made_at=operation.over_at,
                    listed_at=desk.listed_at(operation),
                    digest=digest_of(body),
                    operation=operation.id,
                )
                cloud.write_now(one)
                replied_to(cloud, ticket, one)
        return desk.accepted(request, operation.id)

    def found_operation(request: Request, operation_id: str) -> SupportOperation:
        caller = desk.caller(request)
        gate.check_signature(request)
        found = store.get(SupportOperation, operation_id)
        if found is None or found.scope != caller.scope:
            raise AzureError(404, "ResourceNotFound", f"The operation '{operation_id}' was not found.")
        return found

    @both(routes, "GET", "/operationsStatus/{operation_id}")
    async def look_at_operation(request: Request, operation_id: str) -> Response:
        found = found_operation(request, operation_id)
        path = f"{resource_prefix(found.scope)}/operationsStatus/{found.id}"
        body: dict[str, object] = {"id": path, "name": found.id}
        if found.over_at > cloud.now():
            return reply(body | {"status": "InProgress"}, headers=desk.pause())
        if found.error:
            return reply(body | {"status": "Failed", "error": {"code": "BadRequest", "message": found.error}})
        return reply(body | {"status": "Succeeded"})

    @both(routes, "GET", "/operationResults/{operation_id}")
    async def look_at_result(request: Request, operation_id: str) -> Response:
        found = found_operation(request, operation_id)
        if found.over_at > cloud.now():
            return desk.accepted(request, found.id)
        if found.error:
            raise AzureError(400, "BadRequest", found.error)
        return Response(status_code=204)

    return routes
