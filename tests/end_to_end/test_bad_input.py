"""Whatever is wrong with a request is told as a problem that names the field or the rule and what would be accepted;
nothing starts, and no document is kept for a claim."""

import hashlib
import io
import uuid
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.end_to_end.untouched import assert_not_started, claim_of, kept, workflows
from tests.end_to_end.ways import ANA, CARL, CORA, FINN, FORM, Json, TestDesk, customer_mail
from tests.starter.conftest import problem

UNKNOWN = "c0a1b2d3-9999-4f5e-8a6b-1c2d3e4f5a99"


@dataclass(frozen=True)
class Held:
    """Claims that the requests are about."""

    collecting: Json
    filed: Json
    of_fabrikam: Json


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def held(desk: TestDesk) -> AsyncIterator[Held]:
    """A claim of Contoso that collects evidence, one that is filed, and one of Fabrikam."""
    collecting = await desk.opened(await desk.subscribed("contoso"), "service_outage")
    filed = await desk.filed(await desk.opened(await desk.subscribed("contoso")))
    yield Held(
        await desk.until(collecting["id"], "collecting_evidence"),
        filed,
        await desk.until((await desk.opened(await desk.subscribed("fabrikam")))["id"], "collecting_evidence"),
    )


def changed(body: Json, path: str, value: object) -> Json:
    """The body with one field, by its path, set to the value, or taken away where that is `...`."""
    name, dot, rest = path.partition(".")
    if dot:
        return {**body, name: changed(body.get(name) or {}, rest, value)}
    return {**body, name: value} if value is not ... else {key: one for key, one in body.items() if key != name}


def usd(amount: object) -> Json:
    return {"amount": amount, "currency": "USD"}


OPENINGS = [
    # what is set, to what; the rule and the field that refuse it; what the person is told of what is accepted
    ("customer_id", UNKNOWN, "customer_exists", "customer_id", "Partner Center shows no customer"),
    ("customer_id", "../customers", "validation", "customer_id", "pattern"),
    ("subscription_id", UNKNOWN, "subscription_of_the_customer", "subscription_id", "no such subscription"),
    ("subscription_id", "legacy_active", "subscription_of_the_customer", "subscription_id", "of this customer"),
    ("category", "bad_mood", "validation", "category", "'service_outage'"),
    ("incident.date", "2999-01-01", "not_in_the_future", "incident.date", "give a day up to"),
    ("incident.date", "1999-01-01", "validation", "incident.date", "give a day from 2010-01-01"),
    ("incident.date", "15.02.2026", "validation", "incident.date", "date"),
    ("incident.description", "", "validation", "incident.description", "at least 1 character"),
    ("incident.description", "x" * 4001, "validation", "incident.description", "at most 4000 characters"),
    ("incident.description", "a\x00b", "validation", "incident.description", "no control characters"),
    ("incident.colour", "blue", "validation", "incident.colour", "no such field"),
    ("incident", ..., "validation", "incident", "required"),
    ("amount_asked", usd("-1.00"), "validation", "amount_asked.amount", "above zero"),
    ("amount_asked", usd("0.00"), "validation", "amount_asked.amount", "above zero"),
    ("amount_asked", usd("1.005"), "validation", "amount_asked.amount", "at most 2 decimals"),
    ("amount_asked", {"amount": "1.5", "currency": "JPY"}, "validation", "amount_asked.amount", "no decimals"),
    ("amount_asked", usd(12.5), "validation", "amount_asked.amount", 'as text such as "12.50"'),
    ("amount_asked", usd("1e3"), "validation", "amount_asked.amount", 'such as "12.50"'),
    ("amount_asked", {"amount": "1.00", "currency": "usd"}, "validation", "amount_asked.currency", "capital letters"),
    ("amount_basis", "A guess", "validation", "amount_basis", "give amount_asked too"),
    ("contact.email", "ana", "validation", "contact.email", "pattern"),
    ("contact", ..., "validation", "contact", "required"),
    ("raised_by", "microsoft", "validation", "raised_by", "'customer'"),
    ("billing_day", 32, "validation", "billing_day", "less than or equal to 31"),
    ("colour", "blue", "validation", "colour", "no such field"),
]


