"""What Microsoft.Capacity takes of a request."""

from typing import Annotated, Literal, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from simulator.azure import AzureError
from simulator.capacity_models import BillingPlan, Scope, ScopeType, Term, Terms
from simulator.models import Instant
from simulator.wire import json_of

R = TypeVar("R", bound=BaseModel)


def as_written(*words: str) -> BeforeValidator:
    """Takes one of these words in any case, as Azure does."""
    known = {word.lower(): word for word in words}
    return BeforeValidator(lambda value: known.get(value.lower(), value) if isinstance(value, str) else value)


AnyTerm = Annotated[Term, as_written(*get_args(Term))]
AnyPlan = Annotated[BillingPlan, as_written(*get_args(BillingPlan))]
AnyScopeType = Annotated[ScopeType, as_written(*get_args(ScopeType))]
AnyFlexibility = Annotated[Literal["On", "Off"], as_written("On", "Off")]
Quantity = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]


class Asked(BaseModel):
    """A part of a request: what isn't known is ignored, as Azure does."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class AskedScope(Asked):
    subscription_id: str | None = None
    resource_group_id: str | None = None
    management_group_id: str | None = None
    tenant_id: str | None = None


class AskedFlexibility(Asked):
    instance_flexibility: AnyFlexibility | None = None


class AskedProperties(Asked):
    reserved_resource_type: str
    billing_scope_id: str
    term: AnyTerm
    billing_plan: AnyPlan = "Upfront"
    quantity: Annotated[Quantity, Field(ge=1)]
    display_name: str = "Reservation"
    applied_scope_type: AnyScopeType = "Shared"
    applied_scopes: list[str] | None = None
    applied_scope_properties: AskedScope | None = None
    renew: bool | None = None
    reserved_resource_properties: AskedFlexibility | None = None
    review_date_time: Instant | None = None


class AskedSku(Asked):
    name: str


class PurchaseRequest(Asked):
    """A purchase as it is asked for; a bare GUID is taken for the billing scope too (recorded)."""

    sku: AskedSku
    location: str = "westeurope"
    properties: AskedProperties

    def terms(self) -> Terms:
        """What is bought."""
        asked = self.properties
        flexibility = asked.reserved_resource_properties and asked.reserved_resource_properties.instance_flexibility
        return Terms.model_validate(
            {
                "display_name": asked.display_name,
                "sku": self.sku.name,
                "location": self.location,
                "resource_type": asked.reserved_resource_type,
                "quantity": asked.quantity,
                "term": asked.term,
                "billing_plan": asked.billing_plan,
                "billing_subscription": asked.billing_scope_id.rpartition("/")[2],
                "scope": scope_of(
                    asked.applied_scope_type, asked.applied_scopes, asked.applied_scope_properties
                ).model_dump(),
                "renew": bool(asked.renew),
                "instance_flexibility": flexibility or "On",
                "review": asked.review_date_time,
            }
        )


def scope_of(kind: ScopeType, scopes: list[str] | None, properties: AskedScope | None) -> Scope:
    """The scope that either way of telling it means. Raises the 400s that facts 1.4 name."""
    given = properties or AskedScope()
    if kind == "Single" and scopes is not None and len(scopes) != 1:
        raise AzureError(400, "InvalidSingleAppliedScopesCount", "A single scope is exactly one subscription.")
    subscription = given.subscription_id or (scopes[0] if scopes else None)
    if kind == "Single" and not (subscription or given.resource_group_id):
        raise AzureError(400, "MissingAppliedScopesForSingle", "A single scope wants its subscription.")
    if kind == "ManagementGroup" and not (given.management_group_id and given.tenant_id):
        raise AzureError(400, "InvalidRequestContent", "A management group wants its id and tenant.")
    return Scope(
        type=kind,
        subscription_id=subscription if kind == "Single" else None,
        resource_group_id=given.resource_group_id if kind == "Single" else None,
        management_group_id=given.management_group_id if kind == "ManagementGroup" else None,
        tenant_id=given.tenant_id if kind == "ManagementGroup" else None,
    )


async def asked(request: Request, model: type[R]) -> R:
    """The request's body as `model`. Raises a 400 in ARM's shape."""
    try:
        return model.model_validate(json_of(await request.body()))
    except ValueError:  # not JSON, or not this request: pydantic's error is one too
        raise AzureError(400, "InvalidRequestContent", "The request content was invalid.") from None


class AskedReturn(Asked):
    """How much of which reservation is given back."""

    reservation_id: str
    quantity: Quantity

    def ids(self) -> tuple[str, str]:
        """Order and reservation, in the case in which they came. Raises a 400."""
        parts = self.reservation_id.strip("/").split("/")
        if len(parts) != 6 or parts[2].lower() != "reservationorders" or parts[4].lower() != "reservations":
            raise AzureError(400, "InvalidReservationId", "The reservation id is not fully qualified.")
        return parts[3], parts[5]


class AskedRefundProperties(Asked):
    scope: Annotated[Literal["Reservation"], as_written("Reservation")] = "Reservation"
    reservation_to_return: AskedReturn
    session_id: str = ""
    return_reason: str = ""


class RefundRequest(Asked):
    """A refund to quote, or a return."""

    properties: AskedRefundProperties


class AskedExchangeProperties(Asked):
    reservations_to_exchange: list[AskedReturn] = Field(min_length=1)
    reservations_to_purchase: list[PurchaseRequest] = Field(min_length=1)


class CalculateExchangeRequest(Asked):
    """An exchange to quote. Savings plans, which could be bought too, are not simulated."""

    properties: AskedExchangeProperties


class AskedSession(Asked):
    session_id: str


class ExchangeRequest(Asked):
    """An exchange to carry out."""

    properties: AskedSession


class AskedScopes(Asked):
    scopes: list[str]


class AvailableScopesRequest(Asked):
    """Scopes to look at."""

    properties: AskedScopes


class AskedRenewal(Asked):
    purchase_properties: PurchaseRequest


class AskedChange(Asked):
    applied_scope_type: AnyScopeType | None = None
    applied_scopes: list[str] | None = None
    applied_scope_properties: AskedScope | None = None
    instance_flexibility: AnyFlexibility | None = None
    name: str | None = None
    renew: bool | None = None
    renew_properties: AskedRenewal | None = None
    review_date_time: Instant | None = None


class PatchRequest(Asked):
    """A change of a reservation."""

    properties: AskedChange
