"""The desk on one machine: the Temporal dev server, the simulated Microsoft, the worker and the API, kept together.

They are processes of one supervisor. None of them outlives it, however it ends: they share a process group with a
shell that does nothing but read a pipe from the supervisor, and kills that group when the pipe closes.
"""

import asyncio
import fcntl
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO, Self

import httpx
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from records.database import migrate
from runtime.settings import Settings, variable
from starter.parts import DeskError, Part, Seed, check_ports, environment, part, reached_at, simulated_identity

READY_WITHIN = 60.0
"""Seconds that a process has until it answers; a machine that is busy with its first start needs some."""

PATIENCE = {"api": 30.0, "worker": 75.0, "simulator": 10.0, "temporal": 20.0}
"""Seconds each process has to end, in the order in which they are stopped: what the API has accepted still needs the
worker, and the worker, which drains for up to a minute, the other two."""

_TAIL_LINES = 15


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the first failure itself, not a group of one."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


class Desk:
    """The four processes of one data folder. Start it, stop it; in between each can be started and killed alone.

    `said` is told what is being done, in a few words. Not for Windows: process groups and file locks are POSIX's.
    """

    def __init__(self, settings: Settings, said: Callable[[str], None] = lambda text: None) -> None:
        self.settings = settings
        self.simulator_url = reached_at(settings.simulator_host, settings.simulator_port)
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        """Those started and not yet seen to have ended, by name: temporal, simulator, worker, api."""
        self.logs = settings.data_dir / "logs"
        self._said = said
        self._http = httpx.AsyncClient(timeout=5.0, trust_env=False)
        self._environment: dict[str, str] = {}
        self._lifeline: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._seed: Seed | None = None

    async def __aenter__(self) -> Self:
        """Start. Raises DeskError, and nothing runs then."""
        try:
            await self.start()
        except BaseException:
            await self.stop(drain=False)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        await self.stop(drain=not isinstance(error, DeskError))

    async def start(self) -> None:
        """Start all four, each once what it needs answers.

        Raises DeskError: a port is taken, the folder belongs to another desk, or a process ended or didn't answer.
        """
        self._take_folder()
        check_ports(self.settings)
        self._environment = environment(self.settings)
        self._hold_together()
        self._said("starting Temporal and the simulated Microsoft, bringing the database up to date")
        async with _together() as group:
            group.create_task(self.launch("temporal"))
            group.create_task(self.launch("simulator"))
            group.create_task(self._migrate())
        self._seed = await self._read_seed()
        self._environment |= simulated_identity(self.settings, self._seed, self.simulator_url)
        self._said("starting the worker and the API")
        async with _together() as group:
            group.create_task(self.launch("worker"))
            group.create_task(self.launch("api"))

    @property
    def seed(self) -> Seed:
        """What the simulator said of itself when it started."""
        assert self._seed is not None, "only a desk that was started has one"
        return self._seed

    async def _read_seed(self) -> Seed:
        answer = await self._http.get(f"{self.simulator_url}/_simulator/seed")
        try:
            return Seed.model_validate_json(answer.raise_for_status().content)
        except (httpx.HTTPStatusError, ValidationError) as error:
            raise DeskError(f"What listens on {self.simulator_url} isn't the simulator of this version.") from error

    async def launch(self, name: str) -> None:
        """Start one process and wait until it is ready. Raises DeskError with the last lines of its log."""
        one = part(name, self.settings)
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(self.logs / f"{name}.before.log")
        with log.open("wb") as output:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *one.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                process_group=self._lifeline.pid if self._lifeline else None,
            )
        until = time.monotonic() + READY_WITHIN
        while not await self._answers(one):
            if self.processes[name].returncode is not None:
                raise self._ended(name)
            if time.monotonic() > until:
                raise DeskError(
                    f"{_sentence(one.title)} didn't answer within {READY_WITHIN:.0f} seconds. {self._tail(name)}"
                )
            await asyncio.sleep(0.1)

    async def kill(self, name: str) -> None:
        """End one process at once (SIGKILL), as a power cut would."""
        process = self.processes.pop(name)
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def any_ended(self) -> DeskError:
        """Wait until one of the processes ends by itself; the error says which and shows its last lines."""
        waits = {asyncio.create_task(process.wait()): name for name, process in self.processes.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        return self._ended(waits[done.pop()])

    async def stop(self, *, drain: bool = True) -> None:
        """Stop in order, and kill what doesn't end in time: without `drain` that is after a few seconds."""
        try:
            for name, patience in PATIENCE.items():
                process = self.processes.get(name)
                if process is None or process.returncode is not None:
                    continue
                self._said(f"stopping {part(name, self.settings).title}")
                process.terminate()
                try:
                    async with asyncio.timeout(patience if drain else min(patience, 5.0)):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
        finally:
            self._let_go()
            await self._http.aclose()
        self.processes.clear()

    async def _migrate(self) -> None:
        try:
            await asyncio.to_thread(migrate, self.settings.database_url)
        except SQLAlchemyError as error:
            raise DeskError(
                f"The database of records ({variable('database_url')}) can't be brought up to date: {error}"
            ) from error

    async def _answers(self, one: Part) -> bool:
        try:
            answer = await self._http.get(one.probe)
        except httpx.TransportError:
            return False
        return answer.is_success and all(text in answer.text for text in one.says)

    def _ended(self, name: str) -> DeskError:
        code = self.processes.pop(name).returncode or 0
        how = f"exit status {code}" if code >= 0 else signal.Signals(-code).name
        title = _sentence(part(name, self.settings).title)
        return DeskError(f"{title} ended ({how}). {self._tail(name)}")

    def _tail(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n  ".join([f"The end of {log}:" if lines else f"It wrote nothing to {log}.", *lines])

    def _take_folder(self) -> None:
        folder = self.settings.data_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "desk.lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeskError(
                f"Another desk runs on the data in {folder}: stop it, or set {variable('data_dir')} to another folder."
            ) from None
        except OSError as error:
            raise DeskError(f"{folder} can't be used ({error.strerror}): set {variable('data_dir')}.") from None

    def _hold_together(self) -> None:
        self._lifeline = subprocess.Popen(
            ["sh", "-c", "read _; kill -KILL 0"],  # noqa: S607 - any POSIX shell will do
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def _let_go(self) -> None:
        if self._lifeline is not None and self._lifeline.stdin is not None:
            self._lifeline.stdin.close()
            self._lifeline.wait()
            self._lifeline = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
