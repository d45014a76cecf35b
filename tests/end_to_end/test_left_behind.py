"""What requests leave behind: content that no claim refers to is swept, and no log tells what was said."""

import asyncio
import hashlib
import os
import time
import uuid

from tests.end_to_end.untouched import kept
from tests.end_to_end.ways import TestDesk, assert_discreet
from tests.starter.conftest import problem


async def test_content_that_no_claim_refers_to_is_swept(desk: TestDesk) -> None:
    claim = await desk.opened(await desk.subscribed("contoso"))
    claim = await desk.until(claim["id"], "collecting_evidence")
    wanted = f"Wanted {uuid.uuid4()}".encode()
    claim = await desk.attached(claim["id"], "supporting_document", "wanted.txt", wanted)
    revoked = f"Revoked {uuid.uuid4()}".encode()
    gone = await desk.attached(claim["id"], "supporting_document", "revoked.txt", revoked)
    link = next(one["link"] for one in gone["documents"] if one["filename"] == "revoked.txt")
    answer = await (await desk.client()).delete(link, params={"reason": "The wrong file."})
    assert answer.status_code == 200
    # What an upload leaves behind whose process ended between keeping the content and telling the claim.
    folder = desk.settings.data_dir / "blobs" / "sha256"
    orphan, young = (f"Orphan {uuid.uuid4()}".encode() for _ in range(2))
    hashes = {content: hashlib.sha256(content).hexdigest() for content in (wanted, revoked, orphan, young)}
    for content in (orphan, young):
        (folder / hashes[content]).write_bytes(content)
    two_days_ago = time.time() - 2 * 86_400
    for content in (wanted, revoked, orphan):
        os.utime(folder / hashes[content], (two_days_ago, two_days_ago))

    await (await desk.temporal()).get_schedule_handle("document-sweep").trigger()
    until = time.monotonic() + 30
    while hashes[orphan] in kept(desk):
        assert time.monotonic() < until, "not swept within 30 seconds"
        await asyncio.sleep(0.1)
    # What was revoked stays too: it was a document of the claim, and its timeline says so.
    assert {hashes[content] for content in (wanted, revoked, young)} <= kept(desk)
    fetched = await (await desk.client()).get(claim["documents"][0]["link"])
    assert fetched.content == wanted


async def test_no_log_tells_a_secret_or_what_a_customer_said(desk: TestDesk) -> None:
    mark = f"MARK{uuid.uuid4().hex}"
    name = {"name": f"{mark} Contact", "email": f"{mark}@partner.example", "phone": mark}
    ana = await desk.client()
    bought = await desk.subscribed("contoso")
    incident = {"date": "2999-01-01", "reference": f"{mark}-ref", "description": f"{mark} said in confidence"}
    body = {**desk.opening(bought), "incident": incident, "contact": name, "amount_basis": mark}
    problem(await ana.post("/v1/claims", json=body), 422, "not_in_the_future")
    problem(await ana.post("/v1/claims", json={**body, mark: mark, "category": mark}), 422, "validation")
    problem(
        await ana.post("/v1/claims", content=f'{{"{mark}"', headers={"Content-Type": "application/json"}),
        422,
        "validation",
    )
    body = desk.opening(bought, incident={**desk.opening(bought)["incident"], "description": mark}, contact=name)
    body |= {"amount_asked": {"amount": "77.77", "currency": "USD"}, "amount_basis": mark}
    claim = (await ana.post("/v1/claims", json=body)).json()
    claim = await desk.collected(await desk.until(claim["id"], "collecting_evidence"), about=mark)
    problem(await desk.upload(claim["id"], "credit_request_form", f"{mark}.pdf", mark.encode()), 422, "document_type")
    await ana.get("/v1/claims", params={"text": mark, "assignee": mark, "cursor": mark})
    await ana.get(f"/v1/claims/{mark}")
    claim = await desk.filed(claim, title=mark, description=mark)
    await desk.microsoft(claim, "attention_needed", f"{mark}?")
    await desk.until(claim["id"], "needs_information")
    # Whatever Microsoft does to the reply, its text stays out of the log.
    await desk.door.post(
        "/faults", json={"kind": "error", "status": 500, "path": "/v1/servicerequests", "method": "PATCH"}
    )
    await ana.post(f"{claim['links']['self']}/replies", json={"text": f"{mark}!"})
    await desk.door.delete("/faults")
    await ana.post(f"{claim['links']['self']}/replies", json={"text": f"{mark}!"})
    await ana.post(f"{claim['links']['self']}/assignee", json={"assignee": mark})
    await desk.act(claim["id"], "withdrawal", reason=mark)

    told = assert_discreet(desk, mark, "Users could not sign in", "%PDF")
    assert claim["id"] in told["api.log"]
    assert "Traceback" not in told["api.log"]
