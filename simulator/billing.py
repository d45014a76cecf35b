"""Partner Center: invoices and their lines.

Decided where the facts are silent: `totalCount` counts everything, not the page; a size over 2,000 is taken as 2,000;
an invoice answers to `G000024130` and to `OneTime-G000024130`, which its own links use; asking a provider that has no
part in an invoice gives an empty collection. Next links of lines are malformed, as in the published samples: following
them literally is a 400.
"""

from decimal import Decimal

from fastapi import APIRouter, Request, Response

from simulator.gate import Gate
from simulator.models import Customer, Invoice, InvoiceLine, Subscription
from simulator.people import PARTNER_TENANT
from simulator.personas import play_due_steps
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

LARGEST_PAGE = 2000
PROVIDERS = {"office": "recurring", "onetime": "one_time", "azure": "azure"}
PREFIX = {"recurring": "Recurring", "one_time": "OneTime"}


def found_invoice(cloud: Cloud, invoice_id: str) -> Invoice:
    """The invoice, by its id or by the id its links use. Raises 404/1000."""
    invoice = cloud.store.get(Invoice, invoice_id.removeprefix("OneTime-").removeprefix("Recurring-"), now=cloud.now())
    if invoice is None:
        raise PartnerCenterError(404, "1000", f"The invoice {invoice_id} was not found.")
    return invoice


def invoice_wire(invoice: Invoice, amendments: list[Invoice]) -> dict[str, object]:
    """An invoice."""
    prefix = PREFIX[invoice.billing_provider]
    provider = "OneTime" if invoice.billing_provider == "one_time" else "Office"
    details: dict[str, object] = {
        "invoiceLineItemType": "billing_line_items",
        "billingProvider": "one_time" if invoice.billing_provider == "one_time" else "office",
        "links": {"self": link(f"/invoices/{prefix}-{invoice.id}/lineitems/{provider}/BillingLineItems")},
        "attributes": {"objectType": "InvoiceDetail"},
    }
    body: dict[str, object] = {
        "id": invoice.id,
        "invoiceDate": instant(invoice.invoice_date, 6),
        "totalCharges": invoice.total_charges,
        "paidAmount": invoice.paid_amount,
        "currencyCode": invoice.currency,
        "currencySymbol": {"USD": "$", "EUR": "€"}.get(invoice.currency, invoice.currency),
        "invoiceDetails": [details],
    }
    if amendments:
        body["amendments"] = [amendment_wire(one) for one in amendments]
    if invoice.amends_of is not None:
        body["amendsOf"] = invoice.amends_of
    body |= {
        "documentType": invoice.document_type,
        "invoiceType": prefix,
        "links": {"self": link(f"/invoices/{invoice.id}")},
    }
    return body | {"attributes": {"objectType": "Invoice"}}


def amendment_wire(invoice: Invoice) -> dict[str, object]:
    """An invoice that amends another, as it stands inside the other."""
    return {
        "id": invoice.id,
        "invoiceDate": instant(invoice.invoice_date),
        "totalCharges": invoice.total_charges,
        "documentType": invoice.document_type,
        "amendsOf": invoice.amends_of,
        "invoiceType": PREFIX[invoice.billing_provider],
    }


