"""Prepare the namespace on a Temporal server of one's own: ``python -m runtime.namespace``, before the first worker.

The dev server of `claimdesk up` needs none of it, and Temporal Cloud does it in its console.
"""

import asyncio
import os
import sys
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import (
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.settings import SettingsError, load_settings
from runtime.temporal import connect, register_search_attributes


async def prepare_namespace(client: Client, retention: timedelta) -> None:
    """Make the client's namespace exist, keep closed runs for `retention`, and know the search attributes.

    Safe to run again, and while claims are running. Raises what :func:`register_search_attributes` raises, and
    :class:`TimeoutError` where the server doesn't show the new namespace within a minute.
    """
    period = Duration()
    period.FromTimedelta(retention)
    try:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=period)
        )
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(
                namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=period)
            )
        )
    # A server of several processes keeps a list of namespaces that is some seconds old.
    async with asyncio.timeout(60):
        while True:
            try:
                return await register_search_attributes(client)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(1)


async def _main() -> None:
    settings = load_settings()
    client = await connect(settings)
    retention = timedelta(days=settings.temporal_retention_days)
    await prepare_namespace(client, retention)
    print(f"Namespace {client.namespace} is ready; closed runs are kept for {retention.days} days.", file=sys.stderr)


if __name__ == "__main__":
    status = 0
    try:
        asyncio.run(_main())
    except (SettingsError, ConnectionError, TimeoutError, ValueError, RPCError) as problem:
        print(problem, file=sys.stderr)
        status = 1
    sys.stderr.flush()
    # The SDK's threads can abort a short process while Python shuts down (temporalio/sdk-python#300), and a job that
    # did its work would count as failed.
    os._exit(status)
