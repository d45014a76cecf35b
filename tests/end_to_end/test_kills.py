"""Processes killed at every status and in the middle of requests, and a Microsoft that fails: nothing is lost, nothing
happens twice, and every claim gets where it was going."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.end_to_end.journeys import REPLY, assert_arrived, journeys, travel
from tests.end_to_end.ways import ANA, TestDesk, assert_discreet, papers, running_desk

OPEN_STATUSES = {
    *("triaging", "cancel_now", "collecting_evidence", "ready_to_file", "overdue"),
    *("filed", "needs_information", "awaiting_credit"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def frail(clean_environment: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestDesk]:
    """A desk whose processes are killed, and whose people ask again where they get no answer."""
    async with running_desk(tmp_path_factory.mktemp("frail"), insists=True) as ways:
        yield ways


@pytest.mark.parametrize(
    ("victim", "steps"),
    # After a worker is gone, Temporal waits ten seconds for it before it asks another: not every step, each status.
    [("worker", {1, 2, 3}), ("temporal", set(range(10))), ("api", {1, 2, 3})],
)
async def test_killed_at_every_status_every_claim_arrives(frail: TestDesk, victim: str, steps: set[int]) -> None:
    async def kill(step: int) -> None:
        if step in steps:
            # Before people have begun, and after: then what they ask for is under way.
            await asyncio.sleep((0.2, 0, 0.05)[step % 3])
            await frail.restart(victim)

    under_way = journeys()
    began_in = await travel(frail, under_way, kill)
    assert set().union(*(statuses for step, statuses in enumerate(began_in) if step in steps)) >= OPEN_STATUSES
    for journey in under_way:
        await assert_arrived(frail, journey)


async def test_the_api_killed_while_claims_are_opened_and_documents_sent(frail: TestDesk) -> None:
    claim = await frail.opened(await frail.subscribed("fabrikam"))
    claim = await frail.until(claim["id"], "collecting_evidence")
    ana, path = await frail.client(), f"{claim['links']['self']}/evidence"
    known = papers("fabrikam.example")
    checked, started = (
        frail.opening(await frail.subscribed("fabrikam")),
        frail.opening(await frail.subscribed("adatum")),
    )

    # Without a worker what reaches the claim waits there; a slow Microsoft holds up what is checked before.
    await frail.kill("worker")
    asking = [asyncio.ensure_future(frail.upload(claim["id"], *known["customer_request"]))]
    asking.append(asyncio.ensure_future(ana.post("/v1/claims", json=started)))
    await asyncio.sleep(0.7)
    (await frail.door.post("/faults", json={"kind": "slow", "seconds": 3, "times": None})).raise_for_status()
    asking.append(asyncio.ensure_future(ana.post("/v1/claims", json=checked)))
    half_sent = await half_an_upload(frail, path, *known["credit_request_form"])
    await asyncio.sleep(0.7)
    assert not any(one.done() for one in asking)
    await frail.kill("api")
    half_sent.close()
    (await frail.door.delete("/faults")).raise_for_status()
    await frail.launch("api")
    await frail.launch("worker")
    # The same requests again, under the same keys: `frail` insists.
    answers = await asyncio.gather(*asking)
    assert [answer.status_code for answer in answers] == [201, 201, 201]

    claim = await frail.attached(claim["id"], *known["credit_request_form"])
    assert claim["status"] == "ready_to_file"
    assert [document["kind"] for document in claim["documents"]] == ["customer_request", "credit_request_form"]
    for document in claim["documents"]:
        assert (await ana.get(document["link"])).content == known[document["kind"]][2]
    events = [entry["event"] for entry in await frail.timeline(claim["id"])]
    assert events == ["opened", "triaged", "attach_evidence", "attach_evidence"]
    for answer, body in zip(answers[1:], (started, checked), strict=True):
        found = await ana.get("/v1/claims", params={"text": body["incident"]["reference"]})
        assert [item["id"] for item in found.json()["items"]] == [answer.json()["id"]]
        claim = await frail.until(answer.json()["id"], "collecting_evidence")
        assert [entry["event"] for entry in await frail.timeline(claim["id"])] == ["opened", "triaged"]


async def half_an_upload(desk: TestDesk, path: str, kind: str, name: str, content: bytes) -> asyncio.StreamWriter:
    """The connection on which a document has been sent in part."""
    request = httpx.Request("POST", desk.settings.api_url + path, data={"kind": kind}, files={"file": (name, content)})
    request.headers["Authorization"] = f"Bearer {await desk.token(ANA)}"
    request.headers["Idempotency-Key"] = "half-sent"
    body = await request.aread()
    head = "".join(f"{field}: {value}\r\n" for field, value in request.headers.items())
    _, writer = await asyncio.open_connection("127.0.0.1", desk.settings.api_port)
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body[: len(body) // 2])
    await writer.drain()
    return writer


FAULTS: list[dict[str, object]] = [
    {"kind": "drop", "when": "after", "method": "PATCH", "times": 1},
    {"kind": "error", "when": "after", "status": 500, "method": "PATCH", "times": 1},
    {"kind": "throttle", "seconds": 1, "rate": 0.08, "times": None, "seed": 1},
    {"kind": "error", "status": 503, "rate": 0.08, "times": None, "seed": 2},
    {"kind": "error", "status": 500, "when": "after", "rate": 0.04, "times": None, "seed": 3},
    {"kind": "drop", "rate": 0.05, "times": None, "seed": 4},
    {"kind": "drop", "when": "after", "rate": 0.05, "times": None, "seed": 5},
    {"kind": "slow", "seconds": 0.5, "rate": 0.2, "times": None, "seed": 6},
    {"kind": "drop", "path": "/", "rate": 0.05, "times": None, "seed": 7},
]
"""What befalls calls to Microsoft during a whole run; the first two, both replies, whose note arrives all the same."""


async def test_a_microsoft_that_throttles_fails_drags_and_hangs_up(frail: TestDesk) -> None:
    async def nothing(step: int) -> None:
        pass

    for fault in FAULTS:
        (await frail.door.post("/faults", json=fault)).raise_for_status()
    try:
        under_way = journeys()
        await travel(frail, under_way, nothing)
        left = {fault["kind"] for fault in (await frail.door.get("/faults")).json() if fault["times"] is not None}
        assert left <= {"throttle"}
    finally:
        (await frail.door.delete("/faults")).raise_for_status()
    for journey in under_way:
        await assert_arrived(frail, journey)
    assert_discreet(frail, REPLY, "Users could not sign in", "%PDF")
