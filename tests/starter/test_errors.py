"""Every error is a problem document that names what was wrong and what would be accepted, and tells nothing else."""

import sqlite3
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog

from domain.claims import Status
from records.claims import ClaimRecords
from runtime.settings import Settings
from starter.api.desk import Desk
from tests.records.samples import claim
from tests.starter.conftest import Caller, problem, recorded

OPENING: dict[str, object] = {
    "customer_id": "c0a1b2d3-0001-4f5e-8a6b-1c2d3e4f5a01",
    "subscription_id": "x",
    "category": "technical_issue",
    "incident": {"date": "2026-02-15", "description": "Nobody could sign in."},
    "contact": {"name": "Ana Admin", "email": "ana@partner.example"},
}


async def test_an_address_where_nothing_is(ana: Caller) -> None:
    problem(await ana.get("/v1/nothing"), 404, "no_such_path")
    problem(await ana.get("/"), 404, "no_such_path")
    problem(await ana.post("/v1/claims/claim-00000000000000000001/approve", {}), 404, "no_such_path")


async def test_a_method_that_an_address_does_not_take(ana: Caller) -> None:
    answer = await ana.http.put("/v1/claims", json={})
    document = problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) <= {"GET", "HEAD", "POST"}
    assert answer.headers["allow"] in document["detail"]


async def test_a_claim_that_is_not_there(ana: Caller) -> None:
    for claim_id in ("claim-00000000000000000001", "nonsense", "%00", "..%2f..", "claim-0000000000000000000G"):
        for path in ("", "/timeline", "/packet", "/credits", "/evidence/doc-1"):
            answer = await ana.get(f"/v1/claims/{claim_id}{path}")
            assert answer.status_code == 404, answer.text
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "blue"}, "colour"),
        ({"incident": {"date": "2026-02-15", "description": "x", "when": 1}}, "incident.when"),
        ({"incident": {"date": "2026-02-30", "description": "x"}}, "incident.date"),
        ({"incident": {"date": "2026-02-15", "description": ""}}, "incident.description"),
        ({"category": "other"}, "category"),
        ({"customer_id": ""}, "customer_id"),
        ({"customer_id": "../../x"}, "customer_id"),
        ({"customer_id": None}, "customer_id"),
        ({"amount_asked": {"amount": 12.5, "currency": "EUR"}}, "amount_asked.amount"),
        ({"amount_asked": {"amount": "1e3", "currency": "EUR"}}, "amount_asked.amount"),
        ({"amount_asked": {"amount": "12.50", "currency": "eur"}}, "amount_asked.currency"),
        ({"billing_day": 32}, "billing_day"),
        ({"contact": {"name": "Ana", "email": "ana"}}, "contact.email"),
        ({"incident": {"date": "2026-02-15", "description": "a\x00b"}}, "incident.description"),
        ({"incident": {"date": "2026-02-15", "description": "\x1b[2J"}}, "incident.description"),
    ],
)
async def test_a_wrong_field_is_named_with_where_it_stands(ana: Caller, change: dict[str, object], field: str) -> None:
    document = problem(await ana.post("/v1/claims", OPENING | change), 422, "validation")
    assert document["field"] == field
    assert document["errors"][0]["pointer"] == "/" + field.replace(".", "/")
    assert document["errors"][0]["message"]


async def test_every_wrong_field_is_told_at_once(ana: Caller) -> None:
    document = problem(await ana.post("/v1/claims", {}), 422, "validation")
    assert {error["field"] for error in document["errors"]} == set(OPENING)


async def test_what_was_sent_is_not_sent_back(ana: Caller) -> None:
    answer = await ana.post("/v1/claims", OPENING | {"category": "a-secret-of-the-customer", "x": "another-secret"})
    assert "secret" not in answer.text


async def test_a_body_that_is_not_json(ana: Caller) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    for content in (b"{", b"", b'{"a":', b"[1,2", b"nonsense"):
        answer = await ana.http.post("/v1/claims", content=content, headers=headers)
        problem(answer, 422, "validation")
    for content in (b"\xff\xfe", b'{"billing_day": ' + b"9" * 5000 + b"}", b"[" * 5000):
        answer = await ana.http.post("/v1/claims", content=content, headers=headers)
        problem(answer, 422, "validation")


