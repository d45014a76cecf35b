"""What Microsoft's own SDKs are given to drive the simulator: a policy that adds a token, and where that comes from."""

import httpx
from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.rest import HttpRequest, HttpResponse

from tests.simulated import Simulator

AZURE = "https://management.azure.com"


class Bearer(SansIOHTTPPolicy[HttpRequest, HttpResponse]):
    """Adds a token to each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        request.http_request.headers["Authorization"] = f"Bearer {self._token}"


class Unasked:
    """The credential that the SDK wants to be given; with a policy of our own it isn't asked."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        raise AssertionError("the policy has the token")


def token(simulator: Simulator, tenant: str) -> str:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": simulator.seed["refresh_token"],
        "client_id": simulator.seed["client_id"],
        "client_secret": simulator.seed["client_secret"],
        "resource": AZURE,
    }
    answer = httpx.post(f"{simulator.url}/{tenant}/oauth2/token", data=form, trust_env=False)
    return str(answer.json()["access_token"])
