"""Microsoft Graph: the export of an invoice's reconciliation lines, and the storage that its files are fetched from.

Decided where the facts are silent: an export begins after 3 seconds and is ready after 10 (scaled); an unknown invoice,
one without lines, a legacy one and one from before September 2023 have no data; an operation and a manifest show the
data as it is when they are asked for; lines are spread over at most two files; `basic` leaves out names and texts; the
administrators and the billing administrator have the permission, and so has the application alone.
"""

import gzip
import hashlib
import hmac
import json
import math
import uuid
from datetime import UTC, datetime, timedelta
from typing import Literal

import jwt
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.billing import one_time_line
from simulator.models import Export, Invoice, InvoiceLine
from simulator.people import CLIENT_SECRET, GRAPH, PARTNER_TENANT
from simulator.state import Cloud
from simulator.tokens import Claims, Signer
from simulator.wire import instant, json_text, reply

REPORTS = "/v1.0/reports/partners/billing"
STORE = "/adlsreconbuprod/billedreconciliation/v2"
MAY_READ = frozenset({"AdminAgent", "GlobalAdmin", "BillingAdmin"})
EXPORTED_SINCE = datetime(2023, 9, 1, tzinfo=UTC)
STARTED_AFTER, READY_AFTER, LOOK_AGAIN = 3.0, 10.0, 10.0
SIGNED_FOR = timedelta(hours=12)
FILES = 2

# Where the export's name isn't Partner Center's with a capital.
NAMES = {
    "resellerMpnId": "Tier2MpnId",
    "unitType": "Unit",
    "totalForCustomer": "Total",
    "pcToBCExchangeRate": "PCToBCExchangeRate",
    "pcToBCExchangeRateDate": "PCToBCExchangeRateDate",
}
ONLY_AT_PARTNER_CENTER = frozenset({"invoiceLineItemType", "billingProvider", "attributes", "attributes/objectType"})
NOT_BASIC = frozenset({"CustomerName", "CustomerDomainName", "ProductName", "SkuName", "SubscriptionDescription"})


class GraphError(Exception):
    """An error in Graph's shape."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message

    def response(self, now: datetime, client_request_id: str) -> Response:
        """The error as it goes over the wire."""
        request_id = str(uuid.uuid4())
        inner: dict[str, object] = {
            "date": instant(now, zone=""),
            "request-id": request_id,
            "client-request-id": client_request_id or request_id,
        }
        body: dict[str, object] = {"error": {"code": self.code, "message": self.message, "innerError": inner}}
        return reply(body, self.status, {"request-id": request_id})


class Wanted(BaseModel):
    """The body of an export."""

    model_config = ConfigDict(extra="forbid")

    invoice_id: str = Field(alias="invoiceId", min_length=1)
    attribute_set: Literal["full", "basic"] = Field("full", alias="attributeSet")


def check(request: Request, signer: Signer) -> Claims:
    """Who calls. Raises `GraphError` 401 for the token, 403 for the tenant or the permission."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
    try:
        claims = signer.read(token.strip())
    except (jwt.InvalidTokenError, ValidationError):
        raise GraphError(401, "InvalidAuthenticationToken", "Access token has expired or is not valid.") from None
    if claims.aud.rstrip("/") != GRAPH:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience.")
    if claims.tid != PARTNER_TENANT:
        raise GraphError(403, "Forbidden", "The caller isn't in the tenant of a partner.")
    if claims.idtyp == "user" and not MAY_READ.intersection(claims.roles):
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    return claims


def lines_of(cloud: Cloud, export: Export) -> list[InvoiceLine]:
    """The lines that the export has, none where there is no data."""
    invoice = cloud.store.get(Invoice, export.invoice_id, now=cloud.now())
    if invoice is None or invoice.billing_provider != "one_time" or invoice.invoice_date < EXPORTED_SINCE:
        return []
    return cloud.store.listed(InvoiceLine, parent=invoice.id, now=cloud.now())


def export_line(cloud: Cloud, line: InvoiceLine, attribute_set: str) -> dict[str, object]:
    """A line as the export has it: the same facts as at Partner Center, under other names, with dates in UTC."""
    named = {
        NAMES.get(name, name[:1].upper() + name[1:]): value
        for name, value in one_time_line(cloud, line, 0).items()
        if name not in ONLY_AT_PARTNER_CENTER
    }
    for name, value in named.items():
        if name.endswith("Date") and isinstance(value, str) and value and not value.endswith("Z"):
            named[name] = value + "Z"
    named["ProductQualifiers"] = json.dumps(named["ProductQualifiers"])
    return {name: value for name, value in named.items() if attribute_set == "full" or name not in NOT_BASIC}


def file_of(cloud: Cloud, export: Export, number: int) -> bytes:
    """One of the files, gzipped."""
    lines = lines_of(cloud, export)[number::FILES]
    text = "".join(json_text(export_line(cloud, line, export.attribute_set)) + "\n" for line in lines)
    return gzip.compress(text.encode(), mtime=0)


def operation_wire(cloud: Cloud, export: Export, base: str) -> dict[str, object]:
    """An operation as it stands now."""
    waited, scale = (cloud.now() - export.asked_at).total_seconds(), cloud.config.time_scale
    if waited < READY_AFTER * scale:
        return operation_body(cloud, export, "running", "notStarted" if waited < STARTED_AFTER * scale else "running")
    if lines_of(cloud, export):
        link: dict[str, object] = {
            "resourceLocation@odata.navigationLink": f"{base}{REPORTS}/manifests/{export.id}",
        }
        return operation_body(cloud, export, "exportSuccess", "succeeded") | link
    failed: dict[str, object] = {"error": {"code": "5000", "message": "No data available"}}
    return operation_body(cloud, export, "failed", "failed") | failed


