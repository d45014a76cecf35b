"""`claimdesk claim`: open, list, show a claim, and fetch what belongs to it."""

import os
import re
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated

import httpx
import typer

from domain.claims import RaisedBy, Status, WaitingOn
from domain.policy import Category
from starter.cli.output import (
    FAILED,
    WRONG_INPUT,
    Output,
    OutputOption,
    day,
    fail,
    say,
    write_json,
    write_page,
    write_table,
)
from starter.cli.session import Api, KeyOption, parsed

app = typer.Typer(help="Credit claims.", no_args_is_help=True, rich_markup_mode=None)

ClaimId = Annotated[str, typer.Argument(metavar="CLAIM", help="The claim's id, claim-…")]
Target = Annotated[
    Path | None, typer.Option("--to", help="The file to write; - is stdout. By default its own name, in this folder.")
]
_CLAIM_ID = re.compile(r"claim-[0-9a-f]{20}")


def claim_path(claim_id: str) -> str:
    """Where the API has the claim. Ends with exit code 2 for what can't be a claim's id."""
    if not _CLAIM_ID.fullmatch(claim_id):
        fail(WRONG_INPUT, "CLAIM: that isn't a claim's id. Accepted: claim- and 20 hexadecimal digits.")
    return f"/v1/claims/{claim_id}"


def money(amount: str | None, currency: str | None) -> dict[str, str] | None:
    """An amount as the API takes it. Ends with exit code 2 where one of the two is missing."""
    if amount is None and currency is None:
        return None
    if amount is None or currency is None:
        raise typer.BadParameter("give both or neither, as in --amount 12.50 --currency EUR", param_hint="--amount")
    return {"amount": amount, "currency": currency}


