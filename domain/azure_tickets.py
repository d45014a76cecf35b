"""What claimdesk puts into the Azure support ticket of a claim, and what Azure takes as attachments.

Sources: the Microsoft.Support API of 2024-04-01 (files), the Azure portal's limit of five files a ticket, and the
support-form definition of "Refund request" (SelfHelpContent_v2, 2021) for what the description must tell.
"""

from collections.abc import Sequence

from domain.claims import Claim, Contact
from domain.evidence import DOCX, EML, JPEG, MSG, PDF, PNG, TEXT, XLSX, Document
from domain.packet import amount_asked, description
from domain.roles import is_partner

MOST_FILES = 5
LARGEST_FILE = 5 * 1024 * 1024
"""In bytes."""

SERVICE = "Billing"
PROBLEM = ("refund", "request")
"""The words by which Azure's service, and its kind of problem, are looked up: their ids aren't published."""

_ENDINGS = {
    PDF: "pdf",
    DOCX: "docx",
    XLSX: "xlsx",
    EML: "eml",
    MSG: "msg",
    PNG: "png",
    JPEG: "jpg",
    TEXT: "txt",
}


def attachments_refusal(documents: Sequence[Document]) -> str | None:
    """Why these documents can't go with a ticket by API, or None where they can: no document may be left behind."""
    if len(documents) > MOST_FILES:
        return f"Azure takes {MOST_FILES} files with a ticket, and the claim has {len(documents)} documents."
    large = [document for document in documents if document.size > LARGEST_FILE]
    if large:
        return f"Azure takes files of up to {LARGEST_FILE:,} bytes, and {large[0].id} has {large[0].size:,}."
    return None


def attachment_name(position: int, document: Document) -> str:
    """The name under which a document is attached: its kind, never what somebody called the file."""
    return f"{position:02}-{document.kind}.{_ENDINGS[document.media_type]}"


def contact(claim: Claim, ours: Contact | None) -> Contact | None:
    """Whom Microsoft writes to: the claim's contact where a person of the partner gave it, else `ours`; never the
    customer's."""
    return claim.opening.contact if is_partner(claim.opened_by.role) else ours


def title(claim: Claim) -> str:
    """The ticket's title: no personal data, and the claim's id to find it by."""
    return f"Credit request: {claim.opening.category.replace('_', ' ')} of {claim.opening.incident.date} ({claim.id})"


def text(claim: Claim, partner_name: str) -> str:
    """The ticket's description: what the form for a refund request asks for."""
    said = claim.opening
    lines = [
        description(claim, partner_name),
        f"Azure Service Health tracking id: {said.incident.reference or 'none'}.",
        f"Refund amount: {amount_asked(claim)}. Refund reason: {said.category.replace('_', ' ')}.",
        f"The {len(claim.documents)} documents of the claim are attached.",
    ]
    return "\n".join(lines)
