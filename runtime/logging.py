"""One log for everything: structlog, the standard library, uvicorn, the Temporal SDK and its core.

Entries of `workflow.logger` and `activity.logger` come through the standard library, so the SDK's own
rule holds for them: a replay logs nothing twice. Workflow code must not call structlog directly.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence

import structlog
import temporalio.activity
import temporalio.workflow
from structlog.types import EventDict, Processor, WrappedLogger

from runtime.settings import Settings

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(r"authorization|token|secret|password|passwd|api[-_]?key|cookie|credential", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"(?P<scheme>\bBearer\s+)[\w.~+/=-]{8,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"  # a password inside an address
    r"|(?P<form>\b(?:refresh_token|access_token|client_secret|password)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+",
    re.IGNORECASE,
)


def _redact_text(text: str) -> str:
    def cover(found: re.Match[str]) -> str:
        return (found["scheme"] or found["url"] or found["form"] or "") + REDACTED

    return _SECRET_TEXT.sub(cover, text)


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return _redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: REDACTED if isinstance(key, str) and _SECRET_KEY.search(key) and item else _redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_redacted(item) for item in value]
    return value


def redact(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """A structlog processor: nothing that looks like a credential leaves, by its key or by its look."""
    covered = _redacted(entry)
    assert isinstance(covered, dict)
    return covered


def _temporal_fields(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    # What the SDK puts on its records says which claim an entry is about; lift the parts one searches by.
    for key in ("temporal_workflow", "temporal_activity"):
        details = entry.pop(key, None)
        if isinstance(details, Mapping):
            for name in ("workflow_id", "run_id", "workflow_run_id", "workflow_type", "activity_type", "attempt"):
                if name in details:
                    entry.setdefault(name, details[name])
    return entry


def configure_logging(settings: Settings) -> None:
    """Send every log of this process to stderr, once, as the settings say. Call it first in a process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            *shared,
            structlog.stdlib.ExtraAdder(allow=["temporal_workflow", "temporal_activity"]),
            _temporal_fields,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # uvicorn brings handlers of its own, and would print every entry a second time.
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for noisy in ("httpx", "httpcore"):
        # Their entries carry whole addresses, and customers' names can stand in a query.
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # The ids are fields of the entry; the SDK would also append them to its text.
    temporalio.workflow.logger.workflow_info_on_message = False
    temporalio.activity.logger.activity_info_on_message = False
