"""What Microsoft.Capacity is sent: scopes, purchases, changes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from microsoft.fields import Raw

Term = Literal["P1Y", "P3Y", "P5Y"]
BillingPlan = Literal["Upfront", "Monthly"]


class Request(BaseModel):
    """Something we ask for; it can't be changed once made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scope(Request):
    """Where the benefit goes: everywhere (`Shared`), to one subscription or one of its resource groups (`Single`), or
    to a management group. Ids are fully qualified (`/subscriptions/…`); a management group wants its `tenant` too."""

    type: Literal["Shared", "Single", "ManagementGroup"] = "Shared"
    subscription: str | None = None
    resource_group: str | None = None
    management_group: str | None = None
    tenant: str | None = None

    def body(self) -> Raw:
        properties = _given(
            subscriptionId=None if self.resource_group else self.subscription,
            resourceGroupId=self.resource_group,
            managementGroupId=self.management_group,
            tenantId=self.tenant,
        )
        return _given(appliedScopeType=self.type, appliedScopeProperties=properties or None)


class Purchase(Request):
    """A reservation to buy. `billing_scope` is the subscription that pays (`/subscriptions/…`)."""

    sku: str
    location: str | None = None
    resource_type: str
    billing_scope: str
    term: Term
    billing_plan: BillingPlan
    quantity: Annotated[int, Field(gt=0)]
    name: str
    scope: Scope = Scope()
    renew: bool = False
    instance_flexibility: Literal["On", "Off"] | None = None

    def body(self) -> Raw:
        properties: Raw = {
            "reservedResourceType": self.resource_type,
            "billingScopeId": self.billing_scope,
            "term": self.term,
            "billingPlan": self.billing_plan,
            "quantity": self.quantity,
            "displayName": self.name,
            "renew": self.renew,
            **self.scope.body(),
        }
        if self.instance_flexibility:
            properties["reservedResourceProperties"] = {"instanceFlexibility": self.instance_flexibility}
        return _given(sku={"name": self.sku}, location=self.location, properties=properties)


class Change(Request):
    """What to change of a reservation; None leaves it. `renewal` is what is bought when it renews itself."""

    scope: Scope | None = None
    instance_flexibility: Literal["On", "Off"] | None = None
    name: str | None = None
    renew: bool | None = None
    renewal: Purchase | None = None
    review: datetime | None = None

    def body(self) -> Raw:
        return {
            "properties": _given(
                **(self.scope.body() if self.scope else {}),
                instanceFlexibility=self.instance_flexibility,
                name=self.name,
                renew=self.renew,
                renewProperties={"purchaseProperties": self.renewal.body()} if self.renewal else None,
                reviewDateTime=self.review.isoformat() if self.review else None,
            )
        }


def _given(**fields: object) -> Raw:
    return {name: value for name, value in fields.items() if value is not None}
