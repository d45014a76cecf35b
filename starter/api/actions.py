"""What people do to a claim: file, reply, decide, assign, withdraw. Each answers with the claim as it is then."""

from collections.abc import Callable

from fastapi import APIRouter, Depends

from domain.claims import Event
from domain.messages import (
    Assign,
    CheckAgain,
    Command,
    Dispute,
    FileAsException,
    FileTicket,
    RecordDecision,
    RecordFiling,
    Reopen,
    Reply,
    Withdraw,
    WriteOff,
)
from domain.model import Frozen
from starter.api import updates
from starter.api.auth import Authenticated, Caller
from starter.api.bodies import (
    AssignTo,
    Because,
    Decide,
    FileClaim,
    IdempotencyKey,
    Nothing,
    SendReply,
    hashed,
    readable,
)
from starter.api.claims import view
from starter.api.desk import Desk, TheDesk
from starter.api.models import ClaimView, claim_path

router = APIRouter(prefix="/v1/claims/{claim_id}", tags=["Actions"])


@router.post("/filing", dependencies=[Depends(readable)])
async def record_filing(
    claim_id: str, body: FileClaim, key: IdempotencyKey, caller: Authenticated, desk: TheDesk
) -> ClaimView:
    """Record the ticket filed in the portal, or correct its number. Microsoft is asked for it at once; a number that
    it doesn't show yet is kept as unverified for 24 hours.

    Without a number, with {} as the body, claimdesk files the ticket itself, in Azure: for claims that somebody else
    than an admin agent opened, and to try again what Microsoft refused. Others it files without being asked."""
    if body.ticket_number is None:
        return await _do(desk, caller, claim_id, "filing", key, Event.FILE_TICKET, Nothing(), FileTicket)
    return await _do(desk, caller, claim_id, "filing", key, Event.RECORD_FILING, body, RecordFiling)


@router.post("/replies", dependencies=[Depends(readable)])
async def reply(claim_id: str, body: SendReply, key: IdempotencyKey, caller: Authenticated, desk: TheDesk) -> ClaimView:
    """Answer Microsoft's question, with a note on the ticket."""
    return await _do(desk, caller, claim_id, "replies", key, Event.REPLY, body, Reply)


@router.post("/decision", dependencies=[Depends(readable)])
async def record_decision(
    claim_id: str, body: Decide, key: IdempotencyKey, caller: Authenticated, desk: TheDesk
) -> ClaimView:
    """Record Microsoft's decision: approved whole, in part, or denied. Approved isn't paid: the credit is awaited."""
    return await _do(desk, caller, claim_id, "decision", key, Event.RECORD_DECISION, body, RecordDecision)


@router.post("/write-off", dependencies=[Depends(readable)])
async def write_off(
    claim_id: str, body: Because, key: IdempotencyKey, caller: Authenticated, desk: TheDesk
) -> ClaimView:
    """Stop waiting for the rest of the money."""
    return await _do(desk, caller, claim_id, "write-off", key, Event.WRITE_OFF, body, WriteOff)


@router.post("/dispute", dependencies=[Depends(readable)])
async def dispute(claim_id: str, body: Because, key: IdempotencyKey, caller: Authenticated, desk: TheDesk) -> ClaimView:
    """Take a credit that didn't come, or came wrong, back to Microsoft."""
    return await _do(desk, caller, claim_id, "dispute", key, Event.DISPUTE, body, Dispute)


@router.post("/assignee", dependencies=[Depends(readable)])
async def assign(claim_id: str, body: AssignTo, key: IdempotencyKey, caller: Authenticated, desk: TheDesk) -> ClaimView:
    """Give the claim to a colleague, or with null to nobody."""
    return await _do(desk, caller, claim_id, "assignee", key, Event.ASSIGN, body, Assign)


@router.post("/withdrawal", dependencies=[Depends(readable)])
async def withdraw(
    claim_id: str, body: Because, key: IdempotencyKey, caller: Authenticated, desk: TheDesk
) -> ClaimView:
    """End the claim."""
    return await _do(desk, caller, claim_id, "withdrawal", key, Event.WITHDRAW, body, Withdraw)


@router.post("/reopening", dependencies=[Depends(readable)])
async def reopen(claim_id: str, body: Because, key: IdempotencyKey, caller: Authenticated, desk: TheDesk) -> ClaimView:
    """Take a closed claim up again; it is triaged anew."""
    return await _do(desk, caller, claim_id, "reopening", key, Event.REOPEN, body, Reopen)


@router.post("/exception", dependencies=[Depends(readable)])
async def file_as_exception(
    claim_id: str, body: Because, key: IdempotencyKey, caller: Authenticated, desk: TheDesk
) -> ClaimView:
    """File although no rule grants it, or although the deadline has passed. The reason goes into the packet."""
    return await _do(desk, caller, claim_id, "exception", key, Event.FILE_AS_EXCEPTION, body, FileAsException)


@router.post("/check", dependencies=[Depends(readable)])
async def check_again(
    claim_id: str, body: Nothing, key: IdempotencyKey, caller: Authenticated, desk: TheDesk
) -> ClaimView:
    """Ask Microsoft again how the subscription stands, as after a cancellation. The body is {}."""
    return await _do(desk, caller, claim_id, "check", key, Event.CHECK_AGAIN, body, CheckAgain)


async def _do(
    desk: Desk,
    caller: Caller,
    claim_id: str,
    path: str,
    key: str,
    event: Event,
    body: Frozen,
    command: Callable[..., Command],
) -> ClaimView:
    claim = await desk.claim(caller, claim_id)
    request = updates.Request(caller, f"POST {claim_path(claim.id)}/{path}", key, hashed(body))
    claim, _ = await updates.act(
        desk,
        request,
        claim,
        event,
        lambda actor: command(actor=actor, request_hash=request.request_hash, **dict(body)),
    )
    return view(desk, caller, claim)
