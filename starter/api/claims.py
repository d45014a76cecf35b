"""Claims: opened, listed, read, with their timeline and their packet."""

from datetime import UTC, date, datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Query as InQuery
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from domain.claims import Claim, Opening, RaisedBy, Status, WaitingOn
from domain.money import exact
from domain.packet import packet_refusal
from domain.policy import Category
from domain.roles import Action, Role, is_partner
from microsoft.errors import ConsentExpired, Forbidden, MicrosoftError, NotFound, Rejected, Throttled
from microsoft.partner_center import Customer
from records.listing import ClaimFilter, Sort
from starter.api import updates
from starter.api.auth import Authenticated, Caller
from starter.api.bodies import Id, IdempotencyKey, Line, OpenClaim, hashed, readable
from starter.api.desk import Desk, TheDesk
from starter.api.models import ClaimPage, ClaimSummary, ClaimView, TimelinePage, claim_path
from starter.api.problems import Problem, invalid, unavailable
from starter.packet import packet

EARLIEST_INCIDENT = date(2010, 1, 1)
"""Before Microsoft sold any of this through partners: a date earlier than that is a slip of the pen."""

router = APIRouter(prefix="/v1/claims", tags=["Claims"])


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant between the years 1 and 9999, in UTC") from None


class ListQuery(BaseModel):
    """Which claims, in which order."""

    model_config = ConfigDict(extra="forbid")

    status: list[Status] = Field([], description="Any of these.")
    customer_id: Id | None = None
    due_before: Annotated[AwareDatetime, AfterValidator(_in_utc)] | None = Field(
        None, description="Something has to be filed before this instant (RFC 3339, with its offset)."
    )
    waiting_on: WaitingOn | None = None
    assignee: Line | None = None
    text: Line | None = Field(
        None, description="Part of the id, the customer's name, the incident's reference or description, the ticket."
    )
    sort: Sort = Field(Sort.DUE_AT, description="A minus turns the order round. Claims without that instant come last.")
    limit: int = Field(50, ge=1, le=200)
    cursor: Line | None = Field(None, description="The next_cursor of the page before.")


