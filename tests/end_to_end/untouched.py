"""What a refused request must not have done: a claim, a workflow, a document."""

import hashlib

import jwt
import pytest
from temporalio.service import RPCError, RPCStatusCode

from tests.end_to_end.ways import ANA, TestDesk


async def claim_of(desk: TestDesk, key: str, user: str = ANA) -> str:
    """The id that a claim opened under this key has, or would have."""
    token = jwt.decode(await desk.token(user), options={"verify_signature": False})
    said = f"{token['tid']}|{token['oid']}|POST /v1/claims|{key}"
    return f"claim-{hashlib.sha256(said.encode()).hexdigest()[:20]}"


async def assert_not_started(desk: TestDesk, claim_id: str) -> None:
    """No claim, and no workflow, open or closed."""
    assert (await (await desk.client()).get(f"/v1/claims/{claim_id}")).status_code == 404
    with pytest.raises(RPCError) as error:
        await (await desk.temporal()).get_workflow_handle(claim_id).describe()
    assert error.value.status is RPCStatusCode.NOT_FOUND


async def workflows(desk: TestDesk) -> int:
    return (await (await desk.temporal()).count_workflows("WorkflowType = 'CreditClaim'")).count


def kept(desk: TestDesk) -> set[str]:
    """The hashes of the documents in the store."""
    folder = desk.settings.data_dir / "blobs" / "sha256"
    return {file.name for file in folder.iterdir()} if folder.exists() else set()
