"""`claimdesk up` and `claimdesk demo`: the desk on this machine, without and with the tour."""

import asyncio
import json
import os
import shlex
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from runtime.settings import Settings, load_settings, variable
from starter.cli.output import console as console_of_data
from starter.parts import DeskError, Seed, login, reached_at
from starter.processes import Desk
from starter.tour import STORIES, Told, take_tour

_QUICK = {"ticket_sweep_seconds": 2, "credit_sweep_seconds": 2}
"""How often the tour has Microsoft asked: nobody wants to watch for five minutes."""


def up() -> int:
    """Run the desk until it is told to stop. The exit status: 1 where it can't start or can't go on."""
    settings = load_settings()

    async def work(desk: Desk, console: Console) -> int:
        console.print(_welcome(settings, desk.seed), highlight=False, soft_wrap=True)
        await asyncio.Event().wait()
        return 0

    return _run(settings, work)


def demo(*, leave: bool, as_json: bool) -> int:
    """Run the desk, take the tour, tell what came of it, and stay up unless `leave`.

    The exit status: 0 only if every claim reached the outcome that the tour expects.
    """
    settings = load_settings()
    settings = load_settings(
        **{name: seconds for name, seconds in _QUICK.items() if name not in settings.model_fields_set}
    )
    outcome = 1

    async def work(desk: Desk, console: Console) -> int:
        nonlocal outcome
        seed = desk.seed
        with _progress(console) as progress:
            task = progress.add_task("The tour", total=len(STORIES))

            def heard(told: Told) -> None:
                progress.update(task, advance=1, description=told.story.what)
                if not console.is_terminal:
                    console.print(f"{told.status}: {told.story.what}", highlight=False, markup=False)

            told = await take_tour(settings.api_url, desk.simulator_url, seed, heard)
        outcome = 0 if all(one.ok for one in told) else 1
        _tell(told, console, as_json)
        if not leave:
            console.print(_welcome(settings, seed), highlight=False, soft_wrap=True)
            await asyncio.Event().wait()
        return outcome

    return max(_run(settings, work), outcome)


def _run(settings: Settings, work: Callable[[Desk, Console], Awaitable[int]]) -> int:
    console = Console(stderr=True)
    try:
        return asyncio.run(_beside(settings, work, console))
    except DeskError as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        # Told to stop, and everything has stopped.
        return 0


async def _beside(settings: Settings, work: Callable[[Desk, Console], Awaitable[int]], console: Console) -> int:
    """Do the work while the desk runs. Raises DeskError as soon as one of its processes ends by itself."""
    me = asyncio.current_task()
    assert me is not None
    for sign in (signal.SIGTERM, signal.SIGHUP):
        # As for Ctrl-C: once stops in order, twice at once.
        asyncio.get_running_loop().add_signal_handler(sign, me.cancel)
    with _saying(console) as said:
        async with Desk(settings, said) as desk:
            said("")
            _keep_environment(settings, desk.seed)
            working = asyncio.ensure_future(work(desk, console))
            watching = asyncio.ensure_future(desk.any_ended())
            try:
                await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    raise watching.result()
                return working.result()
            finally:
                working.cancel()
                watching.cancel()
                await asyncio.gather(working, watching, return_exceptions=True)


@contextmanager
def _saying(console: Console) -> Iterator[Callable[[str], None]]:
    """Says what is being done: a line that changes on a terminal, lines below each other elsewhere."""
    status = console.status("")

    def said(text: str) -> None:
        if not console.is_terminal:
            if text:
                console.print(text, highlight=False, markup=False)
        elif text:
            status.update(text)
            status.start()
        else:
            status.stop()

    try:
        yield said
    finally:
        status.stop()


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), BarColumn(24), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.description}", markup=False), console=console, transient=True)


def _tell(told: list[Told], console: Console, as_json: bool) -> None:
    for one in told:
        if not one.ok:
            expected = f"expected {one.story.route}, {one.story.status}; it is {one.route}, {one.status}"
            text = f"{one.story.what}: {expected}. {one.problem or ''}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    if as_json:
        claims = [
            {"id": one.claim_id, "route": one.route, "status": one.status, "temporal_ui": one.temporal_ui}
            for one in told
        ]
        print(json.dumps({"ok": all(one.ok for one in told), "claims": claims}, indent=2))
        return
    table = Table(title="What happened", title_justify="left")
    for column in ("Claim", "Route", "Status", "What happened"):
        table.add_column(column, overflow="fold")
    for one in told:
        # The id links to the run: written out, the address would be wider than most terminals.
        claim = Text(one.claim_id, style=f"link {one.temporal_ui}")
        style = "bold" if one.ok else "bold red"
        table.add_row(claim, str(one.route or ""), Text(str(one.status or ""), style=style), one.story.what)
    out = console_of_data()
    out.print(table)
    if not out.is_terminal:
        out.print("Runs", *(one.temporal_ui for one in told), sep="\n", highlight=False, soft_wrap=True)


def _welcome(settings: Settings, seed: Seed) -> str:
    """Where everything is, and how to begin."""
    query = quote('WorkflowType="CreditClaim"')
    file = shlex.quote(os.path.relpath(_environment_file(settings)))
    others = ", ".join(user for user in seed.users if user != "ana@partner.example")
    return "\n".join(
        (
            "",
            f"API           {settings.api_url}/docs",
            f"Temporal UI   {settings.temporal_ui_url}/namespaces/default/workflows?query={query}",
            f"Microsoft     {_simulator(settings)}/_simulator/docs (simulated)",
            f"Logs          {settings.data_dir / 'logs'}",
            "",
            "To work at the desk, in another terminal:",
            f"  . {file if '/' in file else './' + file}",
            "  claimdesk login --user ana@partner.example",
            "  claimdesk claim list",
            f"Others to sign in as: {others}.",
            "",
            f"Ctrl-C stops the desk; its data stays in {settings.data_dir}.",
        )
    )


def _simulator(settings: Settings) -> str:
    return reached_at(settings.simulator_host, settings.simulator_port)


def _environment_file(settings: Settings) -> str:
    return str(settings.data_dir / "desk.env")


def _keep_environment(settings: Settings, seed: Seed) -> None:
    """Write what the command line needs to find this desk: for a shell to read. No secret is in it."""
    values = {"api_url": settings.api_url, **login(seed, _simulator(settings))}
    lines = [f"export {variable(name)}={shlex.quote(value)}\n" for name, value in values.items()]
    with open(_environment_file(settings), "w", encoding="utf-8") as file:
        file.writelines(lines)
