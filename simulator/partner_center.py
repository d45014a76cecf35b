"""Partner Center: customers and subscriptions.

Decided where the facts are silent: an unknown customer is 404/60003, an unknown subscription 404/20003; `If-Match` is
asked for unless the subscription is one of those that come without an ETag.
"""

import base64
import json
from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from simulator.booking import book_cancellation
from simulator.gate import Gate, body_of
from simulator.models import Customer, Subscription
from simulator.state import Cloud
from simulator.wire import (
    PartnerCenterError,
    collection,
    continuation,
    continued_offset,
    instant,
    link,
    page_number,
    reply,
)

CUSTOMER_FILTER_FIELDS = {"companyname": "company_name", "domain": "domain"}


class CustomerFilter(BaseModel):
    """The JSON of `filter=`, for instance `{"Field":"Domain","Value":"contoso","Operator":"starts_with"}`."""

    Field: str
    Value: str
    Operator: str = "starts_with"


class SubscriptionPatch(BaseModel):
    """What of a subscription a PATCH may change. What is left out falls back to its default, as at Microsoft."""

    id: str
    status: str
    quantity: int
    autoRenewEnabled: bool = False  # noqa: N815 - Microsoft's name


def found_customer(cloud: Cloud, customer_id: str) -> Customer:
    """The customer. Raises 404/60003."""
    customer = cloud.store.get(Customer, customer_id, now=cloud.now())
    if customer is None:
        raise PartnerCenterError(404, "60003", f"The tenant {customer_id} was not found.")
    return customer


def found_subscription(cloud: Cloud, customer_id: str, subscription_id: str, *, truth: bool = False) -> Subscription:
    """The subscription as readers see it, or the `truth` of it. Raises 404/60003 and 404/20003."""
    customer = found_customer(cloud, customer_id)
    subscription = cloud.store.get(Subscription, subscription_id, now=None if truth else cloud.now())
    if subscription is None or subscription.customer_id.lower() != customer.id.lower():
        raise PartnerCenterError(404, "20003", f"The subscription {subscription_id} was not found.")
    return subscription


def etag(subscription: Subscription) -> str:
    """The ETag of this version; empty for the subscriptions that come without one."""
    text = json.dumps({"id": subscription.id.lower(), "version": subscription.version})
    return base64.b64encode(text.encode()).decode() if subscription.has_etag else ""


def customer_wire(customer: Customer, *, whole: bool) -> dict[str, object]:
    """A customer; the list leaves the billing profile out."""
    body: dict[str, object] = {
        "id": customer.id,
        "companyProfile": {
            # one customer, two spellings of one GUID
            "tenantId": customer.id.upper(),
            "domain": customer.domain,
            "companyName": customer.company_name,
            "attributes": {"objectType": "CustomerCompanyProfile"},
        },
        "relationshipToPartner": customer.relationship_to_partner,
    }
    if whole:
        body["commerceId"] = customer.id
        body["billingProfile"] = {
            "id": customer.id,
            "companyName": customer.company_name,
            "culture": "en-US",
            "language": "en",
            "defaultAddress": {"country": customer.country},
            "attributes": {"etag": "-4242348048554929329", "objectType": "CustomerBillingProfile"},
        }
        body |= {"allowDelegatedAccess": True, "customDomains": [customer.domain]}
    return body | {"attributes": {"objectType": "Customer"}}


def optional(moment: datetime | None) -> str | None:
    """An instant that may be missing."""
    return None if moment is None else instant(moment)


