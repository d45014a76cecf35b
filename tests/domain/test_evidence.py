"""Documents by what they hold, never by what they are called; requests from the customer and nobody else."""

import io
import zipfile
from collections.abc import Sequence
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence import (
    DOCX,
    EML,
    JPEG,
    KINDS,
    MSG,
    PDF,
    PNG,
    TEXT,
    XLSX,
    EvidenceKind,
    Requirement,
    check,
    checklist,
    is_complete,
    media_type,
    sender_domain,
)
from domain.model import Refused
from tests.domain.samples import document

FORM, REQUEST = EvidenceKind.CREDIT_REQUEST_FORM, EvidenceKind.CUSTOMER_REQUEST
LIMIT = 100_000
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
A_PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\nstartxref\n9\n%%EOF\n"


def packed(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return buffer.getvalue()


def with_macro_types() -> bytes:
    buffer = io.BytesIO(packed("word/document.xml"))
    with zipfile.ZipFile(buffer, "a") as archive:
        kind = "application/vnd.ms-word.document.macroEnabled.main+xml"
        archive.writestr("[Content_Types].xml", f'<Override ContentType="{kind}"/>')
    return buffer.getvalue()


A_DOCX = packed("[Content_Types].xml", "_rels/.rels", "word/document.xml")
AN_XLSX = packed("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml")


def mail(*senders: str, headers: Sequence[str] = ("Date: Mon, 16 Feb 2026 09:00:00 +0000", "Subject: Credit")) -> bytes:
    lines = [*(f"From: {sender}" for sender in senders), *headers, "", "Please credit us."]
    return "\r\n".join(lines).encode()


def refused(kind: EvidenceKind, content: bytes, domains: frozenset[str] = frozenset()) -> str:
    with pytest.raises(Refused) as caught:
        check(kind, content, limit=LIMIT, tenant_domains=domains)
    assert caught.value.refusal.field == "file"
    return caught.value.refusal.message


# What a file is


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (A_PDF, PDF),
        (A_DOCX, DOCX),
        (AN_XLSX, XLSX),
        (b"\x89PNG\r\n\x1a\n....", PNG),
        (b"\xff\xd8\xff\xe0....", JPEG),
        (OLE + b"...." + "__properties_version1.0".encode("utf-16-le"), MSG),
        (mail("ann@contoso.example"), EML),
        (b"Down from 9 to 11.\r\n\tAll users.", TEXT),
        ("\ufeffAusfall von 9\u00a0bis 11\u00a0Uhr, für alle 👩‍💻".encode(), TEXT),
    ],
)
def test_a_file_is_known_by_its_content(content: bytes, found: str) -> None:
    assert media_type(content) == found


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"MZ\x90\x00\x03\x00\x00\x00", id="a program"),
        pytest.param(b"MZ\x90\x00" + A_DOCX, id="a program with a Word file behind it"),
        pytest.param(b"\x7fELF\x02\x01\x01\x00", id="another program"),
        pytest.param(b"%PDF-1.7\n", id="nothing but the head of a PDF"),
        pytest.param(b"\n" + A_PDF[1:] + b"\x00", id="a PDF without its head"),
        pytest.param(packed("holiday.jpg"), id="a ZIP that is no Office file"),
        pytest.param(packed("word/document.xml"), id="a ZIP that only names a Word file"),
        pytest.param(packed("[Content_Types].xml", "ppt/presentation.xml"), id="a presentation"),
        pytest.param(packed("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"), id="Word with macros"),
        pytest.param(packed("[Content_Types].xml", "xl/workbook.xml", "xl/VBAPROJECT.BIN"), id="Excel with macros"),
        pytest.param(with_macro_types(), id="Word with macros by its content types"),
        pytest.param(A_DOCX[: len(A_DOCX) // 2], id="a Word file cut off"),
        pytest.param(b"PK\x03\x04", id="nothing but the head of a ZIP"),
        pytest.param(b"PK\x05\x06" + bytes(18), id="an empty ZIP"),
        pytest.param(OLE + b"WordDocument", id="an old Word file"),
        pytest.param("Ausfall".encode("utf-16"), id="text in UTF-16"),
        pytest.param("für".encode("latin-1"), id="text in Latin-1"),
        pytest.param(b"text\x00with a zero", id="text with a zero"),
        pytest.param(b"\x1b[2Jtext", id="text with terminal controls"),
        pytest.param(b"GIF89a\x01\x00", id="a GIF"),
    ],
)
@pytest.mark.parametrize("kind", EvidenceKind)
def test_a_disguised_file_is_refused_with_what_is_accepted(kind: EvidenceKind, content: bytes) -> None:
    message = refused(kind, content)
    for accepted in KINDS[kind].media_types:
        assert accepted in message


