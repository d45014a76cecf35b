"""`claimdesk claim`, the commands that change one: each sends one request and shows the claim as it is then."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from domain.claims import Outcome
from domain.evidence import EvidenceKind
from starter.cli.claims import ClaimId, claim_path, in_path, money, show_claim
from starter.cli.output import WRONG_INPUT, Output, OutputOption, Yes, confirm, fail
from starter.cli.session import Api, KeyOption

ReasonOption = Annotated[str, typer.Option(help="Why; it stands on the timeline.")]
AmountOption = Annotated[str | None, typer.Option(help="How much, before tax: 12.50")]
CurrencyOption = Annotated[str | None, typer.Option(help="In which currency: EUR")]


def register(app: typer.Typer) -> None:
    """Add the commands to `claimdesk claim`."""
    commands: dict[str, Callable[..., None]] = {
        "attach": attach,
        "revoke": revoke,
        "file": file_claim,
        "reply": reply,
        "decide": decide,
        "allocate": allocate,
        "release": release,
        "write-off": write_off,
        "dispute": dispute,
        "assign": assign,
        "withdraw": withdraw,
        "reopen": reopen,
        "except": except_claim,
        "check": check,
    }
    for name, command in commands.items():
        app.command(name)(command)


def attach(
    claim: ClaimId,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    kind: Annotated[EvidenceKind, typer.Option(help="What the document is.")],
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Attach a document. `claimdesk claim kinds` tells what is accepted.

    Example: claimdesk claim attach claim-0123456789abcdef0123 form.pdf --kind credit_request_form
    """
    path = f"{claim_path(claim)}/evidence"
    show_claim(Api().write("POST", path, idempotency_key, form={"kind": kind.value}, file=file), output)


def revoke(
    claim: ClaimId,
    document: Annotated[str, typer.Argument(help="The document's id, doc-…")],
    reason: ReasonOption,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take a document off the checklist.

    Example: claimdesk claim revoke claim-0123456789abcdef0123 doc-0123456789abcdef --reason "The wrong customer's"
    """
    path = f"{claim_path(claim)}/evidence/{in_path(document)}"
    show_claim(Api().write("DELETE", path, idempotency_key, params={"reason": reason}), output)


def file_claim(
    claim: ClaimId,
    ticket: Annotated[
        str | None, typer.Option(help="The number that the portal gave. Left out: claimdesk files it, in Azure.")
    ] = None,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Record the ticket that you filed in the portal, or correct its number; or have claimdesk file it in Azure.

    Example: claimdesk claim file claim-0123456789abcdef0123 --ticket 2602150010000123
    """
    _post(claim, "filing", idempotency_key, {"ticket_number": ticket} if ticket else {}, output)


def reply(
    claim: ClaimId,
    text: Annotated[str, typer.Option(help="What to answer Microsoft.")],
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Answer Microsoft's question, with a note on the ticket.

    Example: claimdesk claim reply claim-0123456789abcdef0123 --text "120 users, from 08:10 to 14:00 UTC"
    """
    _post(claim, "replies", idempotency_key, {"text": text}, output)


def decide(
    claim: ClaimId,
    outcome: Annotated[Outcome, typer.Option(help="What Microsoft decided.")],
    reason: ReasonOption,
    amount: AmountOption = None,
    currency: CurrencyOption = None,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Record Microsoft's decision.

    Example: claimdesk claim decide claim-0123456789abcdef0123 --outcome approved_in_part --amount 24.00 --currency EUR
    --reason "Half, says the note of 3 March"
    """
    body = {"outcome": outcome.value, "amount": money(amount, currency), "reason": reason}
    _post(claim, "decision", idempotency_key, body, output)


def allocate(
    claim: ClaimId,
    line: Annotated[str, typer.Argument(help="The invoice line's id, from `claimdesk claim credits`.")],
    amount: AmountOption = None,
    currency: CurrencyOption = None,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give the claim an invoice line, or an amount of it.

    Example: claimdesk claim allocate claim-0123456789abcdef0123 3f2a… --amount 24.00 --currency EUR
    """
    _post(claim, "credits", idempotency_key, {"line_id": line, "amount": money(amount, currency)}, output)


def release(
    claim: ClaimId,
    allocation: Annotated[str, typer.Argument(help="The allocation's id.")],
    reason: ReasonOption,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take an allocation back.

    Example: claimdesk claim release claim-0123456789abcdef0123 alloc-0123456789abcdef --reason "Of the other claim"
    """
    path = f"{claim_path(claim)}/credits/{in_path(allocation)}"
    show_claim(Api().write("DELETE", path, idempotency_key, params={"reason": reason}), output)


def write_off(
    claim: ClaimId,
    reason: ReasonOption,
    yes: Yes = False,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop waiting for the rest of the money.

    Example: claimdesk claim write-off claim-0123456789abcdef0123 --reason "3 cents" --yes
    """
    confirm("Give the rest of the money up?", yes)
    _post(claim, "write-off", idempotency_key, {"reason": reason}, output)


def dispute(
    claim: ClaimId, reason: ReasonOption, idempotency_key: KeyOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Take a credit that didn't come, or came wrong, back to Microsoft.

    Example: claimdesk claim dispute claim-0123456789abcdef0123 --reason "Two invoices without it"
    """
    _post(claim, "dispute", idempotency_key, {"reason": reason}, output)


def assign(
    claim: ClaimId,
    to: Annotated[str | None, typer.Option(help="The colleague.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Take it from whoever has it.")] = False,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give the claim to a colleague, or to nobody.

    Example: claimdesk claim assign claim-0123456789abcdef0123 --to hana@partner.example
    """
    if (to is None) is not nobody:
        fail(WRONG_INPUT, "Give one of the two: --to COLLEAGUE, or --nobody.")
    _post(claim, "assignee", idempotency_key, {"assignee": to}, output)


def withdraw(
    claim: ClaimId,
    reason: ReasonOption,
    yes: Yes = False,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """End the claim.

    Example: claimdesk claim withdraw claim-0123456789abcdef0123 --reason "Credited without it" --yes
    """
    confirm("Withdraw the claim?", yes)
    _post(claim, "withdrawal", idempotency_key, {"reason": reason}, output)


def reopen(
    claim: ClaimId, reason: ReasonOption, idempotency_key: KeyOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Take a closed claim up again.

    Example: claimdesk claim reopen claim-0123456789abcdef0123 --reason "Microsoft found the ticket"
    """
    _post(claim, "reopening", idempotency_key, {"reason": reason}, output)


def except_claim(
    claim: ClaimId,
    reason: ReasonOption,
    yes: Yes = False,
    idempotency_key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """File although no rule grants it, or although the deadline has passed.

    Example: claimdesk claim except claim-0123456789abcdef0123 --reason "Promised in the note of 3 March" --yes
    """
    confirm("File as an exception?", yes)
    _post(claim, "exception", idempotency_key, {"reason": reason}, output)


def check(claim: ClaimId, idempotency_key: KeyOption = None, output: OutputOption = Output.TABLE) -> None:
    """Ask Microsoft again how the subscription stands, as after cancelling it.

    Example: claimdesk claim check claim-0123456789abcdef0123
    """
    _post(claim, "check", idempotency_key, {}, output)


def _post(claim: str, path: str, key: str | None, body: Mapping[str, object], output: Output) -> None:
    show_claim(Api().write("POST", f"{claim_path(claim)}/{path}", key, body=body), output)
