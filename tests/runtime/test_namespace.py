"""The job that prepares a namespace, run as a process against a real server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from runtime.attributes import SEARCH_ATTRIBUTES
from runtime.settings import Settings
from runtime.temporal import connect


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime.namespace"],
        env=os.environ | {"CLAIMDESK_DATA_DIR": str(folder)} | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


async def test_a_new_namespace_takes_a_claims_attributes_and_can_be_prepared_again(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"TEMPORAL_ADDRESS": server, "TEMPORAL_NAMESPACE": "prepared"}
    first = run(tmp_path, **variables)
    assert (first.returncode, first.stdout) == (0, "")
    assert "prepared is ready" in first.stderr
    again = run(tmp_path, **variables, CLAIMDESK_TEMPORAL_RETENTION_DAYS="45")
    assert again.returncode == 0, again.stderr

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = await connect(Settings(data_dir=tmp_path))
    kept = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="prepared"))
    assert kept.config.workflow_execution_retention_ttl.ToTimedelta().days == 45
    query = " AND ".join(f"{key.name} IS NULL" for key in SEARCH_ATTRIBUTES)
    assert (await client.count_workflows(query)).count == 0


def test_a_server_that_does_not_answer_fails_the_job_with_a_reason(tmp_path: Path) -> None:
    failed = run(tmp_path, TEMPORAL_ADDRESS="127.0.0.1:1")
    assert failed.returncode == 1
    assert "127.0.0.1:1" in failed.stderr
    assert "Traceback" not in failed.stderr
