"""Partner Center: customers, their subscriptions, and our service requests (facts B).

Service requests are open to App+User tokens only, and there is no documented way to create one: a person does that
in the portal.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, AliasPath, BeforeValidator, Field

from microsoft.answers import Answer, Call, read
from microsoft.fields import Id, Instant, Items, MaybeInstant, Page, Resource, Text, Word, in_path, instant
from microsoft.identity import PARTNER_CENTER, Identity
from microsoft.paging import CONTRACT, by_offset, by_seek, readable
from microsoft.transport import Transport


def _joined(word: str) -> str:
    return word.replace("_", "")


class Customer(Resource):
    """A company we sell to. `relationship` is what we are to it: `reseller` for a CSP customer, or something else.

    A listing leaves `custom_domains` out.
    """

    id: Annotated[Id, Field(min_length=1)]
    name: Annotated[Text, Field(validation_alias=AliasPath("companyProfile", "companyName"))] = ""
    domain: Annotated[Word, Field(validation_alias=AliasPath("companyProfile", "domain"))] = ""
    custom_domains: Items[Word] = ()
    relationship: Annotated[Word, Field(validation_alias="relationshipToPartner")] = ""

    @property
    def domains(self) -> frozenset[str]:
        """Every domain of the tenant, in lower case. An SLA claim's e-mail must come from one of them (RC23)."""
        return frozenset(name for name in (self.domain, *self.custom_domains) if name)


class Relationship(Resource):
    """An indirect reseller through whom we sell. `id` is its tenant, `mpn_id` its number in Microsoft's partner
    network; `type` is in one spelling, `isindirectcloudsolutionproviderof`, whichever Microsoft gave."""

    id: Annotated[Id, Field(min_length=1)]
    name: Text = ""
    type: Annotated[Word, AfterValidator(_joined), Field(validation_alias="relationshipType")] = ""
    state: Word = ""
    mpn_id: Text = ""
    location: Word = ""


class RefundOption(Resource):
    """Until `expires_at` a cancellation is refunded as `type` says (`full`, `partial`). None: no end is given."""

    type: Word = ""
    # The resource table calls it expiresAfter, every sample and the SDK expiresAt.
    expires_at: Annotated[MaybeInstant, Field(validation_alias=AliasChoices("expiresAt", "expiresAfter"))] = None


class RefundableSeats(Resource):
    """So many licences can be given back until `allowed_until`."""

    quantity: int
    allowed_until: Annotated[Instant, Field(validation_alias="allowedUntilDateTime")]


class RefundableQuantity(Resource):
    """How many licences can be given back, in all and by when."""

    total: Annotated[int, Field(validation_alias="totalQuantity")] = 0
    details: Items[RefundableSeats] = ()


def _dated(options: object) -> object:
    """Refund options whose end can be read. The catalogue's end is a duration (`P1D`): of what, a subscription
    doesn't say, and no refund may rest on it."""

    def readable(option: object) -> bool:
        if not isinstance(option, dict):
            return True
        try:
            for name in ("expires_at", "expiresAt", "expiresAfter"):
                instant(option.get(name))
        except ValueError:
            return False
        return True

    return [option for option in options if readable(option)] if isinstance(options, list) else options


class Subscription(Resource):
    """What a customer bought. Instants are UTC; `term` is an ISO 8601 duration (`P1Y`).

    `commitment_end` is the term's last day in new commerce and the first day after it in legacy.
    `cancellation_allowed_until`, `refund_options` and `refundable_quantity` are Microsoft's word on what can still
    be cancelled: they beat every rule with a number of days in it. None means not cancellable, or not said.
    """

    id: Annotated[Id, Field(min_length=1)]
    offer_id: Word = ""
    offer_name: Text = ""
    product_type: Annotated[Word, Field(validation_alias=AliasPath("productType", "id"))] = ""
    status: Word = ""
    quantity: int = 0
    unit_type: Word = ""
    created: Annotated[MaybeInstant, Field(validation_alias="creationDate")] = None
    effective_start: Annotated[MaybeInstant, Field(validation_alias="effectiveStartDate")] = None
    commitment_end: Annotated[MaybeInstant, Field(validation_alias="commitmentEndDate")] = None
    cancellation_allowed_until: Annotated[MaybeInstant, Field(validation_alias="cancellationAllowedUntilDate")] = None
    refund_options: Annotated[Items[RefundOption], BeforeValidator(_dated)] = ()
    refundable_quantity: RefundableQuantity | None = None
    billing_type: Word = ""
    billing_cycle: Word = ""
    term: Annotated[Word, Field(validation_alias="termDuration")] = ""
    auto_renew: Annotated[bool | None, Field(validation_alias="autoRenewEnabled")] = None
    order_id: Id = ""
    etag: Annotated[Text, Field(validation_alias=AliasPath("attributes", "etag"))] = ""

    @property
    def commerce(self) -> Literal["azure", "new_commerce", "legacy"]:
        """The rules it was bought under. Azure, metered or reserved, wins; then new commerce, whose product types end
        in NCE and whose offers are catalogue items (`CFQ7TTC0LH18:0001:…`, where legacy has a GUID)."""
        azure_type = "azure" in self.product_type or self.product_type == "reservedinstance"
        if azure_type or self.billing_type == "usage" or self.offer_id.startswith("ms-azr-"):
            return "azure"
        if self.product_type.endswith("nce") or re.match(r"[a-z0-9]{12}:[a-z0-9]{4}(:|$)", self.offer_id):
            return "new_commerce"
        return "legacy"


