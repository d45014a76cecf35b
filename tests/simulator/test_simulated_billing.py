"""Invoices and their lines: exact amounts, the traps of the wire, and both ways of paging."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.simulator.conftest import Caller, Clock

LINES = "lineitems?provider={}&invoicelineitemtype=billinglineitems"


async def invoice(cloud: "Caller", provider: str, amounts: list[str], **more: Any) -> str:
    customer, subscription = cloud.subscription("nce_active_past_window" if provider == "one_time" else "legacy_active")
    line = {"customer_id": customer, "subscription_id": subscription, "charge_type": "new"}
    body = {"billing_provider": provider, "lines": [line | {"amount": amount} for amount in amounts], **more}
    return str((await cloud.door("POST", "/invoices", body))["id"])


async def test_amounts_go_out_in_exactly_their_digits(cloud: "Caller") -> None:
    got = await cloud.call("GET", "/v1/invoices/G000024130")
    assert '"totalCharges":586366,' in got.text
    assert '"totalCharges":107661.12,' in got.text
    body = got.json()
    assert (body["documentType"], body["invoiceType"], body["currencyCode"]) == ("void_note", "OneTime", "CHF")
    assert body["amendments"][0]["amendsOf"] == "G000024130"
    number = await invoice(cloud, "recurring", ["0.1", "0.2", "90071992547409.93"])
    assert '"totalCharges":90071992547410.23,' in (await cloud.call("GET", f"/v1/invoices/{number}")).text


async def test_an_invoice_answers_to_the_id_its_links_use(cloud: "Caller") -> None:
    body = await cloud.get("/v1/invoices/G000024130")
    uri = body["invoiceDetails"][0]["links"]["self"]["uri"]
    assert uri == "/invoices/OneTime-G000024130/lineitems/OneTime/BillingLineItems"
    assert (await cloud.get("/v1" + uri))["totalCount"] == 1


async def test_legacy_lines_name_the_subscription_where_one_does_not_look(cloud: "Caller") -> None:
    number = await invoice(cloud, "recurring", ["-48.00"])
    (line,) = (await cloud.get(f"/v1/invoices/{number}/{LINES.format('office')}"))["items"]
    customer, subscription = cloud.subscription("legacy_active")
    assert line["syndicationPartnerSubscriptionNumber"] == subscription.upper()
    assert line["subscriptionId"].lower() != subscription
    assert line["customerId"] == customer.upper()
    assert (line["mpnId"], line["amount"], line["totalForCustomer"]) == (4391507, Decimal("-48.00"), Decimal("-48.00"))
    assert not line["chargeStartDate"].endswith("Z")


async def test_one_time_lines_mix_strings_and_numbers_cases_and_zones(cloud: "Caller") -> None:
    number = await invoice(cloud, "one_time", ["16", "820.5"])
    first, second = (await cloud.get(f"/v1/invoices/{number}/{LINES.format('onetime')}"))["items"]
    assert (first["totalForCustomer"], second["totalForCustomer"]) == (16, "820.5")
    assert (first["chargeType"], second["chargeType"]) == ("new", "New")
    assert second["chargeStartDate"].endswith("+00:00")
    assert not first["chargeStartDate"].endswith("+00:00")
    assert "attributes/objectType" in first


async def test_one_time_lines_page_by_token_and_their_next_link_leads_nowhere(cloud: "Caller") -> None:
    number = await invoice(cloud, "one_time", ["1", "2", "3", "4", "5"])
    path = f"/v1/invoices/{number}/{LINES.format('onetime')}&size=2"
    seen: list[Decimal] = []
    page = await cloud.get(path)
    literal = await cloud.call("GET", "/v1" + page["links"]["next"]["uri"])
    assert (literal.status_code, literal.json()["code"]) == (400, "3000")
    while True:
        seen += [Decimal(item["subtotal"]) for item in page["items"]]
        if "next" not in page["links"]:
            break
        (header,) = page["links"]["next"]["headers"]
        page = await cloud.get(f"{path}&seekOperation=Next", **{header["key"]: header["value"]})
    assert seen == [1, 2, 3, 4, 5]


async def test_legacy_lines_page_by_offset_and_their_next_link_is_misspelt(cloud: "Caller") -> None:
    number = await invoice(cloud, "recurring", ["1", "2", "3"])
    path = f"/v1/invoices/{number}/{LINES.format('office')}&size=2"
    first, second = await cloud.get(path), await cloud.get(f"{path}&offset=2")
    assert [item["amount"] for item in first["items"] + second["items"]] == [1, 2, 3]
    uri = first["links"]["next"]["uri"]
    assert "&nvoicelineitemtype=" in uri
    assert (await cloud.call("GET", "/v1" + uri)).status_code == 400
    assert "next" not in second["links"]


async def test_a_page_holds_2000_lines_at_most(cloud: "Caller") -> None:
    number = await invoice(cloud, "one_time", ["1"] * 2001)
    page = await cloud.get(f"/v1/invoices/{number}/{LINES.format('onetime')}&size=5000")
    assert (len(page["items"]), page["totalCount"], "next" in page["links"]) == (2000, 2001, True)


async def test_a_provider_without_part_in_the_invoice_has_no_lines(cloud: "Caller") -> None:
    number = await invoice(cloud, "recurring", ["1"])
    assert (await cloud.get(f"/v1/invoices/{number}/{LINES.format('onetime')}"))["items"] == []
    assert (await cloud.get(f"/v1/invoices/{number}/lineitems/azure/usagelineitems"))["items"] == []
    got = await cloud.call("GET", f"/v1/invoices/{number}/{LINES.format('paper')}")
    assert (got.status_code, got.json()["code"]) == (400, "3000")
    assert (await cloud.call("GET", "/v1/invoices/D999999999")).status_code == 404


async def test_an_invoice_is_seen_with_its_lines_after_the_delay(cloud: "Caller", clock: "Clock") -> None:
    before = (await cloud.get("/v1/invoices"))["totalCount"]
    await cloud.door("PUT", "/behaviour", {"visible_after": 30})
    number = await invoice(cloud, "recurring", ["1", "2"])
    clock.advance(seconds=29)
    assert (await cloud.get("/v1/invoices"))["totalCount"] == before
    assert (await cloud.call("GET", f"/v1/invoices/{number}/{LINES.format('office')}")).status_code == 404
    clock.advance(seconds=1)
    assert (await cloud.get("/v1/invoices"))["totalCount"] == before + 1
    assert (await cloud.get(f"/v1/invoices/{number}/{LINES.format('office')}"))["totalCount"] == 2


async def test_an_invoice_id_is_given_once(cloud: "Caller") -> None:
    await invoice(cloud, "one_time", ["1"], id="G000077777")
    got = await cloud.http.post("/_simulator/invoices", json={"billing_provider": "one_time", "id": "g000077777"})
    assert got.status_code == 409


@pytest.mark.parametrize(
    ("name", "charge", "credit"),
    [
        ("legacy_suspended_within_30_days", "Cancel fee", "-48.00"),
        ("legacy_suspended_in_month_5", "Cancel instance prorate", "-31.20"),  # 0.13 a day for 240 days
        ("legacy_suspended_in_month_2", "Cancel instance prorate", "-41.34"),  # the published example: 318 days
        ("nce_cancelled_in_window", "cancelImmediate", "-3.87"),  # the published example: 29 of 30 days
    ],
)
async def test_the_seed_has_a_credit_line_for_each_subscription_that_was_given_back(
    cloud: "Caller", name: str, charge: str, credit: str
) -> None:
    wanted = cloud.names["subscriptions"][name]
    found = []
    for one in (await cloud.get("/v1/invoices?size=100"))["items"]:
        office = one["invoiceType"] == "Recurring"
        lines = await cloud.get(f"/v1/invoices/{one['id']}/{LINES.format('office' if office else 'onetime')}")
        for line in lines["items"]:
            subscription = line["syndicationPartnerSubscriptionNumber" if office else "subscriptionId"]
            if subscription.lower() == wanted["id"].lower() and Decimal(line["subtotal"]) < 0:
                found.append((line["chargeType"][:1].lower() + line["chargeType"][1:], str(line["subtotal"])))
    assert found == [(charge[:1].lower() + charge[1:], credit)]
    assert wanted["credit"] == credit
