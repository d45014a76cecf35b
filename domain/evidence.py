"""Documents: which kinds there are, which types and sizes count, and whether a document is what it says.

Sources: the seed page (the form and the customer's written request); the request-credit article of 2023 for outages
(the customer's own request must come from the domain of the affected tenant).
"""

import email.policy
import io
import re
import zipfile
import zlib
from datetime import datetime
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses
from enum import StrEnum

from domain.model import Frozen, Refusal, Refused
from domain.roles import Actor


class EvidenceKind(StrEnum):
    """What a document is, in the words of Microsoft's pages."""

    CREDIT_REQUEST_FORM = "credit_request_form"
    CUSTOMER_REQUEST = "customer_request"
    OUTAGE_EVIDENCE = "outage_evidence"
    SUPPORTING_DOCUMENT = "supporting_document"


PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EML = "message/rfc822"
MSG = "application/vnd.ms-outlook"
PNG = "image/png"
JPEG = "image/jpeg"
TEXT = "text/plain"

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_ZIP_ENTRY = b"PK\x01\x02"
_LONGEST_CONTENT_TYPES = 1024 * 1024
_MOST_ZIP_ENTRIES = 10_000
"""A Word or Excel file has some dozens; reading a directory of hundreds of thousands costs seconds and memory."""

_MAIL = (EML, MSG)
_PICTURES = (PNG, JPEG)
_OFFICE = (PDF, DOCX, XLSX)


class KindRule(Frozen):
    """What is accepted for one kind, told before anything is uploaded."""

    kind: EvidenceKind
    title: str
    media_types: tuple[str, ...]
    source: str


KINDS: dict[EvidenceKind, KindRule] = {
    rule.kind: rule
    for rule in (
        KindRule(
            kind=EvidenceKind.CREDIT_REQUEST_FORM,
            title="Microsoft's credit request and refund form, filled in",
            media_types=_OFFICE,
            source="S0 credit-requests-and-refunds",
        ),
        KindRule(
            kind=EvidenceKind.CUSTOMER_REQUEST,
            title="The written request received from the end customer",
            media_types=(*_MAIL, *_OFFICE, *_PICTURES),
            source="S0 credit-requests-and-refunds",
        ),
        KindRule(
            kind=EvidenceKind.OUTAGE_EVIDENCE,
            title="Evidence that the customer was affected: time, duration, users, attempts to resolve",
            media_types=(*_MAIL, *_OFFICE, *_PICTURES, TEXT),
            source="RC23 request-credit (2023-05-04)",
        ),
        KindRule(
            kind=EvidenceKind.SUPPORTING_DOCUMENT,
            title="Anything else that supports the claim",
            media_types=(*_MAIL, *_OFFICE, *_PICTURES, TEXT),
            source="S0 credit-requests-and-refunds",
        ),
    )
}


class Requirement(Frozen):
    """A kind that a claim's rule asks for, fixed when the claim was triaged."""

    kind: EvidenceKind
    required: bool
    source: str


class Document(Frozen):
    """A document that counts: its content stays in the blob store under its SHA-256."""

    id: str
    kind: EvidenceKind
    filename: str
    media_type: str
    size: int
    sha256: str
    attached_at: datetime
    attached_by: Actor


class ChecklistItem(Frozen):
    """One line of the checklist, with the exact thing still missing."""

    kind: EvidenceKind
    title: str
    required: bool
    satisfied: bool
    missing: str | None


def checklist(requirements: tuple[Requirement, ...], documents: tuple[Document, ...]) -> tuple[ChecklistItem, ...]:
    """The requirements against the documents attached."""
    present = {document.kind for document in documents}
    return tuple(
        ChecklistItem(
            kind=needed.kind,
            title=KINDS[needed.kind].title,
            required=needed.required,
            satisfied=needed.kind in present,
            missing=None if needed.kind in present else f"{KINDS[needed.kind].title} ({needed.source})",
        )
        for needed in requirements
    )


def is_complete(items: tuple[ChecklistItem, ...]) -> bool:
    """True when every required line is satisfied."""
    return all(item.satisfied for item in items if item.required)