class TimelineQuery(BaseModel):
    """Which part of the timeline."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, lt=2**31, description="The next_after of the page before.")
    limit: int = Field(100, ge=1, le=200)


@router.post("", status_code=201, dependencies=[Depends(readable)])
async def open_claim(
    body: OpenClaim, key: IdempotencyKey, caller: Authenticated, desk: TheDesk, response: Response
) -> ClaimView:
    """Open a claim. Customer and subscription are looked up at Microsoft first; nothing starts if they are wrong."""
    request = updates.Request(caller, "POST /v1/claims", key, hashed(body))
    claim_id = f"claim-{request.digest[:20]}"
    claim = await desk.claims.get(claim_id)
    if claim is not None:
        request.check_same(claim.request_hash)
    else:
        claim = await updates.open_claim(desk, request, await _prepared(desk, caller, claim_id, body, request))
    response.headers["Location"] = claim_path(claim.id)
    return view(desk, caller, claim)


@router.get("")
async def list_claims(query: Annotated[ListQuery, InQuery()], caller: Authenticated, desk: TheDesk) -> ClaimPage:
    """The claims that you may see."""
    outside = None if caller.is_partner else caller.tenant_id
    is_customer = Role.CUSTOMER in caller.roles
    wanted = ClaimFilter(
        statuses=frozenset(query.status),
        customer_id=query.customer_id,
        due_before=query.due_before,
        waiting_on=query.waiting_on,
        assignee=query.assignee,
        text=query.text,
        customer_tenant=outside if is_customer else None,
        reseller_tenant=None if is_customer else outside,
    )
    try:
        page = await desk.claims.list(wanted, query.sort, query.cursor, query.limit)
    except ValueError as error:
        raise invalid("cursor", f"{error}.", source="query") from None
    return ClaimPage(items=tuple(ClaimSummary.of(claim) for claim in page.items), next_cursor=page.next_cursor)


@router.get("/{claim_id}", responses={304: {"description": "The version in If-None-Match is still the newest."}})
async def read_claim(claim_id: str, request: Request, caller: Authenticated, desk: TheDesk) -> Response:
    """A claim, with everything needed to work on it. Its ETag is its version."""
    claim = await desk.claim(caller, claim_id)
    # What may be done depends on who asks, so nobody else may keep the answer.
    headers = {"ETag": f'"{claim.version}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if _matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(
        view(desk, caller, claim).model_dump_json(by_alias=True), headers=headers, media_type="application/json"
    )


@router.get("/{claim_id}/timeline")
async def read_timeline(
    claim_id: str, query: Annotated[TimelineQuery, InQuery()], caller: Authenticated, desk: TheDesk
) -> TimelinePage:
    """Everything that happened to a claim, oldest first: when, what, and who did it in which role."""
    await desk.claim(caller, claim_id)
    entries = await desk.claims.timeline(claim_id, query.after, query.limit + 1)
    more = len(entries) > query.limit
    return TimelinePage(
        items=tuple(entries[: query.limit]), next_after=entries[query.limit - 1].version if more else None
    )


@router.get(
    "/{claim_id}/packet", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}}
)
async def fetch_packet(claim_id: str, caller: Authenticated, desk: TheDesk) -> StreamingResponse:
    """What a person files in the portal: the fields in the portal's order, the documents, where to go. A ZIP."""
    claim = await desk.claim(caller, claim_id)
    if why := packet_refusal(claim):
        raise Problem(409, why.rule, why.message)
    for document in claim.documents:
        if not await desk.blobs.exists(document.sha256):
            raise Problem(500, "document_lost", f"The content of {document.id} is missing from the document store.")
    return StreamingResponse(
        packet(claim, desk.settings.partner_name, desk.blobs.open),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{claim.id}.zip"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )


def view(desk: Desk, caller: Caller, claim: Claim) -> ClaimView:
    """The claim as this caller sees it."""
    # Without a run's id the UI shows the newest run of the workflow.
    namespace = quote(desk.temporal.namespace, safe="")
    temporal_ui = f"{desk.settings.temporal_ui_url}/namespaces/{namespace}/workflows/{claim.id}"
    return ClaimView.of(claim, caller, temporal_ui)


def _matches(if_none_match: str | None, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    return bool(tags & {etag, "*"})


async def _prepared(desk: Desk, caller: Caller, claim_id: str, body: OpenClaim, request: updates.Request) -> Claim:
    """The claim to start. Raises problems for all that can be known to be wrong with it before it starts."""
    actor = caller.acting(Action.OPEN)
    now = datetime.now(UTC)
    if actor.role is Role.CUSTOMER and body.customer_id != caller.tenant_id:
        raise Problem(
            403, "own_tenant", f"You may open claims of your own tenant only, {caller.tenant_id}.", field="customer_id"
        )
    opening = _checked(body, now.date(), raised_by=_raised_by(body, actor.role))
    customer = await _customer(desk, body)
    claim = Claim(
        id=claim_id,
        opening=opening,
        opened_by=actor,
        opened_at=now,
        request_hash=request.request_hash,
        customer_name=customer.name,
        customer_domains=tuple(sorted(customer.domains)),
        status_since=now,
    )
    assert claim.open_key is not None, "a claim starts open"
    other = await desk.claims.find_open(claim.open_key)
    if other not in (None, claim_id):  # the same request, sent twice at once, may have opened it in between
        raise await updates.duplicate(desk, caller, other)
    return claim


def _raised_by(body: OpenClaim, role: Role) -> RaisedBy:
    if is_partner(role):
        return body.raised_by or RaisedBy.PARTNER
    forced = RaisedBy(role.value)
    if body.raised_by not in (None, forced):
        raise invalid("raised_by", f"In your role a claim is raised by the {forced}; leave the field out.")
    return forced


def _checked(body: OpenClaim, today: date, raised_by: RaisedBy) -> Opening:
    incident = body.incident
    for field, day in (("incident.date", incident.date), ("stopped_on", body.stopped_on)):
        if day is not None and day > today:
            raise invalid(field, f"{day} is in the future (UTC); give a day up to {today}.", rule="not_in_the_future")
        if day is not None and day < EARLIEST_INCIDENT:
            raise invalid(field, f"{day} is too long ago; give a day from {EARLIEST_INCIDENT} on.")
    if body.category is Category.SERVICE_OUTAGE and not (incident.reference or "").strip():
        raise invalid(
            "incident.reference",
            "A service outage needs Microsoft's incident id, as in EX25194.",
            rule="outage_has_a_reference",
        )
    money = body.amount_asked
    if money is not None:
        if money.amount <= 0:
            raise invalid("amount_asked.amount", "The amount asked must be above zero, before tax.")
        try:
            money = exact(money.amount, money.currency)
        except ValueError as error:
            raise invalid("amount_asked.amount", f"{error}.") from None
    elif body.amount_basis is not None:
        raise invalid("amount_basis", "A basis belongs to an amount: give amount_asked too, or leave both out.")
    fields = {**dict(body), "raised_by": raised_by, "amount_asked": money}
    return Opening(**fields)


async def _customer(desk: Desk, body: OpenClaim) -> Customer:
    try:
        customer = await desk.partner_center.customer(body.customer_id)
    except (NotFound, Rejected):
        raise invalid(
            "customer_id", "Partner Center shows no customer of ours with this tenant id.", rule="customer_exists"
        ) from None
    except MicrosoftError as error:
        raise _microsoft_problem(error) from None
    try:
        await desk.partner_center.subscription(body.customer_id, body.subscription_id)
    except (NotFound, Rejected):
        raise invalid(
            "subscription_id",
            "Partner Center shows no such subscription of this customer.",
            rule="subscription_of_the_customer",
        ) from None
    except MicrosoftError as error:
        raise _microsoft_problem(error) from None
    return customer


def _microsoft_problem(error: MicrosoftError) -> Problem:
    if isinstance(error, ConsentExpired | Forbidden):
        return unavailable(
            "microsoft_access",
            f"Microsoft refuses our own access; an administrator has to put it right. {error}",
            retry_after=300,
        )
    wait = round(error.retry_after.total_seconds()) if isinstance(error, Throttled) else 30
    return unavailable(
        "microsoft_unavailable",
        "Microsoft doesn't answer just now, so customer and subscription can't be checked. Nothing was started; ask "
        "again with the same Idempotency-Key.",
        retry_after=max(wait, 1),
    )