@app.command("open")
def open_claim(
    customer: Annotated[str, typer.Option(help="The customer's tenant id.")],
    subscription: Annotated[str, typer.Option(help="The subscription's id at Partner Center.")],
    category: Annotated[Category, typer.Option(help="Why a credit is claimed.")],
    incident: Annotated[date, typer.Option(parser=day, metavar="DATE", help="The day of the incident, UTC.")],
    description: Annotated[str, typer.Option(help="What happened.")],
    contact_name: Annotated[str, typer.Option(help="Whom of ours Microsoft may write to.")],
    contact_email: Annotated[str, typer.Option(help="Their address.")],
    contact_phone: Annotated[str | None, typer.Option(help="Their telephone number.")] = None,
    reference: Annotated[str | None, typer.Option(help="Microsoft's incident id; an outage needs one.")] = None,
    advisory: Annotated[bool, typer.Option("--advisory", help="Microsoft calls it an advisory.")] = False,
    raised_by: Annotated[RaisedBy | None, typer.Option(help="Who asks for the credit.")] = None,
    amount: Annotated[str | None, typer.Option(help="How much is asked, before tax: 12.50")] = None,
    currency: Annotated[str | None, typer.Option(help="In which currency: EUR")] = None,
    basis: Annotated[str | None, typer.Option(help="How the amount was worked out.")] = None,
    stopped_on: Annotated[
        date | None, typer.Option(parser=day, metavar="DATE", help="The day it was suspended or cancelled, UTC.")
    ] = None,
    billing_day: Annotated[int | None, typer.Option(metavar="N", help="Day of the month it is billed.")] = None,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Open a claim.

    Example: claimdesk claim open --customer c0a1… --subscription 5f3e… --category service_outage
    --incident 2026-02-15 --reference EX25194 --description "No mail for six hours" --contact-name "Ana Admin"
    --contact-email ana@partner.example
    """
    body = {
        "customer_id": customer,
        "subscription_id": subscription,
        "category": category,
        "incident": {
            "date": incident.isoformat(),
            "reference": reference,
            "description": description,
            "is_advisory": advisory,
        },
        "raised_by": raised_by,
        "amount_asked": money(amount, currency),
        "amount_basis": basis,
        "contact": {"name": contact_name, "email": contact_email, "phone": contact_phone},
        "stopped_on": stopped_on.isoformat() if stopped_on else None,
        "billing_day": billing_day,
    }
    show_claim(Api().write("POST", "/v1/claims", idempotency_key, body=body), output)


@app.command("list")
def list_claims(
    status: Annotated[list[Status] | None, typer.Option(help="In this status; may be given several times.")] = None,
    customer: Annotated[str | None, typer.Option(help="Of this customer, by tenant id.")] = None,
    due_before: Annotated[
        str | None, typer.Option(help="To be filed before this instant: 2026-04-01T00:00:00Z")
    ] = None,
    waiting_on: Annotated[WaitingOn | None, typer.Option(help="Where it is their move.")] = None,
    assignee: Annotated[str | None, typer.Option(help="Given to this colleague.")] = None,
    text: Annotated[str | None, typer.Option(help="With this in its id, customer, incident or ticket.")] = None,
    sort: Annotated[
        str, typer.Option(help="due_at, opened_at or status_since; with a minus the latest first.")
    ] = "due_at",
    limit: Annotated[int, typer.Option(help="At most so many, up to 200.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="The page after the one that gave this cursor.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """The claims that you may see.

    Example: claimdesk claim list --waiting-on us --sort due_at
    """
    params = {
        "status": [item.value for item in status or ()],
        "customer_id": customer,
        "due_before": due_before,
        "waiting_on": waiting_on.value if waiting_on else None,
        "assignee": assignee,
        "text": text,
        "sort": sort,
        "limit": limit,
        "cursor": cursor,
    }
    page = parsed(Api().get("/v1/claims", params))
    if output is Output.JSON:
        write_json(page)
        return
    write_table(
        ("Claim", "Status", "Waiting on", "Due on", "Customer", "Category", "Incident", "Ticket", "Assignee"),
        [
            (
                _at(claim, "id"),
                _at(claim, "status"),
                _at(claim, "waiting_on"),
                _at(claim, "due_on"),
                _at(claim, "customer", "name"),
                _at(claim, "category"),
                _at(claim, "incident_date"),
                _at(claim, "ticket_number"),
                _at(claim, "assignee"),
            )
            for claim in _list(page, "items")
        ],
    )
    if page.get("next_cursor"):
        say(f"There are more: --cursor {page['next_cursor']}")


@app.command()
def show(claim: ClaimId, output: OutputOption = Output.TABLE) -> None:
    """A claim, with everything needed to work on it.

    Example: claimdesk claim show claim-0123456789abcdef0123
    """
    show_claim(parsed(Api().get(claim_path(claim))), output)


@app.command()
def timeline(claim: ClaimId, output: OutputOption = Output.TABLE) -> None:
    """Everything that happened to a claim, and who did it.

    Example: claimdesk claim timeline claim-0123456789abcdef0123
    """
    api, entries, after = Api(), [], 0
    while True:
        page = parsed(api.get(f"{claim_path(claim)}/timeline", {"after": after, "limit": 200}))
        entries += _list(page, "items")
        if not isinstance(page.get("next_after"), int):
            break
        after = int(str(page["next_after"]))
    if output is Output.JSON:
        write_json({"items": entries})
        return
    write_table(
        ("When (UTC)", "What", "Status", "Who", "Role", ""),
        [
            (
                _at(entry, "at"),
                _at(entry, "event"),
                _at(entry, "status"),
                _at(entry, "actor", "name") or _at(entry, "actor", "subject"),
                _at(entry, "actor", "role"),
                _at(entry, "text"),
            )
            for entry in entries
        ],
    )


@app.command()
def credits(claim: ClaimId, output: OutputOption = Output.TABLE) -> None:
    """The claim's credit, and the invoice lines that could be it.

    Example: claimdesk claim credits claim-0123456789abcdef0123
    """
    credit = parsed(Api().get(f"{claim_path(claim)}/credits"))
    if output is Output.JSON:
        write_json(credit)
        return
    write_page(_credit_rows(credit))
    write_table(
        ("Line", "Invoice", "Date", "Charge type", "Amount", "Left", "Contested"),
        [
            (
                _at(line, "id"),
                _at(line, "invoice_id"),
                _at(line, "invoice_date"),
                _at(line, "charge_type"),
                _money(_at(line, "amount")),
                _money(_at(line, "left")),
                "yes" if _at(line, "contested") else "",
            )
            for line in _list(credit, "candidates")
        ],
    )


@app.command()
def kinds(output: OutputOption = Output.TABLE) -> None:
    """What may be attached: kinds, types, sizes.

    Example: claimdesk claim kinds
    """
    told = parsed(Api().get("/v1/evidence-kinds"))
    if output is Output.JSON:
        write_json(told)
        return
    write_table(
        ("Kind", "What it is", "Types"),
        [
            (_at(kind, "kind"), _at(kind, "title"), ", ".join(str(name) for name in _list(kind, "media_types")))
            for kind in _list(told, "kinds")
        ],
    )
    say(f"At most {told['max_bytes']} bytes each, and {told['max_documents']} documents a claim.")


@app.command()
def document(
    claim: ClaimId, document_id: Annotated[str, typer.Argument(metavar="DOCUMENT")], to: Target = None
) -> None:
    """Fetch a document.

    Example: claimdesk claim document claim-0123456789abcdef0123 doc-0123456789abcdef --to form.pdf
    """
    _save(Api().get(f"{claim_path(claim)}/evidence/{in_path(document_id)}"), to)


@app.command()
def packet(claim: ClaimId, to: Target = None) -> None:
    """Fetch what is to be filed in the portal: fields, documents, where to go. A ZIP.

    Example: claimdesk claim packet claim-0123456789abcdef0123 --to packet.zip
    """
    _save(Api().get(f"{claim_path(claim)}/packet"), to)


def show_claim(claim: dict[str, object], output: Output) -> None:
    """A claim on stdout."""
    if output is Output.JSON:
        write_json(claim)
        return
    rows: list[tuple[str, object]] = [
        ("Claim", _at(claim, "id")),
        ("Status", _at(claim, "status")),
        ("Waiting on", _at(claim, "waiting_on")),
        ("Next", _at(claim, "next_step")),
        ("You may", ", ".join(str(action) for action in _list(claim, "allowed_actions"))),
        ("Customer", f"{_at(claim, 'customer', 'name')} ({_at(claim, 'customer', 'id')})"),
        ("Subscription", f"{_at(claim, 'opening', 'subscription_id')} {_at(claim, 'product') or ''}"),
        ("Category", _at(claim, "opening", "category")),
        (
            "Incident",
            f"{_at(claim, 'opening', 'incident', 'date')} {_at(claim, 'opening', 'incident', 'reference') or ''}",
        ),
        ("Asked", _money(_at(claim, "opening", "amount_asked"))),
        ("Route", _at(claim, "route")),
        ("", _at(claim, "triage", "explanation")),
        ("Due on", _at(claim, "deadline", "due_on")),
        ("", _at(claim, "deadline", "explanation")),
    ]
    rows += [
        ("Document", f"{_at(item, 'kind')}: {'there' if _at(item, 'satisfied') else _at(item, 'missing')}")
        for item in _list(claim, "checklist")
    ]
    rows += [
        ("Attached", f"{_at(item, 'id')} {_at(item, 'kind')} {_at(item, 'filename')}")
        for item in _list(claim, "documents")
    ]
    rows += [
        ("Ticket", _at(claim, "filing", "number")),
        ("Question", _at(claim, "question")),
        ("Decision", _at(claim, "decision", "outcome")),
        ("Approved", _money(_at(claim, "decision", "amount"))),
        *_credit_rows(_at(claim, "credit")),
        ("Assignee", _at(claim, "assignee")),
        ("Exception", _at(claim, "exception_reason")),
        ("Closed", _at(claim, "closing_reason")),
        ("Temporal UI", _at(claim, "links", "temporal_ui")),
    ]
    write_page(rows)


def _credit_rows(credit: object) -> list[tuple[str, object]]:
    return [
        ("Expected", " or ".join(_money(amount) for amount in _list(credit, "expected"))),
        ("Allocated", _money(_at(credit, "allocated"))),
        *(
            ("Allocation", f"{_at(item, 'id')} {_money(_at(item, 'amount'))} of invoice {_at(item, 'invoice_id')}")
            for item in _list(credit, "allocations")
        ),
        ("Contested", ", ".join(str(line) for line in _list(credit, "contested_lines"))),
        ("Late since", _at(credit, "late_since_invoice")),
    ]


def _at(data: object, *names: str) -> object:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _list(data: object, name: str) -> list[object]:
    found = _at(data, name)
    return found if isinstance(found, list) else []


def _money(amount: object) -> str:
    return f"{_at(amount, 'amount')} {_at(amount, 'currency')}" if amount else ""


def in_path(part: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,200}", part):
        fail(WRONG_INPUT, f"{part!r} isn't an id: letters, digits and hyphens.")
    return part


def _save(answer: httpx.Response, to: Path | None) -> None:
    """The content in a file of that name; one that is there already isn't overwritten."""
    if to == Path("-"):
        sys.stdout.buffer.write(answer.content)
        return
    target = to or Path(_filename(answer))
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".claimdesk.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(answer.content)
        os.link(name, target)
    except FileExistsError:
        fail(FAILED, f"{target} is there already; name another with --to.")
    finally:
        Path(name).unlink()
    print(target)


def _filename(answer: httpx.Response) -> str:
    found = re.search(r'filename="([^"/\\]+)"', answer.headers.get("content-disposition", ""))
    return found[1].lstrip(".") or "download" if found else "download"
