"""A person's request to a claim: once a key, in the role that lets them, and every way it can end as an answer."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from pydantic import ValidationError
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.failures import DUPLICATE_CLAIM, MICROSOFT_UNAVAILABLE, REFUSED
from domain.claims import Answer, Claim, Event, allowed_actions, refusal
from domain.messages import Command, Opened
from domain.model import Frozen, Refusal, Refused
from domain.page import summary
from domain.roles import Actor
from starter.api.auth import Caller
from starter.api.desk import Desk
from starter.api.models import claim_path
from starter.api.problems import Problem, refused, unavailable
from workflows.credit_claim import ClaimStart, CreditClaimWorkflow
from workflows.parts.visibility import attributes

_STARTS_AGAIN = frozenset({Event.REOPEN, Event.FILE_AS_EXCEPTION})
_NOT_ANSWERED = frozenset(
    {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED, RPCStatusCode.ABORTED}
)

_log = structlog.get_logger(__name__)


class _Duplicate(Frozen):
    """What the refusal of a second claim about the same thing carries."""

    claim_id: str


class _Gone(Exception):  # noqa: N818 - the workflow isn't there to ask; the record says what is
    """The claim's workflow has ended, or there never was one."""


@dataclass(frozen=True)
class Request:
    """One request of one person, which may arrive more than once. `action` is its method and path."""

    caller: Caller
    action: str
    key: str
    request_hash: str

    @property
    def digest(self) -> str:
        """The same for the same request again, and for no other."""
        parts = (self.caller.tenant_id, self.caller.subject, self.action, self.key)
        return hashlib.sha256("|".join(parts).encode()).hexdigest()

    @property
    def update_id(self) -> str:
        """The id of the Update that the request becomes."""
        return self.digest[:32]

    def check_same(self, request_hash: str) -> None:
        """Raise a 422 problem where another body was sent under this key before."""
        if request_hash != self.request_hash:
            raise Problem(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key was used for a request with another body. Send a new key for a new request.",
                field="Idempotency-Key",
            )


def may(caller: Caller, claim: Claim, event: Event) -> Actor:
    """The caller in the role that lets them do it to the claim as it stands. Raises a 403 or 409 problem."""
    assert event.action is not None, "only people's events are asked for"
    actor = caller.acting(event.action)
    if why := refusal(claim, event, actor):
        raise refused(why, allowed_actions(claim, tuple(caller.roles)))
    return actor


async def act(
    desk: Desk, request: Request, claim: Claim, event: Event, command: Callable[[Actor], Command]
) -> tuple[Claim, Answer]:
    """Do what the caller asks of the claim (as just read from the records); the claim afterwards and its answer.

    Raises problems: 403 for the role, 409 for the status, 422 for the input, 503 where it isn't known what came of it.
    """
    if known := _known(claim, request):
        return claim, known
    actor = may(request.caller, claim, event)
    try:
        answer = await _answered(desk, request, lambda: _send(desk, claim, event, command(actor), request.update_id))
    except (_Gone, Refused, Problem) as failure:
        # Since we read it the claim may have moved, by this same request even, sent twice at once: the record says.
        now = await desk.claim(request.caller, claim.id)
        if known := _known(now, request):
            return now, known
        if isinstance(failure, Problem):
            raise
        if isinstance(failure, Refused):
            raise refused(failure.refusal, allowed_actions(now, tuple(request.caller.roles))) from None
        may(request.caller, now, event)
        raise unavailable(
            "claim_has_no_run",
            "The claim is on record as open, but its workflow isn't running. Nothing was changed; an operator has to "
            "look at it in the Temporal UI.",
            retry_after=60,
        ) from None
    request.check_same(answer.request_hash)
    return await desk.claim(request.caller, claim.id), answer


async def open_claim(desk: Desk, request: Request, claim: Claim) -> Claim:
    """Start the claim and wait until it is recorded.

    Raises problems: 409 where another open claim is about the same thing, 503 where it isn't known what came of it.
    """
    start = _start(desk.settings.task_queue, claim, WorkflowIDReusePolicy.REJECT_DUPLICATE)
    question = Opened(request_hash=request.request_hash)

    async def send() -> Answer:
        answer: Answer = await desk.temporal.execute_update_with_start_workflow(
            "opened", question, id=request.update_id, start_workflow_operation=start, result_type=Answer
        )
        return answer

    try:
        answer = await _answered(desk, request, send)
    except _Gone:
        recorded = await desk.claims.get(claim.id)
        if recorded is None:
            raise Problem(
                409,
                "key_used_up",
                "A claim under this Idempotency-Key was refused before. To try again, send a new key.",
                field="Idempotency-Key",
            ) from None
        request.check_same(recorded.request_hash)
        return recorded
    request.check_same(answer.request_hash)
    return await desk.claim(request.caller, claim.id)


