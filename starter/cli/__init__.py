"""The `claimdesk` command. Data goes to stdout, everything else to stderr.

Exit codes: 0 done; 1 it failed; 2 wrong usage or input; 3 not allowed, to you or now; 4 no such thing; 5 not signed in.
"""

import sys

import typer

from runtime.settings import SettingsError
from starter.cli import claims, deadlines, desk, service, session, work
from starter.cli.output import WRONG_INPUT, say

app = typer.Typer(
    name="claimdesk",
    help=__doc__,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(claims.app, name="claim")
app.add_typer(deadlines.app, name="deadline")
work.register(claims.app)
session.register(app)
service.register(app)
desk.register(app)


def main() -> None:
    """The entry point."""
    try:
        app()
    except SettingsError as error:
        say(str(error))
        sys.exit(WRONG_INPUT)