def media_type(content: bytes) -> str | None:
    """The type of a document by its content, never by its name; None for one that isn't on any list.

    Containers are opened: a ZIP is a Word or Excel file only if it holds what such a file must.
    """
    if content.startswith(b"%PDF-"):
        return PDF if b"%%EOF" in content else None
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if content.startswith(b"\xff\xd8\xff"):
        return JPEG
    if content.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return MSG if "__properties_version1.0".encode("utf-16-le") in content else None
    if content.startswith(b"PK\x03\x04"):
        return _office_type(content)
    if _is_mail(content):
        return EML
    return TEXT if _is_text(content) else None


def _office_type(content: bytes) -> str | None:
    if content.count(_ZIP_ENTRY) > _MOST_ZIP_ENTRIES:
        return None
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        names = set(archive.namelist())
        with archive.open("[Content_Types].xml") as part:
            types = part.read(_LONGEST_CONTENT_TYPES + 1).lower()
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, EOFError, RuntimeError, zlib.error):
        return None
    has_macros = any(word in types for word in (b"macroenabled", b"vbaproject", b"macrosheet"))
    if len(types) > _LONGEST_CONTENT_TYPES or has_macros or any("vbaproject" in name.lower() for name in names):
        return None
    if "word/document.xml" in names:
        return DOCX
    return XLSX if "xl/workbook.xml" in names else None


def _headers(content: bytes) -> Message:
    # Decoded first: a header may be in UTF-8 (RFC 6532), and the parser would put each such byte apart.
    text = content[:65536].decode("utf-8", "replace")
    return HeaderParser(policy=email.policy.compat32).parsestr(text)


def _is_mail(content: bytes) -> bool:
    headers = _headers(content)
    return all(headers[name] for name in ("From", "Date")) and bool(headers["Subject"] or headers["Message-ID"])


def _is_text(content: bytes) -> bool:
    try:
        return _CONTROL.search(content.decode("utf-8")) is None
    except UnicodeDecodeError:
        return False


def sender_domain(content: bytes) -> str | None:
    """The domain an e-mail says it was sent from, in lower case and ASCII; None where it has no usable sender.

    Several senders must share it: otherwise it can't be told who asked.
    """
    senders = [str(value) for value in _headers(content).get_all("From", [])]
    try:
        found = getaddresses(senders)
    except RecursionError:  # the parser's answer to hundreds of nested comments or groups, which nobody writes
        return None
    addresses = [address.rpartition("@") for _, address in found if "@" in address]
    domains = {_ascii(domain) if local else None for local, _, domain in addresses}
    return domains.pop() if len(domains) == 1 else None


def _ascii(domain: str) -> str | None:
    """A domain as it is compared: in lower case, without the root's dot, with IDNA's names for other letters."""
    try:
        return domain.strip().rstrip(".").encode("idna").decode("ascii").lower() or None
    except UnicodeError:
        return None


def check(kind: EvidenceKind, content: bytes, *, limit: int, tenant_domains: frozenset[str] = frozenset()) -> str:
    """The media type of a document that may count as `kind`.

    `limit` is in bytes. Where `tenant_domains` is given, a customer's request that is an e-mail must come from one of
    them (RC23: a personal address isn't accepted).

    Raises:
        Refused: an empty, oversized or wrong-type file, or an e-mail from elsewhere; it says what would be accepted.
    """
    if not content:
        raise Refused(Refusal(rule="document_not_empty", field="file", message="The file is empty. Send it again."))
    if len(content) > limit:
        raise Refused(
            Refusal(
                rule="document_size", field="file", message=f"The file is over {limit:,} bytes. Send a smaller one."
            )
        )
    accepted = KINDS[kind].media_types
    found = media_type(content)
    if found not in accepted:
        raise Refused(
            Refusal(
                rule="document_type",
                field="file",
                message=f"A {kind} must be one of {', '.join(accepted)}; the content of this file is "
                f"{found or 'of no type known here, cut off, or with macros'}.",
            )
        )
    if kind is EvidenceKind.CUSTOMER_REQUEST and found == EML and tenant_domains:
        sender = sender_domain(content)
        allowed = {_ascii(domain) for domain in tenant_domains} - {None}
        if sender is None or not any(f".{sender}".endswith(f".{known}") for known in allowed):
            raise Refused(
                Refusal(
                    rule="customer_request_domain",
                    field="file",
                    message="The customer's request must come from a domain of the affected tenant "
                    f"({', '.join(sorted(tenant_domains))}), and from nowhere else; a personal address isn't "
                    "accepted (RC23).",
                )
            )
    return found