def test_a_file_that_is_two_things_counts_as_what_its_head_says() -> None:
    assert media_type(A_PDF + A_DOCX) == PDF
    assert media_type(A_DOCX + A_PDF) == DOCX  # a reader of ZIP files looks from the end; what it holds is Word


def test_a_zip_with_an_endless_directory_is_not_read() -> None:
    entry = b"PK\x01\x02" + bytes(42)
    count = 200_000
    directory = entry * count
    end = b"PK\x05\x06" + bytes(8) + len(directory).to_bytes(4, "little") + (4).to_bytes(4, "little") + bytes(2)
    assert media_type(b"PK\x03\x04" + directory + end) is None
    many = packed("[Content_Types].xml", "word/document.xml", *(f"word/media/{n}.png" for n in range(500)))
    assert media_type(many) == DOCX


@settings(deadline=None)
@given(st.data())
def test_a_damaged_office_file_is_a_type_or_none_and_never_an_error(data: st.DataObject) -> None:
    content = bytearray(A_DOCX)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(content)))
    assert media_type(bytes(content[:cut])) in {DOCX, XLSX, None}


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"From: {text}\nDate: x\nSubject: y".encode()))
def test_any_bytes_are_a_type_or_none(content: bytes) -> None:
    found = media_type(content)
    assert found is None or any(found in rule.media_types for rule in KINDS.values())
    domain = sender_domain(content)
    assert domain is None or domain == domain.lower()


# How large


def test_the_limit_itself_is_accepted_and_one_byte_more_is_not() -> None:
    largest = A_PDF + b" " * (LIMIT - len(A_PDF))
    assert check(FORM, largest, limit=LIMIT) == PDF
    assert f"{LIMIT:,} bytes" in refused(FORM, largest + b" ")


@pytest.mark.parametrize("kind", EvidenceKind)
def test_an_empty_file_is_refused(kind: EvidenceKind) -> None:
    assert "empty" in refused(kind, b"")


# What counts as what


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (FORM, mail("ann@contoso.example")),
        (FORM, b"\x89PNG\r\n\x1a\n...."),
        (FORM, b"just text"),
        (REQUEST, b"Please credit us."),
    ],
)
def test_a_good_file_of_the_wrong_type_is_refused_with_its_own(kind: EvidenceKind, content: bytes) -> None:
    found = media_type(content)
    assert found is not None
    assert found in refused(kind, content)


@pytest.mark.parametrize("kind", [EvidenceKind.OUTAGE_EVIDENCE, EvidenceKind.SUPPORTING_DOCUMENT])
def test_evidence_of_an_outage_may_be_plain_text(kind: EvidenceKind) -> None:
    assert check(kind, b"Down from 9 to 11.", limit=LIMIT) == TEXT


# Who asks

CONTOSO = frozenset({"Contoso.Example", "contoso.onmicrosoft.example", "müller.example"})


@pytest.mark.parametrize(
    "sender",
    [
        "ann@contoso.example",
        "ANN@CONTOSO.EXAMPLE",
        "ann@contoso.example.",
        "Ann <ann@mail.contoso.example>",
        '"Other, Ann" <ann@contoso.example>',
        "=?utf-8?q?M=C3=BCller=2C_Ann?= <ann@contoso.example>",
        "Müller <ann@contoso.example>",
        "ann@contoso.onmicrosoft.example",
        "ann@müller.example",
        "ann@xn--mller-kva.example",
        "ann@contoso.example, bob@contoso.example",
        '"bob@elsewhere.example" <ann@contoso.example>',
        "ann@contoso.example (written by bob@elsewhere.example)",
    ],
)
def test_a_request_from_the_tenants_domain_counts(sender: str) -> None:
    assert check(REQUEST, mail(sender), limit=LIMIT, tenant_domains=CONTOSO) == EML


