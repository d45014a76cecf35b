"""`claimdesk deadline`: until when Microsoft must have a claim, and why. Needs no server."""

from datetime import date, datetime
from typing import Annotated

import typer

from domain.deadlines import Deadline, OtherRule, resolve
from domain.policy import Category, Commerce, PolicyError
from starter.cli.output import Output, OutputOption, day, write_json, write_table

app = typer.Typer(help="Deadlines, explained.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def deadline() -> None:
    """Deadlines, explained."""


@app.command()
def explain(
    category: Annotated[Category, typer.Option(help="Why a credit is claimed.")],
    commerce: Annotated[Commerce, typer.Option(help="How the subscription was bought.")],
    incident: Annotated[date, typer.Option(parser=day, metavar="DATE", help="The day of the incident, UTC.")],
    purchased: Annotated[
        date | None, typer.Option(parser=day, metavar="DATE", help="The day of the purchase, UTC.")
    ] = None,
    billing_day: Annotated[
        int | None,
        typer.Option(metavar="N", help="Legacy only: the day on which billing months begin, 1 to 31."),
    ] = None,
    product: Annotated[str | None, typer.Option(help="The product's name; some have rules of their own.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Until when Microsoft must have a claim, by which rule, and which other published rules apply.

    Example: claimdesk deadline explain --category accidental_purchase --commerce legacy --incident 2026-02-15
    """
    try:
        found = resolve(category, commerce, incident, purchased=purchased, billing_day=billing_day, product=product)
    except PolicyError as error:
        message = f"{error.problem}. Accepted: {error.accepted}."
        raise typer.BadParameter(message, param_hint=f"--{error.field.replace('_', '-')}") from None
    if billing_day is not None and commerce is not Commerce.LEGACY:
        typer.echo("--billing-day is for legacy; new commerce and Azure are billed by the calendar month.", err=True)
    if output is Output.JSON:
        write_json({**_rule(found), "also": [_rule(other) for other in found.also]})
    else:
        rows = [_rule(found), *map(_rule, found.also)]
        write_table(
            ("Last day (UTC)", "Rule", "Explanation", "Source"),
            [(row["due_on"] or "not dated", row["rule"], row["explanation"], row["source"]) for row in rows],
        )


def _rule(rule: Deadline | OtherRule) -> dict[str, str | None]:
    return {
        "due_on": rule.due_on.isoformat() if rule.due_on else None,
        "due_at": _instant(rule.due_at) if rule.due_at else None,
        "rule": rule.rule,
        "source": rule.source,
        "explanation": f"{rule.explanation} {rule.effect}".rstrip(),
    }


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
