"""Once is once: a request repeated, from two processes at once, with another body, and two requests for one thing."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.end_to_end.sender import Answer, Sender
from tests.end_to_end.ways import ANA, CARL, FINN, RITA, Json, TestDesk, papers
from tests.starter.conftest import problem

Senders = tuple[Sender, Sender]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(desk: TestDesk) -> AsyncIterator[Senders]:
    """Two processes that are both Ana."""
    token = await desk.token(ANA)
    async with Sender(desk.settings.api_url, token) as one, Sender(desk.settings.api_url, token) as other:
        yield one, other


async def at_once(two: Senders, path: str, *requests: tuple[Json, str]) -> list[Answer]:
    """The answers of two processes that send their body and key in the same instant."""
    return list(
        await asyncio.gather(
            *(sender.sends("POST", path, body, key) for sender, (body, key) in zip(two, requests, strict=True))
        )
    )


async def references(desk: TestDesk, body: Json) -> list[str]:
    """The ids of the claims with this body's incident."""
    found = await (await desk.client()).get("/v1/claims", params={"text": body["incident"]["reference"]})
    return [item["id"] for item in found.json()["items"]]


async def runs(desk: TestDesk, claim_id: str) -> int:
    """How many runs the claim's workflow has had."""
    return len([run async for run in (await desk.temporal()).list_workflows(f"WorkflowId = '{claim_id}'")])


async def times(desk: TestDesk, claim: Json, event: str) -> int:
    """How often something happened to the claim."""
    return [entry["event"] for entry in await desk.timeline(claim["id"])].count(event)


async def test_one_key_from_two_processes_at_once_is_one_claim(desk: TestDesk, two: Senders) -> None:
    for _ in range(5):
        body, key = desk.opening(await desk.subscribed("fabrikam")), uuid.uuid4().hex
        (status, one), (other_status, other) = await at_once(two, "/v1/claims", (body, key), (body, key))
        assert (status, other_status) == (201, 201), (one, other)
        assert one["id"] == other["id"]
        assert await references(desk, body) == [one["id"]]
        claim = await desk.until(one["id"], "collecting_evidence")
        assert await times(desk, claim, "opened") == 1
        assert await runs(desk, claim["id"]) == 1


async def test_two_keys_for_one_thing_at_once_are_one_claim_and_one_refusal(desk: TestDesk, two: Senders) -> None:
    for _ in range(5):
        body = desk.opening(await desk.subscribed("fabrikam"))
        answers = await at_once(two, "/v1/claims", (body, uuid.uuid4().hex), (body, uuid.uuid4().hex))
        (made, claim), (refused, why) = sorted(answers, key=lambda answer: answer[0])
        assert (made, refused) == (201, 409), answers
        assert (why["rule"], why["link"]) == ("duplicate_claim", claim["links"]["self"])
        assert await references(desk, body) == [claim["id"]]


async def test_a_second_claim_about_the_same_thing_is_told_of_the_first(desk: TestDesk) -> None:
    body = desk.opening(await desk.subscribed("contoso"))
    ana = await desk.client()
    first = (await ana.post("/v1/claims", json=body)).json()
    again = problem(await ana.post("/v1/claims", json=body), 409, "duplicate_claim")
    assert again["link"] == first["links"]["self"]
    assert first["id"] in again["detail"]
    # Whose tenant it is may know which claim; another reseller may only know that there is one.
    theirs = problem(await (await desk.client(CARL)).post("/v1/claims", json=body), 409, "duplicate_claim")
    assert theirs["link"] == first["links"]["self"]
    elsewhere = problem(await (await desk.client(RITA)).post("/v1/claims", json=body), 409, "duplicate_claim")
    assert "link" not in elsewhere
    assert first["id"] not in elsewhere["detail"]
    # Once it is closed, there can be another.
    await desk.act(first["id"], "withdrawal", reason="Begun wrongly.")
    assert (await ana.post("/v1/claims", json=body)).status_code == 201


