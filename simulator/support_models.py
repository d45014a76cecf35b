"""What the simulated Microsoft.Support remembers, and the bodies that Azure takes for it.

A `scope` is where a ticket or a workspace lives: `/subscriptions/{id}`, or `/tenants/{id}` for those without a
subscription. It is the parent of what is in it.
"""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from simulator.models import Document, Instant, Persona


def lower(value: object) -> object:
    """Azure takes its words in any case."""
    return value.lower() if isinstance(value, str) else value


Filled = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Severity = Annotated[Literal["minimal", "moderate", "critical", "highestcriticalimpact"], BeforeValidator(lower)]
Method = Annotated[Literal["email", "phone"], BeforeValidator(lower)]
Language = Annotated[
    Literal["en-us", "zh-hans", "es-es", "fr-fr", "ja-jp", "ko-kr", "ru-ru", "pt-br", "it-it", "zh-tw", "de-de"],
    BeforeValidator(lower),
]
Country = Annotated[str, StringConstraints(pattern="^[A-Za-z]{3}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]
Consent = Annotated[Literal["yes", "no"], BeforeValidator(lower)]


class Body(BaseModel):
    """Something sent to Azure: camelCase, and what it doesn't know it ignores."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class ContactChange(Body):
    """What a PATCH may change of a contact."""

    first_name: Filled | None = None
    last_name: Filled | None = None
    preferred_contact_method: Method | None = None
    primary_email_address: Address | None = None
    additional_email_addresses: list[str] | None = None
    phone_number: str | None = None
    preferred_time_zone: Filled | None = None
    country: Country | None = None
    preferred_support_language: Language | None = None


class Contact(ContactChange):
    """Whom Microsoft's engineer gets in touch with."""

    first_name: Filled
    last_name: Filled
    preferred_contact_method: Method
    primary_email_address: Address
    preferred_time_zone: Filled
    country: Country
    preferred_support_language: Language

    @model_validator(mode="after")
    def _reachable(self) -> "Contact":
        if self.preferred_contact_method == "phone" and not self.phone_number:
            raise ValueError("phoneNumber is required where the contact is by phone")
        return self


class TicketBody(Body):
    """The properties of a ticket's PUT."""

    service_id: Filled
    problem_classification_id: Filled
    title: Filled
    description: Filled
    severity: Severity
    advanced_diagnostic_consent: Consent
    contact_details: Contact
    require_24x7_response: bool = Field(default=False, alias="require24X7Response")
    problem_start_time: Instant | None = None
    support_plan_id: str | None = None
    file_workspace_name: str | None = None
    problem_scoping_questions: str | None = None
    enrollment_id: str | None = None
    secondary_consent: list[JsonValue] | None = None
    technical_ticket_details: JsonValue = None
    quota_ticket_details: JsonValue = None


class TicketChange(Body):
    """A PATCH of a ticket: flat. What comes inside `properties` is among what isn't known."""

    severity: Severity | None = None
    status: Annotated[Literal["open", "closed"], BeforeValidator(lower)] | None = None
    contact_details: ContactChange | None = None
    advanced_diagnostic_consent: Consent | None = None
    secondary_consent: list[JsonValue] | None = None


class CommunicationBody(Body):
    """The properties of a communication's PUT."""

    subject: Filled
    body: Filled
    sender: Address | None = None


class FileBody(Body):
    """The properties of a file's PUT, in bytes."""

    file_size: int
    chunk_size: int
    number_of_chunks: int


class ChunkBody(Body):
    """A piece of a file, in base64."""

    content: str
    chunk_index: int


class NameBody(Body):
    """A name that somebody would like to use."""

    name: Filled
    type: Annotated[
        Literal[
            "microsoft.support/supporttickets", "microsoft.support/communications", "microsoft.support/fileworkspaces"
        ],
        BeforeValidator(lower),
    ]


class InScope(Document):
    """Something in a scope, under a name that the caller chose."""

    scope: str
    name: str

    def parent_id(self) -> str:
        return self.scope.lower()


class AzureTicket(InScope):
    """A ticket, with the persona that plays Microsoft. `made_at` is when it can be read, `listed_at` when lists show
    it; `digest` is of the body that made it; `operation` is the one that made it, "" for a ticket of the portal's.
    `plan` is the Partner Center subscription that credits are booked on."""

    kind: ClassVar[str] = "azure_ticket"
    number: str
    customer_id: str
    body: TicketBody
    status: Literal["Open", "Updating", "Closed"] = "Open"
    created: Instant
    modified: Instant
    made_at: Instant
    listed_at: Instant
    digest: str = ""
    operation: str = ""
    persona: Persona = "silence"
    amount: Decimal | None = None
    currency: str = "USD"
    plan: str | None = None
    was_asked: bool = False


class AzureCommunication(InScope):
    """A message on a ticket; its scope is the ticket's id."""

    kind: ClassVar[str] = "azure_communication"
    subject: str
    body: str
    sender: str
    by: Literal["partner", "microsoft"]
    created: Instant
    made_at: Instant
    listed_at: Instant
    digest: str = ""
    operation: str = ""


class SupportOperation(Document):
    """The work of a PUT that was accepted; `makes` is the id of what it makes. It failed where it has an `error`."""

    kind: ClassVar[str] = "support_operation"
    scope: str
    makes: str
    over_at: Instant
    error: str = ""


class FileWorkspace(InScope):
    """Where files wait for their ticket."""

    kind: ClassVar[str] = "file_workspace"
    created: Instant
    expires: Instant


class WorkspaceFile(InScope):
    """A file as it was announced; its scope is the workspace's id."""

    kind: ClassVar[str] = "workspace_file"
    created: Instant
    sizes: FileBody


class FileChunk(Document):
    """A piece of the file with the id `file`, in base64."""

    kind: ClassVar[str] = "file_chunk"
    file: str
    index: int
    content: str

    def parent_id(self) -> str:
        return self.file.lower()


class SupportMark(Document):
    """How Microsoft treats tickets on an Azure subscription or of a customer: its id is one or the other, and the
    subscription's goes first. Without `has_rights` every call on it is a 403."""

    kind: ClassVar[str] = "support_mark"
    persona: Persona = "silence"
    amount: Annotated[Decimal, Field(gt=0)] | None = None
    currency: str = "USD"
    plan_is_too_low: bool = False
    has_rights: bool = True