def office_line(cloud: Cloud, line: InvoiceLine) -> dict[str, object]:
    """A legacy licence line. `subscriptionId` is billing's own id: the subscription is
    `syndicationPartnerSubscriptionNumber`.
    """
    customer = cloud.store.get(Customer, line.customer_id)
    subscription = cloud.store.get(Subscription, line.subscription_id)
    offer = "" if subscription is None else subscription.offer_name
    start = line.charge_start_date if subscription is None else subscription.effective_start_date
    end = line.charge_end_date if subscription is None else subscription.commitment_end_date
    return {
        "partnerId": PARTNER_TENANT,
        "customerId": line.customer_id.upper(),
        "customerName": "" if customer is None else customer.company_name,
        "mpnId": 4391507,
        "tier2MpnId": -1,
        "orderId": "" if subscription is None else subscription.order_id,
        "subscriptionId": f"{line.subscription_id.replace('-', '')[-8:].upper()}AAAAAAEA",
        "syndicationPartnerSubscriptionNumber": line.subscription_id.upper(),
        "offerId": "" if subscription is None else subscription.offer_id.upper(),
        "durableOfferId": "" if subscription is None else subscription.offer_id.upper(),
        "offerName": offer.upper(),
        "subscriptionStartDate": instant(start, zone=""),
        "subscriptionEndDate": instant(end, zone=""),
        "chargeStartDate": instant(line.charge_start_date, zone=""),
        "chargeEndDate": instant(line.charge_end_date, zone=""),
        "chargeType": line.charge_type,
        "unitPrice": line.unit_price,
        "quantity": line.quantity,
        "amount": line.amount,
        "totalOtherDiscount": Decimal("0.0"),
        "subtotal": line.amount,
        "tax": line.tax,
        "totalForCustomer": line.amount + line.tax,
        "currency": line.currency,
        "domainName": "" if customer is None else customer.domain,
        "subscriptionName": offer,
        "subscriptionDescription": line.description or offer,
        "billingCycleType": "NONE" if subscription is None else subscription.billing_cycle.upper(),
        "invoiceLineItemType": "billing_line_items",
        "billingProvider": "office",
        "attributes": {"objectType": "LicenseBasedLineItem"},
    }


def one_time_line(cloud: Cloud, line: InvoiceLine, index: int) -> dict[str, object]:
    """A one-time line. On every other line amounts are strings, charge types begin with a capital and dates carry
    an offset.
    """
    customer = cloud.store.get(Customer, line.customer_id)
    subscription = cloud.store.get(Subscription, line.subscription_id)
    odd = index % 2 == 1
    zone = "+00:00" if odd else ""
    offer = "" if subscription is None else subscription.offer_name
    product, _, sku = ("" if subscription is None else subscription.offer_id).partition(":")
    start = line.charge_start_date if subscription is None else subscription.effective_start_date
    end = line.charge_end_date if subscription is None else subscription.commitment_end_date

    def amount(value: Decimal) -> Decimal | str:
        return format(value, "f") if odd else value

    return {
        "partnerId": PARTNER_TENANT.upper() if odd else PARTNER_TENANT,
        "customerId": line.customer_id,
        "customerName": "" if customer is None else customer.company_name,
        "customerDomainName": "" if customer is None else customer.domain,
        "customerCountry": "" if customer is None else customer.country,
        "invoiceNumber": line.invoice_id,
        "mpnId": "4391507",
        "resellerMpnId": 0,
        "orderId": "" if subscription is None else subscription.order_id,
        "orderDate": instant(start, 7, zone),
        "productId": product,
        "skuId": sku.split(":")[0],
        "availabilityId": sku.split(":")[-1],
        "productName": offer,
        "skuName": offer,
        "productQualifiers": [],
        "chargeType": line.charge_type[:1].upper() + line.charge_type[1:] if odd else line.charge_type,
        "unitPrice": amount(line.unit_price),
        "effectiveUnitPrice": amount(line.unit_price),
        "unitType": "Licenses",
        "quantity": line.quantity,
        "subtotal": line.amount,
        "taxTotal": amount(line.tax),
        "totalForCustomer": amount(line.amount + line.tax),
        "currency": line.currency,
        "publisherName": "Microsoft",
        "publisherId": "",
        "subscriptionDescription": line.description or offer,
        "subscriptionId": line.subscription_id.lower(),
        "subscriptionStartDate": instant(start, zone=zone),
        "subscriptionEndDate": instant(end, zone=zone),
        "chargeStartDate": instant(line.charge_start_date, zone=zone),
        "chargeEndDate": instant(line.charge_end_date, zone=zone),
        "termAndBillingCycle": ""
        if subscription is None
        else f"{subscription.term_duration} {subscription.billing_cycle}",
        "alternateId": "",
        "referenceId": "",
        "priceAdjustmentDescription": "[]",
        "discountDetails": "",
        "pricingCurrency": line.currency,
        "pcToBCExchangeRate": 1,
        "pcToBCExchangeRateDate": instant(line.charge_start_date, zone=""),
        "billableQuantity": line.quantity,
        "meterDescription": "",
        "billingFrequency": "" if subscription is None else subscription.billing_cycle,
        "reservationOrderId": "",
        "creditReasonCode": line.credit_reason_code,
        "promotionId": "",
        "invoiceLineItemType": "billing_line_items",
        "billingProvider": "one_time",
        "attributes": {"objectType": "OneTimeInvoiceLineItem"},
        "attributes/objectType": "OneTimeInvoiceLineItem",
    }