class AzureEntitlement(Resource):
    """An Azure subscription under an Azure plan. `id` is its own, by which Azure knows it."""

    id: Annotated[Id, Field(min_length=1)]
    name: Annotated[Text, Field(validation_alias="friendlyName")] = ""
    status: Word = ""


class ServiceRequestStatus(StrEnum):
    """Where a service request stands. `attention_needed` is Microsoft asking us something."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"
    ATTENTION_NEEDED = "attention_needed"
    UNKNOWN = "unknown"


class ServiceRequestSeverity(StrEnum):
    UNKNOWN = "unknown"
    CRITICAL = "critical"
    MODERATE = "moderate"
    MINIMAL = "minimal"


# Without it tickets may be missing that another of us opened in the portal (facts B).
_WHOLE_COMPANY = {"IncludeOrganizationRequests": "true"}

# Partner Center gives these names when one is read and these numbers when they are listed.
_STATUSES = ("none", "open", "closed", "attention_needed")
_SEVERITIES = ("unknown", "critical", "moderate", "minimal")


def _named(value: object, names: tuple[str, ...]) -> str:
    said = "" if value is None else str(value).strip().lower()
    if said.isdecimal() and int(said) < len(names):
        return names[int(said)]
    said = said.replace("_", "").replace(" ", "")
    return next((name for name in names if name.replace("_", "") == said), "unknown")


class Note(Resource):
    """A message on a service request, Microsoft's or ours."""

    text: Text = ""
    created: Annotated[MaybeInstant, Field(validation_alias="createdDate")] = None
    by_name: Annotated[Text, Field(validation_alias="createdByName")] = ""


class ServiceRequest(Resource):
    """A ticket of ours at Partner Center. It carries no decision. `closed` is None until it was closed once; a listing
    leaves `notes` out. `customer_id` is the tenant it was opened for, "" when Microsoft doesn't say."""

    id: Annotated[Id, Field(min_length=1)]
    title: Text = ""
    status: Annotated[ServiceRequestStatus, BeforeValidator(partial(_named, names=_STATUSES))]
    severity: Annotated[ServiceRequestSeverity, BeforeValidator(partial(_named, names=_SEVERITIES))] = (
        ServiceRequestSeverity.UNKNOWN
    )
    customer_id: Annotated[Id, Field(validation_alias=AliasPath("organization", "id"))] = ""
    product: Annotated[Text, Field(validation_alias="productName")] = ""
    topic: Annotated[Text, Field(validation_alias="supportTopicName")] = ""
    created: Annotated[MaybeInstant, Field(validation_alias="createdDate")] = None
    modified: Annotated[MaybeInstant, Field(validation_alias="lastModifiedDate")] = None
    closed: Annotated[MaybeInstant, Field(validation_alias="lastClosedDate")] = None
    notes: Items[Note] = ()