def subscription_wire(subscription: Subscription) -> dict[str, object]:
    """A subscription. Legacy ones know nothing of product types, windows and refunds."""
    usage = subscription.commerce.startswith("azure")
    body: dict[str, object] = {
        "id": subscription.id,
        "offerId": subscription.offer_id,
        "offerName": subscription.offer_name,
        "friendlyName": subscription.offer_name,
        "quantity": subscription.quantity,
        "unitType": "Usage" if usage else "Licenses",
        "creationDate": instant(subscription.creation_date, 7),
        "effectiveStartDate": instant(subscription.effective_start_date, 6),
        "commitmentEndDate": instant(subscription.commitment_end_date),
        "status": subscription.status,
        "autoRenewEnabled": subscription.auto_renew_enabled,
        "isTrial": False,
        "billingType": "usage" if usage else "license",
        "billingCycle": subscription.billing_cycle,
        "contractType": "subscription",
        "orderId": subscription.order_id,
    }
    if subscription.status == "suspended":
        body["suspensionReasons"] = ["PartnerSuspension"]
    if subscription.commerce in ("new_commerce", "azure_plan"):
        kind = subscription.product_type
        body |= {
            "productType": {"id": kind, "displayName": kind},
            "termDuration": subscription.term_duration,
            "renewalTermDuration": "",
            "cancellationAllowedUntilDate": optional(subscription.cancellation_allowed_until_date),
            "refundOptions": [
                # seven digits and an offset here, a plain Z one line above
                {
                    "type": option.type,
                    "expiresAt": None if option.expires_at is None else instant(option.expires_at, 7, "+00:00"),
                }
                for option in subscription.refund_options
            ],
        }
        if subscription.refundable_quantity is not None:
            body["refundableQuantity"] = {
                "totalQuantity": subscription.refundable_quantity.total_quantity,
                "details": [
                    {"quantity": part.quantity, "allowedUntilDateTime": instant(part.allowed_until_date_time)}
                    for part in subscription.refundable_quantity.details
                ],
            }
    body["links"] = {"self": link(f"/customers/{subscription.customer_id}/subscriptions/{subscription.id}")}
    return body | {"attributes": {"etag": etag(subscription), "objectType": "Subscription"}}


def check_if_match(request: Request, subscription: Subscription) -> None:
    """Refuses a stale, missing or unquoted ETag: HTTP 400 with code 2055, not a 412."""
    given = request.headers.get("If-Match")
    if given is None and not subscription.has_etag:
        return
    if given != f'"{etag(subscription)}"':
        raise PartnerCenterError(400, "2055", "Etag is no longer valid.")


def patched(cloud: Cloud, old: Subscription, patch: SubscriptionPatch) -> Subscription:
    """The subscription after a PATCH. Raises `PartnerCenterError` where Microsoft refuses."""
    if patch.id.lower() != old.id.lower():
        raise PartnerCenterError(400, "400", "The id of the subscription does not match the address.")
    if old.status == "deleted":
        raise PartnerCenterError(400, "2011", "A deleted subscription cannot be updated.")
    if old.status in ("suspended", "disabled") and patch.quantity != old.quantity:
        raise PartnerCenterError(400, "2001", "The quantity of a suspended subscription cannot be changed.")
    if patch.status not in ("active", "suspended", "deleted"):
        raise PartnerCenterError(400, "400", f"The status {patch.status} cannot be set.")
    if patch.status == "deleted":
        if old.commerce in ("legacy", "azure_legacy"):
            raise PartnerCenterError(400, "800063", "To cancel this subscription, set its status to suspended.")
        until = old.cancellation_allowed_until_date
        if until is None or cloud.now() > until:
            raise PartnerCenterError(400, "900117", "You have passed your 7-day cancellation window.")
    new_commerce_suspended = patch.status == "suspended" and old.commerce == "new_commerce"
    return old.model_copy(
        update={
            "status": patch.status,
            "quantity": patch.quantity,
            "auto_renew_enabled": patch.autoRenewEnabled and not new_commerce_suspended,
            "suspended_at": (old.suspended_at or cloud.now()) if patch.status != "active" else None,
            "version": old.version + 1,
        }
    )