def router(cloud: Cloud, gate: Gate) -> APIRouter:
    """The paths of invoices."""
    routes = APIRouter(prefix="/v1/invoices", tags=["Partner Center"])

    @routes.get("")
    async def list_invoices(request: Request) -> Response:
        gate.check(request)
        play_due_steps(cloud)
        size, offset = min(page_number(request, "size", 200, 1), LARGEST_PAGE), page_number(request, "offset", 0)
        everything = cloud.store.listed(Invoice, now=cloud.now())
        page = everything[offset : offset + size]
        links: dict[str, object] = {"self": link(f"/invoices?size={size}&offset={offset}")}
        if offset + size < len(everything):
            links["next"] = link(f"/invoices?size={size}&offset={offset + size}")
        bodies = [invoice_wire(one, [other for other in everything if other.amends_of == one.id]) for one in page]
        return reply(collection(bodies, len(everything), links))

    @routes.get("/{invoice_id}")
    async def get_invoice(request: Request, invoice_id: str) -> Response:
        gate.check(request, user=True)
        play_due_steps(cloud)
        invoice = found_invoice(cloud, invoice_id)
        everything = cloud.store.listed(Invoice, now=cloud.now())
        return reply(invoice_wire(invoice, [other for other in everything if other.amends_of == invoice.id]))

    def lines(request: Request, invoice_id: str, provider: str, kind: str) -> Response:
        gate.check(request)
        play_due_steps(cloud)
        invoice = found_invoice(cloud, invoice_id)
        wanted = PROVIDERS.get(provider.lower().replace("_", ""))
        if wanted is None or kind.lower() not in ("billinglineitems", "usagelineitems"):
            raise PartnerCenterError(400, "3000", "The billing provider or the invoice line item type is not valid.")
        empty = wanted != invoice.billing_provider or kind.lower() == "usagelineitems"
        size = min(page_number(request, "size", LARGEST_PAGE, 1), LARGEST_PAGE)
        seeks = wanted == "one_time"
        offset = continued_offset(request) if seeks else page_number(request, "offset", 0)
        total = 0 if empty else cloud.store.count(InvoiceLine, parent=invoice.id, now=cloud.now())
        found = (
            []
            if empty
            else cloud.store.listed(InvoiceLine, parent=invoice.id, now=cloud.now(), limit=size, offset=offset)
        )
        path = f"/invoices/{PREFIX[invoice.billing_provider]}-{invoice.id}/lineitems?provider={provider}"
        links: dict[str, object] = {"self": link(f"{path}&invoicelineitemtype={kind}&size={size}")}
        after = offset + size
        if after < total and seeks:
            uri = f"{path}&invoicelineitemtype={kind}&size={size}?seekOperation=Next"
            links["next"] = link(uri, MS_ContinuationToken=continuation(after))
        elif after < total:
            links["next"] = link(f"{path}&nvoicelineitemtype={kind}&size={size}&offset={after}")
        bodies = [
            one_time_line(cloud, line, offset + n) if seeks else office_line(cloud, line)
            for n, line in enumerate(found)
        ]
        return reply(collection(bodies, total, links))

    @routes.get("/{invoice_id}/lineitems")
    async def list_lines(request: Request, invoice_id: str) -> Response:
        query = request.query_params
        return lines(request, invoice_id, query.get("provider", ""), query.get("invoicelineitemtype", ""))

    @routes.get("/{invoice_id}/lineitems/{provider}/{kind}")
    async def list_lines_by_path(request: Request, invoice_id: str, provider: str, kind: str) -> Response:
        return lines(request, invoice_id, provider, kind)

    return routes
