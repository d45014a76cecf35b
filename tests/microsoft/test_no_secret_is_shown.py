"""No token, no secret and nothing that we sent stands in an exception or a log line, whoever repeats it to us."""

import base64
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from microsoft.billing import Billing
from microsoft.errors import MicrosoftError
from microsoft.identity import AZURE, GRAPH, Identity
from microsoft.partner_center import PartnerCenter
from microsoft.reservations import Reservations
from microsoft.support import Support
from microsoft.transport import Transport
from tests.microsoft.every_operation import (
    CLIENT_SECRET,
    CONTACT,
    DOCUMENT,
    ID,
    OPERATIONS,
    OTHER_ID,
    PLACE,
    TENANT,
    TICKET,
    TOKEN,
    Clients,
    outcome,
)
from tests.simulated import Simulator

ECHOES: dict[str, Callable[[httpx.Request], str]] = {
    "its token": lambda request: request.headers.get("authorization", ""),
    "its token, bare": lambda request: request.headers.get("authorization", "").removeprefix("Bearer "),
    "the token that vouches": lambda request: request.headers.get("x-ms-authorization-auxiliary", ""),
    "its body": lambda request: request.content.decode()[:5000],
    "its address": lambda request: str(request.url),
    "its query": lambda request: request.url.query.decode(),
}
SAID = (
    "onfidential",
    "A title",
    "Two lines",
    TOKEN,
    TOKEN[-12:],
    CLIENT_SECRET,
    "signed%2B",
    base64.b64encode(DOCUMENT).decode(),
)
"""What no exception and no log line may repeat, whoever says it."""


def everything_of(error: BaseException | None) -> list[str]:
    """All that a log or a failure could show of an exception, and of what it came from."""
    if error is None:
        return []
    shown = [str(error), repr(error), repr(error.__dict__), "".join(traceback.format_exception(error))]
    return [*shown, *everything_of(error.__cause__), *everything_of(error.__context__)]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_error_that_repeats_what_we_sent_isnt_repeated(
    operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # As runtime.logging sets it: their lines carry whole addresses.
    caplog.set_level(logging.WARNING, "httpx")
    for name, echo in ECHOES.items():
        for status in (400, 401, 403, 404, 409, 500):

            def answer(request: httpx.Request) -> httpx.Response:
                return httpx.Response(status, json={"error": {"code": "Wrong", "message": "Wrong: " + echo(request)}})  # noqa: B023

            with capture_logs() as logs:
                came = await outcome(OPERATIONS[operation], answer)
            assert isinstance(came, MicrosoftError)
            assert logs
            shown = [*everything_of(came), repr(logs), caplog.text]
            assert not [word for word in SAID for text in shown if word in text], (name, status, shown)


class Witness(httpx.AsyncHTTPTransport):
    """The way to the simulator, and every secret that came along it."""

    def __init__(self, secrets: set[str]) -> None:
        super().__init__()
        self.secrets = secrets

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        for name in ("azure-asyncoperation", "location"):
            _, _, signature = response.headers.get(name, "").partition("&t=")
            self.secrets.update(part for part in signature.split("&") if len(part) > 20)
        if not request.url.path.endswith("/oauth2/token"):
            return response
        body = await response.aread()
        await response.aclose()
        if response.is_success:
            granted = response.json()
            self.secrets.update(
                granted[name] for name in ("access_token", "refresh_token", "id_token") if name in granted
            )
        return httpx.Response(response.status_code, headers=response.headers, content=body)


async def filed(it: Clients, name: str) -> None:
    """A ticket from its classification to our last word on it."""
    classification = await it.support.classification(TENANT, "Billing", "refund", "request")
    await it.support.create_workspace(PLACE, name)
    await it.support.upload(PLACE, name, "form.pdf", DOCUMENT)
    ticket = TICKET.model_copy(update={"classification": classification, "workspace": name})
    operation = await it.support.create(PLACE, name, ticket)
    assert operation is not None
    await it.support.look(PLACE, operation.url)
    await it.support.ticket(PLACE, name)
    await it.support.communicate(
        PLACE, name, "reply-1", subject="Ours", body="A confidential answer", sender=CONTACT.email
    )
    await it.support.update(PLACE, name, status="closed")


async def test_a_whole_run_with_its_failures_shows_no_secret(
    simulator: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for noisy in ("httpx", "httpcore"):
        caplog.set_level(logging.WARNING, noisy)  # as runtime.logging sets it: their lines carry whole addresses
    simulator.post("/customers", {"id": TENANT, "companyName": "Relecloud", "domain": "relecloud.example"})
    plan: dict[str, object] = {
        "id": OTHER_ID,
        "customerId": TENANT,
        "commerce": "azure_plan",
        "offerId": "DZH318Z0BPS6:0001:DZH318Z0BM9W",
        "offerName": "Azure plan",
        "orderId": "34b37d7340cc",
        "azureSubscriptions": [{"id": ID}],
        **dict.fromkeys(("creationDate", "effectiveStartDate", "commitmentEndDate"), "2026-01-14T16:57:15Z"),
    }
    simulator.post("/subscriptions", plan)
    file = tmp_path / "refresh-token"
    file.write_text(simulator.seed["refresh_token"])
    secrets = {simulator.seed["refresh_token"], simulator.seed["client_secret"], base64.b64encode(DOCUMENT).decode()}
    http = Transport(simulator.url, wire=Witness(secrets), backoff=0.0, timeout=5)
    who = Identity(
        http,
        tenant=simulator.seed["tenant"],
        client_id=simulator.seed["client_id"],
        client_secret=SecretStr(simulator.seed["client_secret"]),
        refresh_token_file=file,
    )
    it = Clients(who, PartnerCenter(http, who), Billing(http, who, http), Support(http, who), Reservations(http, who))
    errors: list[MicrosoftError] = []
    results: list[str] = []
    troubles: list[dict[str, object] | None] = [
        None,
        {"kind": "error", "status": 503},
        {"kind": "error", "status": 401},
        {"kind": "throttle", "seconds": 57},
        {"kind": "drop", "at_byte": 100},
    ]
    with capture_logs() as logs:
        await filed(it, "ticket-of-the-run")
        for trouble in troubles:
            for work in OPERATIONS.values():
                if trouble is not None:
                    simulator.post("/faults", {**trouble, "path": ".*", "times": 3})
                try:
                    results.append(repr(await work(it)))
                except MicrosoftError as error:
                    errors.append(error)
                simulator.door.delete("/faults")
        for tenant in (None, TENANT):
            token = await who.token(AZURE, tenant=tenant)
            await who.token(AZURE, token, tenant=tenant)
        file.write_text("a-refresh-token-that-was-never-issued")
        secrets.add("a-refresh-token-that-was-never-issued")
        with pytest.raises(MicrosoftError) as caught:
            await who.token(GRAPH, await who.token(GRAPH))
        errors.append(caught.value)
    await http.aclose()
    assert len(errors) > 4 * len(OPERATIONS)
    assert len(secrets) > 20
    told = [*(text for error in errors for text in everything_of(error)), *map(repr, logs), caplog.text]
    shown = [*told, *results, repr(who.__dict__)]
    assert not [(secret[:20], text[:300]) for secret in secrets for text in shown if secret in text]
    assert not [text[:300] for text in told if "onfidential" in text or "nobody else" in text]
