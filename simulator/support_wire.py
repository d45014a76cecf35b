"""How Microsoft.Support writes: capitalised words where it takes small ones, seven digits of a second, nothing that is
empty. And what it reads: bodies, filters, pages, names.

Decided where the facts are silent: lists come in the order in which things were made; names of communications obey the
recorded rules for names of tickets, and aren't bare GUIDs, as recorded.
"""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from simulator import wire
from simulator.azure import AzureError
from simulator.support_catalogue import PROVIDER, SERVICES, problem
from simulator.support_models import AzureCommunication, AzureTicket, FileWorkspace, WorkspaceFile
from simulator.wire import instant, reply

B = TypeVar("B", bound=BaseModel)
T = TypeVar("T")

NOT_IN_A_NAME = re.compile(r"[<>%&:?/\\\x00-\x1f\x7f]")
CONDITION = re.compile(r"\s*\(?\s*(\w+)\s+(eq|gt|ge)\s+('[^']*'|[^\s()]+)\s*\)?\s*", re.IGNORECASE)


def invalid(message: str) -> AzureError:
    """The recorded 400, in PascalCase."""
    return AzureError(400, "InvalidData", message, pascal=True)


async def json_of(request: Request) -> object:
    """The request's JSON. Raises a 400."""
    try:
        return wire.json_of(await request.body())
    except ValueError:
        raise invalid("The request content is not valid JSON.") from None


def body_as(model: type[B], data: object) -> B:
    """A body as `model`. Raises the recorded 400, which names the field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"])
    raise invalid(f"The value of the property '{field}' is missing or not valid.")


async def properties_of(request: Request, model: type[B]) -> B:
    """The `properties` of a PUT as `model`. Raises the recorded 400."""
    data = await json_of(request)
    return body_as(model, data.get("properties") if isinstance(data, dict) else None)


def name_trouble(name: str) -> str:
    """Why a ticket or a communication can't have this name; empty when it can."""
    if len(name) > 255 or NOT_IN_A_NAME.search(name):
        return "The name has more than 255 characters, or one of < > % & : ? / \\ or a control character."
    if name.isdecimal() or name.lower().startswith("tmp-"):
        return "The name must not be a number and must not start with 'tmp-'."
    return ""


def is_guid(name: str) -> bool:
    """Whether a name is a GUID and nothing else."""
    try:
        return str(uuid.UUID(name)) == name.lower()
    except ValueError:
        return False


def seven(moment: datetime) -> str:
    """An instant with seven digits of a second."""
    return instant(moment, 7)


def without_none(fields: dict[str, object]) -> dict[str, object]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def ticket_wire(ticket: AzureTicket) -> dict[str, object]:
    """A ticket. What was sent as `minimal` and `email` comes back as `Minimal` and `Email` (recorded)."""
    body = ticket.body
    found = problem(body.service_id, body.problem_classification_id)
    contact: dict[str, object] = body.contact_details.model_dump(by_alias=True, exclude_none=True)
    sent: dict[str, object] = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    properties = {
        **sent,
        "severity": body.severity.capitalize(),
        "advancedDiagnosticConsent": body.advanced_diagnostic_consent.capitalize(),
        "contactDetails": contact
        | {"preferredContactMethod": body.contact_details.preferred_contact_method.capitalize()},
        "problemStartTime": None if body.problem_start_time is None else seven(body.problem_start_time),
        "supportTicketId": ticket.number,
        "problemClassificationDisplayName": found.name if found else None,
        "serviceDisplayName": SERVICES[found.service] if found else None,
        "serviceLevelAgreement": {
            "startTime": seven(ticket.created),
            "expirationTime": seven(ticket.created + timedelta(hours=8)),
            "slaMinutes": 480,
        },
        "supportEngineer": {"emailAddress": None},
        "supportPlanType": "Professional Direct",
        "supportPlanDisplayName": "Professional Direct",
        "status": ticket.status,
        "createdDate": seven(ticket.created),
        "modifiedDate": seven(ticket.modified),
        "isTemporaryTicket": "No",
    }
    return {
        "id": f"{resource_prefix(ticket.scope)}/supportTickets/{ticket.name}",
        "name": ticket.name,
        "type": "Microsoft.Support/supportTickets",
        "properties": without_none(properties),
    }


