"""Signing in and out, and talking to the API as whoever signed in."""

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import uuid4

import httpx
import typer
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_serializer

from runtime.settings import Settings, load_settings, required, variable
from starter.cli.output import (
    FAILED,
    NOT_ALLOWED,
    NOT_FOUND,
    NOT_SIGNED_IN,
    WRONG_INPUT,
    fail,
    say,
)

_CODES = {400: WRONG_INPUT, 401: NOT_SIGNED_IN, 403: NOT_ALLOWED, 404: NOT_FOUND, 409: NOT_ALLOWED}
_CODES |= dict.fromkeys((413, 415, 422), WRONG_INPUT)
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_EARLY_SECONDS = 60

KeyOption = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="Name this request, to send it again without doing it twice."),
]


M = TypeVar("M", bound=BaseModel)


class _Session(BaseModel):
    """What is kept of a sign-in. It counts for one API only: a token isn't shown to another."""

    model_config = ConfigDict(hide_input_in_errors=True)

    api_url: str
    access_token: SecretStr
    expires_at: float
    refresh_token: SecretStr | None = None

    @field_serializer("access_token", "refresh_token", when_used="json")
    def _revealed(self, secret: SecretStr | None) -> str | None:
        return secret.get_secret_value() if secret else None


class _Grant(BaseModel):
    """The token endpoint's answer."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    access_token: SecretStr
    expires_in: int = 3600
    refresh_token: SecretStr | None = None


class _DeviceCode(BaseModel):
    """Where to sign in with which code."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    device_code: SecretStr
    message: str
    interval: int = Field(5, ge=1)
    expires_in: int


class _OAuthError(BaseModel):
    """Why there is no token."""

    model_config = ConfigDict(extra="ignore")

    error: str = ""
    error_description: str = ""


def register(app: typer.Typer) -> None:
    """Add login and logout."""
    app.command()(login)
    app.command()(logout)


def login(
    user: Annotated[
        str | None, typer.Option(help="Whom to sign in; the simulated cloud approves its users at once.")
    ] = None,
) -> None:
    """Sign in with a code in a browser, and keep the token for the other commands.

    Example: claimdesk login
    """
    settings = load_settings()
    form = {"client_id": required(settings, "login_client_id"), "scope": required(settings, "login_scope")}
    if user:
        form["login_hint"] = user
    with _http(settings.login_url) as http:
        answer = _post(http, _path(settings, "devicecode"), form)
        if answer.is_error:
            fail(FAILED, f"Signing in isn't possible: {_why(answer)}")
        code = _read(_DeviceCode, answer)
        say(code.message)
        grant = _granted(http, settings, code)
    _keep(_session(settings, grant))
    say("Signed in.")


def logout() -> None:
    """Forget the token.

    Example: claimdesk logout
    """
    _file().unlink(missing_ok=True)
    say("Signed out.")


