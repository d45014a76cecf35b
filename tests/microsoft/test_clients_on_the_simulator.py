"""Our clients against the simulated Microsoft, over real HTTP: everything they can do, and each trouble it can make."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from microsoft.billing import Billing, Invoice
from microsoft.errors import Ambiguous, ConsentExpired, Forbidden, MicrosoftError, NotFound, Throttled, Unavailable
from microsoft.identity import PARTNER_CENTER, Identity
from microsoft.invoice_lines import LineItem
from microsoft.partner_center import PartnerCenter, ServiceRequest, ServiceRequestSeverity, ServiceRequestStatus
from microsoft.transport import Transport
from tests.simulated import Simulator

Cloud = tuple[Transport, Identity]
CUSTOMER = "11111111-aaaa-4bbb-8ccc-dddddddddddd"
NEW_COMMERCE = "22222222-aaaa-4bbb-8ccc-dddddddddddd"
LEGACY = "33333333-aaaa-4bbb-8ccc-dddddddddddd"


@pytest.fixture(scope="module", autouse=True)
def _things(simulator: Simulator) -> None:
    """A customer with one subscription of each commerce."""
    simulator.post("/customers", {"id": CUSTOMER.upper(), "companyName": "Proseware", "domain": "Proseware.example"})
    common: dict[str, object] = {
        "customerId": CUSTOMER,
        "offerName": "Microsoft 365 Business Basic",
        "creationDate": "2026-01-14T16:57:15.096Z",
        "effectiveStartDate": "2026-01-14T16:57:14.498Z",
        "commitmentEndDate": "2027-01-13T00:00:00Z",
        "orderId": "34b37d7340cc",
    }
    simulator.post(
        "/subscriptions",
        common
        | {
            "id": NEW_COMMERCE,
            "commerce": "new_commerce",
            "offerId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
            "cancellationAllowedUntilDate": "2026-01-21T16:57:15Z",
            "refundOptions": [{"type": "Full", "expiresAt": "2026-01-15T00:00:00Z"}],
            "refundableQuantity": {
                "totalQuantity": 2,
                "details": [{"quantity": 2, "allowedUntilDateTime": "2026-01-15T00:00:00Z"}],
            },
        },
    )
    legacy = {"id": LEGACY, "commerce": "legacy", "offerId": "031c9e47-4802-4248-838e-778fb1d2cc05"}
    simulator.post("/subscriptions", common | legacy)


def ticket(simulator: Simulator, **more: object) -> str:
    body = {"customerId": CUSTOMER, "title": "Credit for the outage", "severity": "critical", **more}
    return str(simulator.post("/service-requests", body)["id"])


def fault(simulator: Simulator, kind: str, method: str = "*", path: str = "/v1/", **more: object) -> None:
    simulator.post("/faults", {"kind": kind, "method": method, "path": path, **more})


async def listed(partner_center: PartnerCenter, size: int) -> list[ServiceRequest]:
    return [each async for page in partner_center.service_requests(size) for each in page]


async def test_a_customer_by_its_id_in_either_case(cloud: Cloud) -> None:
    for spelled in (CUSTOMER, CUSTOMER.upper()):
        customer = await PartnerCenter(*cloud).customer(spelled)
        assert (customer.id, customer.name, customer.relationship) == (CUSTOMER, "Proseware", "reseller")
        assert customer.domains == {"proseware.example"}


async def test_subscriptions_with_what_can_still_be_cancelled(cloud: Cloud) -> None:
    partner_center = PartnerCenter(*cloud)
    both = {each.id: each for each in await partner_center.subscriptions(CUSTOMER)}
    assert {each.commerce for each in both.values()} == {"new_commerce", "legacy"}
    one = await partner_center.subscription(CUSTOMER, NEW_COMMERCE)
    assert one == both[NEW_COMMERCE]
    assert one.cancellation_allowed_until == datetime(2026, 1, 21, 16, 57, 15, tzinfo=UTC)
    assert [(each.type, each.expires_at) for each in one.refund_options] == [
        ("full", datetime(2026, 1, 15, tzinfo=UTC))
    ]
    assert one.refundable_quantity is not None
    assert one.refundable_quantity.total == 2
    assert one.etag
    assert both[LEGACY].cancellation_allowed_until is None
    assert both[LEGACY].refundable_quantity is None


async def test_what_isnt_there_is_not_found(cloud: Cloud) -> None:
    partner_center = PartnerCenter(*cloud)
    nobody = "99999999-aaaa-4bbb-8ccc-dddddddddddd"
    for reading in (
        partner_center.customer(nobody),
        partner_center.subscriptions(nobody),
        partner_center.subscription(CUSTOMER, nobody),
        partner_center.service_request("999999999999999"),
    ):
        with pytest.raises(NotFound) as caught:
            await reading
        assert caught.value.code
        assert caught.value.status == 404


async def test_a_ticket_is_read_answered_and_closed(simulator: Simulator, cloud: Cloud) -> None:
    partner_center = PartnerCenter(*cloud)
    number = ticket(simulator)
    opened = await partner_center.service_request(number)
    assert (opened.id, opened.status, opened.customer_id) == (number, ServiceRequestStatus.OPEN, CUSTOMER)
    assert (opened.severity, opened.closed, opened.notes) == (ServiceRequestSeverity.CRITICAL, None, ())
    simulator.post(f"/service-requests/{number}/status", {"status": "attention_needed", "note": "Which tenant?"})
    asked = await partner_center.service_request(number)
    assert (asked.status, asked.notes[-1].text) == (ServiceRequestStatus.ATTENTION_NEEDED, "Which tenant?")
    await partner_center.add_note(number, "The tenant is in the form. – ¡Gracias!")
    replied = await partner_center.service_request(number)
    assert replied.notes[-1].text == "The tenant is in the form. – ¡Gracias!"
    assert replied.notes[-1].by_name == "Ana Admin"
    assert replied.severity == ServiceRequestSeverity.CRITICAL
    await partner_center.close(number)
    await partner_center.close(number)
    closed = await partner_center.service_request(number)
    assert closed.status == ServiceRequestStatus.CLOSED
    assert closed.closed is not None
    assert closed.created is not None
    assert closed.closed >= closed.created


async def test_a_listing_says_the_same_as_reading_each(simulator: Simulator, cloud: Cloud) -> None:
    partner_center = PartnerCenter(*cloud)
    number = ticket(simulator, severity="minimal")
    simulator.post(f"/service-requests/{number}/status", {"status": "attention_needed"})
    [in_list] = [each for each in await listed(partner_center, 500) if each.id == number]
    alone = await partner_center.service_request(number)
    for field in ("status", "severity", "title", "created", "modified", "closed"):
        assert getattr(in_list, field) == getattr(alone, field), field


@pytest.mark.parametrize("size", [7, 50, 500])
async def test_a_sweep_sees_every_ticket_once_and_costs_a_page_more_at_most(
    simulator: Simulator, cloud: Cloud, size: int
) -> None:
    simulator.post("/service-requests/bulk", {"customerId": CUSTOMER, "count": 100})
    simulator.calls()
    found = [each.id for each in await listed(PartnerCenter(*cloud), size)]
    calls = simulator.calls()
    assert len(found) >= 100
    assert len(found) == len(set(found))
    assert calls <= -(-len(found) // min(size, 50)) + 1


def post_invoice(simulator: Simulator, provider: str, charges: list[tuple[str, str]]) -> str:
    subscription = LEGACY if provider == "recurring" else NEW_COMMERCE
    lines = [
        {"customerId": CUSTOMER, "subscriptionId": subscription, "chargeType": kind, "amount": amount, "tax": "0.10"}
        for kind, amount in charges
    ]
    # From the last day whose lines are read at Partner Center, whatever their kind.
    body: dict[str, object] = {
        "billingProvider": provider,
        "invoiceDate": "2023-08-31T23:59:59Z",
        "currency": "EUR",
        "lines": lines,
    }
    return str(simulator.post("/invoices", body)["id"])


async def invoice_of(billing: Billing, number: str) -> Invoice:
    [found] = [each async for page in billing.invoices(3) for each in page if each.id == number]
    return found


async def lines_of(billing: Billing, invoice: Invoice, size: int) -> list[LineItem]:
    async with billing.lines(invoice, size) as lines:
        return list(lines)


@pytest.mark.parametrize(("provider", "kind"), [("recurring", "Offset a line item"), ("one_time", "customerCredit")])
async def test_invoice_lines_of_either_kind_are_the_same_however_they_are_paged(
    simulator: Simulator, cloud: Cloud, provider: str, kind: str
) -> None:
    billing = Billing(*cloud, cloud[0])
    charges = [(kind, "-41.34"), ("new", "48.00"), (kind, "-41.34"), (kind, "-1.72"), (kind, "-3.87")]
    invoice = await invoice_of(billing, post_invoice(simulator, provider, charges))
    assert (invoice.invoice_type, invoice.currency, invoice.document_type) == (provider, "EUR", "invoice")
    whole = await lines_of(billing, invoice, 2000)
    assert Counter((line.charge_type, line.subtotal) for line in whole) == Counter(
        (kind.lower(), Decimal(amount)) for kind, amount in charges
    )
    assert sum((line.total for line in whole), Decimal(0)) == invoice.total == Decimal("-39.77")
    assert {line.customer_id for line in whole} == {CUSTOMER}
    assert {line.subscription_id for line in whole} == {LEGACY if provider == "recurring" else NEW_COMMERCE}
    assert {line.currency for line in whole} == {"EUR"}
    assert len({line.id for line in whole}) == 5
    for size in (1, 2, 5):
        assert await lines_of(billing, invoice, size) == whole
    assert (await invoice_of(billing, invoice.id)).version == invoice.version


async def test_every_invoice_comes_once_however_small_the_pages(simulator: Simulator, cloud: Cloud) -> None:
    for _ in range(4):
        post_invoice(simulator, "one_time", [("new", "1.00")])
    billing = Billing(*cloud, cloud[0])
    small = [each async for page in billing.invoices(1) for each in page]
    assert small == [each async for page in billing.invoices() for each in page]
    assert len({each.id for each in small}) == len(small) >= 4


async def test_a_short_outage_doesnt_reach_the_caller(simulator: Simulator, cloud: Cloud) -> None:
    fault(simulator, "error", status=503, times=1)
    fault(simulator, "drop", times=1)
    assert (await PartnerCenter(*cloud).customer(CUSTOMER)).name == "Proseware"


async def test_a_lasting_outage_is_unavailable(simulator: Simulator, cloud: Cloud) -> None:
    for kind in ("error", "drop"):
        fault(simulator, kind, times=3)
        with pytest.raises(Unavailable):
            await PartnerCenter(*cloud).customer(CUSTOMER)


async def test_a_throttle_is_handed_up_with_its_time(simulator: Simulator, cloud: Cloud) -> None:
    fault(simulator, "throttle", seconds=57)
    with pytest.raises(Throttled) as caught:
        await listed(PartnerCenter(*cloud), 10)
    assert caught.value.retry_after.total_seconds() == 57


@pytest.mark.parametrize(
    ("trouble", "written"),
    [
        ({"kind": "drop", "when": "before"}, 0),
        ({"kind": "drop", "when": "after"}, 1),
        ({"kind": "error", "status": 503, "when": "before"}, 0),
        ({"kind": "error", "status": 503, "when": "after"}, 1),
        ({"kind": "error", "status": 500, "when": "after"}, 1),
    ],
)
async def test_a_note_whose_answer_was_lost_is_ambiguous_and_there_at_most_once(
    simulator: Simulator, cloud: Cloud, trouble: dict[str, object], written: int
) -> None:
    partner_center = PartnerCenter(*cloud)
    number = ticket(simulator)
    simulator.post("/faults", {"method": "PATCH", "path": "/v1/servicerequests", **trouble})
    with pytest.raises(Ambiguous):
        await partner_center.add_note(number, "Once")
    assert len((await partner_center.service_request(number)).notes) == written


async def test_a_slow_answer_to_a_write_is_ambiguous(simulator: Simulator, cloud: Cloud) -> None:
    number = ticket(simulator)
    fault(simulator, "slow", method="PATCH", seconds=2)
    http = Transport(simulator.url, timeout=0.3)
    with pytest.raises(Ambiguous):
        await PartnerCenter(http, cloud[1]).add_note(number, "Late")
    await http.aclose()


async def test_tickets_want_a_user_and_the_application_alone_is_forbidden(simulator: Simulator, cloud: Cloud) -> None:
    http, _ = cloud
    alone = Identity(
        http,
        tenant=simulator.seed["tenant"],
        client_id=simulator.seed["client_id"],
        client_secret=SecretStr(simulator.seed["client_secret"]),
    )
    assert (await PartnerCenter(http, alone).customer(CUSTOMER)).name == "Proseware"
    with pytest.raises(Forbidden) as caught:
        await listed(PartnerCenter(http, alone), 10)
    assert (caught.value.status, caught.value.code) == (403, "900329")


async def test_the_simulators_entra_rotates_and_the_file_follows(
    simulator: Simulator, cloud: Cloud, tmp_path: Path
) -> None:
    _, identity = cloud
    first = await identity.token(PARTNER_CENTER)
    rotated = (tmp_path / "refresh-token").read_text()
    assert rotated != simulator.seed["refresh_token"]
    second = await identity.token(PARTNER_CENTER, first)
    assert second != first


async def test_a_wrong_client_secret_and_an_unknown_refresh_token(simulator: Simulator, tmp_path: Path) -> None:
    http = Transport(simulator.url)
    file = tmp_path / "refresh-token"
    file.write_text("never-issued")
    expectations: list[tuple[str, Path | None, type[MicrosoftError]]] = [
        ("wrong-secret", None, Forbidden),
        (simulator.seed["client_secret"], file, ConsentExpired),
    ]
    for secret, kept, expected in expectations:
        who = Identity(
            http,
            tenant=simulator.seed["tenant"],
            client_id=simulator.seed["client_id"],
            client_secret=SecretStr(secret),
            refresh_token_file=kept,
        )
        with pytest.raises(expected) as caught:
            await who.token(PARTNER_CENTER)
        assert "AADSTS" in str(caught.value)
        assert secret not in str(caught.value)
        assert "never-issued" not in str(caught.value)
    await http.aclose()
