"""`claimdesk up` and `claimdesk demo`: the whole desk on this machine."""

from typing import Annotated

import typer

from starter.cli.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add up and demo."""
    app.command()(up)
    app.command()(demo)


def up() -> None:
    """Run the desk here until Ctrl-C: a Temporal server with its UI, a simulated Microsoft, the worker and the API.

    Example: claimdesk up
    """
    from starter import demo as desk

    raise typer.Exit(desk.up())


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="End after the tour.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run the desk, and take a tour: a claim for each route and outcome. Stays up until Ctrl-C.

    Example: claimdesk demo --exit --output json
    """
    from starter import demo as desk

    raise typer.Exit(desk.demo(leave=leave, as_json=output is Output.JSON))
