"""Documents: held to what they say they are, and swept only when no claim wants them."""

import hashlib
import os
import time
from collections.abc import AsyncIterator

import pytest
from temporalio.exceptions import ApplicationError

from activities.evidence import CheckDocument
from activities.records import RecordClaim
from domain.evidence import EML, PDF, Document, EvidenceKind
from tests.activities.conftest import Desk
from tests.records.samples import claim, document, entry

FORM = b"%PDF-1.7 the filled form\n%%EOF\n"
MAIL = b"From: Kim <kim@contoso.example>\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\nSubject: Credit\r\n\r\nPlease.\r\n"


async def _kept(desk: Desk, content: bytes, kind: EvidenceKind, media_type: str) -> Document:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    stored = await desk.blobs.put(chunks(), 1_000_000)
    return document(1, stored.sha256).model_copy(update={"kind": kind, "media_type": media_type, "size": stored.size})


def _age(desk: Desk, sha256: str, hours: float) -> None:
    """The content was kept so many hours ago."""
    at = time.time() - hours * 3600
    [path] = desk.blob_folder.rglob(sha256)
    os.utime(path, (at, at))


async def test_a_document_that_is_what_it_says_passes(desk: Desk) -> None:
    form = await _kept(desk, FORM, EvidenceKind.CREDIT_REQUEST_FORM, PDF)
    await desk.run(desk.evidence.check_document, CheckDocument(document=form))


async def test_a_checked_document_is_safe_from_the_sweep_until_its_claim_is_recorded(desk: Desk) -> None:
    form = await _kept(desk, FORM, EvidenceKind.CREDIT_REQUEST_FORM, PDF)
    _age(desk, form.sha256, 30)
    await desk.run(desk.evidence.check_document, CheckDocument(document=form))
    assert await desk.run(desk.evidence.sweep_documents) == 0
    assert await desk.blobs.exists(form.sha256)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"sha256": "b" * 64}, "document_kept"),
        ({"size": 3}, "document_content"),
        ({"media_type": "image/png"}, "document_type"),
    ],
)
async def test_a_document_that_is_not_what_it_says_is_refused(desk: Desk, change: dict[str, object], rule: str) -> None:
    form = await _kept(desk, FORM, EvidenceKind.CREDIT_REQUEST_FORM, PDF)
    wanted = CheckDocument(document=form.model_copy(update=change))
    refusal = await desk.refusal(desk.evidence.check_document, wanted)
    assert (refusal.rule, refusal.field) == (rule, "file")


async def test_content_changed_in_the_store_is_noticed(desk: Desk) -> None:
    form = await _kept(desk, FORM, EvidenceKind.CREDIT_REQUEST_FORM, PDF)
    [path] = desk.blob_folder.rglob(form.sha256)
    path.write_bytes(FORM.replace(b"filled", b"forged"))
    refusal = await desk.refusal(desk.evidence.check_document, CheckDocument(document=form))
    assert refusal.rule == "document_content"


async def test_a_document_over_the_limit_is_refused(desk: Desk) -> None:
    large = await _kept(desk, FORM.replace(b"filled", b"filled" * 20_000), EvidenceKind.CREDIT_REQUEST_FORM, PDF)
    refusal = await desk.refusal(desk.evidence.check_document, CheckDocument(document=large))
    assert refusal.rule == "document_size"
    assert "100,000 bytes" in refusal.message


async def test_the_wrong_type_for_its_kind_is_refused_whatever_it_is_called(desk: Desk) -> None:
    mail = await _kept(desk, MAIL, EvidenceKind.CREDIT_REQUEST_FORM, PDF)
    refusal = await desk.refusal(desk.evidence.check_document, CheckDocument(document=mail))
    assert refusal.rule == "document_type"


async def test_the_customers_mail_must_come_from_its_tenant_where_that_is_asked(desk: Desk) -> None:
    mail = await _kept(desk, MAIL, EvidenceKind.CUSTOMER_REQUEST, EML)
    for domains in ((), ("contoso.example", "contoso.other")):
        await desk.run(desk.evidence.check_document, CheckDocument(document=mail, tenant_domains=domains))
    elsewhere = CheckDocument(document=mail, tenant_domains=("fabrikam.example",))
    refusal = await desk.refusal(desk.evidence.check_document, elsewhere)
    assert refusal.rule == "customer_request_domain"


async def test_only_old_content_that_no_claim_refers_to_is_swept(desk: Desk) -> None:
    contents = {name: f"%PDF-1.7 {name}".encode() for name in ("wanted", "revoked", "orphan", "fresh")}
    kept = {
        name: await _kept(desk, content, EvidenceKind.CREDIT_REQUEST_FORM, PDF) for name, content in contents.items()
    }
    documents = tuple(kept[name].model_copy(update={"id": name}) for name in ("wanted", "revoked"))
    both = claim(1, documents=documents)
    await desk.record(both, both.model_copy(update={"version": 2, "documents": documents[:1]}))
    for name in ("wanted", "revoked", "orphan"):
        _age(desk, kept[name].sha256, 25)

    assert await desk.run(desk.evidence.sweep_documents) == 1

    there = {name: await desk.blobs.exists(hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
    assert there == {"wanted": True, "revoked": True, "orphan": False, "fresh": True}
    assert "documents" in await desk.claims.sweep_successes()


async def test_recording_a_second_claim_about_the_same_names_the_first(desk: Desk) -> None:
    first, second = claim(1, reference="EX1"), claim(2, reference="EX1")
    await desk.run(desk.recording.record_claim, RecordClaim(claim=first, entry=entry(first)))
    await desk.run(desk.recording.record_claim, RecordClaim(claim=first, entry=entry(first)))
    with pytest.raises(ApplicationError) as caught:
        await desk.run(desk.recording.record_claim, RecordClaim(claim=second, entry=entry(second)))
    assert (caught.value.type, caught.value.non_retryable) == ("duplicate_claim", True)
    assert caught.value.details == ({"claim_id": first.id},)
