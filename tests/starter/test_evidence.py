"""Documents: refused before anything is kept, fetched so that no browser runs them, packed the same way each time."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from domain.claims import Claim, Status
from domain.evidence import Document, EvidenceKind, Requirement
from domain.triage import Route, Triage
from records.claims import ClaimRecords
from starter.api.desk import Desk
from starter.api.evidence import disposition, document_id
from starter.packet import packet, safe_name
from tests.records.samples import CUSTOMER, claim, document, due
from tests.starter.conftest import Caller, problem, recorded, stored

PDF = b"%PDF-1.7\n%%EOF\n"
MAIL = b"From: it@contoso.example\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\nSubject: Credit\r\n\r\nPlease.\r\n"
SERVICE_REQUEST = Triage(route=Route.SERVICE_REQUEST, rule="r", explanation="e", source="s")
FORM_ONLY = (Requirement(kind=EvidenceKind.CREDIT_REQUEST_FORM, required=True, source="S0"),)


def collecting(number: int = 1, **changes: object) -> Claim:
    """A claim that collects documents."""
    return claim(number, **{"status": Status.COLLECTING_EVIDENCE, "triage": SERVICE_REQUEST, **changes})


def kept(desk: Desk) -> list[Path]:
    """The contents in the store."""
    return [path for path in (desk.settings.data_dir / "blobs").rglob("*") if path.is_file()]


async def test_what_is_accepted_is_told_before_the_upload(ana: Caller) -> None:
    told = (await ana.get("/v1/evidence-kinds")).json()
    assert (told["max_bytes"], told["max_documents"]) == (200_000, 2)
    kinds = {kind["kind"]: kind["media_types"] for kind in told["kinds"]}
    assert set(kinds) == set(EvidenceKind)
    assert "application/pdf" in kinds["credit_request_form"]
    assert "message/rfc822" not in kinds["credit_request_form"]


@pytest.mark.parametrize(
    ("kind", "content", "status", "rule", "field"),
    [
        ("credit_request_form", b"", 422, "document_not_empty", "file"),
        ("credit_request_form", b"MZ\x90\x00 a program", 422, "document_type", "file"),
        ("credit_request_form", MAIL, 422, "document_type", "file"),
        ("credit_request_form", b"PK\x03\x04 no archive", 422, "document_type", "file"),
        ("credit_request_form", PDF + b"x" * 200_000, 413, "document_size", "file"),
        ("credit_request_form", PDF + b"x" * 400_000, 413, "body_size", None),
        ("holiday_picture", PDF, 422, "validation", "kind"),
    ],
)
async def test_a_document_that_does_not_count_is_not_kept(
    ana: Caller, desk: Desk, kind: str, content: bytes, status: int, rule: str, field: str | None
) -> None:
    one = await recorded(desk.claims, collecting())
    answer = await ana.upload(one, kind, "form.pdf", content)
    assert problem(answer, status, rule).get("field") == field
    assert kept(desk) == []


async def test_a_customers_request_comes_from_their_domain(ana: Caller, desk: Desk) -> None:
    one = await recorded(desk.claims, collecting(customer_domains=("fabrikam.example",)))
    answer = await ana.upload(one, "customer_request", "mail.eml", MAIL)
    assert "fabrikam.example" in problem(answer, 422, "customer_request_domain")["detail"]
    assert kept(desk) == []


async def test_the_form_has_just_its_two_fields(ana: Caller, records: ClaimRecords) -> None:
    one = await recorded(records, collecting())
    path, headers = f"/v1/claims/{one.id}/evidence", {"Idempotency-Key": "k"}
    file = ("form.pdf", PDF)
    for data, files, field in (
        ({"kind": "credit_request_form", "note": "x"}, [("file", file)], "note"),
        ({"kind": "credit_request_form"}, [("file", file), ("file", file)], "file"),
        ({"kind": "credit_request_form"}, [("picture", file)], "picture"),
        ({}, [("file", file)], "kind"),
    ):
        answer = await ana.http.post(path, data=data, files=files, headers=headers)
        assert problem(answer, 422, "validation")["field"] == field
    no_file = await ana.http.post(
        path, data={"kind": "credit_request_form"}, files={"file": (None, "x")}, headers=headers
    )
    assert problem(no_file, 422, "validation")["field"] == "file"
    problem(await ana.post(path, {"kind": "credit_request_form"}), 415, "media_type")
    broken = {**headers, "Content-Type": "multipart/form-data; boundary=x"}
    answer = await ana.http.post(path, content=b"--x\r\nnonsense", headers=broken)
    problem(answer, 422, "validation")


async def test_a_claim_that_takes_no_documents_does_not_get_one_stored(ana: Caller, desk: Desk) -> None:
    closed = await recorded(desk.claims, collecting(status=Status.DENIED))
    problem(await ana.upload(closed, "credit_request_form", "form.pdf", PDF), 409, "status_allows")
    problem(await ana.as_("BillingAdmin").upload(closed, "credit_request_form", "f.pdf", PDF), 403, "role_may_not")
    full = await recorded(desk.claims, collecting(2, documents=(document(1), document(2))))
    problem(await ana.upload(full, "credit_request_form", "form.pdf", PDF), 409, "document_count")
    assert kept(desk) == []


async def test_a_good_document_is_stored_before_the_claim_is_asked(ana: Caller, desk: Desk) -> None:
    one = await recorded(desk.claims, collecting())
    problem(await ana.upload(one, "credit_request_form", "form.pdf", PDF), 503, "temporal_unavailable")
    assert [path.read_bytes() for path in kept(desk)] == [PDF]


async def test_nobody_without_a_role_uploads_anything(ana: Caller, desk: Desk) -> None:
    one = await recorded(desk.claims, collecting())
    del ana.http.headers["Authorization"]
    problem(await ana.upload(one, "credit_request_form", "form.pdf", PDF), 401, "token")


async def test_a_document_is_fetched_to_be_saved(ana: Caller, desk: Desk) -> None:
    plain = await stored(desk, document(1), PDF)
    named = await stored(desk, document(2), b"%PDF-2.0")
    named = named.model_copy(update={"filename": 'Beleg "März" 2026.pdf'})
    one = await recorded(desk.claims, collecting(documents=(plain, named)))
    answer = await ana.get(f"/v1/claims/{one.id}/evidence/{plain.id}")
    assert (answer.status_code, answer.content) == (200, PDF)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith('attachment; filename="form.pdf"')
    assert answer.headers["content-length"] == str(len(PDF))
    answer = await ana.get(f"/v1/claims/{one.id}/evidence/{named.id}")
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Beleg _M_rz_ 2026.pdf\"; filename*=UTF-8''Beleg%20_M%C3%A4rz_%202026.pdf"
    )
    problem(await ana.get(f"/v1/claims/{one.id}/evidence/doc-9"), 404, "not_found")


async def test_a_lost_document_is_a_fault_of_ours(ana: Caller, desk: Desk) -> None:
    one = await recorded(desk.claims, collecting(documents=(document(1),), requirements=FORM_ONLY))
    problem(await ana.get(f"/v1/claims/{one.id}/evidence/doc-1"), 500, "document_lost")
    problem(await ana.get(f"/v1/claims/{one.id}/packet"), 500, "document_lost")


async def test_revoking_needs_a_reason_and_a_document(ana: Caller, desk: Desk) -> None:
    one = await recorded(desk.claims, collecting(documents=(document(1),)))
    path = f"/v1/claims/{one.id}/evidence"
    assert problem(await ana.http.delete(f"{path}/doc-1"), 422, "validation")["field"] == "reason"
    problem(await ana.http.delete(f"{path}/doc-2?reason=x"), 404, "not_found")
    problem(await ana.customer(CUSTOMER).http.delete(f"{path}/doc-1?reason=x"), 403, "role_may_not")
    problem(await ana.http.delete(f"{path}/doc-1?reason=x"), 503, "temporal_unavailable")


def test_a_document_has_the_same_id_wherever_it_is_worked_out() -> None:
    one = document_id("claim-1", EvidenceKind.CREDIT_REQUEST_FORM, "ab")
    assert one == "doc-" + hashlib.sha256(b"claim-1|credit_request_form|ab").hexdigest()[:16]


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("form.pdf", "form.pdf"),
        ("C:\\Users\\ana\\form.pdf", "form.pdf"),
        ("../../etc/passwd", "passwd"),
        ("form\x00\r\n.pdf", "form.pdf"),
        ("mrof\u202efdp.exe", "mroffdp.exe"),
        ('a<b>:"c|?*.pdf', "a_b___c___.pdf"),
        ("...", "document"),
        ("", "document"),
        ("a/", "document"),
        (" März.pdf ", "März.pdf"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("." + "x" * 300, "x" * 200),
    ],
)
def test_a_files_name_is_no_path_and_has_nothing_hidden(given: str, safe: str) -> None:
    assert safe_name(given) == safe


def test_a_name_cannot_end_the_header_it_stands_in() -> None:
    header = disposition('a"; filename="evil.exe\r\nX: y.pdf')
    assert header.count('"') == 2
    assert "\r" not in header
    assert header.isascii()


def ready(documents: tuple[Document, ...] = (), **changes: object) -> Claim:
    """A claim that can be filed."""
    fields = {
        "status": Status.READY_TO_FILE,
        "deadline": due(date(2026, 2, 15)),
        "requirements": FORM_ONLY,
        "documents": documents,
        "product": "Microsoft 365 Business Basic",
        **changes,
    }
    return collecting(**fields)  # type: ignore[arg-type]  # the number, where there is one, is an int


async def zipped(ana: Caller, one: Claim) -> zipfile.ZipFile:
    answer = await ana.get(f"/v1/claims/{one.id}/packet")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{one.id}.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


async def test_the_packet_has_the_fields_the_documents_and_where_to_go(ana: Caller, desk: Desk) -> None:
    form = (await stored(desk, document(1), PDF)).model_copy(update={"filename": "../form.pdf"})
    mail = (await stored(desk, document(2), MAIL)).model_copy(
        update={"filename": "request.eml", "kind": EvidenceKind.CUSTOMER_REQUEST}
    )
    one = await recorded(desk.claims, ready((form, mail)))
    archive = await zipped(ana, one)
    assert archive.namelist() == [
        "where-to-go.txt",
        "fields.txt",
        "documents/01-credit_request_form-form.pdf",
        "documents/02-customer_request-request.eml",
    ]
    assert archive.read("documents/02-customer_request-request.eml") == MAIL
    fields = archive.read("fields.txt").decode()
    order = ["Subscription ID: a4c1", "Customer tenant ID: 0c1b", "Outage incident ID: EX00001",
             "Billing admin e-mail address: ana@", "Problem start time: 2026-02-15", "Problem description:",
             "Mail stood still.", "Contact name: Ana Admin"]  # fmt: skip
    assert sorted(order, key=fields.index) == order
    assert "Partner Ltd" in fields
    assert "Contoso" in fields
    guide = archive.read("where-to-go.txt").decode()
    assert "https://partner.microsoft.com/support" in guide
    assert "2026-03-31" in guide
    assert f"claimdesk claim file {one.id}" in guide


async def test_an_azure_claim_is_filed_elsewhere_and_an_exception_says_so(ana: Caller, desk: Desk) -> None:
    form = await stored(desk, document(1), PDF)
    azure = SERVICE_REQUEST.model_copy(update={"route": Route.AZURE_TICKET})
    one = await recorded(desk.claims, ready((form,), triage=azure, exception_reason="Promised on 3 March"))
    archive = await zipped(ana, one)
    assert "Tracking ID: EX00001" in archive.read("fields.txt").decode()
    assert "Promised on 3 March" in archive.read("fields.txt").decode()
    assert "Azure portal" in archive.read("where-to-go.txt").decode()


async def test_the_same_claim_gives_the_same_packet(ana: Caller, desk: Desk) -> None:
    form = await stored(desk, document(1), PDF)
    one = await recorded(desk.claims, ready((form,)))
    first = await ana.get(f"/v1/claims/{one.id}/packet")
    await recorded(desk.claims, one.model_copy(update={"version": 9, "assignee": "hana"}))
    assert (await ana.get(f"/v1/claims/{one.id}/packet")).content == first.content


async def test_a_packet_comes_in_pieces_while_its_documents_are_read() -> None:
    big = document(1).model_copy(update={"size": 5_000_000})

    async def content(sha256: str) -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000

    pieces = [piece async for piece in packet(ready((big,)), "", content)]
    assert max(map(len, pieces)) < 300_000
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert len(archive.read("documents/01-credit_request_form-form.pdf")) == 5_000_000


async def test_there_is_no_packet_before_the_claim_can_be_filed(ana: Caller, records: ClaimRecords) -> None:
    refunded = SERVICE_REQUEST.model_copy(update={"route": Route.REFUNDED_IN_FULL})
    for number, changes, rule in (
        (1, {"triage": None}, "triaged_first"),
        (2, {"triage": refunded}, "nothing_to_file"),
        (3, {}, "checklist_complete"),
    ):
        one = await recorded(records, ready(number=number, **changes))
        document = problem(await ana.get(f"/v1/claims/{one.id}/packet"), 409, rule)
        if rule == "checklist_complete":
            assert "form" in document["detail"]
