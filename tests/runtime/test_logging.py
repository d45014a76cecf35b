"""What a person reading a process's log sees: every source once, in one form, without secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Logging belongs to a whole process, so each test runs one.
START = """
import logging, structlog
from runtime.logging import configure_logging
from runtime.settings import load_settings
configure_logging(load_settings())
"""


def run(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    script = folder / "process.py"
    script.write_text(START + program)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CLAIMDESK_", "TEMPORAL_"))
    }
    done = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env=environment | {"CLAIMDESK_LOG_FORMAT": "json"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", "stdout is for data"
    return done


def entries(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_structlog_and_the_standard_library_give_entries_of_one_form(tmp_path: Path) -> None:
    program = """
structlog.get_logger("desk").info("claim opened", claim="claim-1")
logging.getLogger("library").warning("count %d", 3)
logging.getLogger("library").debug("too fine")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("library").exception("failed")
"""
    ours, theirs, failed = entries(run(program, tmp_path))
    assert (ours["event"], ours["claim"], ours["level"], ours["logger"]) == ("claim opened", "claim-1", "info", "desk")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("count 3", "warning", "library")
    assert ours["timestamp"].endswith("Z")
    assert set(theirs) <= set(ours)
    assert "ZeroDivisionError" in failed["exception"]


SECRET = "hunter2-and-more"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"


CALLS = [
    f"log.info('asked', authorization='Bearer {SECRET}')",
    f"log.info('asked', headers={{'Authorization': '{SECRET}', 'Accept': 'text/plain'}})",
    f"log.info('asked', calls=[{{'refresh_token': '{SECRET}'}}])",
    f"log.info('asked', client_secret='{SECRET}', status=200)",
    f"log.info('asked with Bearer {SECRET}')",
    f"log.info('asked', body='grant_type=refresh_token&refresh_token={SECRET}&scope=openid')",
    f"log.info('asked', address='postgresql://desk:{SECRET}@db/claims')",
    f"log.info('asked', body='{{\"access_token\": \"{SECRET}\"}}')",
    f"log.info('asked with {TOKEN}')",
    f"logging.getLogger('library').info('asked with Bearer %s', '{SECRET}')",
    f"try: raise ValueError('Bearer {SECRET}')\nexcept ValueError: log.exception('asked')",
]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_is_covered_and_the_rest_of_the_entry_stays(tmp_path: Path, form: str) -> None:
    program = "\n".join(["log = structlog.get_logger()", *CALLS, "log.info('counted', tokens_left=0, page='2')"])
    said = run(program, tmp_path, CLAIMDESK_LOG_FORMAT=form).stderr
    assert SECRET not in said
    assert TOKEN not in said
    assert said.count("asked") == len(CALLS)
    assert said.count("[redacted]") >= len(CALLS)
    assert "text/plain" in said
    assert "counted" in said


def test_uvicorn_prints_each_entry_once_and_in_our_form(tmp_path: Path) -> None:
    program = """
import asyncio, httpx, uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient() as http:
        await http.get(f"http://127.0.0.1:{port}/v1/claims")
    server.should_exit = True
    await serving
asyncio.run(main())
"""
    seen = entries(run(program, tmp_path))
    assert sum("GET /v1/claims" in entry["event"] for entry in seen) == 1
    assert (
        sum("Application startup complete" in entry["event"] or "Uvicorn running" in entry["event"] for entry in seen)
        == 1
    )


def test_a_workflow_logs_once_however_often_it_is_replayed(tmp_path: Path, server: str) -> None:
    (tmp_path / "replayed_workflow.py").write_text("""
from datetime import timedelta
from temporalio import activity, workflow

@activity.defn
async def look() -> None:
    activity.logger.info("looked", extra={"noise": "not shown"})

@workflow.defn
class Replayed:
    @workflow.run
    async def run(self) -> None:
        workflow.logger.info("before")
        for _ in range(2):
            await workflow.execute_activity(look, start_to_close_timeout=timedelta(seconds=10))
        workflow.logger.info("after")
""")
    program = """
import asyncio
from temporalio.worker import Worker
from runtime.settings import load_settings
from runtime.temporal import connect
from replayed_workflow import Replayed, look
async def main():
    client = await connect(load_settings())
    async with Worker(client, task_queue="q", workflows=[Replayed], activities=[look], max_cached_workflows=0):
        await client.execute_workflow("Replayed", id="claim-1", task_queue="q")
asyncio.run(main())
"""
    seen = entries(run(program, tmp_path, TEMPORAL_ADDRESS=server))
    events = [entry["event"] for entry in seen]
    assert events.count("before") == 1
    assert events.count("after") == 1
    assert events.count("looked") == 2
    for entry in seen:
        if entry["event"] in ("before", "after", "looked"):
            assert entry["workflow_id"] == "claim-1"
            assert entry["workflow_type"] == "Replayed"
            assert "temporal_workflow" not in entry