async def duplicate(desk: Desk, caller: Caller, claim_id: str) -> Problem:
    """409: another open claim is about the same thing. Only who may see that claim is told which."""
    other = await desk.claims.get(claim_id)
    visible = other is not None and caller.may_see(other)
    which = f", {claim_id}" if visible else ""
    return Problem(
        409,
        DUPLICATE_CLAIM,
        f"There is an open claim{which} for the same customer, subscription, category and incident. Add to it, or "
        "withdraw it first.",
        link=claim_path(claim_id) if visible else None,
    )


def _known(claim: Claim, request: Request) -> Answer | None:
    answer = claim.answers.get(request.update_id)
    if answer:
        request.check_same(answer.request_hash)
    return answer


def _start(
    task_queue: str, claim: Claim, reuse: WorkflowIDReusePolicy
) -> WithStartWorkflowOperation[CreditClaimWorkflow, object]:
    return WithStartWorkflowOperation(
        CreditClaimWorkflow.run,
        ClaimStart(claim=claim),
        id=claim.id,
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=reuse,
        static_summary=summary(claim),
        search_attributes=attributes(claim),
    )


async def _send(desk: Desk, claim: Claim, event: Event, command: Command, update_id: str) -> Answer:
    client: Client = desk.temporal
    if event in _STARTS_AGAIN and claim.status.is_closed:
        start = _start(desk.settings.task_queue, claim, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        answer: Answer = await client.execute_update_with_start_workflow(
            event.value, command, id=update_id, start_workflow_operation=start, result_type=Answer
        )
    else:
        handle = client.get_workflow_handle(claim.id)
        answer = await handle.execute_update(event.value, command, id=update_id, result_type=Answer)
    return answer


async def _answered(desk: Desk, request: Request, send: Callable[[], Awaitable[Answer]]) -> Answer:
    """The claim's answer. Raises _Gone, Refused, or the problem that any other failure or its silence comes to."""
    try:
        async with asyncio.timeout(desk.settings.update_timeout_seconds):
            return await send()
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError):
            raise await _failure(desk, request, cause) from None
        raise _unknown("the claim's workflow didn't take it") from None
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        raise _unknown("the claim didn't answer in time") from None
    except WorkflowAlreadyStartedError:
        raise _Gone from None
    except RPCError as error:
        raise _rpc_problem(error) from None
    except RuntimeError as error:
        # What the SDK raises where the first connection isn't had; it has no type of its own.
        if not str(error).startswith("Failed client connect"):
            raise
        raise unavailable(
            "temporal_unavailable",
            "Temporal doesn't answer, so nothing was done. Ask again with the same Idempotency-Key.",
        ) from None


async def _failure(desk: Desk, request: Request, cause: ApplicationError) -> Exception:
    detail = cause.details[0] if cause.details else None
    try:
        if cause.type == REFUSED:
            return Refused(Refusal.model_validate(detail))
        if cause.type == DUPLICATE_CLAIM:
            return await duplicate(desk, request.caller, _Duplicate.model_validate(detail).claim_id)
    except ValidationError:
        _log.error("a refusal that can't be read", type=cause.type)
        return unavailable("unreadable_refusal", "The claim refused, but its reason can't be read. See its run.")
    if cause.type == "AcceptedUpdateCompletedWorkflow":
        return _Gone()
    if cause.type == MICROSOFT_UNAVAILABLE:
        return unavailable(
            MICROSOFT_UNAVAILABLE,
            "Microsoft doesn't answer just now. The claim is as it was; ask again in a while, with a new "
            "Idempotency-Key: a note that reached Microsoft all the same isn't written twice.",
            retry_after=30,
        )
    if cause.type in ("forbidden", "consent_expired", "consent_missing"):
        return unavailable(
            f"microsoft_{cause.type}",
            "Microsoft refuses our own access, so nothing was changed. An administrator has to put it right; then ask "
            f"again with a new Idempotency-Key. {cause.message}",
            retry_after=300,
        )
    return Problem(409, f"microsoft_{cause.type or 'error'}", f"Microsoft refused this. {cause.message}")


def _rpc_problem(error: RPCError) -> Exception:
    if error.status is RPCStatusCode.NOT_FOUND:
        return _Gone()
    if "paused" in error.message.lower():
        return Problem(409, "claim_paused", "An operator paused this claim in Temporal. Ask them to let it go on.")
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return unavailable(
            "too_many_requests", "Too much is asked of this claim at once. Ask again with the same Idempotency-Key."
        )
    if error.status in _NOT_ANSWERED:
        return _unknown("Temporal doesn't answer")
    return error


def _unknown(why: str) -> Problem:
    return unavailable(
        "outcome_unknown",
        f"It isn't known what came of this: {why}. It may still happen. Ask again with the same Idempotency-Key: "
        "it happens once however often that is.",
    )
