"""The money: what is expected, what invoice lines could be it, and allocating them by hand."""

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Response

from domain.claims import Event
from domain.messages import AllocateCredit, Reason, ReleaseCredit
from starter.api import updates
from starter.api.auth import Authenticated
from starter.api.bodies import Allocate, IdempotencyKey, OptionalIdempotencyKey, hashed, readable
from starter.api.claims import view
from starter.api.desk import TheDesk
from starter.api.models import ClaimView, CreditsView, CreditView, LineView, claim_path
from starter.api.problems import not_found

router = APIRouter(prefix="/v1/claims/{claim_id}/credits", tags=["Credits"])


@router.get("")
async def read_credits(claim_id: str, caller: Authenticated, desk: TheDesk) -> CreditsView:
    """The claim's credit, and the invoice lines of its subscription that have something left to give."""
    claim = await desk.claim(caller, claim_id)
    contested = frozenset(claim.credit.contested_lines)
    said = claim.opening
    # What we are invoiced is ours to see, not a customer's.
    lines = await desk.credits.lines(said.customer_id, said.subscription_id) if caller.is_partner else ()
    candidates = tuple(
        LineView.of(line, line.id in contested)
        for line in lines
        if line.left > 0 and claim.credit.currency in (None, line.currency)
    )
    return CreditsView(**dict(CreditView.of(claim)), candidates=candidates)


@router.post("", status_code=201, dependencies=[Depends(readable)])
async def allocate_credit(
    claim_id: str, body: Allocate, key: IdempotencyKey, caller: Authenticated, desk: TheDesk, response: Response
) -> ClaimView:
    """Give the claim an invoice line, or an amount of it. A line is never given away twice."""
    claim = await desk.claim(caller, claim_id)
    request = updates.Request(caller, f"POST {claim_path(claim.id)}/credits", key, hashed(body))
    claim, answer = await updates.act(
        desk,
        request,
        claim,
        Event.ALLOCATE_CREDIT,
        lambda actor: AllocateCredit(
            actor=actor, request_hash=request.request_hash, line_id=body.line_id, amount=body.amount
        ),
    )
    response.headers["Location"] = f"{claim_path(claim.id)}/credits/{answer.result}"
    return view(desk, caller, claim)


@router.delete("/{allocation_id}")
async def release_credit(
    claim_id: str,
    allocation_id: str,
    reason: Annotated[Reason, Query(description="Why it is taken back.")],
    caller: Authenticated,
    desk: TheDesk,
    key: OptionalIdempotencyKey,
) -> ClaimView:
    """Take an allocation back: another claim can have the line."""
    claim = await desk.claim(caller, claim_id)
    request = updates.Request(
        caller,
        f"DELETE {claim_path(claim.id)}/credits/{allocation_id}",
        key or uuid4().hex,
        hashed({"reason": reason}),
    )
    is_there = any(item.id == allocation_id for item in claim.credit.allocations)
    if not is_there and request.update_id not in claim.answers:
        raise not_found("allocation")
    claim, _ = await updates.act(
        desk,
        request,
        claim,
        Event.RELEASE_CREDIT,
        lambda actor: ReleaseCredit(
            actor=actor, request_hash=request.request_hash, allocation_id=allocation_id, reason=reason
        ),
    )
    return view(desk, caller, claim)