@pytest.mark.parametrize(("path", "value", "rule", "field", "told"), OPENINGS)
async def test_an_opening_that_is_wrong_starts_nothing(
    desk: TestDesk, path: str, value: object, rule: str, field: str, told: str
) -> None:
    body = desk.opening("fabrikam_nce_active_past_window")
    if value == "legacy_active":  # Contoso's
        value = desk.seed["subscriptions"]["legacy_active"]["id"]
    before, key = await workflows(desk), uuid.uuid4().hex
    answer = await (await desk.client()).post(
        "/v1/claims", json=changed(body, path, value), headers={"Idempotency-Key": key}
    )
    said = problem(answer, 422, rule)
    assert said["field"] == field
    assert told in said["detail"]
    (error, *_) = said["errors"]
    assert (error["source"], error["field"]) == ("body", field)
    assert error["pointer"] == "/" + field.replace(".", "/")
    await assert_not_started(desk, await claim_of(desk, key))
    assert await workflows(desk) == before


async def test_an_outage_needs_its_incident_id(desk: TestDesk) -> None:
    body = changed(desk.opening("fabrikam_nce_active_past_window", "service_outage"), "incident.reference", None)
    said = problem(await (await desk.client()).post("/v1/claims", json=body), 422, "outage_has_a_reference")
    assert said["field"] == "incident.reference"
    assert "EX25194" in said["detail"]


RAW: list[tuple[str, dict[str, Any], int, str, str | None, str]] = [
    ("no key", {"headers": {}}, 422, "validation", "Idempotency-Key", "required"),
    ("an empty key", {"headers": {"Idempotency-Key": ""}}, 422, "validation", "Idempotency-Key", "at least 1"),
    ("a long key", {"headers": {"Idempotency-Key": "x" * 201}}, 422, "validation", "Idempotency-Key", "at most 200"),
    ("a key with blanks", {"headers": {"Idempotency-Key": "a b"}}, 422, "validation", "Idempotency-Key", "pattern"),
    (
        "two keys",
        {"headers": [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]},
        422,
        "validation",
        "Idempotency-Key",
        "once",
    ),
    ("malformed JSON", {"content": b'{"customer_id": "'}, 422, "validation", None, "isn't JSON"),
    ("not an object", {"content": b"[1, 2]"}, 422, "validation", None, "object"),
    ("no body", {"content": b""}, 422, "validation", None, "required"),
    ("not UTF-8", {"content": b'{"customer_id": "\xff"}'}, 422, "validation", None, ""),
    ("nested without end", {"content": b'{"a":' * 12_000}, 422, "validation", None, ""),
    ("another type", {"media": "text/plain"}, 415, "media_type", None, "application/json"),
    ("a form", {"media": "application/x-www-form-urlencoded"}, 415, "media_type", None, "application/json"),
    ("too large", {"content": b'{"colour": "' + b"x" * 70_000 + b'"}'}, 413, "body_size", None, "65,536 bytes"),
]


@pytest.mark.parametrize(("name", "sent", "status", "rule", "field", "told"), RAW, ids=[row[0] for row in RAW])
async def test_a_request_that_is_none(
    desk: TestDesk, name: str, sent: dict[str, Any], status: int, rule: str, field: str | None, told: str
) -> None:
    key = uuid.uuid4().hex
    headers = httpx.Headers(sent.get("headers", {"Idempotency-Key": key}))
    headers["Content-Type"] = sent.get("media", "application/json")
    headers["Authorization"] = f"Bearer {await desk.token(ANA)}"
    before = await workflows(desk)
    async with httpx.AsyncClient(base_url=desk.settings.api_url, trust_env=False) as http:
        content = sent.get("content") or (
            b"" if "content" in sent else httpx.Request("POST", "/", json=desk.opening("nce_no_window")).content
        )
        said = problem(await http.post("/v1/claims", content=content, headers=headers), status, rule)
    assert said.get("field") == field
    assert told in said["detail"]
    assert await workflows(desk) == before
    await assert_not_started(desk, await claim_of(desk, key))


async def test_a_body_that_never_ends_is_cut_off(desk: TestDesk) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield b" " * 65_536

    try:
        answer = await (await desk.client()).post(
            "/v1/claims", content=endless(), headers={"Content-Type": "application/json"}
        )
        problem(answer, 413, "body_size")
    except httpx.TransportError:
        pass  # who goes on sending after the answer finds the connection closed, and may not get to read it
    assert sent < 10_000_000


