"""Around every request: one line in the log, one observation, a limit for the body, and no fault uncovered."""

import hashlib
import time
import traceback

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.settings import Settings
from starter.api.desk import CLAIM_ID
from starter.api.metrics import Metrics
from starter.api.problems import Problem, internal

BODY_BYTES = 64 * 1024
"""The largest JSON body, and what the form around a document may add to its size."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = structlog.get_logger("starter.api")


class Requests:
    """The middleware. Never logs a body, a token, a query or a name: the caller is a hash of who they are."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._document_bytes = settings.max_document_bytes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan, which passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answered(scope, receive, watched)
        except Exception as error:
            # Frames without their message: what went wrong may repeat what a customer said.
            frames = traceback.extract_tb(error.__traceback__)[-12:]
            places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
            _log.error("request failed", error=type(error).__name__, places=places)
            if status:
                raise ConnectionError("The answer broke off; its connection is closed.") from None
            await internal().response(scope["path"])(scope, receive, watched)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = BODY_BYTES + (self._document_bytes if scope["path"].endswith("/evidence") else 0)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > limit:
            await _too_large(limit).response(scope["path"])(scope, receive, send)
            return
        size = 0

        async def measured() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, measured, send)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        fields: dict[str, object] = {
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        caller = scope.get("state", {}).get("caller")
        if caller is not None:
            fields["caller"] = hashlib.sha256(f"{caller.tenant_id}|{caller.subject}".encode()).hexdigest()[:12]
        claim_id = scope.get("path_params", {}).get("claim_id", "")
        if CLAIM_ID.fullmatch(claim_id):
            fields["claim_id"] = claim_id
        _log.info("request", **fields)
        # A label of the caller's own making would grow the metrics without end.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.observe(method, route, status, seconds)


def _too_large(limit: int) -> Problem:
    return Problem(
        413, "body_size", f"The request is over {limit:,} bytes. Send a smaller one.", headers={"Connection": "close"}
    )
