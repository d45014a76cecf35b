"""What operators see: whether it is up, whether it can work, what it did; and the description of it all."""

import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from domain.claims import Status
from records.claims import ClaimRecords
from runtime.settings import Settings
from starter.api.health import sweep_seconds
from tests.records.samples import claim
from tests.starter.conftest import Caller, recorded


async def test_it_is_alive_whatever_it_lacks(ana: Caller) -> None:
    del ana.http.headers["Authorization"]
    assert (await ana.get("/livez")).status_code == 200


async def test_not_ready_names_what_is_missing(ana: Caller, settings: Settings) -> None:
    del ana.http.headers["Authorization"]
    answer = await ana.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert set(answer.json()["problems"]) == {"temporal"}
    with sqlite3.connect(settings.data_dir / "claimdesk.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'older'")
    problems = (await ana.get("/readyz")).json()["problems"]
    assert set(problems) == {"database", "temporal"}
    assert "claimdesk migrate" in problems["database"]


async def test_an_overdue_sweep_is_a_warning(ana: Caller, records: ClaimRecords, settings: Settings) -> None:
    now = datetime.now(UTC)
    for name, seconds in sweep_seconds(settings).items():
        age = seconds * (settings.sweep_overdue_factor + (0.5 if name == "tickets" else -0.5))
        await records.sweep_succeeded(name, now - timedelta(seconds=age))
    assert set((await ana.get("/readyz")).json()["warnings"]) == {"sweep_tickets"}


async def test_the_metrics_count_claims_requests_and_the_age_of_sweeps(ana: Caller, records: ClaimRecords) -> None:
    await recorded(records, claim(1, status=Status.FILED))
    await recorded(records, claim(2, status=Status.FILED))
    await records.sweep_succeeded("tickets", datetime.now(UTC) - timedelta(seconds=90))
    await ana.get("/v1/claims/claim-00000000000000000001")
    await ana.get("/v1/claims/claim-00000000000000000009")
    text = (await ana.get("/metrics")).text
    assert 'claimdesk_claims{status="filed"} 2.0' in text
    route = 'method="GET",route="/v1/claims/{claim_id}"'
    assert f'claimdesk_http_requests_total{{{route},status="200"}} 1.0' in text
    assert f'claimdesk_http_requests_total{{{route},status="404"}} 1.0' in text
    assert f"claimdesk_http_request_seconds_count{{{route}}} 2.0" in text
    age = re.search(r'claimdesk_sweep_age_seconds\{sweep="tickets"\} ([\d.]+)', text)
    assert age is not None
    assert 90 <= float(age[1]) < 150


@pytest.fixture
def schema(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, found) for path, methods in schema["paths"].items() for method, found in methods.items()]


def test_the_description_holds_together(schema: dict[str, Any]) -> None:
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schema)))
    assert references <= set(schema["components"]["schemas"])
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_every_operation_answers_its_errors_as_problems(schema: dict[str, Any]) -> None:
    for path, _, operation in operations(schema):
        if path.startswith("/v1/"):
            for status in ("401", "403", "404", "422", "500", "503"):
                content = operation["responses"][status]["content"]
                reference = content["application/problem+json"]["schema"]["$ref"]
                assert reference == "#/components/schemas/ProblemDetails"
                assert set(content) == {"application/problem+json"}


def test_every_write_takes_an_idempotency_key_and_every_post_must_have_one(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        keys = [item for item in operation.get("parameters", ()) if item["name"] == "Idempotency-Key"]
        assert len(keys) == (1 if method in ("post", "delete") else 0), path
        if method == "post":
            assert keys[0]["required"]


def test_every_operation_under_v1_asks_for_a_token(schema: dict[str, Any]) -> None:
    for path, _, operation in operations(schema):
        assert ("security" in operation) == path.startswith("/v1/"), path


async def test_the_page_of_the_api_lists_every_operation_and_loads_nothing(ana: Caller, schema: dict[str, Any]) -> None:
    answer = await ana.get("/docs")
    assert answer.status_code == 200
    for path, method, _ in operations(schema):
        assert f"<code>{method.upper()}</code></td><td><code>{path}</code>" in answer.text
    assert not re.search(r"<(script|link|img|iframe)|src=|url\(|@import", answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (await ana.get("/openapi.json")).json() == schema
