"""The documents that people attach on the tour: made up, but such as programs open."""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from domain.evidence import EvidenceKind


def paper(kind: EvidenceKind, about: str, domain: str) -> tuple[str, bytes]:
    """Name and content of a document of this kind; `domain` is the customer's, for what they write themselves."""
    match kind:
        case EvidenceKind.CREDIT_REQUEST_FORM:
            return "credit-request-form.pdf", _pdf(["Credit request and refund form", about])
        case EvidenceKind.CUSTOMER_REQUEST:
            return "customer-request.eml", _mail(f"it@{domain}", about)
        case _:
            return "what-happened.txt", f"{about}\nAffected: 25 users, four hours; restarting didn't help.\n".encode()


def _mail(sender: str, about: str) -> bytes:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = "claims@partner.example"
    mail["Subject"] = "Please claim a credit for us"
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail.set_content(f"{about}\nPlease ask Microsoft for the credit.\n")
    return mail.as_bytes()


def _pdf(lines: list[str]) -> bytes:
    """A page with these lines, by the rules of PDF 1.7, 7.5: objects, the table of where they begin, the trailer."""
    text = "".join(f"({_quoted(line)}) Tj T* " for line in lines)
    page = f"BT /F1 12 Tf 16 TL 72 760 Td {text}ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(page)} >>\nstream\n{page}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    content, places = "%PDF-1.7\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{one}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(content)}\n%%EOF\n"
    return f"{content}xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("ascii")


def _quoted(line: str) -> str:
    ascii_only = line.encode("ascii", "replace").decode()
    return ascii_only.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