class PartnerCenter:
    """Partner Center's REST API. `http` is the transport of its host; `identity` must be App+User for service requests.

    Reads raise NotFound, Forbidden, Throttled, Rejected, Unavailable, Malformed and ConsentExpired; writes also
    Conflict, StaleETag and Ambiguous.
    """

    def __init__(self, http: Transport, identity: Identity) -> None:
        self._http = http
        self._token = partial(identity.token, PARTNER_CENTER)

    async def customer(self, customer_id: str) -> Customer:
        """The customer by its tenant id. Raises NotFound if it isn't one of ours."""
        call = self._http.call("read customer")
        return (await self._get(call, f"/v1/customers/{in_path(customer_id, call)}")).read(Customer)

    async def customers(
        self, starts_with: str = "", *, by: Literal["CompanyName", "Domain"] = "CompanyName", page_size: int = 500
    ) -> AsyncIterator[list[Customer]]:
        """Our customers, page by page: all, or those whose name or domain starts so, whatever its case."""
        call = self._http.call("list customers")
        wanted = {"Field": by, "Value": starts_with, "Operator": "starts_with"}
        params = {"filter": json.dumps(wanted)} if starts_with else None
        async for items in by_seek(self._http, call, "/v1/customers", self._token, page_size, params):
            yield [read(Customer, item, call) for item in items]

    async def resellers(self) -> list[Relationship]:
        """The indirect resellers through whom we sell; Partner Center gives them in one page."""
        call = self._http.call("list relationships")
        params = {"relationship_type": "IsIndirectCloudSolutionProviderOf"}
        answer = await self._get(call, "/v1/relationships", params)
        return [read(Relationship, item, call) for item in answer.read(Page).items]

    async def resellers_of(self, customer_id: str) -> list[Relationship]:
        """The indirect resellers of this customer, none where we sell to it ourselves. Raises NotFound."""
        call = self._http.call("list relationships of customer")
        answer = await self._get(call, f"/v1/customers/{in_path(customer_id, call)}/relationships")
        return [read(Relationship, item, call) for item in answer.read(Page).items]

    async def subscription(self, customer_id: str, subscription_id: str) -> Subscription:
        """One subscription, fresh: never keep its etag or its windows for later. Raises NotFound."""
        call = self._http.call("read subscription")
        path = f"/v1/customers/{in_path(customer_id, call)}/subscriptions/{in_path(subscription_id, call)}"
        return (await self._get(call, path)).read(Subscription)

    async def subscriptions(self, customer_id: str) -> list[Subscription]:
        """All of a customer's subscriptions; Partner Center gives them in one page. Raises NotFound."""
        call = self._http.call("list subscriptions")
        answer = await self._get(call, f"/v1/customers/{in_path(customer_id, call)}/subscriptions")
        return [read(Subscription, item, call) for item in answer.read(Page).items]

    async def azure_entitlements(self, customer_id: str, subscription_id: str) -> list[AzureEntitlement]:
        """The Azure subscriptions under an Azure plan, in one page. Raises NotFound."""
        call = self._http.call("list azure entitlements")
        path = f"/v1/customers/{in_path(customer_id, call)}/subscriptions/{in_path(subscription_id, call)}"
        answer = await self._get(call, f"{path}/azureEntitlements")
        return [read(AzureEntitlement, item, call) for item in answer.read(Page).items]

    async def service_requests(self, page_size: int = 500) -> AsyncIterator[list[ServiceRequest]]:
        """Every service request of ours, for all customers, page by page and without notes: n of them cost at most
        ceil(n / page_size) + 1 calls. One that can't be read is left out, and Malformed raised for it at the end."""
        call = self._http.call("list service requests")
        pages = by_offset(
            self._http, call, "/v1/servicerequests", self._token, page_size, headers=_WHOLE_COMPANY, key="id"
        )
        async for requests in readable(pages, lambda item: read(ServiceRequest, item, call), call):
            yield requests

    async def service_request(self, service_request_id: str) -> ServiceRequest:
        """One service request with its notes. Raises NotFound, also for one just opened that can't be seen yet."""
        call = self._http.call("read service request")
        path = f"/v1/servicerequests/{in_path(service_request_id, call)}"
        return (await self._get(call, path)).read(ServiceRequest)

    async def add_note(self, service_request_id: str, text: str) -> None:
        """Adds a note as the signed-in service account. Not repeatable: after Ambiguous, read the notes first."""
        await self._patch("add note", service_request_id, {"Status": "none", "NewNote": {"Text": text}})

    async def close(self, service_request_id: str) -> None:
        """Closes the service request. Harmless when it is closed already."""
        await self._patch("close service request", service_request_id, {"Status": "closed"})

    async def _get(self, call: Call, path: str, params: Mapping[str, str] | None = None) -> Answer:
        return await self._http.get(call, path, params=params, headers=CONTRACT, token=self._token)

    async def _patch(self, operation: str, service_request_id: str, change: dict[str, object]) -> None:
        call = self._http.call(operation)
        # "unknown" and "none" leave severity and status as they are.
        body = {"Id": service_request_id, "Severity": "unknown", **change}
        path = f"/v1/servicerequests/{in_path(service_request_id, call)}"
        await self._http.write(call, "PATCH", path, body, headers=CONTRACT, token=self._token)
