"""Microsoft.Support's file workspaces: made, filled with files in at most two pieces, and gone after a day.

Decided where the facts are silent: a ticket is refused while a file of its workspace lacks a piece; a workspace made
again is the one that is there, with its old end, and one that has expired stays so; a file announced again with the
same sizes keeps its pieces, with others it begins anew; a piece may be sent again. A day isn't scaled: it is no delay,
and at scale 0 nothing could be uploaded. The side door ends it.
"""

import base64
import binascii
import hashlib
import re
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from simulator.azure import AzureError, AzureGate
from simulator.state import Store
from simulator.support_desk import Caller, Desk
from simulator.support_models import ChunkBody, FileBody, FileChunk, FileWorkspace, WorkspaceFile
from simulator.support_routes import both
from simulator.support_wire import body_as, file_wire, invalid, json_of, properties_of, workspace_wire
from simulator.wire import reply

LIFETIME = timedelta(hours=24)
LARGEST_FILE = 5_242_880
LARGEST_CHUNK = 2_621_440
LONGEST_NAME = 110
REFUSED = re.compile(
    r"\.(bat|cmd|exe|ps1|js|vbs|com|lnk|reg|bin|cpl|inf|ins|isu|job|jse|msi|msp|paf|pif|rgs|scr|sct|vbe|vb|ws|wsf|wsh"
    r"|svg|htm|html)$",
    re.IGNORECASE,
)


def usable_workspace(desk: Desk, caller: Caller, name: str) -> FileWorkspace:
    """The workspace, if it is there and hasn't expired. Raises the recorded 400."""
    found = desk.store.get(FileWorkspace, f"{caller.scope}/{name}")
    if found is None or found.expires <= desk.cloud.now():
        raise invalid(f"The file workspace '{name}' does not exist or has expired.")
    return found


def complete_workspace(desk: Desk, caller: Caller, name: str) -> None:
    """The same, and refuses one with a file of which a piece is missing."""
    workspace = usable_workspace(desk, caller, name)
    files = desk.store.listed(WorkspaceFile, parent=workspace.id)
    if any(desk.store.count(FileChunk, parent=file.id) != file.sizes.number_of_chunks for file in files):
        raise invalid(f"A file in the file workspace '{name}' is not completely uploaded.")


def check_file(name: str, sizes: FileBody) -> None:
    """Refuses a file that can't be uploaded."""
    if len(name) > LONGEST_NAME or REFUSED.search(name.rstrip(". ")):
        raise invalid("The name of the file is too long, or files of this kind are not accepted.")
    if not 0 < sizes.file_size <= LARGEST_FILE or not 0 < sizes.chunk_size <= LARGEST_CHUNK:
        raise invalid(f"A file has at most {LARGEST_FILE} bytes, and a chunk at most {LARGEST_CHUNK}.")
    if sizes.number_of_chunks > 2 or sizes.number_of_chunks != -(-sizes.file_size // sizes.chunk_size):
        raise invalid("The number of chunks does not fit the sizes of file and chunk.")


def checked_chunk(sizes: FileBody, chunk: ChunkBody) -> None:
    """Refuses a piece that isn't the one its index says."""
    try:
        length = len(base64.b64decode(chunk.content, validate=True))
    except binascii.Error:
        raise invalid("The content is not base64.") from None
    if not 0 <= chunk.chunk_index < sizes.number_of_chunks:
        raise invalid("The index of the chunk is out of range.")
    if length != min(sizes.chunk_size, sizes.file_size - chunk.chunk_index * sizes.chunk_size):
        raise invalid("The content does not have the length of this chunk.")


def whole_files(store: Store, scope: str, workspace: str) -> list[dict[str, object]]:
    """The files of a workspace of which every piece is there: what a ticket with it has attached."""
    files = []
    for file in store.listed(WorkspaceFile, parent=f"{scope}/{workspace}"):
        chunks = sorted(store.listed(FileChunk, parent=file.id), key=lambda one: one.index)
        if len(chunks) == file.sizes.number_of_chunks:
            content = b"".join(base64.b64decode(one.content) for one in chunks)
            files.append({"name": file.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    return files


def router(gate: AzureGate) -> APIRouter:
    """The paths of workspaces and their files."""
    routes, desk = APIRouter(tags=["Microsoft.Support"]), Desk(gate)
    cloud, store = desk.cloud, desk.store

    def found_workspace(request: Request, name: str) -> FileWorkspace:
        found = store.get(FileWorkspace, f"{desk.caller(request).scope}/{name}")
        if found is None:
            raise AzureError(404, "ResourceNotFound", f"The file workspace '{name}' was not found.")
        return found

    def found_file(workspace: FileWorkspace, name: str) -> WorkspaceFile:
        found = store.get(WorkspaceFile, f"{workspace.id}/{name}")
        if found is None:
            raise AzureError(404, "ResourceNotFound", f"The file '{name}' was not found.")
        return found

    @both(routes, "PUT", "/fileWorkspaces/{name}")
    async def create_workspace(request: Request, name: str) -> Response:
        caller = desk.caller(request)
        if not re.fullmatch(r"[0-9a-zA-Z_\-. ]+", name):
            raise invalid("The name of the file workspace is not valid.")
        found = store.get(FileWorkspace, f"{caller.scope}/{name}")
        if found is None:
            now = cloud.now()
            found = FileWorkspace(
                id=f"{caller.scope}/{name}", scope=caller.scope, name=name, created=now, expires=now + LIFETIME
            )
            cloud.write_now(found)
        return reply(workspace_wire(found), 201)

    @both(routes, "GET", "/fileWorkspaces/{name}")
    async def get_workspace(request: Request, name: str) -> Response:
        return reply(workspace_wire(found_workspace(request, name)))

    @both(routes, "GET", "/fileWorkspaces/{name}/files")
    async def list_files(request: Request, name: str) -> Response:
        workspace = found_workspace(request, name)
        files = store.listed(WorkspaceFile, parent=workspace.id)
        return reply({"value": [file_wire(workspace, one) for one in files]})

    @both(routes, "GET", "/fileWorkspaces/{name}/files/{file}")
    async def get_file(request: Request, name: str, file: str) -> Response:
        workspace = found_workspace(request, name)
        return reply(file_wire(workspace, found_file(workspace, file)))

    @both(routes, "PUT", "/fileWorkspaces/{name}/files/{file}")
    async def create_file(request: Request, name: str, file: str) -> Response:
        caller = desk.caller(request)
        sizes = await properties_of(request, FileBody)
        workspace = usable_workspace(desk, caller, name)
        check_file(file, sizes)
        key = f"{workspace.id}/{file}"
        there = store.get(WorkspaceFile, key)
        if there is not None and there.sizes == sizes:
            return reply(file_wire(workspace, there), 201)
        with store.transaction():
            for chunk in store.listed(FileChunk, parent=key):
                store.delete(chunk)
            made = WorkspaceFile(id=key, scope=workspace.id, name=file, created=cloud.now(), sizes=sizes)
            cloud.write_now(made)
        return reply(file_wire(workspace, made), 201)

    @both(routes, "POST", "/fileWorkspaces/{name}/files/{file}/upload")
    async def upload_chunk(request: Request, name: str, file: str) -> Response:
        caller = desk.caller(request)
        chunk = body_as(ChunkBody, await json_of(request))
        found = found_file(usable_workspace(desk, caller, name), file)
        checked_chunk(found.sizes, chunk)
        key = f"{found.id}/{chunk.chunk_index}"
        cloud.write_now(FileChunk(id=key, file=found.id, index=chunk.chunk_index, content=chunk.content))
        return Response(status_code=204)

    return routes
