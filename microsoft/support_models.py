"""What Azure support tickets are made of, as we write them and as Microsoft gives them back (facts 2)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field

from microsoft.fields import Instant, MaybeInstant, Resource, Text, Word

Severity = Literal["minimal", "moderate", "critical", "highestcriticalimpact"]

LARGEST_FILE = 5 * 1024 * 1024
LARGEST_CHUNK = LARGEST_FILE // 2
LONGEST_FILE_NAME = 110
LONGEST_TICKET_NAME = 255

# What the upload article refuses (2026-06-02), and what Microsoft's own command line refuses besides: svg, htm, html.
_REFUSED_EXTENSION = re.compile(
    r"\.(bat|cmd|exe|ps1|js|vbs|com|lnk|reg|bin|cpl|inf|ins|isu|job|jse|msi|msp|paf|pif|rgs|scr|sct|vbe|vb|wsf|wsh|ws"
    r"|svg|html|htm)\s*$",
    re.IGNORECASE,
)
_NOT_IN_A_NAME = re.compile(r"[<>%&:?/\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Place:
    """Where a ticket lives: in the customer's tenant, on one of its Azure subscriptions."""

    tenant: str
    subscription: str


@dataclass(frozen=True)
class Classification:
    """What a ticket is about: Microsoft's ids of the service and of the problem, whole paths as it writes them."""

    service_id: str
    id: str
    name: str


class _Ours(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Contact(_Ours):
    """Whom Microsoft writes to, by e-mail. `time_zone` is a Windows name (`W. Europe Standard Time`), `country` has
    three letters (`CHE`), `language` is one of support's (`en-us`)."""

    first_name: str
    last_name: str
    email: str
    time_zone: str
    country: str
    language: str = "en-us"
    phone: str | None = None

    def wire(self) -> dict[str, object]:
        """The contact as Microsoft takes it."""
        return {
            "firstName": self.first_name,
            "lastName": self.last_name,
            "preferredContactMethod": "email",
            "primaryEmailAddress": self.email,
            "preferredTimeZone": self.time_zone,
            "country": self.country,
            "preferredSupportLanguage": self.language,
            **({"phoneNumber": self.phone} if self.phone else {}),
        }


class NewTicket(_Ours):
    """A ticket to be filed. `started` is when the problem began; the files of `workspace` are attached to it."""

    title: str
    description: str
    classification: Classification
    contact: Contact
    severity: Severity = "minimal"
    started: datetime | None = None
    workspace: str | None = None

    def wire(self) -> dict[str, object]:
        """The ticket as Microsoft takes it."""
        properties: dict[str, object] = {
            "serviceId": self.classification.service_id,
            "problemClassificationId": self.classification.id,
            "title": self.title,
            "description": self.description,
            "severity": self.severity,
            # Required since 2024-04-01. Nobody needs to look into the customer's resources for a credit.
            "advancedDiagnosticConsent": "No",
            "contactDetails": self.contact.wire(),
        }
        if self.started is not None:
            properties["problemStartTime"] = utc_text(self.started)
        if self.workspace is not None:
            properties["fileWorkspaceName"] = self.workspace
        return {"properties": properties}


class SupportTicket(Resource):
    """A ticket as Microsoft has it. `name` is the one we gave it, `number` the one people use. `status` was seen as
    `open`, `updating` and `closed`. It carries no decision."""

    name: Annotated[str, Field(min_length=1)]
    number: Annotated[Text, Field(validation_alias=AliasPath("properties", "supportTicketId"))] = ""
    title: Annotated[Text, Field(validation_alias=AliasPath("properties", "title"))] = ""
    status: Annotated[Word, Field(validation_alias=AliasPath("properties", "status"))] = ""
    severity: Annotated[Word, Field(validation_alias=AliasPath("properties", "severity"))] = ""
    service: Annotated[Text, Field(validation_alias=AliasPath("properties", "serviceDisplayName"))] = ""
    problem: Annotated[Text, Field(validation_alias=AliasPath("properties", "problemClassificationDisplayName"))] = ""
    created: Annotated[MaybeInstant, Field(validation_alias=AliasPath("properties", "createdDate"))] = None
    modified: Annotated[MaybeInstant, Field(validation_alias=AliasPath("properties", "modifiedDate"))] = None
    workspace: Annotated[Text, Field(validation_alias=AliasPath("properties", "fileWorkspaceName"))] = ""


class Communication(Resource):
    """A message on a ticket. Who wrote it is told by `sender`: for one of ours `direction` is `outbound` in
    Microsoft's example and `inbound` in recorded traffic (facts 2.4)."""

    name: Annotated[str, Field(min_length=1)]
    subject: Annotated[Text, Field(validation_alias=AliasPath("properties", "subject"))] = ""
    body: Annotated[Text, Field(validation_alias=AliasPath("properties", "body"))] = ""
    sender: Annotated[Text, Field(validation_alias=AliasPath("properties", "sender"))] = ""
    direction: Annotated[Word, Field(validation_alias=AliasPath("properties", "communicationDirection"))] = ""
    created: Annotated[MaybeInstant, Field(validation_alias=AliasPath("properties", "createdDate"))] = None


class Workspace(Resource):
    """Where files wait for their ticket, until `expires`."""

    name: Annotated[str, Field(min_length=1)]
    expires: Annotated[Instant, Field(validation_alias=AliasPath("properties", "expirationTime"))]


def ticket_name_refusal(name: str) -> str | None:
    """Why Microsoft wouldn't take this name for a ticket; None if it would (recorded answers of its name check)."""
    if not name.strip(". ") or len(name) > LONGEST_TICKET_NAME:
        return f"a ticket's name has 1 to {LONGEST_TICKET_NAME} characters"
    if _NOT_IN_A_NAME.search(name):
        return "a ticket's name has none of < > % & : ? / \\ and no control characters"
    if name.isdecimal():
        return "a ticket's name isn't a number"
    if name.lower().startswith("tmp-"):
        return "a ticket's name doesn't begin with tmp-"
    return None


def upload_refusal(filename: str, size: int) -> str | None:
    """Why a file of `size` bytes can't be attached to a ticket under this name; None if it can (facts 2.6)."""
    if not filename.strip(". ") or len(filename) > LONGEST_FILE_NAME:
        return f"a file's name has 1 to {LONGEST_FILE_NAME} characters"
    if re.search(r"[/\\\x00-\x1f\x7f]", filename):
        return "a file's name has no slashes and no control characters"
    if refused := _REFUSED_EXTENSION.search(filename):
        return f"files ending in {refused[0].strip().lower()} aren't accepted"
    if not 0 < size <= LARGEST_FILE:
        return f"a file has 1 to {LARGEST_FILE} bytes, and this one {size}"
    return None


def utc_text(moment: datetime) -> str:
    """An aware instant to the second, cut off, as Azure writes times. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("an instant without a zone")
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
