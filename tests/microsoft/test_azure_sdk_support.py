"""Microsoft's own SDK (azure-mgmt-support), unmodified, drives the simulated support tickets.

It is given three things it has parameters for: the address, a policy that adds our token (its own refuses plain HTTP),
and the partner's token in a header, as Microsoft documents it for tickets on behalf of a customer.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.support import MicrosoftSupport
from azure.mgmt.support.models import (
    CheckNameAvailabilityInput,
    CommunicationDetails,
    ContactProfile,
    FileDetails,
    SupportTicketDetails,
    UpdateSupportTicket,
    UploadFile,
)

from tests.microsoft.azure_sdk import Bearer, Unasked, token
from tests.simulated import Simulator, running_simulator

CHUNK = 2_621_440


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running_simulator(tmp_path_factory.mktemp("sdk"), SIMULATOR_TIME_SCALE="0.001") as running:
        yield running


@pytest.fixture(scope="module")
def headers(scaled: Simulator) -> dict[str, str]:
    return {"x-ms-authorization-auxiliary": f"Bearer {token(scaled, scaled.seed['tenant'])}"}


@pytest.fixture(scope="module")
def sdk(scaled: Simulator) -> Iterator[MicrosoftSupport]:
    plan = scaled.seed["subscriptions"]["azure_plan"]
    with MicrosoftSupport(
        Unasked(),
        plan["azure_subscriptions"][0],
        base_url=scaled.url,
        authentication_policy=Bearer(token(scaled, plan["customer_id"])),
        polling_interval=0,
    ) as client:
        yield client


def classification(sdk: MicrosoftSupport) -> tuple[str, str]:
    """The ids of Billing and of its refund requests, found by their names."""
    service = next(each for each in sdk.services.list() if each.display_name == "Billing")
    assert service.name is not None
    problems = sdk.problem_classifications.list(service.name)
    return str(service.id), str(next(each.id for each in problems if each.display_name == "Refund request"))


def ticket(sdk: MicrosoftSupport, workspace: str | None = None) -> SupportTicketDetails:
    service, problem = classification(sdk)
    return SupportTicketDetails(
        service_id=service,
        problem_classification_id=problem,
        title="Credit for the outage",
        description="Virtual machines were down.",
        severity="minimal",
        advanced_diagnostic_consent="No",
        file_workspace_name=workspace,
        contact_details=ContactProfile(
            first_name="Ana",
            last_name="Admin",
            preferred_contact_method="email",
            primary_email_address="ana@partner.example",
            preferred_time_zone="W. Europe Standard Time",
            country="CHE",
            preferred_support_language="en-us",
        ),
    )


def filed(
    sdk: MicrosoftSupport, name: str, headers: dict[str, str], workspace: str | None = None
) -> SupportTicketDetails:
    """Files a ticket and waits for it with the SDK's poller."""
    return sdk.support_tickets.begin_create(name, ticket(sdk, workspace), headers=headers).result(10)


def until_listed(listed: Callable[[], list[str | None]], name: str) -> None:
    """Lists show what was made a while after it can be read."""
    until = time.monotonic() + 10
    while name not in listed():
        assert time.monotonic() < until, f"{name} wasn't listed within 10 seconds"
        time.sleep(0.02)


def test_a_ticket_with_its_poller(sdk: MicrosoftSupport, headers: dict[str, str]) -> None:
    made = filed(sdk, "sdk-1", headers)
    # The SDK types what only Microsoft writes as None.
    said = [made.name, made.status, made.service_display_name, made.problem_classification_display_name]
    assert [str(each) for each in said] == ["sdk-1", "Open", "Billing", "Refund request"]
    assert made.severity == "Minimal"
    assert len(made.support_ticket_id or "") == 15
    assert made.contact_details is not None
    assert made.contact_details.last_name == "Admin"
    assert sdk.support_tickets.get("sdk-1").support_ticket_id == made.support_ticket_id
    until_listed(lambda: [each.name for each in sdk.support_tickets.list(top=1)], "sdk-1")
    closed = sdk.support_tickets.update("sdk-1", UpdateSupportTicket(status="closed"), headers=headers)
    assert closed.status == "Closed"
    assert [each.name for each in sdk.support_tickets.list(filter="status eq 'Closed'")] == ["sdk-1"]


def test_without_the_partners_token_the_poller_tells_of_the_plan(sdk: MicrosoftSupport) -> None:
    with pytest.raises(HttpResponseError, match="Your support plan type is CSP"):
        sdk.support_tickets.begin_create("sdk-2", ticket(sdk)).result(10)
    with pytest.raises(ResourceNotFoundError):
        sdk.support_tickets.get("sdk-2")


def test_a_workspace_with_a_file_in_two_pieces(
    scaled: Simulator, sdk: MicrosoftSupport, headers: dict[str, str]
) -> None:
    content = b"%PDF-1.7" + bytes(CHUNK)
    workspace = sdk.file_workspaces.create("sdk-3")
    assert workspace.expiration_time is not None
    assert workspace.created_on is not None
    assert (workspace.expiration_time - workspace.created_on).days == 1
    sizes = FileDetails(file_size=len(content), chunk_size=CHUNK, number_of_chunks=2)
    assert sdk.files.create("sdk-3", "form.pdf", sizes).number_of_chunks == 2
    for index in (0, 1):
        chunk = base64.b64encode(content[index * CHUNK : (index + 1) * CHUNK]).decode()
        sdk.files.upload("sdk-3", "form.pdf", UploadFile(content=chunk, chunk_index=index))
    assert [each.name for each in sdk.files.list("sdk-3")] == ["form.pdf"]
    made = filed(sdk, "sdk-3", headers, workspace="sdk-3")
    assert made.file_workspace_name == "sdk-3"
    truth = scaled.door.get(f"/azure-tickets/{made.support_ticket_id}").json()
    digest = hashlib.sha256(content).hexdigest()
    assert truth["files"] == [{"name": "form.pdf", "size": len(content), "sha256": digest}]


def test_communications_with_their_poller(sdk: MicrosoftSupport, headers: dict[str, str]) -> None:
    filed(sdk, "sdk-4", headers)
    wanted = CheckNameAvailabilityInput(name="reply-1", type="Microsoft.Support/communications")
    assert sdk.communications.check_name_availability("sdk-4", wanted).name_available
    message = CommunicationDetails(subject="Form", body="Here it is.", sender="ana@partner.example")
    made = sdk.communications.begin_create("sdk-4", "reply-1", message, headers=headers).result(10)
    # Recorded as inbound; the example in Microsoft's document has such a message as outbound.
    assert (made.subject, made.body, made.communication_direction) == ("Form", "Here it is.", "Inbound")
    until_listed(lambda: [each.name for each in sdk.communications.list("sdk-4")], "reply-1")
    assert not sdk.communications.check_name_availability("sdk-4", wanted).name_available


def test_a_ticket_without_a_subscription(sdk: MicrosoftSupport, headers: dict[str, str]) -> None:
    poller = sdk.support_tickets_no_subscription.begin_create("sdk-5", ticket(sdk), headers=headers)
    assert poller.result(10).name == "sdk-5"
    found = sdk.support_tickets_no_subscription.get("sdk-5")
    assert found.id == "/providers/Microsoft.Support/supportTickets/sdk-5"
