"""The traps in Microsoft's answers, one by one (facts B), and what pages and invoice lines make of them."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from microsoft.answers import Call, parse_json
from microsoft.billing import Billing, Invoice, LineItem
from microsoft.errors import Malformed
from microsoft.fields import instant, number
from microsoft.identity import Identity
from microsoft.partner_center import (
    Customer,
    PartnerCenter,
    ServiceRequest,
    ServiceRequestSeverity,
    ServiceRequestStatus,
    Subscription,
)
from tests.microsoft.stand_ins import Script

CALL = Call("read", "api.partnercenter.example", "a-correlation-id")

NCE = {
    "id": "A4C1340D-0000-4000-8000-000000000001",
    "offerId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
    "offerName": "Microsoft 365 Business Basic",
    "productType": {"id": "OnlineServicesNCE", "displayName": "OnlineServicesNCE"},
    "quantity": 1,
    "unitType": "Licenses",
    "creationDate": "2021-01-14T16:57:15.0966728Z",
    "effectiveStartDate": "2021-01-14T16:57:14.498252Z",
    "commitmentEndDate": "2022-01-13T00:00:00Z",
    "cancellationAllowedUntilDate": "2021-01-21T16:57:15.0966728+00:00",
    "status": "Active",
    "autoRenewEnabled": True,
    "billingType": "license",
    "billingCycle": "monthly",
    "termDuration": "P1Y",
    "refundOptions": [{"type": "Full", "expiresAt": "2021-01-15T00:00:00+00:00"}],
    "refundableQuantity": {
        "totalQuantity": 1,
        "details": [{"quantity": 1, "allowedUntilDateTime": "2021-01-15T00:00:00Z"}],
    },
    "orderId": "34b37d7340cc",
    "attributes": {"etag": "", "objectType": "Subscription"},
    "somethingNew": {"deep": [1]},
}


def clients(*bodies: object) -> tuple[PartnerCenter, Billing, Script]:
    """Both clients on a script: a token, then these bodies."""
    answers = [httpx.Response(200, json={"access_token": "access", "expires_in": 3600})]
    answers += [httpx.Response(200, content=body if isinstance(body, bytes) else json.dumps(body)) for body in bodies]
    script = Script([*answers])
    http = script.transport()
    who = Identity(http, tenant="t", client_id="c", client_secret=SecretStr("s"))
    return PartnerCenter(http, who), Billing(http, who), script


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-01-14T16:57:15Z", datetime(2021, 1, 14, 16, 57, 15, tzinfo=UTC)),
        ("2021-01-14T16:57:15", datetime(2021, 1, 14, 16, 57, 15, tzinfo=UTC)),
        ("2021-01-14T16:57:15.1Z", datetime(2021, 1, 14, 16, 57, 15, 100_000, tzinfo=UTC)),
        ("2021-01-14T16:57:15.0966728Z", datetime(2021, 1, 14, 16, 57, 15, 96_672, tzinfo=UTC)),
        ("2021-01-14T16:57:15.0966728+00:00", datetime(2021, 1, 14, 16, 57, 15, 96_672, tzinfo=UTC)),
        ("2021-01-14T16:57:15-08:00", datetime(2021, 1, 15, 0, 57, 15, tzinfo=UTC)),
        ("2021-01-31T23:59:59.9999999Z", datetime(2021, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2018-03-01", datetime(2018, 3, 1, tzinfo=UTC)),
        ("9999-12-10T00:00:00Z", datetime(9999, 12, 10, tzinfo=UTC)),
        ("9999-12-31T23:59:59-08:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00.0000000+00:00", None),
        ("", None),
        (None, None),
    ],
)
def test_timestamps_as_microsoft_writes_them(text: str | None, expected: datetime | None) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text", ["P1D", "yesterday", "2021-13-01T00:00:00Z", "2021-02-30", 1610643435, "2021-01-14T25:00"]
)
def test_what_is_no_timestamp_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        instant(text)


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),  # noqa: DTZ001 - hypothesis wants its bounds naive
    st.integers(0, 9),
    st.sampled_from(["", "Z", "z", "+00:00", "+0000"]),
)
def test_any_instant_survives_any_of_its_spellings(moment: datetime, digits: int, zone: str) -> None:
    fraction = f"{moment.microsecond:06d}000"[:digits]
    text = f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + (f".{fraction}" if fraction else "") + zone
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    assert instant(text) == moment.replace(microsecond=micro, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("16", "16"),
        (820, "820"),
        (Decimal("107661.120"), "107661.120"),
        (" -41.34 ", "-41.34"),
        (0, "0"),
        ("1E+2", "1E+2"),
    ],
)
def test_amounts_as_numbers_or_as_text(value: object, expected: str) -> None:
    assert str(number(value)) == expected


@pytest.mark.parametrize("value", [1.5, True, "1,5", "NaN", "Infinity", "1e999999", "9" * 40, [], "four"])
def test_what_is_no_exact_amount_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a number"):
        number(value)


def test_a_new_commerce_subscription() -> None:
    read = Subscription.model_validate(NCE)
    assert read.id == "a4c1340d-0000-4000-8000-000000000001"
    assert (read.offer_name, read.product_type, read.status) == (
        "Microsoft 365 Business Basic",
        "onlineservicesnce",
        "active",
    )
    assert read.created == datetime(2021, 1, 14, 16, 57, 15, 96_672, tzinfo=UTC)
    assert read.cancellation_allowed_until == datetime(2021, 1, 21, 16, 57, 15, 96_672, tzinfo=UTC)
    assert [(each.type, each.expires_at) for each in read.refund_options] == [
        ("full", datetime(2021, 1, 15, tzinfo=UTC))
    ]
    assert read.refundable_quantity is not None
    assert read.refundable_quantity.total == 1
    assert read.refundable_quantity.details[0].allowed_until == datetime(2021, 1, 15, tzinfo=UTC)
    assert (read.term, read.billing_cycle, read.order_id, read.etag) == ("p1y", "monthly", "34b37d7340cc", "")
    assert read.commerce == "new_commerce"


def test_a_subscription_comes_back_the_same_from_its_own_json() -> None:
    read = Subscription.model_validate(NCE)
    assert Subscription.model_validate_json(read.model_dump_json()) == read


def test_a_bare_legacy_subscription() -> None:
    read = Subscription.model_validate(
        {"id": "S", "offerId": "031C9E47-4802-4248-838E-778FB1D2CC05", "refundOptions": None}
    )
    assert read.commerce == "legacy"
    assert (read.cancellation_allowed_until, read.refund_options, read.refundable_quantity) == (None, (), None)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("billingType", "usage", "azure"),
        ("offerId", "MS-AZR-0145P", "azure"),
        ("productType", {"id": "Azure", "displayName": "Azure"}, "azure"),
        ("productType", {"id": "ReservedInstance", "displayName": ""}, "azure"),
        ("productType", {"id": "Software", "displayName": "Software"}, "new_commerce"),
        ("productType", None, "new_commerce"),
        ("offerId", "DZH318Z0BQ36:004G", "new_commerce"),
    ],
)
def test_which_commerce_a_subscription_is_of(field: str, value: object, expected: str) -> None:
    assert Subscription.model_validate({**NCE, field: value}).commerce == expected


def test_a_refund_option_may_be_called_expires_after_and_one_with_a_duration_promises_nothing() -> None:
    options = [
        {"type": "Partial", "expiresAfter": "2021-01-20T00:00:00Z"},
        {"type": "Full", "expiresAfter": "P1D", "sequenceId": 0},
        {"type": "Full", "expiresAt": None},
    ]
    read = Subscription.model_validate({**NCE, "refundOptions": options})
    assert [(each.type, each.expires_at) for each in read.refund_options] == [
        ("partial", datetime(2021, 1, 20, tzinfo=UTC)),
        ("full", None),
    ]


def test_what_was_read_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Subscription.model_validate(NCE).quantity = 2  # type: ignore[misc]  # that it is frozen is the point


def test_a_customer_and_all_its_domains() -> None:
    read = Customer.model_validate(
        {
            "id": "C0FFEE00-0000-4000-8000-00000000000A",
            "companyProfile": {"companyName": "Contoso", "domain": "Contoso.OnMicrosoft.com"},
            "relationshipToPartner": "Reseller",
            "customDomains": ["Contoso.com", None, ""],
        }
    )
    assert read.id == "c0ffee00-0000-4000-8000-00000000000a"
    assert (read.name, read.relationship) == ("Contoso", "reseller")
    assert read.domains == {"contoso.onmicrosoft.com", "contoso.com"}


@pytest.mark.parametrize(
    ("told", "status", "severity"),
    [
        ({"status": 1, "severity": 0}, "open", "unknown"),
        ({"status": "open", "severity": "critical"}, "open", "critical"),
        ({"status": "Attention_Needed", "severity": "Minimal"}, "attention_needed", "minimal"),
        ({"status": "AttentionNeeded", "severity": 2}, "attention_needed", "moderate"),
        ({"status": 3, "severity": "3"}, "attention_needed", "minimal"),
        ({"status": "2"}, "closed", "unknown"),
        ({"status": 0}, "none", "unknown"),
        ({"status": "escalated", "severity": 17}, "unknown", "unknown"),
        ({"status": None, "severity": None}, "unknown", "unknown"),
    ],
)
def test_a_ticket_in_numbers_or_in_words(told: dict[str, object], status: str, severity: str) -> None:
    read = ServiceRequest.model_validate({"id": "616122292874576", **told})
    assert (read.status, read.severity) == (ServiceRequestStatus(status), ServiceRequestSeverity(severity))


def test_a_ticket_never_closed_with_notes_and_its_customer() -> None:
    read = ServiceRequest.model_validate(
        {
            "id": 616122292874576,
            "status": "open",
            "organization": {"id": "C0FFEE00-0000-4000-8000-00000000000A", "name": "Contoso"},
            "createdDate": "2026-02-15T10:00:00.33",
            "lastClosedDate": "0001-01-01T00:00:00",
            "notes": [{"createdByName": "Ana", "createdDate": "2026-02-16T10:00:00", "text": "Hello"}],
        }
    )
    assert read.id == "616122292874576"
    assert read.closed is None
    assert read.created == datetime(2026, 2, 15, 10, 0, 0, 330_000, tzinfo=UTC)
    assert read.customer_id == "c0ffee00-0000-4000-8000-00000000000a"
    assert [(note.text, note.by_name, note.created) for note in read.notes] == [
        ("Hello", "Ana", datetime(2026, 2, 16, 10, tzinfo=UTC))
    ]


@pytest.mark.parametrize(
    "body", [None, [], "text", 5, {}, {"id": ""}, {"id": None}, {"id": ["x"]}, {"id": "1", "customDomains": "x"}]
)
async def test_a_customer_that_is_none_is_malformed(body: object) -> None:
    partner_center, _, _ = clients(body)
    with pytest.raises(Malformed, match=r"read customer at api\.partnercenter\.example"):
        await partner_center.customer("1")


@pytest.mark.parametrize(
    "body", [{"items": "x"}, {"items": [1]}, [], {"items": [{"id": "1", "status": "open", "notes": 3}]}]
)
async def test_a_page_that_is_none_is_malformed(body: object) -> None:
    partner_center, _, _ = clients(body)
    with pytest.raises(Malformed):
        _ = [page async for page in partner_center.service_requests()]


async def test_an_id_somebody_typed_cannot_lead_elsewhere() -> None:
    partner_center, _, script = clients({"id": "1", "status": "open"})
    await partner_center.service_request(" ../customers/1?x=y ")
    assert script.requests[-1].url.raw_path == b"/v1/servicerequests/..%2Fcustomers%2F1%3Fx%3Dy"


@pytest.mark.parametrize("typed", ["", "  ", ".", ".."])
async def test_an_empty_id_is_refused_before_any_call(typed: str) -> None:
    partner_center, _, script = clients()
    with pytest.raises(ValueError, match="id"):
        await partner_center.service_request(typed)
    assert script.requests == []


# Pages


def tickets(first: int, last: int) -> list[dict[str, object]]:
    return [{"id": str(n), "status": 1} for n in range(first, last)]


async def numbers(partner_center: PartnerCenter, size: int) -> list[str]:
    return [ticket.id async for page in partner_center.service_requests(size) for ticket in page]


NEXT = {"next": {"uri": "/servicerequests?size=2&offset=", "method": "GET", "headers": []}}


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([tickets(0, 2), tickets(2, 4), tickets(4, 5)], id="the last is short"),
        pytest.param([tickets(0, 2), tickets(2, 4), []], id="all are full"),
        pytest.param([tickets(0, 2), tickets(1, 3), []], id="one moved to the next page meanwhile"),
        pytest.param([tickets(0, 2), tickets(0, 2)], id="the offset is ignored"),
        pytest.param([tickets(0, 5), []], id="the size is ignored"),
    ],
)
async def test_pages_by_offset_give_each_ticket_once_and_end(pages: list[list[dict[str, object]]]) -> None:
    partner_center, _, script = clients(*({"totalCount": len(page), "items": page} for page in pages))
    expected = sorted({str(ticket["id"]) for page in pages for ticket in page})
    assert await numbers(partner_center, 2) == expected
    assert script.replies == []
    offsets = [int(request.url.params["offset"]) for request in script.requests[1:]]
    assert offsets == [sum(len(page) for page in pages[:n]) for n in range(len(pages))]


async def test_a_server_with_smaller_pages_is_read_to_the_end_by_its_next_link_or_its_total() -> None:
    partner_center, _, _ = clients(
        {"items": tickets(0, 3), "links": NEXT}, {"items": tickets(3, 6), "totalCount": 7}, {"items": tickets(6, 7)}
    )
    assert await numbers(partner_center, 500) == [str(n) for n in range(7)]


async def test_pages_of_one_listing_share_the_correlation_id_and_no_request_id() -> None:
    partner_center, _, script = clients({"items": tickets(0, 2)}, {"items": tickets(2, 3)})
    await numbers(partner_center, 2)
    pages = script.requests[1:]
    assert len({request.headers["MS-CorrelationId"] for request in pages}) == 1
    assert len({request.headers["MS-RequestId"] for request in pages}) == 2


# Invoices


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
    return [line async for page in billing.line_items(of, size) for line in page]


async def test_a_one_time_line_with_its_mixed_types() -> None:
    _, billing, script = clients({"items": [ONE_TIME]})
    [line] = await lines(billing, invoice())
    assert line.customer_id == "c0ffee00-0000-4000-8000-00000000000a"
    assert line.subscription_id == "a4c1340d-0000-4000-8000-000000000001"
    assert (line.charge_type, line.credit_reason_code) == ("customercredit", "azure credit for consumption")
    assert [str(line.unit_price), str(line.subtotal), str(line.total)] == ["-16", "-16", "-17.60"]
    assert line.charge_end == datetime(2026, 2, 28, tzinfo=UTC)
    assert (line.description, line.currency, line.provider) == ("Microsoft 365", "USD", "onetime")
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
    assert (line.charge_type, line.total, line.description) == (
        "cancel instance prorate",
        Decimal("-41.34"),
        "EXCHANGE ONLINE",
    )
    assert dict(script.requests[-1].url.params)["provider"] == "office"


async def test_usage_lines_and_providers_we_have_no_credit_from_are_not_asked_for() -> None:
    details = [
        {"billingProvider": "azure", "invoiceLineItemType": "billing_line_items"},
        {"billingProvider": "one_time", "invoiceLineItemType": "usage_line_items"},
        {"billingProvider": "Office", "invoiceLineItemType": "BillingLineItems"},
    ]
    _, billing, script = clients({"items": []})
    assert await lines(billing, invoice(invoiceDetails=details)) == []
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


KEYS = [*NCE, *INVOICE, *ONE_TIME, "companyProfile", "organization", "headers", "notes", "text", "createdDate"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
        max_leaves=20,
    )
)
def test_no_answer_whatever_crashes_a_model(body: object) -> None:
    """Anything but the model comes out as a ValidationError (Malformed at the client), never as another exception."""
    for model in (Subscription, Customer, ServiceRequest, Invoice, LineItem):
        try:
            model.model_validate(body)
        except ValidationError:
            continue


READS: list[Callable[[PartnerCenter], Awaitable[object]]] = [
    lambda it: it.customer("1"),
    lambda it: it.subscription("1", "2"),
    lambda it: it.subscriptions("1"),
    lambda it: it.service_request("1"),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("body", [b"", b"null", b"<html></html>", b'{"id": "1"', b'{"items": [{}]}', b'"id"'])
async def test_no_read_takes_a_broken_answer(read: Callable[[PartnerCenter], Awaitable[object]], body: bytes) -> None:
    partner_center, _, _ = clients(body)
    with pytest.raises(Malformed) as caught:
        await read(partner_center)
    assert caught.value.correlation_id


def test_deep_nesting_is_an_error_of_the_answer() -> None:
    with pytest.raises(ValueError, match="nested"):
        parse_json(b'{"a":' * 100_000)
