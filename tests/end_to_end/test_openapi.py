"""The API keeps to its own OpenAPI document, whatever is sent to it."""

import asyncio
import uuid
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

from tests.end_to_end.ways import ANA, TestDesk

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
EXAMPLES = 8
"""Of each operation, as documented and, as many again, not as documented."""


async def test_every_answer_is_as_documented(desk: TestDesk) -> None:
    claim = await desk.collected(await desk.opened(await desk.subscribed("fabrikam")))
    known = {"claim_id": claim["id"], "document_id": claim["documents"][0]["id"]}
    token = await desk.token(ANA)
    asked, failures = await asyncio.to_thread(send_everything, desk.settings.api_url, token, known)
    assert failures == []
    assert ("POST", "/v1/claims/{claim_id}/evidence") in asked
    assert ("GET", "/readyz") in asked
    log = (desk.desk.logs / "api.log").read_text()
    assert "request failed" not in log


def send_everything(url: str, token: str, known: dict[str, str]) -> tuple[set[tuple[str, str]], list[str]]:
    """Ask every operation, about what is known where it takes an id; which were asked, and what was wrong."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    asked, failures = set(), []

    def send(case: Any) -> None:
        for name in known.keys() & (case.path_parameters or {}).keys():
            case.path_parameters[name] = known[name]
        key = {"Idempotency-Key": uuid.uuid4().hex} if case.method in ("POST", "DELETE") else {}
        case.call_and_validate(headers={"Authorization": f"Bearer {token}", **key}, checks=CHECKS, timeout=60)

    bounded = settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        asked.add((operation.method.upper(), operation.path))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                bounded(given(operation.as_strategy(generation_mode=mode))(send))()
            except Unsatisfiable:
                # Where an operation takes nothing, nothing can be sent that it doesn't.
                assert mode is GenerationMode.NEGATIVE
            except (AssertionError, FailureGroup) as error:  # all are told at once
                failures.append(f"{operation.label}: {error}")
    return asked, failures


async def test_the_document_can_be_read_without_signing_in(desk: TestDesk) -> None:
    async with httpx.AsyncClient(base_url=desk.settings.api_url, trust_env=False) as http:
        answer = await http.get("/docs")
    assert answer.status_code == 200
    assert "/v1/claims/{claim_id}/filing" in answer.text
    assert "src=" not in answer.text