def operation_body(cloud: Cloud, export: Export, kind: str, status: str) -> dict[str, object]:
    """What every operation has."""
    return {
        "@odata.type": f"#microsoft.graph.partners.billing.{kind}Operation",
        "id": export.id,
        "status": status,
        "createdDateTime": instant(export.asked_at, zone=""),
        "lastActionDateTime": instant(cloud.now(), 7),
    }


def manifest_wire(cloud: Cloud, export: Export, base: str) -> dict[str, object]:
    """The manifest: where the files lie, and the signature that opens them from now on for some hours."""
    lines = lines_of(cloud, export)
    root = f"{STORE}/PartnerTenantId={PARTNER_TENANT}/InvoiceId={export.invoice_id}/Export={export.id}"
    data = "".join(line.model_dump_json() for line in lines).encode()
    blobs: list[dict[str, object]] = [
        {"name": f"part-{number:05d}-{export.id}.c000.json.gz", "partitionValue": "default"}
        for number in range(min(FILES, len(lines)))
    ]
    return {
        "id": export.id,
        "schemaVersion": "2",
        "dataFormat": "compressedJSONLines",
        "createdDateTime": instant(cloud.now(), 2),
        "eTag": hashlib.sha256(data).hexdigest()[:16],
        "partnerTenantId": PARTNER_TENANT,
        "rootDirectory": base + root,
        "sasToken": sas_token(root, cloud.now() + SIGNED_FOR),
        "partitionType": "default",
        "blobCount": len(blobs),
        "blobs": blobs,
    }


def sas_token(root: str, until: datetime) -> str:
    """A signature that opens everything below `root` until then."""
    end = instant(until).replace(":", "%3A")
    signed = hmac.new(CLIENT_SECRET.encode(), f"{root}\n{end}".encode(), hashlib.sha256).hexdigest()
    return f"sv=2021-08-06&se={end}&sr=d&sp=rl&sdd=4&sig={signed}%3D"


def opens(query: str, root: str, now: datetime) -> bool:
    """Whether a query string is a signature of `root` that hasn't ended."""
    fields = dict(part.partition("=")[::2] for part in query.split("&"))
    try:
        until = datetime.fromisoformat(fields.get("se", "").replace("%3A", ":"))
    except ValueError:
        return False
    return until.tzinfo is not None and until > now and hmac.compare_digest(query, sas_token(root, until))


def storage_error(status: int, code: str, message: str) -> Response:
    """An error as Azure Storage writes it."""
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, {"x-ms-error-code": code}, "application/xml")


def router(cloud: Cloud, signer: Signer) -> APIRouter:
    """The paths of Graph, and of the storage beside it."""
    routes = APIRouter(tags=["Microsoft Graph"])

    def base(request: Request) -> str:
        return (cloud.config.base_url or str(request.base_url)).rstrip("/")

    def look_again() -> dict[str, str]:
        return {"Retry-After": str(math.floor(LOOK_AGAIN * cloud.config.time_scale))}

    def found(export_id: str) -> Export:
        export = cloud.store.get(Export, export_id)
        if export is None:
            raise GraphError(404, "NotFound", "The resource could not be found.")
        return export

    @routes.post(REPORTS + "/reconciliation/billed/export")
    async def ask_for_export(request: Request) -> Response:
        check(request, signer)
        try:
            wanted = Wanted.model_validate_json(await request.body())
        except ValidationError:
            raise GraphError(400, "BadRequest", "The request body is not valid.") from None
        export = Export(
            id=str(uuid.uuid4()),
            invoice_id=wanted.invoice_id,
            attribute_set=wanted.attribute_set,
            asked_at=cloud.now(),
        )
        cloud.write_now(export)
        where = {"Location": f"{base(request)}{REPORTS}/operations/{export.id}"}
        return reply(operation_body(cloud, export, "running", "notStarted"), 202, where | look_again())

    @routes.get(REPORTS + "/operations/{export_id}")
    async def look_at_operation(request: Request, export_id: str) -> Response:
        check(request, signer)
        body = operation_wire(cloud, found(export_id), base(request))
        return reply(body, 200, look_again() if body["status"] in ("notStarted", "running") else {})

    @routes.get(REPORTS + "/manifests/{export_id}")
    async def read_manifest(request: Request, export_id: str) -> Response:
        check(request, signer)
        return reply(manifest_wire(cloud, found(export_id), base(request)))

    @routes.get(STORE + "/{folder:path}/Export={export_id}/{name}")
    async def fetch_file(request: Request, folder: str, export_id: str, name: str) -> Response:
        if "Authorization" in request.headers:
            return storage_error(403, "AuthenticationFailed", "A signature and a token can't both be given.")
        root = f"{STORE}/{folder}/Export={export_id}"
        if not opens(request.url.query, root, cloud.now()):
            return storage_error(403, "AuthenticationFailed", "Signature not valid in the specified time frame.")
        number = name[len("part-") : len("part-00000")]
        export = cloud.store.get(Export, export_id)
        if export is None or not number.isdecimal() or int(number) >= FILES:
            return storage_error(404, "BlobNotFound", "The specified blob does not exist.")
        return Response(file_of(cloud, export, int(number)), media_type="application/octet-stream")

    return routes
