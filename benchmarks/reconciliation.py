"""A reconciliation export to measure with: lines as a large partner has them, and a Graph on loopback to serve them."""

import gzip
import json
import random
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

INVOICE = "G016907411"
CHARGES = ("new", "renew", "cycleCharge", "addQuantity", "removeQuantity", "cancelImmediate", "customerCredit")
PRODUCTS = (
    ("CFQ7TTC0LH18", "0001", "CFQ7TTC0K971", "Microsoft 365 Business Basic"),
    ("CFQ7TTC0LCHC", "0002", "CFQ7TTC0K18P", "Microsoft 365 Business Premium"),
    ("CFQ7TTC0LF8Q", "0001", "CFQ7TTC0K5BF", "Office 365 E3"),
    ("DZH318Z0BPS6", "0001", "DZH318Z0BM9W", "Azure plan"),
)


def write_file(file: Path, number: int, lines: int) -> None:
    """File `number` of the export, always the same: 20,000 subscriptions of 3,000 customers."""
    dice = random.Random(number)  # noqa: S311 - the same lines each time are the point
    with gzip.open(file, "wb", compresslevel=6) as packed:
        for _ in range(lines):
            packed.write(json.dumps(_line(dice), separators=(",", ":")).encode() + b"\n")


def _guid(kind: int, number: int) -> str:
    digits = f"{random.Random(kind << 32 | number).getrandbits(128):032x}"  # noqa: S311 - see above
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _line(dice: random.Random) -> dict[str, object]:
    number = dice.randrange(20_000)
    customer, day, quantity = number % 3_000, dice.randint(1, 28), dice.randint(1, 300)
    product, sku, availability, name = PRODUCTS[number % len(PRODUCTS)]
    price = dice.randint(100, 6_000) / 100
    charge = dice.choice(CHARGES)
    sign = -1 if charge in ("removeQuantity", "cancelImmediate", "customerCredit") else 1
    subtotal = round(sign * price * quantity, 2)
    tax = round(subtotal * 0.19, 2)
    return {
        "PartnerId": "3b1e5c6a-7d0f-4b52-9f6d-0c5a1e9b7a11",
        "PartnerName": "Proseware Distribution",
        "CustomerId": _guid(1, customer),
        "CustomerName": f"Customer {customer} Limited",
        "CustomerDomainName": f"customer{customer}.onmicrosoft.com",
        "CustomerCountry": "DE",
        "InvoiceNumber": INVOICE,
        "MpnId": "4391507",
        "Tier2MpnId": str(5_000_000 + customer % 200),
        "OrderId": f"{dice.getrandbits(48):012x}",
        "OrderDate": f"2026-02-{day:02d}T{dice.randrange(24):02d}:11:55.{dice.randrange(10**7):07d}Z",
        "ProductId": product,
        "SkuId": sku,
        "AvailabilityId": availability,
        "SkuName": name,
        "ProductName": name,
        "ProductCategory": "License-Based",
        "ChargeType": charge,
        "UnitPrice": price,
        "Quantity": quantity,
        "Unit": "Licenses",
        "Subtotal": subtotal,
        "TaxTotal": tax,
        "Total": round(subtotal + tax, 2),
        "Currency": "EUR",
        "PriceAdjustmentDescription": '["5.0% Partner discount","15.0% Partner earned credit for services managed"]',
        "PublisherName": "Microsoft",
        "PublisherId": "",
        "SubscriptionDescription": f"{name} for department {number % 40}",
        "SubscriptionId": _guid(2, number),
        "SubscriptionStartDate": f"2025-{number % 12 + 1:02d}-{number % 28 + 1:02d}T00:00:00Z",
        "SubscriptionEndDate": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}T00:00:00Z",
        "ChargeStartDate": f"2026-02-{day:02d}T00:00:00Z",
        "ChargeEndDate": "2026-02-28T00:00:00Z",
        "TermAndBillingCycle": "One-Year commitment for monthly/yearly billing",
        "BillingFrequency": "Monthly",
        "EffectiveUnitPrice": round(sign * price * day / 28, 10),
        "BillableQuantity": quantity,
        "AlternateId": f"{number:012x}",
        "ReferenceId": _guid(3, dice.randrange(10**6)),
        "PricingCurrency": "USD",
        "PCToBCExchangeRate": 0.9207532685,
        "PCToBCExchangeRateDate": "2026-02-01T00:00:00Z",
        "MeterDescription": "",
        "ReservationOrderId": "",
        "CreditReasonCode": "Service credit" if charge == "customerCredit" else "",
        "ProductQualifiers": "[]",
        "PromotionId": "",
        "CustomerTenantRegion": "EU",
        "DiscountDetails": "",
    }


def serve(folder: Path, files: list[str], port: int) -> None:
    """Entra ID, Graph and its storage on 127.0.0.1, for this one export, until the process is ended."""
    base = f"http://127.0.0.1:{port}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.path.endswith("/oauth2/token"):
                self.answer(200, {"access_token": "a-token", "expires_in": 3600})
            else:
                self.answer(202, {"status": "notStarted"}, Location=f"{base}/operation", **{"Retry-After": "0"})

        def do_GET(self) -> None:
            if self.path == "/operation":
                self.answer(200, {"status": "succeeded", "resourceLocation@odata.navigationLink": f"{base}/manifest"})
            elif self.path == "/manifest":
                blobs = [{"name": name} for name in files]
                body: dict[str, object] = {
                    "dataFormat": "compressedJSONLines",
                    "rootDirectory": f"{base}/files",
                    "sasToken": "sig=1",
                    "blobCount": len(files),
                    "blobs": blobs,
                }
                self.answer(200, body)
            else:
                file = folder / self.path.partition("?")[0].rpartition("/")[2]
                self.send_response(200)
                self.send_header("Content-Length", str(file.stat().st_size))
                self.end_headers()
                with file.open("rb") as content:
                    shutil.copyfileobj(content, self.wfile)

        def answer(self, status: int, body: dict[str, object], **headers: str) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