def communication_wire(ticket: AzureTicket, one: AzureCommunication) -> dict[str, object]:
    """A message. Recorded: the partner's is `Inbound`, where Microsoft's own example has it outbound."""
    return {
        "id": f"{resource_prefix(ticket.scope)}/supportTickets/{ticket.name}/communications/{one.name}",
        "name": one.name,
        "type": "Microsoft.Support/communications",
        "properties": {
            "communicationType": "Web",
            "communicationDirection": "Inbound" if one.by == "partner" else "Outbound",
            "sender": one.sender,
            "subject": one.subject,
            "body": one.body,
            "createdDate": seven(one.created),
        },
    }


def workspace_wire(one: FileWorkspace) -> dict[str, object]:
    """A file workspace."""
    return {
        "id": f"{resource_prefix(one.scope)}/fileWorkspaces/{one.name}",
        "name": one.name,
        "type": "Microsoft.Support/fileWorkspaces",
        "properties": {"createdOn": seven(one.created), "expirationTime": seven(one.expires)},
    }


def file_wire(workspace: FileWorkspace, one: WorkspaceFile) -> dict[str, object]:
    """A file in its workspace."""
    return {
        "id": f"{resource_prefix(workspace.scope)}/fileWorkspaces/{workspace.name}/files/{one.name}",
        "name": one.name,
        "type": "Microsoft.Support/files",
        "properties": {
            "createdOn": seven(one.created),
            "fileSize": one.sizes.file_size,
            "chunkSize": one.sizes.chunk_size,
            "numberOfChunks": one.sizes.number_of_chunks,
        },
    }


def resource_prefix(scope: str) -> str:
    """What the ids of things in a scope begin with."""
    return f"{scope}{PROVIDER}" if scope.startswith("/subscriptions/") else PROVIDER


def filtered(items: list[T], text: str | None, read: dict[str, Callable[[T], str | datetime]]) -> list[T]:
    """The items that a `$filter` asks for: conditions on the fields of `read`, joined by `and`. Raises a 400."""
    for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE) if text else ():
        found = CONDITION.fullmatch(part)
        field = read.get(found[1].lower()) if found else None
        if found is None or field is None:
            raise invalid(f"The filter '{part}' is not supported.")
        items = [one for one in items if holds(field(one), found[2].lower(), found[3].strip("'"))]
    return items


def holds(value: str | datetime, operator: str, wanted: str) -> bool:
    """One condition of a filter: text takes `eq`, instants take `gt` and `ge`. Raises a 400."""
    if isinstance(value, str):
        if operator != "eq":
            raise invalid(f"The operator '{operator}' is not supported here.")
        return value.lower() == wanted.lower()
    try:
        limit = datetime.fromisoformat(wanted)
    except ValueError:
        raise invalid(f"'{wanted}' is not an instant.") from None
    limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
    if operator == "eq":
        raise invalid("The operator 'eq' is not supported here.")
    return value >= limit if operator == "ge" else value > limit


def paged(request: Request, base: str, items: list[dict[str, object]], default: int, most: int) -> Response:
    """One page of a list: `$top` of them after the `$skiptoken` of the link before. Raises a 400."""
    query = dict(request.query_params)
    top, skip = query.get("$top", str(default)), query.get("$skiptoken", "0")
    if not (top.isdecimal() and len(top + skip) < 12 and 1 <= int(top) <= most and skip.isdecimal()):
        raise invalid(f"The value of $top must be between 1 and {most}.")
    after = int(skip) + int(top)
    body: dict[str, object] = {"value": items[int(skip) : after]}
    if after < len(items):
        body["nextLink"] = f"{base}{request.url.path}?{urlencode(query | {'$skiptoken': str(after)})}"
    return reply(body)