def change_subscription(cloud: Cloud, old: Subscription, new: Subscription) -> None:
    """Writes the change, and books what the next invoice gives back for it."""
    with cloud.store.transaction():
        cloud.write(new)
        if old.status == "active" and new.status in ("suspended", "deleted"):
            book_cancellation(cloud, new)


def router(cloud: Cloud, gate: Gate) -> APIRouter:
    """The paths of customers and subscriptions."""
    routes = APIRouter(prefix="/v1/customers", tags=["Partner Center"])

    @routes.get("")
    async def list_customers(request: Request) -> Response:
        gate.check(request)
        size = page_number(request, "size", 500, 1)
        offset = continued_offset(request)
        everyone = cloud.store.listed(Customer, now=cloud.now())
        if text := request.query_params.get("filter"):
            everyone = filtered(everyone, text)
        links: dict[str, object] = {"self": link(f"/customers?size={size}")}
        if offset + size < len(everyone):
            links["next"] = link(
                f"/customers?size={size}&seekOperation=Next", MS_ContinuationToken=continuation(offset + size)
            )
        return reply(
            collection(
                [customer_wire(one, whole=False) for one in everyone[offset : offset + size]], len(everyone), links
            )
        )

    @routes.get("/{customer_id}")
    async def get_customer(request: Request, customer_id: str) -> Response:
        gate.check(request)
        return reply(customer_wire(found_customer(cloud, customer_id), whole=True))

    @routes.get("/{customer_id}/subscriptions")
    async def list_subscriptions(request: Request, customer_id: str) -> Response:
        gate.check(request)
        found_customer(cloud, customer_id)
        found = cloud.store.listed(Subscription, parent=customer_id, now=cloud.now())
        # a link that does say /v1
        links: dict[str, object] = {"self": link(f"/v1/customers/{customer_id}/subscriptions")}
        return reply(collection([subscription_wire(one) for one in found], len(found), links))

    @routes.get("/{customer_id}/subscriptions/{subscription_id}")
    async def get_subscription(request: Request, customer_id: str, subscription_id: str) -> Response:
        gate.check(request)
        return reply(subscription_wire(found_subscription(cloud, customer_id, subscription_id)))

    @routes.get("/{customer_id}/subscriptions/{subscription_id}/azureEntitlements")
    async def list_azure_entitlements(request: Request, customer_id: str, subscription_id: str) -> Response:
        gate.check(request)
        plan = found_subscription(cloud, customer_id, subscription_id)
        # A legacy Azure subscription is one itself, and has none under it.
        found = plan.azure_subscriptions if plan.commerce == "azure_plan" else []
        items: list[dict[str, object]] = [
            {
                "id": one.id,
                "friendlyName": one.friendly_name,
                "status": one.status,
                "subscriptionId": one.id,
                "attributes": {"objectType": "AzureEntitlement"},
            }
            for one in found
        ]
        return reply(collection(items, len(items), None))

    @routes.patch("/{customer_id}/subscriptions/{subscription_id}")
    async def patch_subscription(request: Request, customer_id: str, subscription_id: str) -> Response:
        gate.check(request)
        patch = await body_of(request, SubscriptionPatch)

        def act() -> object:
            old = found_subscription(cloud, customer_id, subscription_id, truth=True)
            check_if_match(request, old)
            new = patched(cloud, old, patch)
            change_subscription(cloud, old, new)
            return subscription_wire(new)

        return gate.once(request, act)

    return routes


def filtered(customers: list[Customer], text: str) -> list[Customer]:
    """The customers that `filter=` asks for. Raises a 400 in Microsoft's shape for a filter that can't be read."""
    try:
        wanted = CustomerFilter.model_validate_json(text)
        name = CUSTOMER_FILTER_FIELDS[wanted.Field.lower()]
    except (ValueError, KeyError):
        raise PartnerCenterError(400, "3000", "The value of the query parameter filter is not valid.") from None
    value = wanted.Value.lower()
    return [one for one in customers if str(getattr(one, name)).lower().startswith(value)]
