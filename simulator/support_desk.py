"""The rules of the simulated Microsoft.Support that its paths share: who may do what where, and how work that was
accepted goes on.

Decided where the facts are silent: the operation of a ticket or a communication takes 20 seconds. What it makes can be
read by its name as soon as it succeeded (the SDK's poller reads it then, and was recorded to find it); lists show it up
to a minute later, by dice thrown from its name. At full scale no Retry-After is sent, as recorded; where times are
scaled down it is, or a client would wait out its own half minute. PATCH and communications ask for the same plan as a
new ticket: that is in the wording of the refusal.
"""

import hashlib
import json
import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request, Response
from pydantic import BaseModel

from simulator.azure import AzureError, AzureGate
from simulator.models import Subscription
from simulator.people import PARTNER_TENANT
from simulator.support_models import AzureTicket, SupportMark, SupportOperation
from simulator.support_wire import resource_prefix
from simulator.tokens import Claims

VERSION = "2024-04-01"
OPERATION = timedelta(seconds=20)
LISTED_WITHIN = 60.0
CLIENTS_PAUSE = 30.0
PLAN_TOO_LOW = (
    "Your support plan type is CSP. To create and update support tickets, and add communication operations, "
    "you need access to our high tier-support plans"
)


@dataclass(frozen=True)
class Caller:
    """Who calls, where, and whether the partner vouches for it with a plan that is high enough."""

    claims: Claims
    scope: str
    plan: Subscription | None
    has_plan: bool
    mark: SupportMark

    def check_plan(self) -> None:
        """Refuses what isn't an operation for a plan that is too low."""
        if not self.has_plan:
            raise AzureError(403, "Forbidden", PLAN_TOO_LOW)


class Desk:
    """Microsoft.Support, apart from its paths."""

    def __init__(self, gate: AzureGate) -> None:
        self.gate, self.cloud = gate, gate.cloud
        self.store = gate.cloud.store

    def caller(self, request: Request) -> Caller:
        """Who calls and where. Raises 400, 401, 404 for a subscription of somebody else, 403 for want of rights."""
        claims = self.gate.check(request, VERSION)
        vouching = self.gate.auxiliary_tenants(request)
        azure = str(request.path_params.get("subscription_id", "")).lower()
        plan = None
        if azure:
            plan = self.plan_of(claims.tid, azure)
            if plan is None:
                raise AzureError(404, "SubscriptionNotFound", f"The subscription '{azure}' could not be found.")
        mark = self.mark(claims.tid, azure)
        if not mark.has_rights:
            raise AzureError(
                403,
                "AuthorizationFailed",
                f"The client '{claims.oid}' does not have authorization to perform this action over scope '{azure}'.",
            )
        return Caller(
            claims,
            f"/subscriptions/{azure}" if azure else f"/tenants/{claims.tid}",
            plan,
            PARTNER_TENANT in vouching and not mark.plan_is_too_low,
            mark,
        )

    def plan_of(self, customer_id: str, azure: str) -> Subscription | None:
        """The Partner Center subscription of a customer that an Azure subscription belongs to."""
        everything = self.store.listed(Subscription, parent=customer_id)
        return next((one for one in everything if azure in [each.id.lower() for each in one.azure_subscriptions]), None)

    def mark(self, customer_id: str, azure: str) -> SupportMark:
        """How Microsoft treats tickets there."""
        of_subscription = self.store.get(SupportMark, azure) if azure else None
        return of_subscription or self.store.get(SupportMark, customer_id) or SupportMark(id=customer_id)

    def ticket(self, caller: Caller, name: str) -> AzureTicket:
        """The ticket, once it is made. Raises 404."""
        found = self.store.get(AzureTicket, f"{caller.scope}/{name}")
        if found is None or found.made_at > self.cloud.now():
            raise AzureError(404, "ResourceNotFound", f"The support ticket '{name}' was not found.")
        return found

    def begin(self, scope: str, makes: str, error: str = "") -> SupportOperation:
        """Accepts work: it is over after a while, with an error where there is one."""
        over = self.cloud.now() + OPERATION * self.cloud.config.time_scale
        operation = SupportOperation(id=str(uuid.uuid4()), scope=scope, makes=makes, over_at=over, error=error)
        self.cloud.write_now(operation)
        return operation

    def listed_at(self, operation: SupportOperation) -> datetime:
        """When lists show what an operation makes: the same dice each time it is asked."""
        late = random.Random(operation.makes).uniform(0, LISTED_WITHIN)  # noqa: S311 - repeatable is the point
        return operation.over_at + timedelta(seconds=late * self.cloud.config.time_scale)

    def accepted(self, request: Request, operation_id: str) -> Response:
        """The 202 of a PUT: no body, and where its outcome is asked for, signed."""
        operation = self.store.get(SupportOperation, operation_id)
        assert operation is not None, "written with what it makes"
        base = f"{self.gate.base(request)}{resource_prefix(operation.scope)}"
        query = f"{operation.id}?api-version={VERSION}"
        headers = {
            "Azure-AsyncOperation": self.gate.signed(f"{base}/operationsStatus/{query}"),
            "Location": self.gate.signed(f"{base}/operationResults/{query}"),
        }
        return Response(status_code=202, headers=headers | self.pause())

    def pause(self) -> dict[str, str]:
        """How long to wait for an operation: said only where times are scaled down."""
        scaled = self.cloud.config.time_scale < 1
        return {"Retry-After": self.gate.retry_after(CLIENTS_PAUSE)} if scaled else {}


def digest_of(body: BaseModel) -> str:
    """By which the same body is known again."""
    return hashlib.sha256(json.dumps(body.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