async def test_a_body_of_another_media_type(ana: Caller) -> None:
    for media_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
        answer = await ana.http.post(
            "/v1/claims", content=b"{}", headers={"Idempotency-Key": "k", "Content-Type": media_type}
        )
        problem(answer, 415, "media_type")


@pytest.mark.parametrize("key", [None, "", "a b", "x" * 201, "schlüssel".encode().decode("latin-1")])
async def test_a_write_without_a_usable_idempotency_key(ana: Caller, key: str | None) -> None:
    headers = {} if key is None else {b"Idempotency-Key": key.encode("latin-1")}
    answer = await ana.http.post("/v1/claims", json=OPENING, headers=headers)
    document = problem(answer, 422, "validation")
    assert document["field"].lower() == "idempotency-key"
    assert document["errors"][0]["source"] == "header"


async def test_a_body_that_is_too_large_is_refused_unread(ana: Caller) -> None:
    problem(await ana.post("/v1/claims", {"x": "x" * 70_000}), 413, "body_size")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1000
        raise AssertionError("read to the end")

    answer = await ana.http.post(
        "/v1/claims", content=endless(), headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
    )
    problem(answer, 413, "body_size")


@pytest.mark.parametrize(
    "query",
    ["colour=blue", "limit=0", "limit=201", "limit=x", "status=lost", "sort=name", "due_before=2026-02-15T00:00:00",
     "text=%00", "cursor=nonsense", "cursor=%00", "waiting_on=godot"],
)  # fmt: skip
async def test_a_query_that_cannot_be_asked(ana: Caller, query: str) -> None:
    document = problem(await ana.get(f"/v1/claims?{query}"), 422, "validation")
    assert document["field"] == query.partition("=")[0]
    assert document["errors"][0]["source"] == "query"


async def test_a_fault_of_ours_tells_nothing_of_the_inside(
    ana: Caller, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(settings.data_dir / "claimdesk.db") as database:
        database.execute("ALTER TABLE claims RENAME TO gone")
    answer = await ana.get("/v1/claims?text=a-secret-of-the-customer")
    problem(answer, 500, "internal")
    for inside in ("sql", "claims.py", "Traceback", "secret", "gone"):
        assert inside.lower() not in answer.text.lower()
    assert "secret" not in capsys.readouterr().err


async def test_temporal_away_is_a_503_that_says_to_ask_again_with_the_same_key(
    ana: Caller, records: ClaimRecords
) -> None:
    one = await recorded(records, claim(1, status=Status.READY_TO_FILE))
    answer = await ana.post(f"/v1/claims/{one.id}/assignee", {"assignee": "hana"})
    document = problem(answer, 503, "temporal_unavailable")
    assert "same Idempotency-Key" in document["detail"]
    assert int(answer.headers["retry-after"]) > 0
    unchanged = await records.get(one.id)
    assert unchanged == one


async def test_a_request_is_one_line_of_the_log_without_what_it_said(
    ana: Caller, records: ClaimRecords, desk: Desk
) -> None:
    one = await recorded(records, claim(1))
    with structlog.testing.capture_logs() as lines:
        await ana.post(f"/v1/claims/{one.id}/withdrawal?x=y", {"reason": ""})
        await ana.get("/v1/claims?text=a-secret")
        await httpx.AsyncClient(transport=ana.http._transport, base_url="http://desk").get("/nowhere/at/all")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("POST", "/v1/claims/{claim_id}/withdrawal", 422),
        ("GET", "/v1/claims", 200),
        ("GET", "unmatched", 404),
    ]
    assert requests[0]["claim_id"] == one.id
    assert requests[0]["caller"] == requests[1]["caller"]
    assert "caller" not in requests[2]
    assert "ana" not in str(requests).lower()
    assert "secret" not in str(lines)
