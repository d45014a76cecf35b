"""The clients of Microsoft that a process uses, built from its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from microsoft.billing import Billing
from microsoft.identity import Identity
from microsoft.partner_center import PartnerCenter
from microsoft.transport import Transport
from runtime.settings import Settings, required


@dataclass(frozen=True)
class Microsoft:
    """Microsoft, as far as claimdesk talks to it."""

    partner_center: PartnerCenter
    billing: Billing


@asynccontextmanager
async def microsoft(settings: Settings) -> AsyncIterator[Microsoft]:
    """Clients that share one identity and one connection pool a host; closed at the end.

    Raises :class:`SettingsError` where the partner's tenant, client id or secret isn't set.
    """
    login, api = Transport(settings.login_url), Transport(settings.partner_center_url)
    try:
        identity = Identity(
            login,
            tenant=required(settings, "partner_tenant_id"),
            client_id=required(settings, "client_id"),
            client_secret=SecretStr(required(settings, "client_secret")),
            refresh_token_file=settings.refresh_token_file,
        )
        yield Microsoft(partner_center=PartnerCenter(api, identity), billing=Billing(api, identity))
    finally:
        await api.aclose()
        await login.aclose()
