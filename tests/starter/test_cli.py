"""The command line as people use it: data on stdout, the rest on stderr, exit codes that scripts can rely on."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
import typer.main
import uvicorn
from fastapi import FastAPI

from domain.claims import Status
from domain.deadlines import resolve
from domain.policy import Category, Commerce
from records.claims import ClaimRecords
from runtime.settings import PREFIX, Settings
from starter.api.app import create_app
from starter.api.desk import Desk
from starter.cli import app as command_line
from tests.records.samples import SUBSCRIPTION, claim, document, due
from tests.simulated import Simulator, free_port
from tests.starter.conftest import recorded, stored

PDF = b"%PDF-1.7\n%%EOF\n"


@dataclass
class Shell:
    """A shell of somebody who uses the command."""

    environment: dict[str, str]
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "starter.cli", *arguments],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str) -> object:
        done = self.run(*arguments, "--output", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def token_file(self) -> Path:
        return Path(self.environment["XDG_CONFIG_HOME"]) / "claimdesk" / "token.json"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    folder = tmp_path / "here"
    folder.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "TEMPORAL_"))}
    root = str(Path(__file__).parents[2])
    return Shell({**clean, "XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONPATH": root}, folder)


EXPLAIN = ("deadline", "explain", "--category", "accidental_purchase", "--commerce", "legacy")


def test_the_deadline_of_the_worked_example_needs_no_server(shell: Shell) -> None:
    found = shell.json(*EXPLAIN, "--incident", "2026-02-15")
    assert isinstance(found, dict)
    assert list(found) == ["due_on", "due_at", "rule", "source", "explanation", "also"]
    assert (found["due_on"], found["due_at"]) == ("2026-03-31", "2026-04-01T00:00:00Z")
    assert found["rule"] == "one-full-calendar-month"
    assert "31 March 2026" in found["explanation"]
    assert "https://" in found["source"]
    (other,) = found["also"]
    assert list(other) == ["due_on", "due_at", "rule", "source", "explanation"]
    assert (other["rule"], other["due_on"]) == ("accidental-purchase-90-days", None)


def test_every_option_of_deadline_explain_counts(shell: Shell) -> None:
    more = ("--purchased", "2026-02-01", "--billing-day", "10", "--product", "Microsoft 365 A1")
    found = shell.json(*EXPLAIN, "--incident", "2026-02-15", *more)
    expected = resolve(
        Category.ACCIDENTAL_PURCHASE,
        Commerce.LEGACY,
        date(2026, 2, 15),
        purchased=date(2026, 2, 1),
        billing_day=10,
        product="Microsoft 365 A1",
    )
    assert isinstance(found, dict)
    assert found["due_on"] == expected.due_on.isoformat()
    assert [other["rule"] for other in found["also"]] == [other.rule for other in expected.also]


def test_a_deadline_as_a_table_says_the_same(shell: Shell) -> None:
    done = shell.run(*EXPLAIN, "--incident", "2026-02-15")
    assert done.returncode == 0
    assert "2026-03-31" in done.stdout
    assert "accidental-purchase-90-days" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "option", "accepted"),
    [
        (("--incident", "2026-02-30"), "--incident", "2026-02-15"),
        (("--incident", "20260215"), "--incident", "year-month-day"),
        (("--incident", "0026-02-15"), "--incident", "1970"),
        (("--incident", "2026-02-15", "--purchased", "yesterday"), "--purchased", "year-month-day"),
        (("--incident", "2026-02-15", "--billing-day", "32"), "--billing-day", "1 to 31"),
        (("--incident", "2026-02-15", "--billing-day", "x"), "--billing-day", "integer"),
        (("--incident", "2026-02-15", "--category", "other"), "--category", "service_outage"),
        (("--incident", "2026-02-15", "--commerce", "new"), "--commerce", "new_commerce"),
        (("--incident", "2026-02-15", "--output", "xml"), "--output", "json"),
        ((), "--incident", "Missing"),
    ],
)
def test_bad_input_names_the_option_and_what_is_accepted(
    shell: Shell, arguments: tuple[str, ...], option: str, accepted: str
) -> None:
    done = shell.run(*EXPLAIN, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert option in done.stderr
    assert accepted in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named(shell: Shell) -> None:
    shell.environment["CLAIMDESK_API_PORT"] = "eighty"
    done = shell.run("claim", "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert "CLAIMDESK_API_PORT" in done.stderr
    assert "eighty" not in done.stderr


def test_every_command_has_an_example(shell: Shell) -> None:
    def commands(group: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        found = getattr(group, "commands", None)
        if found is None:
            yield path, str(getattr(group, "help", ""))
            return
        for name, command in found.items():
            yield from commands(command, (*path, name))

    told = dict(commands(typer.main.get_command(command_line), ()))
    assert len(told) > 20
    for path, text in told.items():
        assert f"Example: claimdesk {' '.join(path)}" in " ".join(text.split()), path


@pytest.fixture
def served(settings: Settings, simulator: Simulator, shell: Shell, app: FastAPI) -> Iterator[None]:
    """The API at an address, with the simulated Entra ID as its issuer; the shell knows both."""
    tenant = simulator.seed["tenant"]
    own = settings.model_copy(
        update={
            "auth_issuer": f"{simulator.url}/{tenant}/v2.0",
            "auth_audience": simulator.seed["audience"],
            "auth_jwks_url": f"{simulator.url}/{tenant}/discovery/v2.0/keys",
        }
    )
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(own), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    shell.environment |= {
        "CLAIMDESK_API_URL": f"http://127.0.0.1:{listening.getsockname()[1]}",
        "CLAIMDESK_LOGIN_URL": simulator.url,
        "CLAIMDESK_LOGIN_TENANT": tenant,
        "CLAIMDESK_LOGIN_CLIENT_ID": simulator.seed["client_id"],
        "CLAIMDESK_LOGIN_SCOPE": f"{simulator.seed['audience']}/.default offline_access openid",
    }
    yield
    server.should_exit = True
    thread.join(20)
    listening.close()


def signed_in(shell: Shell, user: str = "ana@partner.example") -> None:
    done = shell.run("login", "--user", user)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.usefixtures("served")
async def test_signing_in_keeps_a_token_for_its_owner_only(shell: Shell) -> None:
    done = shell.run("claim", "list")
    assert (done.returncode, done.stdout) == (5, "")
    assert "claimdesk login" in done.stderr

    signed_in(shell)
    assert stat.S_IMODE(shell.token_file.stat().st_mode) == 0o600
    assert shell.json("claim", "list") == {"items": [], "next_cursor": None}

    kept = json.loads(shell.token_file.read_text())
    shell.token_file.write_text(json.dumps({**kept, "expires_at": 0}))
    assert shell.json("claim", "list") == {"items": [], "next_cursor": None}
    renewed = json.loads(shell.token_file.read_text())
    assert renewed["access_token"] != kept["access_token"]
    assert [path.name for path in shell.token_file.parent.iterdir()] == ["token.json"]

    shell.environment["CLAIMDESK_API_URL"] = "http://127.0.0.1:9"
    other = shell.run("claim", "list")
    assert other.returncode == 5
    assert "127.0.0.1:9" in other.stderr

    assert shell.run("logout").returncode == 0
    assert not shell.token_file.exists()


@pytest.mark.usefixtures("served")
async def test_a_sign_in_that_is_over_says_so(shell: Shell) -> None:
    signed_in(shell)
    kept = json.loads(shell.token_file.read_text())
    for change in ({"expires_at": 0, "refresh_token": "nonsense"}, {"expires_at": 0, "refresh_token": None}):
        shell.token_file.write_text(json.dumps({**kept, **change}))
        done = shell.run("claim", "list")
        assert (done.returncode, done.stdout) == (5, "")
        assert "claimdesk login" in done.stderr
    shell.token_file.write_text("nonsense")
    assert shell.run("claim", "list").returncode == 5
    shell.token_file.write_text(json.dumps({**kept, "access_token": "a.b.c"}))
    done = shell.run("claim", "list")
    assert done.returncode == 5
    assert "a.b.c" not in done.stderr


@pytest.mark.usefixtures("served")
async def test_claims_are_listed_shown_and_their_papers_fetched(shell: Shell, desk: Desk) -> None:
    signed_in(shell)
    form = await stored(desk, document(1), PDF)
    one = await recorded(
        desk.claims,
        claim(1, status=Status.READY_TO_FILE, deadline=due(date(2026, 2, 15)), documents=(form,), assignee="hana"),
    )
    await recorded(
        desk.claims, claim(2, status=Status.WITHDRAWN).model_copy(update={"customer_name": "[bold]\x1b]0;x"})
    )

    table = shell.run("claim", "list", "--status", "ready_to_file")
    assert one.id in table.stdout
    assert "2026-03-31" in table.stdout
    assert "claim-00000000000000000002" not in table.stdout
    listed = shell.json("claim", "list", "--sort=-opened_at", "--limit", "1")
    assert isinstance(listed, dict)
    assert len(listed["items"]) == 1

    shown = shell.run("claim", "show", one.id)
    assert shown.returncode == 0
    for text in ("ready_to_file", SUBSCRIPTION, "hana", form.id, "record_filing"):
        assert text in shown.stdout
    as_json = shell.json("claim", "show", one.id)
    assert isinstance(as_json, dict)
    assert as_json["deadline"]["due_on"] == "2026-03-31"
    assert "Something happened." in shell.run("claim", "timeline", one.id).stdout
    assert "credit_request_form" in shell.run("claim", "kinds").stdout
    assert shell.run("claim", "credits", one.id).returncode == 0

    saved = shell.run("claim", "document", one.id, form.id)
    assert saved.stdout.strip() == "form.pdf"
    assert (shell.folder / "form.pdf").read_bytes() == PDF
    again = shell.run("claim", "document", one.id, form.id)
    assert (again.returncode, again.stdout) == (1, "")
    assert "--to" in again.stderr
    assert shell.run("claim", "document", one.id, form.id, "--to", "-").stdout.encode() == PDF
    assert sorted(path.name for path in shell.folder.iterdir()) == ["form.pdf"]


@pytest.mark.usefixtures("served")
async def test_exit_codes_say_what_kind_of_no_it_was(shell: Shell, records: ClaimRecords) -> None:
    signed_in(shell, "sam@partner.example")
    one = await recorded(records, claim(1, status=Status.READY_TO_FILE))
    closed = await recorded(records, claim(2, status=Status.DENIED))
    reason = ("--reason", "x")
    for arguments, code, says in (
        (("claim", "show", "claim-00000000000000000009"), 4, "no such claim"),
        (("claim", "show", "nonsense"), 2, "claim's id"),
        (("claim", "file", one.id, "--ticket", "2602150010000123"), 3, "admin_agent"),
        (("claim", "check", closed.id), 3, "Allowed now: "),
        (("claim", "file", one.id, "--ticket", "12"), 2, "ticket_number"),
        (("claim", "list", "--due-before", "soon"), 2, "due_before"),
        (("claim", "withdraw", one.id, *reason), 2, "--yes"),
        (("claim", "withdraw", one.id, *reason, "--yes", "--idempotency-key", "mine"), 1, "--idempotency-key mine"),
        (("claim", "assign", one.id), 2, "--nobody"),
        (("claim", "decide", one.id, "--outcome", "approved", *reason, "--amount", "1"), 2, "--currency"),
        (("claim", "attach", one.id, "missing.pdf", "--kind", "credit_request_form"), 2, "missing.pdf"),
        (("claim", "revoke", one.id, "../x", *reason), 2, "isn't an id"),
    ):
        done = shell.run(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done.stderr)
        assert says in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr


def test_an_api_that_is_not_there_is_told_with_how_to_start_it(shell: Shell) -> None:
    port = free_port()
    shell.environment["CLAIMDESK_API_URL"] = f"http://127.0.0.1:{port}"
    shell.token_file.parent.mkdir(parents=True)
    shell.token_file.write_text(
        json.dumps({"api_url": f"http://127.0.0.1:{port}", "access_token": "t", "expires_at": 9_999_999_999})
    )
    done = shell.run("claim", "check", "claim-00000000000000000001")
    assert (done.returncode, done.stdout) == (1, "")
    assert "claimdesk up" in done.stderr
    assert "--idempotency-key " in done.stderr


def test_the_database_is_brought_up_to_date_as_often_as_one_likes(shell: Shell) -> None:
    for _ in range(2):
        done = shell.run("migrate")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (shell.folder / ".claimdesk" / "claimdesk.db").is_file()


def test_the_api_does_not_start_without_its_settings(shell: Shell) -> None:
    done = shell.run("api")
    assert done.returncode == 2
    assert "CLAIMDESK_AUTH_ISSUER" in done.stderr


def test_talking_to_the_api_does_not_load_temporal() -> None:
    # A short-lived process that has loaded it may crash when it ends.
    code = "import sys, starter.cli; sys.exit(any(name.partition('.')[0] == 'temporalio' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
