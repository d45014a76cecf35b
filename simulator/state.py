"""The memory of the simulated cloud: one SQLite file that survives a SIGKILL, or `:memory:`."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from simulator.models import Document

D = TypeVar("D", bound=Document)

ALWAYS = datetime.fromtimestamp(0, UTC)
"""A visibility instant that has long passed: for what is visible as soon as it is written."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass
class Config:
    """How one simulated cloud behaves. `visible_after` and `persona_delay` (seconds) and `time_scale` may be changed
    through the side door. `time_scale` is by how much Azure's recorded times (Retry-After, how long an exchange takes,
    when an effect is seen) are stretched: 1 is as recorded, 0 at once.
    """

    state: str = ":memory:"
    base_url: str | None = None
    audience: str = "api://claimdesk"
    token_seconds: int = 3600
    visible_after: float = 0.0
    persona_delay: float = 0.0
    time_scale: float = 1.0
    service_request_page: int = 200
    now: Callable[[], datetime] = field(default=utc_now)

    @classmethod
    def from_environment(cls) -> "Config":
        """Reads `SIMULATOR_STATE`, `_BASE_URL`, `_AUDIENCE`, `_TOKEN_SECONDS`, `_VISIBLE_AFTER`, `_PERSONA_DELAY`,
        `_TIME_SCALE` and `_SERVICE_REQUEST_PAGE`. Raises `ValueError` when a number isn't one."""
        env = os.environ
        return cls(
            state=env.get("SIMULATOR_STATE", ":memory:"),
            base_url=env.get("SIMULATOR_BASE_URL"),
            audience=env.get("SIMULATOR_AUDIENCE", "api://claimdesk"),
            token_seconds=int(env.get("SIMULATOR_TOKEN_SECONDS", "3600")),
            visible_after=float(env.get("SIMULATOR_VISIBLE_AFTER", "0")),
            persona_delay=float(env.get("SIMULATOR_PERSONA_DELAY", "0")),
            time_scale=float(env.get("SIMULATOR_TIME_SCALE", "1")),
            service_request_page=int(env.get("SIMULATOR_SERVICE_REQUEST_PAGE", "200")),
        )


class Store:
    """Documents in versions. A version becomes visible at its own instant; until then readers see the one before it.

    One process, one thread: every handler runs on the event loop and none awaits between reading and writing.
    """

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(
            "PRAGMA synchronous=NORMAL"
        )  # safe against the process dying, which is what the tests do to it
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
            " id TEXT NOT NULL, parent TEXT NOT NULL, position INTEGER NOT NULL, visible_at REAL NOT NULL,"
            " json TEXT NOT NULL)"
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS by_id ON documents (kind, id, seq)")
        self._db.execute("CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent, id, seq)")

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is kept, or none of it. May be nested; the outermost decides."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def write(self, document: Document, *, visible_at: datetime, now: datetime) -> None:
        """Adds a version, and forgets those that a version already visible at `now` has replaced."""
        kind, key = document.kind, document.id.lower()
        with self.transaction():
            self._db.execute(
                "INSERT INTO documents (kind, id, parent, position, visible_at, json) VALUES (?, ?, ?, coalesce("
                " (SELECT min(position) FROM documents WHERE kind = ? AND id = ?),"
                " (SELECT coalesce(max(seq), 0) + 1 FROM documents)), ?, ?)",
                (kind, key, document.parent_id(), kind, key, visible_at.timestamp(), document.model_dump_json()),
            )
            self._db.execute(
                "DELETE FROM documents WHERE kind = ? AND id = ? AND seq <"
                " (SELECT max(seq) FROM documents WHERE kind = ? AND id = ? AND visible_at <= ?)",
                (kind, key, kind, key, now.timestamp()),
            )

    def delete(self, document: Document) -> None:
        """Forgets every version."""
        self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (document.kind, document.id.lower()))

    def get(self, model: type[D], key: str, *, now: datetime | None = None) -> D | None:
        """The newest version; with `now`, the newest that is visible by then. Ids match whatever their case."""
        row: tuple[str] | None = self._db.execute(
            "SELECT json FROM documents WHERE kind = ? AND id = ? AND visible_at <= ? ORDER BY seq DESC LIMIT 1",
            (model.kind, key.lower(), _instant(now)),
        ).fetchone()
        return None if row is None else model.model_validate_json(row[0])

    def listed(
        self,
        model: type[D],
        *,
        parent: str | None = None,
        now: datetime | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[D]:
        """Newest (visible) versions in the order in which the documents were first written."""
        rows: list[tuple[str]] = self._db.execute(
            "SELECT json FROM documents WHERE seq IN (SELECT max(seq) FROM documents WHERE kind = ? AND visible_at <= ?"
            " AND (? IS NULL OR parent = ?) GROUP BY id) ORDER BY position LIMIT ? OFFSET ?",
            (model.kind, _instant(now), _lower(parent), _lower(parent), limit, offset),
        ).fetchall()
        return [model.model_validate_json(text) for (text,) in rows]

    def count(self, model: type[D], *, parent: str | None = None, now: datetime | None = None) -> int:
        """How many documents `listed` would give without a limit."""
        row: tuple[int] = self._db.execute(
            "SELECT count(DISTINCT id) FROM documents WHERE kind = ? AND visible_at <= ? AND (? IS NULL OR parent = ?)",
            (model.kind, _instant(now), _lower(parent), _lower(parent)),
        ).fetchone()
        return row[0]


def _instant(now: datetime | None) -> float:
    return float("inf") if now is None else now.timestamp()


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


class Cloud:
    """Configuration, memory and clock of one simulated cloud: what every router is given."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store(config.state)

    def now(self) -> datetime:
        """The present instant, cut to milliseconds: the list of tickets shows no more."""
        moment = self.config.now()
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def write(self, document: Document, at: datetime | None = None) -> None:
        """Writes something that happened `at` (now, if not said) and is seen `visible_after` seconds later."""
        now = self.now()
        self.store.write(document, visible_at=(at or now) + timedelta(seconds=self.config.visible_after), now=now)

    def write_now(self, document: Document) -> None:
        """Writes something that is seen at once, whatever the delay."""
        self.store.write(document, visible_at=ALWAYS, now=self.now())