class Api:
    """The API, called as whoever is signed in. Failures are said on stderr and end the command with their exit code."""

    def __init__(self) -> None:
        self._settings = load_settings()

    def get(self, path: str, params: Mapping[str, object] | None = None) -> httpx.Response:
        """What the API has there."""
        given = {name: value for name, value in (params or {}).items() if value not in (None, [], ())}
        return self._sent("GET", path, None, params=given)

    def write(
        self,
        method: str,
        path: str,
        key: str | None,
        *,
        body: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> dict[str, object]:
        """Ask for something to be done, once however often it is sent under this key."""
        key = key or str(uuid4())
        if file is not None:
            with file.open("rb") as content:
                files = {"file": (file.name, content)}
                answer = self._sent(method, path, key, data=dict(form or {}), files=files)
        else:
            answer = self._sent(method, path, key, json=body, params=dict(params) if params else None)
        return parsed(answer)

    def _sent(self, method: str, path: str, key: str | None, **content: object) -> httpx.Response:
        session = _current(self._settings)
        headers = {"Authorization": f"Bearer {session.access_token.get_secret_value()}"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            with _http(self._settings.api_url, timeout=self._settings.update_timeout_seconds + 15) as http:
                answer = http.request(method, path, headers=headers, **content)  # type: ignore[arg-type]  # httpx's own
        except httpx.HTTPError as error:
            _say_key(key)
            fail(
                FAILED,
                f"The API at {self._settings.api_url} doesn't answer ({type(error).__name__}). Start it with "
                f"`claimdesk up`, or name another in {variable('api_url')}.",
            )
        if answer.is_error:
            _say_key(key)
            fail(_CODES.get(answer.status_code, FAILED), _problem(answer))
        return answer


def parsed(answer: httpx.Response) -> dict[str, object]:
    """The JSON object of an answer."""
    data = answer.json()
    assert isinstance(data, dict), "the API answers with objects"
    return data


def _say_key(key: str | None) -> None:
    if key:
        say(f"To send exactly this again: --idempotency-key {key}")


def _problem(answer: httpx.Response) -> str:
    try:
        problem = parsed(answer)
    except (ValueError, AssertionError):
        return f"The API answered {answer.status_code}."
    lines = [f"{problem.get('detail', answer.status_code)} [{problem.get('rule', 'unknown')}]"]
    errors = problem.get("errors")
    if isinstance(errors, list) and len(errors) > 1:
        lines += [f"  {error['field']}: {error['message']}" for error in errors]
    allowed = problem.get("allowed_actions")
    if isinstance(allowed, list):
        lines.append("Allowed now: " + (", ".join(allowed) or "nothing to you"))
    if "link" in problem:
        lines.append(f"See {problem['link']}")
    if answer.status_code == 401:
        lines.append("Sign in with: claimdesk login")
    return "\n".join(lines)


def _current(settings: Settings) -> _Session:
    try:
        session = _Session.model_validate_json(_file().read_text("utf-8"))
    except (OSError, ValidationError):
        fail(NOT_SIGNED_IN, "You aren't signed in. Sign in with: claimdesk login")
    if session.api_url != settings.api_url:
        fail(NOT_SIGNED_IN, f"You are signed in to {session.api_url}, not to {settings.api_url}: claimdesk login")
    if time.time() < session.expires_at - _EARLY_SECONDS:
        return session
    if session.refresh_token is None:
        fail(NOT_SIGNED_IN, "Your sign-in has expired. Sign in again with: claimdesk login")
    form = {
        "grant_type": "refresh_token",
        "client_id": required(settings, "login_client_id"),
        "scope": required(settings, "login_scope"),
        "refresh_token": session.refresh_token.get_secret_value(),
    }
    with _http(settings.login_url) as http:
        answer = _post(http, _path(settings, "token"), form)
    if answer.is_error:
        fail(NOT_SIGNED_IN, "Your sign-in has expired. Sign in again with: claimdesk login")
    renewed = _session(settings, _read(_Grant, answer))
    renewed = renewed.model_copy(update={"refresh_token": renewed.refresh_token or session.refresh_token})
    _keep(renewed)
    return renewed


def _granted(http: httpx.Client, settings: Settings, code: _DeviceCode) -> _Grant:
    form = {
        "grant_type": _DEVICE_GRANT,
        "client_id": required(settings, "login_client_id"),
        "device_code": code.device_code.get_secret_value(),
    }
    interval, until = code.interval, time.monotonic() + code.expires_in
    while True:
        answer = _post(http, _path(settings, "token"), form)
        if not answer.is_error:
            return _read(_Grant, answer)
        match _read(_OAuthError, answer).error:
            case "authorization_pending":
                pass
            case "slow_down":
                interval += 5
            case _:
                fail(FAILED, f"Signing in failed: {_why(answer)}")
        if time.monotonic() + interval > until:
            fail(FAILED, "Nobody signed in with the code in time. Try again: claimdesk login")
        time.sleep(interval)


def _session(settings: Settings, grant: _Grant) -> _Session:
    return _Session(
        api_url=settings.api_url,
        access_token=grant.access_token,
        expires_at=time.time() + grant.expires_in,
        refresh_token=grant.refresh_token,
    )


def _path(settings: Settings, what: str) -> str:
    return f"/{required(settings, 'login_tenant')}/oauth2/v2.0/{what}"


def _http(base_url: str, timeout: float = 15.0) -> httpx.Client:
    host = httpx.URL(base_url).host
    return httpx.Client(base_url=base_url, timeout=timeout, trust_env=host not in ("127.0.0.1", "localhost", "::1"))


def _post(http: httpx.Client, path: str, form: dict[str, str]) -> httpx.Response:
    try:
        return http.post(path, data=form)
    except httpx.HTTPError as error:
        fail(FAILED, f"{http.base_url} doesn't answer ({type(error).__name__}); see {variable('login_url')}.")


def _why(answer: httpx.Response) -> str:
    error = _read(_OAuthError, answer)
    return error.error_description or error.error or f"HTTP {answer.status_code}"


def _read(model: type[M], answer: httpx.Response) -> M:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        fail(FAILED, f"{answer.url.host} answered {answer.status_code} with something that can't be read.")


def _file() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "claimdesk" / "token.json"


def _keep(session: _Session) -> None:
    """The sign-in on disk, whole or not at all, for its owner's eyes only (mkstemp makes the file 0600)."""
    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".token.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            json.dump(session.model_dump(mode="json"), target)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
