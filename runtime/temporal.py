"""How this project meets Temporal: one plugin for client, worker, tests and replayer, and one way to connect.

The server is named by Temporal's own variables (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``,
``TEMPORAL_TLS…``, ``TEMPORAL_PROFILE``) or its configuration file, as for the `temporal` program.
"""

import logging
from dataclasses import replace
from urllib.parse import quote

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec
from temporalio.envconfig import ClientConfig
from temporalio.plugin import SimplePlugin
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

from runtime.attributes import SEARCH_ATTRIBUTE_TYPES, SEARCH_ATTRIBUTES
from runtime.settings import Settings, variable

DATA_CONVERTER = pydantic_data_converter

PASSED_THROUGH = ("domain", "activities", "runtime.attributes", "workflows.parts", "structlog", "dateutil")
"""What workflow code may import besides the standard library, temporalio and pydantic.

Passed through the sandbox means loaded once a process, not once a run: the modules named here keep no state.
"""


def plugin(codec: PayloadCodec | None = None) -> SimplePlugin:
    """Everything that client, worker, tests and replayer must have alike. Give it to the client, or to the replayer.

    A worker gets it from its client; giving it to both would apply it twice.
    `codec` encrypts payloads and, with them, the texts of failures; None leaves both readable.
    """
    converter: DataConverter = DATA_CONVERTER
    if codec is not None:
        converter = replace(
            converter, payload_codec=codec, failure_converter_class=DefaultFailureConverterWithEncodedAttributes
        )
    restrictions = SandboxRestrictions.default.with_passthrough_modules(
        *PASSED_THROUGH
    ).with_import_notification_policy(
        # A dynamic import only warns: libraries do that. A module not named above raises when the worker starts.
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
    return SimplePlugin(
        "claimdesk", data_converter=converter, workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions)
    )


async def connect(settings: Settings, *, runtime: Runtime | None = None, lazy: bool = False) -> Client:
    """A client of the Temporal server that the environment names; by default the dev server on this machine.

    `lazy` puts off the connection until the first call (not for workers). `runtime` carries the worker's metrics.
    Raises :class:`ConnectionError`, which says which address didn't answer.
    """
    config = ClientConfig.load_client_connect_config()
    address = config.setdefault("target_host", f"127.0.0.1:{settings.temporal_port}")
    try:
        return await Client.connect(**config, plugins=[plugin()], runtime=runtime, lazy=lazy)
    except RuntimeError as error:
        raise ConnectionError(
            f"No Temporal server answers at {address}. Start one with `claimdesk up`, or name another in "
            f"TEMPORAL_ADDRESS (with TEMPORAL_NAMESPACE and TEMPORAL_API_KEY or TEMPORAL_TLS_… where it asks). "
            f"It said: {error}"
        ) from error


def worker_runtime(settings: Settings) -> Runtime:
    """The SDK's runtime for a worker process: metrics for Prometheus, and the core's own log in ours. One a process.

    Raises :class:`ConnectionError` where the metrics' port is taken.
    """
    address = f"{settings.worker_metrics_host}:{settings.worker_metrics_port}"
    try:
        return Runtime(
            telemetry=TelemetryConfig(
                logging=LoggingConfig(
                    TelemetryFilter(core_level="WARN", other_level="ERROR"),
                    forwarding=LogForwardingConfig(
                        logging.getLogger("temporalio.core"),
                        append_target_to_name=False,
                        prepend_target_on_message=False,
                    ),
                ),
                metrics=PrometheusConfig(
                    bind_address=address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
                ),
            )
        )
    except (RuntimeError, ValueError) as error:
        raise ConnectionError(
            f"The worker's metrics can't listen on {address}. "
            f"Free that port, or set {variable('worker_metrics_port')}. It said: {error}"
        ) from error


async def register_search_attributes(client: Client) -> None:
    """Make the search attributes known to the client's namespace; those already there stay as they are.

    For a server of one's own: on Temporal Cloud they are added in its console. Raises :class:`ValueError` where one
    of the names is taken by another type, and the server's `RPCError` where the caller may not change the namespace.
    """
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {}
    for key in SEARCH_ATTRIBUTES:
        wanted = int(key.indexed_value_type)
        if key.name not in known.custom_attributes:
            missing[key.name] = IndexedValueType.ValueType(wanted)
        elif known.custom_attributes[key.name] != wanted:
            raise ValueError(
                f"The namespace {client.namespace} has a search attribute {key.name} of another type than "
                f"{SEARCH_ATTRIBUTE_TYPES[key.name]}; use another namespace, or remove it there first."
            )
    if not missing:
        return
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
    )


def run_link(settings: Settings, namespace: str, workflow_id: str, run_id: str) -> str:
    """The address of a run's page in the Temporal UI."""
    return (
        f"{settings.temporal_ui_url}/namespaces/{quote(namespace, safe='')}"
        f"/workflows/{quote(workflow_id, safe='')}/{quote(run_id, safe='')}/history"
    )
