"""Holds the image, docker-compose.yml and docs/deployment.md to what the code really has."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.testing import WorkflowEnvironment

from microsoft.clients import microsoft
from runtime.attributes import SEARCH_ATTRIBUTES
from runtime.settings import Settings, load_settings, required, variable, variables
from simulator.state import Config

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "claimdesk"}
JOBS = {
    other
    for service in SERVICES.values()
    for other, wait in service.get("depends_on", {}).items()
    if wait["condition"] == "service_completed_successfully"
}
# What a person has to set: the names before `:?`.
REQUIRED = set(re.findall(r"\$\{(\w+):\?", TEXT))


def environment(service: dict[str, Any]) -> dict[str, str]:
    found = service.get("environment", {})
    assert isinstance(found, dict)
    return found


def plain(value: str, given: dict[str, str]) -> str:
    """A value as compose would fill it in."""
    return re.sub(
        r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", lambda found: given.get(found[1]) or found[2] or "", value
    ).replace("$$", "$")


def compose_program() -> list[str] | None:
    for program in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(program[0]) and subprocess.run([*program, "version"], capture_output=True).returncode == 0:
            return program
    return None


@pytest.mark.skipif(compose_program() is None, reason="neither `docker compose` nor `docker-compose` is installed")
def test_compose_takes_the_file_and_asks_for_each_secret() -> None:
    program = [*(compose_program() or []), "--profile", "simulator", "-f", str(ROOT / "docker-compose.yml"), "config"]
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    complete = bare | dict.fromkeys(REQUIRED, "given")
    done = subprocess.run(program, env=complete, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in REQUIRED:
        missing = {key: value for key, value in complete.items() if key != name}
        refused = subprocess.run(program, env=missing, capture_output=True, text=True)
        assert refused.returncode != 0
        assert name in refused.stderr


def test_waits_and_volumes_name_what_is_there() -> None:
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"].startswith("on-failure"), f"{other} would never be done"
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"], f"{name} mounts {volume}"


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_exists(name: str) -> None:
    command = OURS[name]["command"]
    if command[:2] == ["python", "-m"]:
        assert find_spec(command[2]) is not None
    elif command[0] == "python":
        assert (ROOT / command[1]).is_file()
        assert f"COPY {command[1]}" in (ROOT / "Dockerfile").read_text()
    else:
        done = subprocess.run([SCRIPTS / command[0], *command[1:], "--help"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_variable_is_one_that_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in environment(OURS[name]).items():
        if key.startswith("CLAIMDESK_"):
            assert key in variables()
        elif key.startswith("TEMPORAL_"):
            one = {key: plain(value, {})}
            nothing = ClientConfigProfile.load(disable_file=True, override_env_vars={"HOME": "/"})
            assert ClientConfigProfile.load(disable_file=True, override_env_vars=one) != nothing
        elif key.startswith("SIMULATOR_"):
            monkeypatch.setenv(key, value)
            assert Config.from_environment() != Config()
        else:
            assert key == "PGPASSWORD", f"nothing reads {key}"


def settings_in(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings as a container reads them, with each thing that a person has to give given."""
    given = dict.fromkeys(REQUIRED, "https://given.example")
    for key in variables():
        monkeypatch.delenv(key, raising=False)
    for key, value in environment(service).items():
        monkeypatch.setenv(key, plain(value, given))
    return load_settings()


async def test_worker_and_api_are_given_what_they_cannot_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("worker", "api"):
        settings = settings_in(SERVICES[name], monkeypatch)
        async with microsoft(settings):
            assert settings.refresh_token_file
        assert f"identity:{settings.refresh_token_file.parent}" in SERVICES[name]["volumes"]
        assert f"documents:{settings.data_dir}" in SERVICES[name]["volumes"]
    for field in ("auth_issuer", "auth_audience", "auth_jwks_url"):
        assert required(settings_in(SERVICES["api"], monkeypatch), field)


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_settings_are_valid_as_they_stand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(OURS[name], monkeypatch)
    listening = [settings.api_host, settings.simulator_host, settings.worker_metrics_host]
    if "healthcheck" in OURS[name]:
        assert "0.0.0.0" in listening, "nothing outside the container would reach it"


@pytest.mark.parametrize("name", ["worker", "api", "simulator"])
def test_a_health_check_asks_at_the_port_that_is_listened_on(name: str) -> None:
    field = {"worker": "worker_metrics_port", "api": "api_port", "simulator": "simulator_port"}[name]
    assert variable(field) not in environment(SERVICES[name])
    assert f":{Settings.model_fields[field].default}/" in SERVICES[name]["healthcheck"]["test"][-1]