def zipped(*names: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        for name in names:
            written.writestr(name, "x")
    return archive.getvalue()


PDF = FORM[2]
FILES = [
    # kind, file name, content; status, rule and field that refuse it; what the person is told of what is accepted
    ("credit_request_form", "empty.pdf", b"", 422, "document_not_empty", "file", "empty"),
    ("credit_request_form", "form.txt", b"Text", 422, "document_type", "file", "application/pdf"),
    ("credit_request_form", "form.pdf", b"MZ\x90\x00 a program", 422, "document_type", "file", "application/pdf"),
    ("credit_request_form", "form.pdf", PDF.replace(b"%%EOF", b""), 422, "document_type", "file", "cut off"),
    ("credit_request_form", "form.docx", zipped("a.txt"), 422, "document_type", "file", "wordprocessingml"),
    (
        "credit_request_form",
        "form.docx",
        zipped("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
        422,
        "document_type",
        "file",
        "macros",
    ),
    ("supporting_document", "page.html", b"<html>\x00</html>", 422, "document_type", "file", "text/plain"),
    (
        "customer_request",
        "mail.eml",
        customer_mail("gmail.example")[2],
        422,
        "customer_request_domain",
        "file",
        "contoso.example",
    ),
    (
        "credit_request_form",
        "big.pdf",
        b"%PDF-1.7\n" + b"x" * 10_485_760,
        413,
        "document_size",
        "file",
        "10,485,760 bytes",
    ),
    ("love_letter", "form.pdf", PDF + b"\n", 422, "validation", "kind", "credit_request_form, customer_request"),
]


@pytest.mark.parametrize(
    ("kind", "name", "content", "status", "rule", "field", "told"), FILES, ids=[f"{row[4]}-{row[1]}" for row in FILES]
)
async def test_a_document_that_is_none_is_not_kept(
    desk: TestDesk,
    held: Held,
    kind: str,
    name: str,
    content: bytes,
    status: int,
    rule: str,
    field: str,
    told: str,
) -> None:
    answer = await desk.upload(held.collecting["id"], kind, name, content)
    said = problem(answer, status, rule)
    assert said["field"] == field
    assert told in said["detail"]
    assert await desk.read(held.collecting["id"]) == held.collecting
    assert hashlib.sha256(content).hexdigest() not in kept(desk)


async def test_a_form_must_be_that_form(desk: TestDesk, held: Held) -> None:
    ana, path = await desk.client(), f"/v1/claims/{held.collecting['id']}/evidence"
    file = {"file": ("form.pdf", PDF)}
    problem(await ana.post(path, json={"kind": "credit_request_form"}), 415, "media_type")
    said = problem(
        await ana.post(path, data={"kind": "credit_request_form"}, files={"paper": file["file"]}), 422, "validation"
    )
    assert (said["field"], "kind, file" in said["detail"]) == ("paper", True)
    said = problem(
        await ana.post(path, data={"kind": "credit_request_form", "file": "text"}, files={"x": b""}), 422, "validation"
    )
    said = problem(await ana.post(path, files=file), 422, "validation")
    assert said["field"] == "kind"
    broken = await ana.post(
        path, content=b"--x\r\nnonsense", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert 400 <= broken.status_code < 500
    assert broken.headers["content-type"] == "application/problem+json"
    many = [("file", (f"{number}.pdf", PDF)) for number in range(3)]
    answer = await ana.post(path, data={"kind": "credit_request_form"}, files=many)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert await desk.read(held.collecting["id"]) == held.collecting


ACTIONS: list[tuple[str, str, Json, int, str, str | None, str]] = [
    # which claim, the path of the action, its body; status, rule and field that refuse it; what the person is told
    ("collecting", "filing", {"ticket_number": "615021412345678"}, 409, "status_allows", None, "ready_to_file"),
    ("collecting", "replies", {"text": "Hello"}, 409, "status_allows", None, "needs_information"),
    ("collecting", "reopening", {"reason": "Why not"}, 409, "status_allows", None, "denied"),
    ("collecting", "check", {}, 409, "status_allows", None, "cancel_now"),
    ("collecting", "write-off", {"reason": "x"}, 409, "status_allows", None, "awaiting_credit"),
    ("collecting", "credits", {"line_id": "G1-1"}, 409, "status_allows", None, "awaiting_credit"),
    ("filed", "filing", {"ticket_number": "12"}, 422, "validation", "ticket_number", "pattern"),
    ("filed", "filing", {"ticket_number": 615021412345678}, 422, "validation", "ticket_number", "string"),
    (
        "filed",
        "filing",
        {"ticket_number": "615021412345678"},
        422,
        "ticket_visible",
        "ticket_number",
        "once it is visible",
    ),
    ("filed", "decision", {"outcome": "perhaps", "reason": "x"}, 422, "validation", "outcome", "'denied'"),
    ("filed", "decision", {"outcome": "approved", "reason": "x"}, 422, "approved_amount", "amount", "above zero"),
    (
        "filed",
        "decision",
        {"outcome": "approved", "reason": "x", "amount": usd("0.00")},
        422,
        "approved_amount",
        "amount",
        "above zero",
    ),
    (
        "filed",
        "decision",
        {"outcome": "denied", "reason": "x", "amount": usd("1.00")},
        422,
        "denied_amount",
        "amount",
        "Leave it out",
    ),
    ("filed", "decision", {"outcome": "denied", "reason": " "}, 422, "validation", "reason", "at least 1 character"),
    ("filed", "decision", {"outcome": "denied", "reason": "x", "by": "me"}, 422, "validation", "by", "no such field"),
    ("filed", "assignee", {"assignee": ""}, 422, "validation", "assignee", "at least 1 character"),
    ("filed", "assignee", {}, 422, "validation", "assignee", "required"),
]


@pytest.mark.parametrize(("which", "action", "body", "status", "rule", "field", "told"), ACTIONS)
async def test_an_action_that_is_wrong_changes_nothing(
    desk: TestDesk,
    held: Held,
    which: str,
    action: str,
    body: Json,
    status: int,
    rule: str,
    field: str | None,
    told: str,
) -> None:
    before: Json = getattr(held, which)
    answer = await (await desk.client()).post(f"{before['links']['self']}/{action}", json=body)
    said = problem(answer, status, rule)
    assert said.get("field") == field
    assert told in said["detail"]
    if rule == "status_allows":
        assert said["allowed_actions"] == before["allowed_actions"]
    assert await desk.read(before["id"]) == before


QUERIES = [
    ("/v1/claims", {"cursor": "nonsense"}, "cursor", "begin again without one"),
    ("/v1/claims", {"cursor": "eyJzb3J0IjoiZHVlX2F0In0"}, "cursor", "begin again without one"),
    ("/v1/claims", {"limit": "0"}, "limit", "greater than or equal to 1"),
    ("/v1/claims", {"limit": "201"}, "limit", "less than or equal to 200"),
    ("/v1/claims", {"sort": "colour"}, "sort", "'due_at'"),
    ("/v1/claims", {"status": "open"}, "status", "'filed'"),
    ("/v1/claims", {"due_before": "2026-01-01T00:00:00"}, "due_before", "timezone"),
    ("/v1/claims", {"colour": "blue"}, "colour", "no such field"),
    ("/v1/claims", {"text": "a\x00"}, "text", "pattern"),
]


@pytest.mark.parametrize(("path", "query", "field", "told"), QUERIES)
async def test_a_list_that_is_asked_for_wrongly(
    desk: TestDesk, path: str, query: dict[str, str], field: str, told: str
) -> None:
    said = problem(await (await desk.client()).get(path, params=query), 422, "validation")
    assert said["field"] == field
    assert said["errors"][0]["source"] == "query"
    assert told in said["detail"]


async def test_addresses_and_methods_that_are_none(desk: TestDesk, held: Held) -> None:
    ana, path = await desk.client(), held.collecting["links"]["self"]
    problem(await ana.get("/v1/nothing"), 404, "no_such_path")
    problem(await ana.post(f"{path}/approval", json={}), 404, "no_such_path")
    answer = await ana.delete(path)
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
    problem(await ana.put("/v1/claims", json={}), 405, "method_not_allowed")
    problem(await ana.get(f"/v1/claims/claim-{'0' * 20}"), 404, "not_found")
    problem(await ana.get("/v1/claims/claim-%2e%2e%2f"), 404, "no_such_path")
    problem(await ana.get(f"{path}/evidence/doc-0"), 404, "not_found")


async def test_another_customers_claim_is_not_there(desk: TestDesk, held: Held) -> None:
    path = held.of_fabrikam["links"]["self"]
    carl = await desk.client(CARL)
    assert (await (await desk.client(CORA)).get(path)).status_code == 200
    for read in ("", "/timeline", "/packet", "/credits", "/evidence/doc-1"):
        problem(await carl.get(f"{path}{read}"), 404, "not_found")
    for action, body in (("withdrawal", {"reason": "x"}), ("assignee", {"assignee": "Carl"}), ("check", {})):
        problem(await carl.post(f"{path}/{action}", json=body), 404, "not_found")
    problem(await desk.upload(held.of_fabrikam["id"], *FORM, by=CARL), 404, "not_found")
    problem(await carl.delete(f"{path}/evidence/doc-1", params={"reason": "x"}), 404, "not_found")
    assert await desk.read(held.of_fabrikam["id"]) == held.of_fabrikam


async def test_a_role_that_may_not_is_told_which_may(desk: TestDesk, held: Held) -> None:
    finn = await desk.client(FINN)
    said = problem(await finn.post("/v1/claims", json=desk.opening("nce_no_window")), 403, "role_may_not")
    assert "admin_agent" in said["detail"]
    answer = await desk.upload(held.collecting["id"], *FORM, by=FINN)
    assert "helpdesk_agent" in problem(answer, 403, "role_may_not")["detail"]
    assert await desk.read(held.collecting["id"]) == held.collecting
