"""The traps in Microsoft's answers, one by one (facts B), and what pages and invoice lines make of them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from microsoft.answers import parse_json
from microsoft.billing import Invoice
from microsoft.errors import Malformed, NotFound
from microsoft.fields import instant, number
from microsoft.invoice_lines import LineItem
from microsoft.partner_center import (
    Customer,
    PartnerCenter,
    ServiceRequest,
    ServiceRequestSeverity,
    ServiceRequestStatus,
    Subscription,
)
from tests.microsoft.stand_ins import clients

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
async def test_an_empty_id_is_not_found_without_any_call(typed: str) -> None:
    partner_center, _, script = clients()
    with pytest.raises(NotFound, match="an empty id"):
        await partner_center.service_request(typed)
    assert script.requests == []


KEYS = [
    *NCE,
    *("companyProfile", "customDomains", "organization", "notes", "text", "createdDate", "items", "headers"),
    *("invoiceDate", "totalCharges", "invoiceDetails", "currencyCode", "totalForCustomer", "currency"),
]


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