def test_what_lasts_has_a_health_check_and_comes_back() -> None:
    for name in SERVICES.keys() - JOBS:
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
        assert SERVICES[name]["restart"] == "unless-stopped"


def test_no_secret_has_a_default() -> None:
    secrets = {
        (name, key): value
        for name, service in SERVICES.items()
        for key, value in environment(service).items()
        if re.search("PASSWORD|PWD|SECRET|KEY|TOKEN", key) and not key.endswith(("_FILE", "_TOKEN_SECONDS"))
    }
    assert {key for _, key in secrets} == {
        "POSTGRES_PASSWORD",
        "POSTGRES_PWD",
        "PGPASSWORD",
        "SQL_PASSWORD",
        "CLAIMDESK_CLIENT_SECRET",
    }
    for where, value in secrets.items():
        assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{where} has a default, or is given as it is"
    assert not re.search(r"://\w+:[^$@/]+@", TEXT), "a password stands in an address"


def test_only_the_api_and_the_ui_are_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"api", "temporal-ui"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert not any("network_mode" in service or service.get("privileged") for service in SERVICES.values())


def test_the_temporal_ui_only_shows() -> None:
    assert environment(SERVICES["temporal-ui"])["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"


def test_nothing_runs_as_root() -> None:
    users = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users
    for user in [users[-1], *(service["user"] for name, service in SERVICES.items() if name not in OURS)]:
        assert user.partition(":")[0] not in ("", "0", "root")


def seconds(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)s", text)
    assert found
    return timedelta(seconds=int(found[1]))


def test_a_stopping_worker_has_time_to_finish_what_it_sent() -> None:
    from worker import GRACEFUL_SHUTDOWN

    assert seconds(SERVICES["worker"]["stop_grace_period"]) > GRACEFUL_SHUTDOWN


async def test_the_namespace_job_registers_the_attributes_and_keeps_closed_runs_a_month(tmp_path: Path) -> None:
    job = SERVICES["temporal-namespace"]
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=str(SCRIPTS / "temporal")) as dev_server:
        address = dev_server.client.service_client.config.target_host
        given = {key: plain(value, {}) for key, value in environment(job).items()} | {"TEMPORAL_ADDRESS": address}
        command = [sys.executable, *job["command"][1:]]
        done = subprocess.run(  # noqa: ASYNC221 -- nothing else runs on this loop
            command, env=os.environ | given | {"CLAIMDESK_DATA_DIR": str(tmp_path)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        namespace = environment(SERVICES["worker"])["TEMPORAL_NAMESPACE"]
        client = await Client.connect(address, namespace=namespace)
        kept = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
        assert kept.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=30)
        known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
        for key in SEARCH_ATTRIBUTES:
            assert known.custom_attributes[key.name] == int(key.indexed_value_type)


def test_the_image_is_built_from_all_that_the_package_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    modules = {f"{name}.py" for name in project["tool"]["setuptools"]["py-modules"]}
    assert packages | modules | {"pyproject.toml", project["project"]["readme"]} <= let_in
    copied = re.findall(r"^COPY (?!--from)(.+) \./$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for names in copied for name in names.split()} <= let_in
    assert [name for name in let_in if not (ROOT / name).exists()] == []


def test_the_image_takes_only_what_is_locked_by_hash() -> None:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]+)", text)
    assert installs
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
    picked = re.search(r"sed -n '([^']+)' requirements-dev.lock", text)
    assert picked
    lock = subprocess.run(
        ["sed", "-n", picked[1], ROOT / "requirements-dev.lock"], capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(r"setuptools==\S+ \\\n(    --hash=sha256:\w{64}( \\)?\n)+", lock)


def rows() -> list[str]:
    lines = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default in (None, "") else f"`{field.default}`"
        lines.append(f"| `{variable(name)}` | {default} | {field.description} |")
    return lines


def test_the_table_of_settings_is_the_settings() -> None:
    written = [
        line for line in (ROOT / "docs/deployment.md").read_text().splitlines() if line.startswith("| `CLAIMDESK_")
    ]
    assert written == rows(), "the rows of docs/deployment.md should be:\n" + "\n".join(rows())


def test_every_dependency_says_what_it_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=]", one)[0] for one in declared}
    written = re.findall(r"^\| `([\w.-]+)", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    assert sorted(written) == sorted(names)
