"""Documents: what is accepted, uploaded, fetched and revoked."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData, UploadFile

from domain.claims import Claim, Event
from domain.evidence import KINDS, Document, EvidenceKind, check
from domain.lifecycle import document_count
from domain.messages import AttachEvidence, Reason, RevokeEvidence
from domain.model import Refused
from domain.policy import Category
from domain.roles import Action
from runtime.blobs import BlobNotFound
from starter.api import updates
from starter.api.auth import Authenticated, Caller
from starter.api.bodies import IdempotencyKey, OptionalIdempotencyKey, hashed
from starter.api.claims import view
from starter.api.desk import Desk, TheDesk
from starter.api.models import ClaimView, EvidenceKinds, claim_path
from starter.api.problems import Problem, invalid, not_found, refused
from starter.packet import safe_name

router = APIRouter(prefix="/v1", tags=["Evidence"])

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["kind", "file"],
                    "additionalProperties": False,
                    "properties": {
                        "kind": {"type": "string", "enum": [kind.value for kind in EvidenceKind]},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


@router.get("/evidence-kinds")
async def evidence_kinds(caller: Authenticated, desk: TheDesk) -> EvidenceKinds:
    """The kinds of document, the types of file each takes, the size limit, and how many a claim can have."""
    settings = desk.settings
    return EvidenceKinds(
        max_bytes=settings.max_document_bytes, max_documents=settings.max_documents, kinds=tuple(KINDS.values())
    )


@router.post("/claims/{claim_id}/evidence", status_code=201, openapi_extra=_FORM)
async def attach_evidence(
    claim_id: str, request: Request, key: IdempotencyKey, caller: Authenticated, desk: TheDesk, response: Response
) -> ClaimView:
    """Attach a document: its kind and the file. The type is read from the content, not from the name."""
    # The form is read here and not by FastAPI, which would read it before it knows who sends it.
    claim = await desk.claim(caller, claim_id)
    caller.acting(Action.ATTACH_EVIDENCE)
    kind, filename, content = await _form(request, desk.settings.max_document_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    asked = updates.Request(
        caller,
        f"POST {claim_path(claim.id)}/evidence",
        key,
        hashed({"kind": kind, "sha256": sha256, "filename": filename}),
    )
    # A request that was answered already isn't checked again: the claim has moved on since.
    media_type = "" if asked.update_id in claim.answers else await _kept(desk, caller, claim, kind, content)
    claim, answer = await updates.act(
        desk,
        asked,
        claim,
        Event.ATTACH_EVIDENCE,
        lambda actor: AttachEvidence(
            actor=actor,
            request_hash=asked.request_hash,
            at_most=desk.settings.max_documents,
            document=Document(
                id=document_id(claim_id, kind, sha256),
                kind=kind,
                filename=filename,
                media_type=media_type,
                size=len(content),
                sha256=sha256,
                attached_at=datetime.now(UTC),
                attached_by=actor,
            ),
        ),
    )
    response.headers["Location"] = f"{claim_path(claim.id)}/evidence/{answer.result}"
    return view(desk, caller, claim)


@router.get(
    "/claims/{claim_id}/evidence/{document_id}",
    response_class=StreamingResponse,
    responses={200: {"content": {media_type: {} for rule in KINDS.values() for media_type in rule.media_types}}},
)
async def fetch_document(claim_id: str, document_id: str, caller: Authenticated, desk: TheDesk) -> StreamingResponse:
    """A document's content, to be saved: it is never shown in the browser."""
    claim = await desk.claim(caller, claim_id)
    document = next((item for item in claim.documents if item.id == document_id), None)
    if document is None:
        raise not_found("document")
    content = desk.blobs.open(document.sha256)
    try:
        first = await anext(content, b"")
    except BlobNotFound:
        raise Problem(500, "document_lost", "The content of this document is missing from the store.") from None
    return StreamingResponse(
        _all(first, content),
        media_type=document.media_type,
        headers={
            "Content-Length": str(document.size),
            "Content-Disposition": disposition(document.filename),
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )


@router.delete("/claims/{claim_id}/evidence/{document_id}")
async def revoke_evidence(
    claim_id: str,
    document_id: str,
    reason: Annotated[Reason, Query(description="Why it no longer counts.")],
    caller: Authenticated,
    desk: TheDesk,
    key: OptionalIdempotencyKey,
) -> ClaimView:
    """Take a document off the checklist. Its content is kept."""
    claim = await desk.claim(caller, claim_id)
    asked = updates.Request(
        caller,
        f"DELETE {claim_path(claim.id)}/evidence/{document_id}",
        key or uuid4().hex,
        hashed({"reason": reason}),
    )
    is_there = any(item.id == document_id for item in claim.documents)
    if not is_there and asked.update_id not in claim.answers:
        raise not_found("document")
    claim, _ = await updates.act(
        desk,
        asked,
        claim,
        Event.REVOKE_EVIDENCE,
        lambda actor: RevokeEvidence(
            actor=actor, request_hash=asked.request_hash, document_id=document_id, reason=reason
        ),
    )
    return view(desk, caller, claim)


def document_id(claim_id: str, kind: EvidenceKind, sha256: str) -> str:
    """The id of a document: the same for the same content in the same place."""
    return "doc-" + hashlib.sha256(f"{claim_id}|{kind}|{sha256}".encode()).hexdigest()[:16]


def disposition(filename: str) -> str:
    """The Content-Disposition that makes a browser save the file under its name (RFC 6266)."""
    name = safe_name(filename)
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _form(request: Request, limit: int) -> tuple[EvidenceKind, str, bytes]:
    """Kind, file name and content. Raises problems for what isn't exactly that form, or is over `limit` bytes."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Problem(415, "media_type", "Send a form with kind and file: Content-Type: multipart/form-data.")
    async with request.form(max_files=2, max_fields=10) as form:
        for name, _ in form.multi_items():
            if name not in ("kind", "file") or len(form.getlist(name)) > 1:
                raise invalid(name, "The form has just these fields, each once: kind, file.")
        return _kind(form), *await _file(form, limit)


def _kind(form: FormData) -> EvidenceKind:
    try:
        return EvidenceKind(str(form.get("kind", "")))
    except ValueError:
        raise invalid("kind", f"The kind of the document must be one of: {', '.join(EvidenceKind)}.") from None


async def _file(form: FormData, limit: int) -> tuple[str, bytes]:
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise invalid("file", "Send the document as a file with a name.")
    content = await upload.read(limit + 1)
    if len(content) > limit:
        raise too_large(limit)
    return safe_name(upload.filename or ""), content


def too_large(limit: int) -> Problem:
    """413 for a document."""
    return Problem(
        413, "document_size", f"The file is over the limit of {limit:,} bytes. Send a smaller one.", field="file"
    )


async def _kept(desk: Desk, caller: Caller, claim: Claim, kind: EvidenceKind, content: bytes) -> str:
    """The media type of the content, now in the store. Raises problems for what may not be attached."""
    updates.may(caller, claim, Event.ATTACH_EVIDENCE)
    if len(claim.documents) >= desk.settings.max_documents:  # the claim counts again, once it is its turn
        raise refused(document_count(desk.settings.max_documents), ())
    domains = frozenset(claim.customer_domains if claim.opening.category is Category.SERVICE_OUTAGE else ())
    try:
        media_type = await asyncio.to_thread(
            check, kind, content, limit=desk.settings.max_document_bytes, tenant_domains=domains
        )
    except Refused as error:
        raise refused(error.refusal, ()) from None
    await desk.blobs.put(_all(content), desk.settings.max_document_bytes)
    return media_type


async def _all(first: bytes, rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes]:
    yield first
    if rest is not None:
        async for chunk in rest:
            yield chunk