@pytest.mark.parametrize(
    "sender",
    [
        pytest.param("ann@elsewhere.example", id="elsewhere"),
        pytest.param("ann@evilcontoso.example", id="ends alike"),
        pytest.param("ann@contoso.example.evil.example", id="begins alike"),
        pytest.param("ann@contoso-example.evil.example", id="looks alike"),
        pytest.param("ann@contosо.example", id="a Cyrillic o"),
        pytest.param('"ann@contoso.example" <x@elsewhere.example>', id="the domain in the name"),
        pytest.param("ann@contoso.example <x@elsewhere.example>", id="the domain in an unquoted name"),
        pytest.param("=?utf-8?q?ann=40contoso=2Eexample?= <x@elsewhere.example>", id="the domain in an encoded name"),
        pytest.param("=?utf-8?q?ann=40contoso=2Eexample?=", id="an encoded address"),
        pytest.param('"ann@contoso.example"@elsewhere.example', id="the domain before the last @"),
        pytest.param("x@elsewhere.example, ann@contoso.example", id="two senders"),
        pytest.param("x@elsewhere.example (ann@contoso.example)", id="the domain in a comment"),
        pytest.param("mail.contoso.example", id="no address at all"),
        pytest.param("@contoso.example", id="nobody at the domain"),
        pytest.param("ann@", id="no domain"),
        pytest.param("ann@.", id="the root"),
        pytest.param("ann@[192.0.2.1]", id="a number"),
        pytest.param("(" * 5_000 + "ann@contoso.example", id="endless comments"),
        pytest.param("a:" * 5_000 + "ann@contoso.example", id="endless groups"),
    ],
)
def test_a_request_from_anybody_else_is_refused_with_the_domains_that_count(sender: str) -> None:
    message = refused(REQUEST, mail(sender), CONTOSO)
    for domain in CONTOSO:
        assert domain in message


def test_two_from_headers_are_two_senders() -> None:
    assert sender_domain(mail("ann@contoso.example", "x@elsewhere.example")) is None
    assert sender_domain(mail("ann@contoso.example", "bob@contoso.example")) == "contoso.example"


def test_a_folded_from_is_read_whole() -> None:
    assert sender_domain(mail("Ann\r\n <ann@contoso.example>")) == "contoso.example"


def test_an_empty_tenant_domain_lets_nobody_in() -> None:
    assert "domain" in refused(REQUEST, mail("x@elsewhere.example"), frozenset({"", "."}))


def test_messages_within_messages_are_not_looked_into() -> None:
    nested = mail("ann@contoso.example").replace(b"\r\n\r\n", b"\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 1_000)
    assert sender_domain(nested) == "contoso.example"
    assert media_type(nested) == EML


def test_the_domain_only_matters_for_the_customers_own_mail() -> None:
    stranger = mail("x@elsewhere.example")
    assert check(REQUEST, stranger, limit=LIMIT) == EML
    assert check(EvidenceKind.OUTAGE_EVIDENCE, stranger, limit=LIMIT, tenant_domains=CONTOSO) == EML
    assert check(REQUEST, A_PDF, limit=LIMIT, tenant_domains=CONTOSO) == PDF


@pytest.mark.parametrize(
    "headers",
    [
        ("Subject: no date",),
        ("Date: Mon, 16 Feb 2026 09:00:00 +0000",),
        (),
    ],
)
def test_text_with_a_from_alone_is_no_mail(headers: tuple[str, ...]) -> None:
    assert media_type(mail("ann@contoso.example", headers=headers)) == TEXT


@settings(deadline=None)
@given(
    st.text("abcdefghij", min_size=1, max_size=9),
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){1,2}", fullmatch=True),
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){1,2}", fullmatch=True),
)
def test_a_mail_counts_exactly_if_its_domain_is_the_tenants_or_below(local: str, domain: str, tenant: str) -> None:
    message = EmailMessage()
    message["From"] = f"{local}@{domain}"
    message["Date"] = "Mon, 16 Feb 2026 09:00:00 +0000"
    message["Subject"] = "Credit"
    message.set_content("Please credit us.")
    ours = domain.split(".")[-len(tenant.split(".")) :] == tenant.split(".")
    try:
        counts = bool(check(REQUEST, message.as_bytes(), limit=LIMIT, tenant_domains=frozenset({tenant})))
    except Refused:
        counts = False
    assert counts is ours


# The checklist


def test_the_checklist_says_what_is_missing_and_where_that_is_asked_for() -> None:
    needed = (
        Requirement(kind=FORM, required=True, source="S0"),
        Requirement(kind=REQUEST, required=True, source="S0"),
        Requirement(kind=EvidenceKind.OUTAGE_EVIDENCE, required=False, source="RC23"),
    )
    items = checklist(needed, (document(FORM),))
    assert [item.satisfied for item in items] == [True, False, False]
    assert items[0].missing is None
    assert items[1].missing == "The written request received from the end customer (S0)"
    assert not is_complete(items)
    assert is_complete(checklist(needed, (document(FORM), document(REQUEST))))
    assert is_complete(checklist((), ()))
