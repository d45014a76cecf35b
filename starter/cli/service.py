"""The processes that the command starts one by one, and what they need first."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from runtime.settings import load_settings
from starter.cli.output import FAILED, fail, say


def register(app: typer.Typer) -> None:
    """Add the commands that start processes."""
    commands: tuple[Callable[..., None], ...] = (api, simulator, migrate)
    for command in commands:
        app.command()(command)


# What these need is imported when they run: `claimdesk claim list` must not wait for it, and a short-lived process that
# imported temporalio may crash when it ends.


def api() -> None:
    """Serve the API until it is told to stop.

    Example: claimdesk api
    """
    import uvicorn

    from runtime.logging import configure_logging
    from starter.api.app import create_app

    settings = load_settings()
    configure_logging(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            server_header=False,
            # A request may wait for its claim as long as the API does; then the process ends all the same.
            timeout_graceful_shutdown=int(settings.update_timeout_seconds) + 5,
        )
    )
    server.run()
    if not server.started:
        fail(FAILED, f"The API can't listen on {settings.api_host}:{settings.api_port}; see the log above.")


def simulator(
    state: Annotated[str | None, typer.Option(help="The file it remembers in; by default in the data folder.")] = None,
) -> None:
    """Serve the simulated Microsoft until it is told to stop.

    Example: claimdesk simulator
    """
    from simulator.__main__ import main

    settings = load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    file = state or str(settings.data_dir / "simulator.db")
    port = str(settings.simulator_port)
    sys.argv = ["simulator", "--host", settings.simulator_host, "--port", port, "--state", file]
    main()


def migrate() -> None:
    """Bring the database to the version of this program; harmless when it is there already.

    Example: claimdesk migrate
    """
    from sqlalchemy.exc import SQLAlchemyError

    from records.database import migrate as bring_up_to_date

    settings = load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        bring_up_to_date(settings.database_url)
    except SQLAlchemyError as error:
        fail(FAILED, f"The database can't be brought up to date: {type(error).__name__}. Is it there, and is it ours?")
    say("The database is up to date.")
