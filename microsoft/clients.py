"""The clients of Microsoft that a process uses, built from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from microsoft.billing import Billing
from microsoft.identity import Identity
from microsoft.partner_center import PartnerCenter
from microsoft.reservations import Reservations
from microsoft.support import Support
from microsoft.transport import AZURE_IDS, GRAPH_IDS, Transport
from runtime.settings import Settings, required


@dataclass(frozen=True)
class Microsoft:
    """Microsoft, as far as claimdesk talks to it."""

    partner_center: PartnerCenter
    billing: Billing
    support: Support
    reservations: Reservations


@asynccontextmanager
async def microsoft(settings: Settings) -> AsyncIterator[Microsoft]:
    """Clients that share one identity and one connection pool a host; closed at the end.

    Raises :class:`SettingsError` where the partner's tenant, client id or secret isn't set.
    """
    async with AsyncExitStack() as closing:

        def to(http: Transport) -> Transport:
            closing.push_async_callback(http.aclose)
            return http

        login, center = to(Transport(settings.login_url)), to(Transport(settings.partner_center_url))
        # Changes of a reservation were recorded to take up to 13 seconds.
        azure = to(Transport(settings.azure_url, timeout=30.0, ids=AZURE_IDS))
        graph = to(Transport(settings.graph_url, ids=GRAPH_IDS))
        identity = Identity(
            login,
            tenant=required(settings, "partner_tenant_id"),
            client_id=required(settings, "client_id"),
            client_secret=SecretStr(required(settings, "client_secret")),
            refresh_token_file=settings.refresh_token_file,
        )
        yield Microsoft(
            partner_center=PartnerCenter(center, identity),
            billing=Billing(center, identity, graph),
            support=Support(azure, identity),
            reservations=Reservations(azure, identity),
        )
