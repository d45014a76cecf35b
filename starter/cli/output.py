"""How the command line speaks: data on stdout as a table or JSON, the rest on stderr, and what it ends with."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

FAILED, WRONG_INPUT, NOT_ALLOWED, NOT_FOUND, NOT_SIGNED_IN = 1, 2, 3, 4, 5

# Texts come from customers and from Microsoft: nothing in them may steer the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WIDTH_OF_A_PIPE = 200


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", help="How to write the answer to stdout.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask; needed where nobody can be asked.")]


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(_CONTROL.sub("�", text), file=sys.stderr)


def fail(code: int, text: str) -> NoReturn:
    """End with this exit code, having said why."""
    say(text)
    raise typer.Exit(code)


def confirm(question: str, yes: bool) -> None:
    """Ask before something that can't be undone. Ends with exit code 2 where nobody is there to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(WRONG_INPUT, f"{question} That can't be undone: say so with --yes.")
    if not typer.confirm(question, err=True):
        fail(WRONG_INPUT, "Nothing was done.")


def day(value: str) -> date:
    """A date as people type it to an option. Raises typer.BadParameter, which says how."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise typer.BadParameter(f"{value!r} isn't a date. Accepted: a date as year-month-day, like 2026-02-15.")


def write_json(data: object) -> None:
    """Data as JSON on stdout, and nothing else."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Data as a table on stdout."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def write_page(rows: Iterable[tuple[str, object]]) -> None:
    """Names and values on stdout, one a line; what has no value is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value not in (None, "", [], ()):
            table.add_row(name, _cell(value))
    console().print(table)


def console() -> Console:
    """Stdout, not cut to 80 columns where it isn't a terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False)


def _cell(value: object) -> Text:
    return Text("" if value is None else _CONTROL.sub("�", str(value)))
