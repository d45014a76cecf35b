"""`claimdesk demo` and `claimdesk up` as a user starts them: from an empty folder, into a busy port, killed, again."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from runtime.settings import Settings, load_settings, variable
from starter.processes import Desk
from starter.tour import STORIES
from tests.end_to_end.ways import FORM, TestDesk, customer_mail, port_settings

CLAIMDESK = (sys.executable, "-m", "starter.cli")


def _started(command: tuple[str, ...], settings: Settings, cwd: Path) -> subprocess.Popen[str]:
    given = {variable(name): str(getattr(settings, name)) for name in settings.model_fields_set}
    return subprocess.Popen(
        [*CLAIMDESK, *command],
        env={**os.environ, **given},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _descendants(pid: int) -> list[int]:
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in table.splitlines())}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _process(arguments: str) -> int:
    table = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0]) for line in table.splitlines() if arguments in line)


def _is_running(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


async def _gone(pids: list[int], within: float) -> None:
    until = time.monotonic() + within
    while alive := [pid for pid in pids if _is_running(pid)]:
        assert time.monotonic() < until, f"still there after {within} seconds: {alive}"
        await asyncio.sleep(0.1)


async def _ready(up: subprocess.Popen[str], settings: Settings) -> None:
    until = time.monotonic() + 90
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            assert up.poll() is None, up.communicate()
            assert time.monotonic() < until, "not up within 90 seconds"
            try:
                if (await http.get(f"{settings.api_url}/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)


@asynccontextmanager
async def _ways(settings: Settings) -> AsyncIterator[TestDesk]:
    running = Desk(settings)
    async with httpx.AsyncClient(base_url=f"{running.simulator_url}/_simulator", trust_env=False) as door:
        ways = TestDesk(running, door, (await door.get("/seed")).raise_for_status().json())
        yield ways
        await ways.aclose()


async def test_the_demo_from_an_empty_folder(clean_environment: None, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data", **port_settings())
    demo = _started(("demo", "--exit", "--output", "json"), settings, tmp_path)
    out, said = await asyncio.to_thread(demo.communicate, timeout=170)
    told = json.loads(out)
    assert told["ok"], said
    assert demo.returncode == 0
    assert set(told) == {"ok", "claims"}
    assert [(claim["route"], claim["status"]) for claim in told["claims"]] == [
        (story.route, story.status) for story in STORIES
    ]
    for claim in told["claims"]:
        assert set(claim) == {"id", "route", "status", "temporal_ui"}
        assert claim["temporal_ui"].startswith(settings.temporal_ui_url)
        assert claim["id"] in claim["temporal_ui"]
    assert len({claim["id"] for claim in told["claims"]}) == len(STORIES)


async def test_a_busy_port_is_a_clear_error(clean_environment: None, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data", **port_settings())
    with socket.create_server(("127.0.0.1", settings.api_port)):
        up = _started(("up",), settings, tmp_path)
        out, said = await asyncio.to_thread(up.communicate, timeout=60)
    assert up.returncode == 1
    assert out == ""
    assert said.splitlines() == [
        f"Port {settings.api_port} of 127.0.0.1 is in use: free it, or set CLAIMDESK_API_PORT to another port."
    ]


async def test_killed_and_started_again_on_the_same_folder(clean_environment: None, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data", ticket_sweep_seconds=2, **port_settings())
    up = _started(("up",), settings, tmp_path)
    await _ready(up, settings)
    async with _ways(settings) as desk:
        claim = await desk.opened("fabrikam_nce_active_past_window")
        await desk.until(claim["id"], "collecting_evidence")
        await desk.attached(claim["id"], *FORM)

    children = _descendants(up.pid)
    assert len(children) == 5  # the four, and the shell that holds them together
    up.kill()
    up.wait()
    await _gone(children, within=10)

    up = _started(("up",), settings, tmp_path)
    await _ready(up, settings)
    async with _ways(settings) as desk:
        claim = await desk.read(claim["id"])
        assert claim["status"] == "collecting_evidence"
        claim = await desk.attached(claim["id"], *customer_mail("fabrikam.example"))
        assert claim["status"] == "ready_to_file"
        claim = await desk.act(claim["id"], "filing", ticket_number=await desk.ticket(claim, "deny"))
        await desk.until(claim["id"], lambda seen: seen["filing"]["ticket"]["status"] == "closed")

    children = _descendants(up.pid)
    up.send_signal(signal.SIGTERM)
    out, said = await asyncio.to_thread(up.communicate, timeout=100)
    assert up.returncode == 0, said
    assert out == ""
    # In this order: what the API has accepted, the worker still does; Temporal goes last.
    stops = [line for line in said.splitlines() if line.startswith("stopping")]
    assert stops == [f"stopping the {name}" for name in ("API", "worker", "simulated Microsoft", "Temporal server")]
    await _gone(children, within=1)


async def test_a_process_that_dies_takes_the_desk_with_it_and_is_named(clean_environment: None, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data", **port_settings())
    up = _started(("up",), settings, tmp_path)
    await _ready(up, settings)
    children = _descendants(up.pid)
    simulator = _process(f"simulator --host 127.0.0.1 --port {settings.simulator_port}")
    assert simulator in children
    os.kill(simulator, signal.SIGKILL)
    _, said = await asyncio.to_thread(up.communicate, timeout=60)
    assert up.returncode == 1
    assert "The simulated Microsoft ended (SIGKILL)." in said
    await _gone(children, within=1)