async def test_another_body_under_a_used_key_is_refused(desk: TestDesk) -> None:
    ana, key = await desk.client(), {"Idempotency-Key": "the-same"}
    body = desk.opening(await desk.subscribed("fabrikam"))
    first = await ana.post("/v1/claims", json=body, headers=key)
    assert first.status_code == 201
    again = await ana.post("/v1/claims", json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["location"] == first.headers["location"]
    other = {**body, "amount_asked": {"amount": "1.00", "currency": "USD"}}
    refused = problem(await ana.post("/v1/claims", json=other, headers=key), 422, "idempotency_key_reused")
    assert refused["field"] == "Idempotency-Key"
    # The same key of somebody else, or for something else, is another request.
    hers = await (await desk.client(RITA)).post("/v1/claims", json=body, headers=key)
    problem(hers, 409, "duplicate_claim")

    claim = await desk.until(first.json()["id"], "collecting_evidence")
    path = claim["links"]["self"]
    assert (await ana.post(f"{path}/assignee", json={"assignee": "Ana"}, headers=key)).status_code == 200
    answer = await ana.post(f"{path}/assignee", json={"assignee": "Hana"}, headers=key)
    problem(answer, 422, "idempotency_key_reused")
    kind, name, content = papers("fabrikam.example")["credit_request_form"]
    upload = await desk.upload(claim["id"], kind, name, content, **key)
    assert upload.status_code == 201
    again = await desk.upload(claim["id"], kind, name, content, **key)
    assert (again.status_code, again.headers["location"]) == (201, upload.headers["location"])
    problem(await desk.upload(claim["id"], kind, name, content + b"\n", **key), 422, "idempotency_key_reused")
    claim = await desk.read(claim["id"])
    assert (claim["assignee"], len(claim["documents"])) == ("Ana", 1)


async def test_two_filings_at_once_leave_one_number(desk: TestDesk, two: Senders) -> None:
    claim = await desk.collected(await desk.opened(await desk.subscribed("fabrikam")))
    numbers = [await desk.ticket(claim), await desk.ticket(claim)]
    path = f"{claim['links']['self']}/filing"
    requests = [({"ticket_number": number}, uuid.uuid4().hex) for number in numbers]
    answers = await at_once(two, path, *requests)
    # The second is a correction of the first: a wrong number can be corrected.
    assert [status for status, _ in answers] == [200, 200], answers
    claim = await desk.read(claim["id"])
    assert claim["status"] == "filed"
    assert {claim["filing"]["number"], *claim["earlier_filings"]} == set(numbers)
    assert await times(desk, claim, "record_filing") == 2


async def test_two_filings_of_one_number_at_once_are_one(desk: TestDesk, two: Senders) -> None:
    claim = await desk.collected(await desk.opened(await desk.subscribed("fabrikam")))
    body = {"ticket_number": await desk.ticket(claim)}
    path = f"{claim['links']['self']}/filing"
    answers = await at_once(two, path, (body, uuid.uuid4().hex), (body, uuid.uuid4().hex))
    assert sorted(status for status, _ in answers) == [200, 422], answers
    assert {said.get("rule") for _, said in answers} == {None, "ticket_once"}
    claim = await desk.read(claim["id"])
    assert (claim["status"], claim["filing"]["number"], claim["earlier_filings"]) == (
        "filed",
        body["ticket_number"],
        [],
    )
    assert await times(desk, claim, "record_filing") == 1


async def test_one_reply_from_two_processes_at_once_is_one_note(desk: TestDesk, two: Senders) -> None:
    claim = await desk.filed(await desk.opened(await desk.subscribed("fabrikam")))
    await desk.microsoft(claim, "attention_needed", "Who was affected?")
    claim = await desk.until(claim["id"], "needs_information")
    body, key = {"text": "Everybody."}, uuid.uuid4().hex
    answers = await at_once(two, f"{claim['links']['self']}/replies", (body, key), (body, key))
    assert [status for status, _ in answers] == [200, 200], answers
    assert await desk.notes(claim) == ["Everybody."]
    assert await times(desk, claim, "reply") == 1


async def test_an_action_repeated_has_its_answer_also_when_the_claim_moved_on(desk: TestDesk, two: Senders) -> None:
    claim = await desk.filed(await desk.opened(await desk.subscribed("fabrikam")))
    path = claim["links"]["self"]
    decision = {"outcome": "denied", "reason": "Not within the policy."}
    requests: list[tuple[str, Json, str]] = [
        ("assignee", {"assignee": "Finn"}, "once-1"),
        ("decision", decision, "once-2"),
        ("reopening", {"reason": "New facts."}, "once-3"),
        ("withdrawal", {"reason": "It was our own fault."}, "once-4"),
    ]
    for number, (action, body, key) in enumerate(requests):
        answers = await at_once(two, f"{path}/{action}", (body, key), (body, key))
        assert [status for status, _ in answers] == [200, 200], answers
        if action == "reopening":
            await desk.until(claim["id"], "ready_to_file")
        before = await desk.timeline(claim["id"])
        # All that was asked up to now, once more: nothing of it happens again, whatever has become of the claim.
        for earlier, said, its_key in requests[: number + 1]:
            again = await (await desk.client()).post(
                f"{path}/{earlier}", json=said, headers={"Idempotency-Key": its_key}
            )
            assert again.status_code == 200, again.text
        assert await desk.timeline(claim["id"]) == before
    claim = await desk.read(claim["id"])
    assert claim["status"] == "withdrawn"
    events = [entry["event"] for entry in before if entry["actor"]]
    assert events[-4:] == ["assign", "record_decision", "reopen", "withdraw"]
    assert await runs(desk, claim["id"]) == 2


async def test_a_decision_while_the_credit_arrives_ends_credited(desk: TestDesk) -> None:
    bought = await desk.subscribed("fabrikam")
    asked = {"amount": "31.00", "currency": "USD"}
    claim = await desk.filed(await desk.opened(bought, amount_asked=asked))
    await asyncio.gather(
        desk.invoice(bought, {"charge_type": "customerCredit", "amount": "-31.00"}),
        desk.sweep("CreditSweep"),
        desk.act(claim["id"], "decision", by=FINN, outcome="approved", reason="As the note says."),
    )
    claim = await desk.until(claim["id"], "credited")
    assert claim["credit"]["allocated"] == asked
    assert len(claim["credit"]["allocations"]) == 1


async def test_two_claims_at_once_for_one_line_share_nothing(desk: TestDesk, two: Senders) -> None:
    bought = await desk.subscribed("fabrikam")
    claims = [await desk.filed(await desk.opened(bought)) for _ in range(2)]
    amount = {"amount": "17.00", "currency": "USD"}
    for claim in claims:
        await desk.act(claim["id"], "decision", outcome="approved", amount=amount, reason="Yes.")
    await desk.invoice(bought, {"charge_type": "customerCredit", "amount": "-17.00"})
    for claim in claims:
        seen = await desk.until(claim["id"], lambda seen: bool(seen["credit"]["contested_lines"]))
        assert seen["status"] == "awaiting_credit"
    (line,) = seen["credit"]["contested_lines"]
    taken = await asyncio.gather(
        *(
            sender.sends("POST", f"{claim['links']['self']}/credits", {"line_id": line}, uuid.uuid4().hex)
            for sender, claim in zip(two, claims, strict=True)
        )
    )
    assert sorted(status for status, _ in taken) == [201, 422], taken
    assert {said.get("rule") for _, said in taken} == {None, "line_left"}
    statuses = [(await desk.read(claim["id"]))["status"] for claim in claims]
    assert sorted(statuses) == ["awaiting_credit", "credited"]
