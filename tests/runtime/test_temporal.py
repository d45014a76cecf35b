"""The plugin, the connection and the search attributes, against a real Temporal dev server."""

import socket
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.converter import PayloadCodec
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import UnintentionalPassthroughError
from temporalio.workflow import NondeterminismError

import activities
from runtime.attributes import SEARCH_ATTRIBUTE_TYPES, SEARCH_ATTRIBUTES
from runtime.settings import Settings
from runtime.temporal import connect, plugin, register_search_attributes, run_link, worker_runtime

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def client(server: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("TEMPORAL_ADDRESS", server)
    return await connect(settings)


def workflow_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imports: str, body: str = "return 'ran'") -> type:
    """A workflow in a module of its own, as the sandbox loads it again from its file."""
    name = f"workflow_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(
        "from temporalio import workflow\n"
        f"{imports}\n\n"
        "@workflow.defn(name='Probe')\n"
        "class Probe:\n"
        "    @workflow.run\n"
        "    async def run(self, argument: str) -> str:\n"
        f"        {body}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = __import__(name).Probe
    assert isinstance(found, type)
    return found


@pytest.mark.parametrize(
    "imports",
    [
        "import structlog",
        "from dateutil.relativedelta import relativedelta",
        "from pydantic import BaseModel",
        "from runtime.attributes import CLAIM_STATUS",
        "import domain.roles",
        "import activities.probe_of_the_sandbox",
    ],
)
async def test_workflow_code_may_import_what_passes_the_sandbox(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imports: str
) -> None:
    # An activity's module brings its clients with it: passed through, so what it imports needs no leave of its own.
    folder = tmp_path / "more activities"
    folder.mkdir()
    (folder / "probe_of_the_sandbox.py").write_text("import httpx\nimport sqlalchemy\n")
    monkeypatch.setattr(activities, "__path__", [*activities.__path__, str(folder)])
    queue = uuid4().hex
    async with Worker(client, task_queue=queue, workflows=[workflow_class(tmp_path, monkeypatch, imports)]):
        assert await client.execute_workflow("Probe", "", id=queue, task_queue=queue, result_type=str) == "ran"


@pytest.mark.parametrize(
    "imports",
    ["import httpx", "import sqlalchemy", "from runtime.settings import Settings", "from runtime import blobs"],
)
async def test_a_worker_refuses_a_workflow_that_imports_anything_else(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imports: str
) -> None:
    refused = workflow_class(tmp_path, monkeypatch, imports)
    with pytest.raises(RuntimeError, match="Failed validating workflow Probe") as refusal:
        Worker(client, task_queue=uuid4().hex, workflows=[refused])
    assert isinstance(refusal.value.__cause__, UnintentionalPassthroughError)


async def test_a_replayer_with_the_plugin_replays_what_a_worker_ran(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = "import structlog\nfrom runtime.attributes import CLAIM_STATUS"
    probe = workflow_class(tmp_path, monkeypatch, imports, "await workflow.sleep(0.1)\n        return argument")
    queue = uuid4().hex
    async with Worker(client, task_queue=queue, workflows=[probe]):
        await client.execute_workflow("Probe", "said", id=queue, task_queue=queue)
    history = await client.get_workflow_handle(queue).fetch_history()
    await Replayer(workflows=[probe], plugins=[plugin()]).replay_workflow(history)
    changed = workflow_class(tmp_path, monkeypatch, imports, "return argument")
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=[changed], plugins=[plugin()]).replay_workflow(history)


async def test_search_attributes_are_registered_once_and_then_usable(client: Client) -> None:
    await register_search_attributes(client)
    await register_search_attributes(client)
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    for key in SEARCH_ATTRIBUTES:
        assert known.custom_attributes[key.name] == int(key.indexed_value_type)


async def test_a_search_attribute_of_another_type_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=str(TEMPORAL)) as other:
        monkeypatch.setenv("TEMPORAL_ADDRESS", other.client.service_client.config.target_host)
        client = await connect(settings)
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes={"DueAt": keyword})
        )
        with pytest.raises(ValueError, match="DueAt of another type than Datetime"):
            await register_search_attributes(client)


async def test_the_dev_server_takes_the_types_by_these_names(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [part for item in SEARCH_ATTRIBUTE_TYPES.items() for part in ("--search-attribute", "=".join(item))]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_extra_args=flags
    ) as other:
        monkeypatch.setenv("TEMPORAL_ADDRESS", other.client.service_client.config.target_host)
        client = await connect(settings)
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        assert {
            key.name: key.indexed_value_type for key in SEARCH_ATTRIBUTES
        }.items() <= known.custom_attributes.items()


async def test_no_server_is_a_clear_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers there
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        with pytest.raises(ConnectionError, match=f"{address}.*claimdesk up.*TEMPORAL_ADDRESS"):
            await connect(settings)


async def test_without_an_address_the_dev_server_of_the_settings_is_meant(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
    client = await connect(Settings(data_dir=tmp_path, temporal_port=int(server.rpartition(":")[2])))
    assert client.namespace == "default"
    assert await client.service_client.check_health()


async def test_worker_metrics_are_for_prometheus_and_a_busy_port_is_a_clear_error(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", server)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    settings = Settings(data_dir=tmp_path, worker_metrics_port=port)
    client = await connect(settings, runtime=worker_runtime(settings))
    assert await client.service_client.check_health()
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics")
    assert "temporal_request_latency" in answer.text
    with pytest.raises(ConnectionError, match=f"{port}.*CLAIMDESK_WORKER_METRICS_PORT"):
        worker_runtime(settings)


class Backwards(PayloadCodec):
    """Stands where encryption will stand."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata={"encoding": b"backwards"}, data=item.SerializeToString()[::-1]) for item in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(item.data[::-1]) for item in payloads]


async def test_a_codec_in_its_seat_covers_payloads_and_failures(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await Client.connect(server, plugins=[plugin(codec=Backwards())])
    failing = workflow_class(
        tmp_path,
        monkeypatch,
        "from temporalio.exceptions import ApplicationError",
        "raise ApplicationError('text of a failure: ' + argument)",
    )
    queue = uuid4().hex
    async with Worker(client, task_queue=queue, workflows=[failing]):
        handle = await client.start_workflow("Probe", "private argument", id=queue, task_queue=queue)
        with pytest.raises(Exception) as failure:  # noqa: PT011 -- the cause below is what's asserted
            await handle.result()
    assert str(failure.value.__cause__).endswith("text of a failure: private argument")
    history = (await handle.fetch_history()).to_json()
    assert "Probe" in history
    assert "private" not in history
    assert "text of a failure" not in history


def test_a_link_leads_to_one_run_whatever_its_id() -> None:
    settings = Settings(temporal_ui_url="https://temporal.example/")
    assert (
        run_link(settings, "claims", "claim/ä 1", "0f3a")
        == "https://temporal.example/namespaces/claims/workflows/claim%2F%C3%A4%201/0f3a/history"
    )
