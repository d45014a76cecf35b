"""Claims on their way through every status: what people and Microsoft do next, told step by step, so that something
can be done to the desk between and during the steps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.end_to_end.ways import ANA, FINN, HANA, SAM, Json, TestDesk, papers

REPLY = "All of them, from 9:00 to 13:00."


def usd(amount: str) -> Json:
    return {"amount": amount, "currency": "USD"}


@dataclass
class Journey:
    """One claim on its way, and what must be true of it in the end."""

    walk: Callable[["Journey", TestDesk], AsyncIterator[str]]
    """Takes the claim to the next status in which something may be done to the desk, and says which that is."""
    end: str
    by_people: tuple[str, ...]
    """What people did, in their order: each once."""
    runs: int = 1
    """Runs that its workflow has had: one, and one more for each time it was taken up again."""
    credit: str | None = None
    claim: Json = field(default_factory=dict)
    replies: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()

    async def opens(self, desk: TestDesk, subscription: Json, category: str = "technical_issue", **more: Any) -> None:
        self.claim = await desk.opened(subscription, category, **more)

    async def until(self, desk: TestDesk, wanted: str | Callable[[Json], bool]) -> str:
        self.claim = await desk.until(self.claim["id"], wanted, within=70)
        return str(self.claim["status"])

    async def does(self, desk: TestDesk, action: str, **body: Any) -> str:
        self.claim = await desk.act(self.claim["id"], action, **body)
        return str(self.claim["status"])

    async def files(self, desk: TestDesk, **ticket: Any) -> str:
        number = await desk.ticket(self.claim, **ticket)
        self.tickets += (number,)
        return await self.does(desk, "filing", ticket_number=number)

    async def answers_microsoft(self, desk: TestDesk, by: str = ANA) -> str:
        self.replies = (REPLY,)
        path = f"/v1/claims/{self.claim['id']}/replies"
        answer = await (await desk.client(by)).post(path, json={"text": REPLY})
        self.claim = await desk.read(self.claim["id"])
        if not answer.is_success:
            # The note arrived and its answer didn't, and before we asked again a sweep saw the ticket go on: there is
            # nothing left to reply to. Whether the note is there once, `assert_arrived` looks.
            assert (answer.json()["rule"], self.claim["status"]) == ("status_allows", "filed"), answer.text
            self.by_people = tuple(event for event in self.by_people if event != "reply")
        return str(self.claim["status"])


async def asked_and_approved(journey: Journey, desk: TestDesk) -> AsyncIterator[str]:
    bought = await desk.subscribed("fabrikam")
    await journey.opens(desk, bought, by=HANA, amount_asked=usd("24.00"))
    yield await journey.until(desk, "collecting_evidence")
    journey.claim = await desk.collected(journey.claim, by=HANA)
    yield journey.claim["status"]
    yield await journey.files(desk)
    await desk.microsoft(journey.claim, "attention_needed", "Which users, and when?")
    yield await journey.until(desk, "needs_information")
    yield await journey.answers_microsoft(desk, by=HANA)
    await desk.microsoft(journey.claim, "closed", "approved: the credit will be on your next invoice.")
    yield await journey.until(desk, lambda claim: bool(claim["filing"]["ticket"]["status"] == "closed"))
    yield await journey.does(desk, "decision", by=FINN, outcome="approved", reason="As the note says.")
    await desk.invoice(bought, {"charge_type": "customerCredit", "amount": "-24.00"})
    await journey.until(desk, "credited")


async def cancelled_in_the_window(journey: Journey, desk: TestDesk) -> AsyncIterator[str]:
    now = datetime.now(UTC)
    last = (now + timedelta(days=29)).isoformat()
    bought = await desk.subscribed("northwind", days_ago=0, unit_price="4.00", commitment_end_date=last)
    await desk.sweep("CreditSweep")
    incident = {"date": now.date().isoformat(), "reference": bought["order_id"], "description": "By mistake."}
    await journey.opens(desk, bought, "accidental_purchase", incident=incident)
    yield await journey.until(desk, "cancel_now")
    cancelled = {"status": "deleted", "at": bought["creation_date"], "book_credit": False}
    (await desk.door.post(f"/subscriptions/{bought['id']}/status", json=cancelled)).raise_for_status()
    # Microsoft takes its time: more than the client waits by itself, so that the claim stays in triage for a while.
    slow = {"kind": "throttle", "seconds": 6, "times": 1, "path": f"/v1/customers/{bought['customer_id']}"}
    (await desk.door.post("/faults", json=slow)).raise_for_status()
    yield await journey.does(desk, "check", by=SAM)
    yield await journey.until(desk, "awaiting_credit")
    await desk.invoice(bought, {"charge_type": "cancelImmediate", "amount": "-3.87"})
    await journey.until(desk, "credited")


async def overdue_and_denied(journey: Journey, desk: TestDesk) -> AsyncIterator[str]:
    day = datetime.now(UTC).date() - timedelta(days=100)
    bought = await desk.subscribed("tailspin", days_ago=200)
    incident = {"date": day.isoformat(), "reference": bought["order_id"], "description": "Slow."}
    await journey.opens(desk, bought, incident=incident)
    yield await journey.until(desk, "overdue")
    journey.claim = await desk.collected(journey.claim)
    yield journey.claim["status"]
    due = datetime.fromisoformat(journey.claim["deadline"]["due_at"])
    yield await journey.files(desk, created_date=(due - timedelta(hours=1)).isoformat())
    await journey.does(desk, "decision", outcome="denied", reason="Not within the policy.")


async def an_exception_withdrawn_and_taken_up(journey: Journey, desk: TestDesk) -> AsyncIterator[str]:
    bought = await desk.subscribed("adatum")
    await journey.opens(desk, bought, "accidental_purchase")
    yield await journey.until(desk, "not_claimable")
    await journey.does(desk, "exception", reason="The portal showed an error.")
    yield await journey.until(desk, "collecting_evidence")
    yield await journey.does(desk, "withdrawal", reason="The customer gave up.")
    await journey.does(desk, "reopening", reason="The customer thought again.")
    yield await journey.until(desk, "collecting_evidence")
    journey.claim = await desk.collected(journey.claim)


async def part_by_hand_and_written_off(journey: Journey, desk: TestDesk) -> AsyncIterator[str]:
    bought = await desk.subscribed("wingtip")
    await journey.opens(desk, bought)
    journey.claim = await desk.collected(journey.claim)
    await journey.files(desk)
    await desk.microsoft(journey.claim, "attention_needed", "Which users, and when?")
    yield await journey.until(desk, "needs_information")
    await journey.answers_microsoft(desk)
    yield await journey.does(desk, "decision", outcome="approved", amount=usd("9.00"), reason="Yes.")
    await desk.invoice(bought, {"charge_type": "customerCredit", "amount": "-5.00"})
    await desk.sweep("CreditSweep")
    money = await (await desk.client()).get(f"/v1/claims/{journey.claim['id']}/credits")
    (line,) = money.json()["candidates"]
    yield await journey.does(desk, "credits", by=FINN, line_id=line["id"])
    await journey.does(desk, "write-off", by=FINN, reason="The rest isn't worth it.")


def journeys() -> list[Journey]:
    """One of each, about to begin."""
    attached = ("attach_evidence", "attach_evidence")
    return [
        Journey(
            asked_and_approved,
            "credited",
            ("opened", *attached, "record_filing", "reply", "record_decision"),
            credit="24.00",
        ),
        Journey(cancelled_in_the_window, "credited", ("opened", "check_again"), credit="3.87"),
        Journey(overdue_and_denied, "denied", ("opened", *attached, "record_filing", "record_decision")),
        Journey(
            an_exception_withdrawn_and_taken_up,
            "ready_to_file",
            ("opened", "file_as_exception", "withdraw", "reopen", *attached),
            runs=3,
        ),
        Journey(
            part_by_hand_and_written_off,
            "credited",
            ("opened", *attached, "record_filing", "reply", "record_decision", "allocate_credit", "write_off"),
            credit="5.00",
        ),
    ]


async def travel(
    desk: TestDesk, under_way: Sequence[Journey], during: Callable[[int], Awaitable[None]]
) -> list[set[str]]:
    """Take every journey to its end, a step of all at a time; while they take step number n, `during(n)` happens.

    Gives the statuses in which each step began; before the first there is no claim.
    """
    walks = {number: journey.walk(journey, desk) for number, journey in enumerate(under_way)}
    statuses: list[set[str]] = [set()]
    while walks:
        steps = {number: asyncio.ensure_future(anext(walk, "")) for number, walk in walks.items()}
        await asyncio.gather(during(len(statuses) - 1), *steps.values())
        walks = {number: walk for number, walk in walks.items() if steps[number].result()}
        statuses.append({steps[number].result() for number in walks})
    return statuses


async def assert_arrived(desk: TestDesk, journey: Journey) -> None:
    """One claim, what people did once, in the right status, with every document, ticket, note and amount."""
    claim = await desk.read(journey.claim["id"])
    ana = await desk.client()
    assert claim["status"] == journey.end
    found = (await ana.get("/v1/claims", params={"text": claim["opening"]["incident"]["reference"]})).json()["items"]
    assert [item["id"] for item in found] == [claim["id"]]
    entries = await desk.timeline(claim["id"])
    assert [entry["version"] for entry in entries] == list(range(1, claim["version"] + 1))
    assert tuple(entry["event"] for entry in entries if entry["actor"]) == journey.by_people
    assert entries[-1]["status"] == claim["status"]

    known = papers(desk.domain(claim))
    for document in claim["documents"]:
        assert (await ana.get(document["link"])).content == known[document["kind"]][2]
    assert len(claim["documents"]) == journey.by_people.count("attach_evidence")
    filed = tuple(claim["earlier_filings"]) + ((claim["filing"]["number"],) if claim["filing"] else ())
    assert filed == journey.tickets
    if claim["filing"]:
        assert await desk.notes(claim) == list(journey.replies)
    if journey.credit:
        assert claim["credit"]["allocated"] == usd(journey.credit)
    runs = [run async for run in (await desk.temporal()).list_workflows(f"WorkflowId = '{claim['id']}'")]
    assert len(runs) == journey.runs
    assert not any(run.status is not None and run.status.name in ("FAILED", "TERMINATED", "TIMED_OUT") for run in runs)
