"""Tokens: who redeems what, when, and what is on the disk while it happens."""

# ruff: noqa: ASYNC240 - a test may wait for its disk

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from microsoft import identity as identity_module
from microsoft.errors import ConsentExpired, ConsentMissing, Forbidden, Malformed, MicrosoftError, Unavailable
from microsoft.identity import AZURE, PARTNER_CENTER, Identity
from tests.microsoft.stand_ins import Reply, Script

GRAPH = "https://graph.microsoft.com"
SECRET = "client-secret-of-ours"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def granted(access: str = "access-1", refresh: str | None = None, expires_in: object = "3599") -> httpx.Response:
    body = {"token_type": "Bearer", "scope": "user_impersonation", "expires_in": expires_in, "access_token": access}
    return httpx.Response(200, json=body | ({"refresh_token": refresh} if refresh else {}))


def refused(error: str, text: str, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"error": error, "error_description": text, "error_codes": [1]})


def form(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "refresh-token"
    path.write_text("refresh-token-0\n")
    return path


def identity(script: Script, file: Path | None = None, clock: Callable[[], float] | None = None) -> Identity:
    return Identity(
        script.transport(),
        tenant="partner.example",
        client_id="an-application",
        client_secret=SecretStr(SECRET),
        refresh_token_file=file,
        clock=clock or Clock(),
    )


async def test_app_and_user_redeems_the_refresh_token_for_one_resource(file: Path) -> None:
    script = Script([granted()])
    token = await identity(script, file).token(PARTNER_CENTER)
    assert token.get_secret_value() == "access-1"
    assert script.requests[0].url.path == "/partner.example/oauth2/token"
    assert form(script.requests[0]) == {
        "client_id": "an-application",
        "client_secret": SECRET,
        "grant_type": "refresh_token",
        "refresh_token": "refresh-token-0",
        "resource": PARTNER_CENTER,
        "scope": "openid",
    }


async def test_the_application_alone_uses_its_credentials() -> None:
    script = Script([granted()])
    await identity(script).token(PARTNER_CENTER)
    sent = form(script.requests[0])
    assert sent["grant_type"] == "client_credentials"
    assert sent["resource"] == PARTNER_CENTER
    assert "refresh_token" not in sent


async def test_each_resource_has_its_own_token_from_the_same_refresh_token(file: Path) -> None:
    script = Script([granted("for-partner-center"), granted("for-graph")])
    who = identity(script, file)
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "for-partner-center"
    assert (await who.token(GRAPH)).get_secret_value() == "for-graph"
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "for-partner-center"
    assert {form(request)["refresh_token"] for request in script.requests} == {"refresh-token-0"}


async def test_a_token_is_renewed_five_minutes_before_it_ends(file: Path) -> None:
    clock = Clock()
    script = Script([granted("first"), granted("second")])
    who = identity(script, file, clock)
    await who.token(PARTNER_CENTER)
    clock.now += 3599 - 301
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "first"
    clock.now += 2
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "second"


async def test_a_short_lived_token_is_still_used_for_most_of_its_life() -> None:
    clock = Clock()
    script = Script([granted("first", expires_in=60), granted("second", expires_in=60)])
    who = identity(script, clock=clock)
    await who.token(PARTNER_CENTER)
    clock.now += 44
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "first"
    clock.now += 2
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "second"


async def test_a_refused_token_is_replaced_once_for_all_who_were_refused() -> None:
    script = Script([granted("first"), granted("second")])
    who = identity(script)
    first = await who.token(PARTNER_CENTER)
    again = await asyncio.gather(*(who.token(PARTNER_CENTER, first) for _ in range(5)))
    assert {each.get_secret_value() for each in again} == {"second"}
    assert len(script.requests) == 2


async def test_many_who_need_a_token_at_once_cause_one_redemption(file: Path) -> None:
    script = Script([granted("only", refresh="refresh-token-1")])
    who = identity(script, file)
    tokens = await asyncio.gather(*(who.token(PARTNER_CENTER) for _ in range(20)))
    assert {each.get_secret_value() for each in tokens} == {"only"}
    assert len(script.requests) == 1


async def test_after_a_failed_redemption_the_next_caller_tries_again(file: Path) -> None:
    script = Script([httpx.Response(503), httpx.Response(503), httpx.Response(503), granted("at last")])
    who = identity(script, file)
    with pytest.raises(Unavailable):
        await who.token(PARTNER_CENTER)
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "at last"


async def test_a_rotated_refresh_token_replaces_the_old_one_for_the_owners_eyes_only(file: Path) -> None:
    file.chmod(0o644)
    await identity(Script([granted(refresh="refresh-token-1")]), file).token(PARTNER_CENTER)
    assert file.read_text() == "refresh-token-1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


async def test_the_rotated_token_is_on_disk_before_the_access_token_is_given_out(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    on_disk_first: list[bool] = []
    replace = os.replace

    def watched(source: str, target: Path) -> None:
        on_disk_first.append(not given)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    token = await identity(Script([granted(refresh="refresh-token-1")]), file).token(PARTNER_CENTER)
    given.append(token.get_secret_value())
    assert on_disk_first == [True]


@pytest.mark.parametrize("step", ["fsync", "replace"])
async def test_a_full_disk_leaves_the_old_token_whole_and_the_new_access_token_unused(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object) -> None:
        raise OSError("no space left on device")

    who = identity(Script([granted("never-used", refresh="refresh-token-1"), granted("access-2")]), file)
    with monkeypatch.context() as broken:
        broken.setattr(os, step, die)
        with pytest.raises(OSError, match="no space"):
            await who.token(PARTNER_CENTER)
    assert file.read_text().strip() == "refresh-token-0"
    assert list(file.parent.iterdir()) == [file]
    assert (await who.token(PARTNER_CENTER)).get_secret_value() == "access-2"


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
import httpx
from pydantic import SecretStr
from microsoft.identity import Identity
from microsoft.transport import Transport

file, step, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
real = getattr(os, step)

def dying(*arguments):
    if when == "after":
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

def answer(request):
    setattr(os, step, dying)
    return httpx.Response(200, json={"access_token": "access", "refresh_token": "refresh-token-1", "expires_in": 60})

async def main():
    http = Transport("http://login.example", wire=httpx.MockTransport(answer))
    who = Identity(http, tenant="t", client_id="c", client_secret=SecretStr("s"), refresh_token_file=file)
    await who.token("resource")
    print("the access token was used")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("step", "when", "kept"),
    [
        ("fsync", "before", "refresh-token-0"),
        ("fsync", "after", "refresh-token-0"),
        ("replace", "before", "refresh-token-0"),
        ("replace", "after", "refresh-token-1"),
    ],
)
def test_killed_at_any_step_of_storing_the_file_holds_one_whole_token(
    file: Path, step: str, when: str, kept: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(file), step, when],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert "access token was used" not in ended.stdout
    assert file.read_text().strip() == kept


async def test_a_cancelled_caller_doesnt_stop_the_rotated_token_from_reaching_the_disk(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    store = identity_module._store

    def slow(path: Path, token: str, used: str) -> None:
        loop.call_soon_threadsafe(writing.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        store(path, token, used)
        loop.call_soon_threadsafe(written.set)

    written = asyncio.Event()
    monkeypatch.setattr(identity_module, "_store", slow)
    caller = asyncio.create_task(identity(Script([granted(refresh="refresh-token-1")]), file).token(PARTNER_CENTER))
    await writing.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await asyncio.wait_for(written.wait(), 10)
    assert file.read_text() == "refresh-token-1"


async def test_the_next_redemption_uses_the_rotated_token_also_after_a_restart(file: Path) -> None:
    clock = Clock()
    script = Script([granted(refresh="refresh-token-1"), granted(), granted()])
    who = identity(script, file, clock)
    await who.token(PARTNER_CENTER)
    clock.now += 3600
    await who.token(PARTNER_CENTER)
    await identity(script, file).token(PARTNER_CENTER)
    sent = [form(request)["refresh_token"] for request in script.requests]
    assert sent == ["refresh-token-0", "refresh-token-1", "refresh-token-1"]


async def test_a_consent_given_by_a_person_meanwhile_is_not_overwritten(file: Path) -> None:
    class Person(Script):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            file.write_text("a-new-consent")
            return super().__call__(request)

    await identity(Person([granted(refresh="refresh-token-1")]), file).token(PARTNER_CENTER)
    assert file.read_text() == "a-new-consent"


async def test_a_refresh_token_renewed_by_another_process_is_tried_before_a_person_is_asked(file: Path) -> None:
    class OtherProcess(Script):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            file.write_text("refresh-token-of-the-other")
            return super().__call__(request)

    script = OtherProcess([refused("invalid_grant", "AADSTS70000: Revoked."), granted("good")])
    assert (await identity(script, file).token(PARTNER_CENTER)).get_secret_value() == "good"
    assert form(script.requests[1])["refresh_token"] == "refresh-token-of-the-other"


@pytest.mark.parametrize(
    ("error", "text", "expected"),
    [
        ("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.", "90 days without use"),
        ("invalid_grant", "AADSTS50173: The provided grant has expired.", "password of the service account changed"),
        ("interaction_required", "AADSTS50076: You must use MFA.", "multi-factor authentication is now asked for"),
        ("invalid_grant", "something new", "invalid_grant"),
    ],
)
async def test_expired_consent_says_what_a_person_must_do(file: Path, error: str, text: str, expected: str) -> None:
    with pytest.raises(ConsentExpired) as caught:
        await identity(Script([refused(error, text)]), file).token(PARTNER_CENTER)
    assert expected in str(caught.value)
    assert "Sign in again as the partner's service account, with MFA" in str(caught.value)
    assert caught.value.correlation_id in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "  \n"])
async def test_without_a_refresh_token_nobody_is_asked_and_a_person_is_told(file: Path, content: str | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    script = Script([])
    with pytest.raises(ConsentExpired, match="no refresh token"):
        await identity(script, file).token(PARTNER_CENTER)
    assert script.requests == []


async def test_a_wrong_client_secret_is_forbidden_not_a_consent() -> None:
    with pytest.raises(Forbidden, match="AADSTS7000215"):
        await identity(Script([refused("invalid_client", "AADSTS7000215: Invalid client secret.", 401)])).token(GRAPH)


@pytest.mark.parametrize(
    "reply",
    [
        lambda: httpx.Response(200, json={"token_type": "Bearer"}),
        lambda: httpx.Response(200, json={"access_token": ""}),
        lambda: httpx.Response(200, json={"access_token": "hush-hush-ü"}),
        lambda: httpx.Response(200, json={"access_token": "hush-hush\r\nX: y"}),
        lambda: httpx.Response(200, json={"access_token": "hush-hush", "expires_in": "soon"}),
        lambda: httpx.Response(200, json={"access_token": "hush-hush", "expires_in": -5}),
        lambda: httpx.Response(200, content=b"<html>hush-hush</html>"),
    ],
)
async def test_a_grant_that_isnt_one_is_malformed(reply: Callable[[], Reply]) -> None:
    with pytest.raises(Malformed) as caught:
        await identity(Script([reply()])).token(PARTNER_CENTER)
    assert "hush" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_no_secret_in_logs_exceptions_or_reprs(file: Path) -> None:
    secrets = (SECRET, "refresh-token-0", "refresh-token-1", "access-1")
    shown: list[str] = []
    with capture_logs() as logs:
        who = identity(Script([granted(refresh="refresh-token-1")]), file)
        token = await who.token(PARTNER_CENTER)
        shown += [repr(who), str(who), repr(token), str(token), repr(who.__dict__)]
        echo = f"AADSTS70000: refresh-token-1 and {SECRET} are wrong"
        for error in ("invalid_grant", "invalid_request"):
            with pytest.raises(MicrosoftError) as caught:
                await identity(Script([refused(error, echo)]), file).token(PARTNER_CENTER)
            shown += [str(caught.value), repr(caught.value), repr(caught.value.__dict__)]
    assert len(logs) == 3
    for text in [*shown, repr(logs)]:
        assert not [secret for secret in secrets if secret in text], text


async def test_a_customers_tenant_without_consent_is_told_apart_from_a_sign_in_that_lapsed(file: Path) -> None:
    script = Script([refused("invalid_grant", "AADSTS65001: No consent."), granted("ours")])
    who = identity(script, file)
    with pytest.raises(ConsentMissing) as caught:
        await who.token(AZURE, tenant="Customer.example")
    assert "Have an administrator of the customer's tenant customer.example consent to the application" in str(
        caught.value
    )
    assert (await who.token(AZURE)).get_secret_value() == "ours"


async def test_each_customers_tenant_has_its_own_token_from_the_same_refresh_token(file: Path) -> None:
    script = Script([granted("of-a"), granted("of-b"), granted("ours")])
    who = identity(script, file)
    assert (await who.token(AZURE, tenant="a.example")).get_secret_value() == "of-a"
    assert (await who.token(AZURE, tenant="b.example")).get_secret_value() == "of-b"
    assert (await who.token(AZURE)).get_secret_value() == "ours"
    assert (await who.token(AZURE, tenant="A.example")).get_secret_value() == "of-a"
    assert [request.url.path for request in script.requests] == [
        "/a.example/oauth2/token",
        "/b.example/oauth2/token",
        "/partner.example/oauth2/token",
    ]
    assert {form(request)["resource"] for request in script.requests} == {AZURE}


@pytest.mark.parametrize("code", ["AADSTS50020", "AADSTS50076", "AADSTS50079", "AADSTS53003", "AADSTS90072"])
async def test_a_customer_who_keeps_our_account_out_is_the_one_to_be_asked(file: Path, code: str) -> None:
    who = identity(Script([refused("invalid_grant", f"{code}: No."), refused("invalid_grant", f"{code}: No.")]), file)
    with pytest.raises(ConsentMissing) as caught:
        await who.token(AZURE, tenant="customer.example")
    assert "administrator of the customer's tenant customer.example let the partner's service account in" in str(
        caught.value
    )
    assert "GDAP" in str(caught.value)
    assert "Sign in again" not in str(caught.value)
    with pytest.raises(ConsentExpired, match="Sign in again") as caught_at_home:
        await who.token(AZURE)
    assert not isinstance(caught_at_home.value, ConsentMissing)


async def test_a_sign_in_that_lapsed_is_ours_to_renew_in_a_customers_tenant_too(file: Path) -> None:
    who = identity(Script([refused("invalid_grant", "AADSTS700082: It expired.")]), file)
    with pytest.raises(ConsentExpired, match="Sign in again as the partner's service account") as caught:
        await who.token(AZURE, tenant="customer.example")
    assert not isinstance(caught.value, ConsentMissing)


async def test_a_link_to_the_file_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(file)
    await identity(Script([granted(refresh="refresh-token-1")]), link).token(PARTNER_CENTER)
    assert link.is_symlink()
    assert file.read_text() == "refresh-token-1"


async def test_an_editors_mark_before_the_token_is_not_sent(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfrefresh-token-0\r\n")
    script = Script([granted(refresh="refresh-token-1")])
    await identity(script, file).token(PARTNER_CENTER)
    assert form(script.requests[0])["refresh_token"] == "refresh-token-0"
    assert file.read_text() == "refresh-token-1"


async def test_a_file_that_is_no_text_holds_no_token(file: Path) -> None:
    file.write_bytes("refresh-token-0".encode("utf-16"))
    script = Script([])
    with pytest.raises(ConsentExpired, match=r"no refresh token that can be read.*store the new refresh token"):
        await identity(script, file).token(PARTNER_CENTER)
    assert script.requests == []
