"""Invoices, and lines whose ids last (facts B)."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from microsoft.answers import Call
from microsoft.billing import Billing, Invoice
from microsoft.errors import Malformed, NotFound
from microsoft.invoice_lines import LineItem
from tests.microsoft.stand_ins import HOST, clients

CALL = Call("read", HOST.removeprefix("https://"), "a-correlation-id")


OFFICE = {"customerId": "C", "totalForCustomer": -5, "currency": "CHF"}


async def test_legacy_lines_from_a_server_that_ignores_the_offset_are_read_once() -> None:
    whole = {"items": [OFFICE, {**OFFICE, "totalForCustomer": -6}]}
    _, billing, script = clients(whole, whole, whole)
    of = invoice(id="D1", invoiceType="recurring", invoiceDetails=[])
    assert [line.total for line in await lines(billing, of, 2)] == [-5, -6]
    assert len(script.replies) == 1


@pytest.mark.parametrize("more", [{"totalCount": 5}, {"links": {"next": {"headers": []}}}])
async def test_legacy_lines_that_can_never_all_be_had_are_malformed(more: dict[str, object]) -> None:
    page = {"items": [OFFICE, {**OFFICE, "totalForCustomer": -6}], **more}
    _, billing, _ = clients(page, page)
    with pytest.raises(Malformed, match="the same page came twice"):
        await lines(billing, invoice(id="D1", invoiceType="recurring", invoiceDetails=[]), 2)


INVOICE = {
    "id": "G000024130",
    "invoiceDate": "2018-02-08T01:22:47.603895Z",
    "totalCharges": 586366,
    "paidAmount": 0,
    "currencyCode": "CHF",
    "pdfDownloadLink": "/invoices/G000024130/documents/statement",
    "invoiceDetails": [
        {
            "invoiceLineItemType": "billing_line_items",
            "billingProvider": "one_time",
            "links": {"self": {"uri": "/invoices/OneTime-G000024130/lineitems/OneTime/BillingLineItems"}},
        }
    ],
    "documentType": "void_note",
    "invoiceType": "OneTime",
}


def invoice(**changes: object) -> Invoice:
    return Invoice.from_json({**INVOICE, **changes}, CALL)


def test_an_invoice() -> None:
    read = invoice()
    assert (read.id, read.currency, read.total, read.document_type) == (
        "G000024130",
        "CHF",
        Decimal(586366),
        "void_note",
    )
    assert read.invoice_type == "one_time"
    assert [link.names for link in read.line_links] == [("onetime", "billinglineitems")]
    assert Invoice.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"invoiceType": "one_time"}, "one_time"),
        ({"invoiceType": "Recurring"}, "recurring"),
        ({"invoiceType": None}, "one_time"),
        ({"invoiceType": None, "invoiceDetails": [{"billingProvider": "office"}]}, "recurring"),
        ({"invoiceType": None, "invoiceDetails": None}, "one_time"),
        ({"invoiceType": "", "invoiceDetails": [], "id": "D030001"}, "recurring"),
        ({"invoiceType": "", "invoiceDetails": [], "id": "X1"}, "unknown"),
    ],
)
def test_what_kind_of_invoice_it_is(changes: dict[str, object], expected: str) -> None:
    assert invoice(**changes).invoice_type == expected


def test_an_invoices_version_follows_what_microsoft_says_but_not_payments_or_links_that_expire() -> None:
    version = invoice().version
    assert invoice(paidAmount=1000, pdfDownloadLink="/another").version == version
    assert invoice(totalCharges=Decimal("586366.00")).version == version
    assert Invoice.from_json(dict(reversed(INVOICE.items())), CALL).version == version
    assert invoice(totalCharges=586367).version != version
    assert invoice(documentType="invoice").version != version
    assert invoice(amendments=[{"id": "G000024131", "totalCharges": Decimal("1.10")}]).version != version


def test_an_invoice_names_what_amends_it() -> None:
    note = {
        "id": "G000024131",
        "totalCharges": Decimal("107661.12"),
        "documentType": "adjustment_note",
        "amendsOf": "G000024130",
        "invoiceType": "OneTime",
    }
    dated = {**note, "id": "G000024132", "invoiceDate": "2018-03-01T00:00:00", "currencyCode": "EUR"}
    read = invoice(amendments=[{**note, "invoiceDate": None}, dated])
    first, second = read.amendments
    assert (first.id, first.total, first.document_type) == ("G000024131", Decimal("107661.12"), "adjustment_note")
    assert (first.amends_of, first.invoice_type, first.amendments) == ("G000024130", "one_time", ())
    assert (first.date, first.currency) == (read.date, "CHF")
    assert (second.date, second.currency) == (datetime(2018, 3, 1, tzinfo=UTC), "EUR")
    assert first.version != second.version
    assert Invoice.model_validate_json(read.model_dump_json()) == read
    assert invoice(amendments=None).amendments == ()


def test_an_amendment_that_cannot_be_read_is_malformed() -> None:
    with pytest.raises(Malformed, match="totalCharges"):
        invoice(amendments=[{"id": "G000024131"}])


@pytest.mark.parametrize(
    ("changes", "exported"),
    [
        ({"invoiceDate": "2023-08-31T23:59:59.9999999Z"}, False),
        ({"invoiceDate": "2023-09-01T00:00:00Z"}, True),
        ({"invoiceDate": "2023-09-01T00:00:00Z", "invoiceType": "Recurring"}, False),
    ],
)
def test_new_commerce_is_exported_since_september_2023(changes: dict[str, object], exported: bool) -> None:
    assert invoice(**changes).is_exported is exported


@pytest.mark.parametrize(
    ("details", "whole"),
    [
        ([], True),
        (["office billing_line_items"], True),
        (["office billing_line_items", "one_time BillingLineItems", "azure usage_line_items"], True),
        (["office billing_line_items", "azure billing_line_items"], False),
        (["azure usage_line_items"], False),
    ],
)
def test_an_invoices_lines_make_up_its_total_unless_another_provider_has_some(details: list[str], whole: bool) -> None:
    said = [dict(zip(("billingProvider", "invoiceLineItemType"), each.split(), strict=True)) for each in details]
    assert invoice(invoiceDetails=said).is_read_whole is whole


def test_an_invoice_without_a_total_is_malformed() -> None:
    with pytest.raises(Malformed, match="totalCharges"):
        invoice(totalCharges=None)


ONE_TIME: dict[str, object] = {
    "customerId": "C0FFEE00-0000-4000-8000-00000000000A",
    "subscriptionId": "A4C1340D-0000-4000-8000-000000000001",
    "chargeType": "customerCredit",
    "creditReasonCode": "Azure credit for consumption",
    "unitPrice": "-16",
    "quantity": 1,
    "subtotal": -16,
    "totalForCustomer": "-17.60",
    "currency": "USD",
    "chargeStartDate": "2026-02-01T00:00:00",
    "chargeEndDate": "2026-02-28T00:00:00Z",
    "productName": "Microsoft 365",
    "priceAdjustmentDescription": "[]",
    "attributes/objectType": "OneTimeInvoiceLineItem",
}


def seek(token: str, items: list[dict[str, object]]) -> dict[str, object]:
    headers = [{"key": "MS-ContinuationToken", "value": token}]
    uri = "/invoices/OneTime-G000024130/lineitems?provider=onetime&nvoicelineitemtype=X&size=2?seekOperation=Next"
    return {"totalCount": 2, "items": items, "links": {"next": {"uri": uri, "method": "GET", "headers": headers}}}


async def lines(billing: Billing, of: Invoice, size: int = 2000) -> list[LineItem]:
    async with billing.lines(of, size) as found:
        return list(found)


async def test_a_one_time_line_with_its_mixed_types() -> None:
    _, billing, script = clients({"items": [ONE_TIME]})
    [line] = await lines(billing, invoice())
    assert line.customer_id == "c0ffee00-0000-4000-8000-00000000000a"
    assert line.subscription_id == "a4c1340d-0000-4000-8000-000000000001"
    assert (line.charge_type, line.credit_reason_code) == ("customercredit", "azure credit for consumption")
    assert [str(line.unit_price), str(line.subtotal), str(line.total)] == ["-16", "-16", "-17.60"]
    assert line.charge_end == datetime(2026, 2, 28, tzinfo=UTC)
    assert (line.currency, line.provider) == ("USD", "onetime")
    assert script.requests[-1].url.path == "/v1/invoices/G000024130/lineitems"


async def test_one_time_lines_are_sought_by_the_continuation_and_never_by_the_links_uri() -> None:
    _, billing, script = clients(
        seek("abc+/=", [ONE_TIME]), seek("def", [{**ONE_TIME, "quantity": 2}]), {"items": [{**ONE_TIME, "quantity": 3}]}
    )
    assert [line.quantity for line in await lines(billing, invoice(), 1)] == [1, 2, 3]
    first, second, third = script.requests[1:]
    assert "seekOperation" not in first.url.params
    assert "MS-ContinuationToken" not in first.headers
    for request, token in ((second, "abc+/="), (third, "def")):
        assert request.headers["MS-ContinuationToken"] == token
        assert dict(request.url.params) == {
            "provider": "onetime",
            "invoicelineitemtype": "billinglineitems",
            "size": "1",
            "seekOperation": "Next",
        }


@pytest.mark.parametrize("token", ["abc", "line\r\nbreak", "späte"])
async def test_a_continuation_that_cannot_go_on_is_malformed_instead_of_endless(token: str) -> None:
    _, billing, _ = clients(seek(token, [ONE_TIME]), seek(token, [ONE_TIME]))
    with pytest.raises(Malformed, match="continuation"):
        await lines(billing, invoice())


async def test_a_legacy_line_belongs_to_partner_centers_subscription_not_to_the_billing_platforms() -> None:
    office = {
        "customerId": "C",
        "subscriptionId": "4KIKawEAAAAAAAEA",
        "syndicationPartnerSubscriptionNumber": "1F58ACD7-FE51-4705-9567-D009C9ADA150",
        "offerName": "EXCHANGE ONLINE",
        "chargeType": "Cancel instance prorate",
        "unitPrice": 48.0,
        "quantity": 1,
        "subtotal": Decimal("-41.34"),
        "totalForCustomer": Decimal("-41.34"),
        "currency": "USD",
    }
    body = json.dumps({"items": [office]}, default=str).encode()
    _, billing, script = clients(body.replace(b'"-41.34"', b"-41.34"))
    of = invoice(id="D1", invoiceType="recurring", invoiceDetails=[])
    [line] = await lines(billing, of)
    assert line.subscription_id == "1f58acd7-fe51-4705-9567-d009c9ada150"
    assert (line.charge_type, line.total, line.provider) == ("cancel instance prorate", Decimal("-41.34"), "office")
    assert dict(script.requests[-1].url.params)["provider"] == "office"


async def test_usage_lines_and_providers_we_have_no_credit_from_are_not_asked_for() -> None:
    details = [
        {"billingProvider": "azure", "invoiceLineItemType": "billing_line_items"},
        {"billingProvider": "one_time", "invoiceLineItemType": "usage_line_items"},
        {"billingProvider": "Office", "invoiceLineItemType": "BillingLineItems"},
    ]
    _, billing, script = clients({"items": []})
    with pytest.raises(NotFound):
        await lines(billing, invoice(invoiceDetails=details))
    assert [request.url.params["provider"] for request in script.requests[1:]] == ["office"]


def again(**changes: object) -> dict[str, object]:
    return {**ONE_TIME, **changes}


async def ids(*pages: list[dict[str, object]]) -> list[str]:
    bodies = [seek(str(n), page) for n, page in enumerate(pages[:-1])]
    _, billing, _ = clients(*bodies, {"items": pages[-1]})
    return [line.id for line in await lines(billing, invoice())]


async def test_lines_keep_their_ids_however_they_are_paged_and_spelled() -> None:
    other = again(totalForCustomer="-5")
    one_page = await ids([ONE_TIME, other, ONE_TIME])
    assert len(set(one_page)) == 3
    assert await ids([ONE_TIME], [other], [ONE_TIME]) == one_page
    spelled = again(
        chargeType="CustomerCredit",
        unitPrice=-16,
        totalForCustomer=-17.6,
        customerId=str(ONE_TIME["customerId"]).lower(),
        chargeStartDate="2026-02-01T00:00:00.0000000+00:00",
    )
    assert await ids([spelled, other, spelled]) == one_page


async def test_lines_keep_their_ids_when_another_appears_among_them() -> None:
    other = again(totalForCustomer="-5")
    before = await ids([ONE_TIME, ONE_TIME])
    after = await ids([other, ONE_TIME, ONE_TIME])
    assert set(before) < set(after)


@pytest.mark.parametrize("field", ["totalForCustomer", "currency", "quantity", "chargeType", "subscriptionId"])
async def test_lines_that_charge_for_something_else_have_other_ids(field: str) -> None:
    assert await ids([again(**{field: "7"})]) != await ids([ONE_TIME])


async def test_the_same_line_on_another_invoice_has_another_id() -> None:
    _, billing, _ = clients({"items": [ONE_TIME]}, {"items": [ONE_TIME]})
    [here] = await lines(billing, invoice())
    [there] = await lines(billing, invoice(id="G000024131"))
    assert here.id != there.id


@pytest.mark.parametrize(
    "changes", [{"totalForCustomer": None}, {"totalForCustomer": "much"}, {"unitPrice": {}}, {"currency": []}]
)
async def test_a_line_with_a_wrong_amount_is_malformed(changes: dict[str, object]) -> None:
    _, billing, _ = clients({"items": [again(**changes)]})
    with pytest.raises(Malformed, match="list invoice lines"):
        await lines(billing, invoice())
