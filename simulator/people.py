"""The constants of the simulated cloud: its tenants, its one app registration, its test users. Nothing here is a
real secret.
"""

import uuid
from dataclasses import dataclass

PARTNER_TENANT = "3b1e5c6a-7d0f-4b52-9f6d-0c5a1e9b7a11"
RESELLER_TENANT = "8c2f4a90-51d3-4e0e-b8a7-6f1d2c3b4a22"
CONTOSO = "c0a1b2d3-0001-4f5e-8a6b-1c2d3e4f5a01"
FABRIKAM = "c0a1b2d3-0002-4f5e-8a6b-1c2d3e4f5a02"
ADATUM = "c0a1b2d3-0003-4f5e-8a6b-1c2d3e4f5a03"
NORTHWIND = "c0a1b2d3-0004-4f5e-8a6b-1c2d3e4f5a04"
TAILSPIN = "c0a1b2d3-0005-4f5e-8a6b-1c2d3e4f5a05"
WINGTIP = "c0a1b2d3-0006-4f5e-8a6b-1c2d3e4f5a06"

CLIENT_ID = "5d7e9f10-2a4b-4c6d-8e0f-a1b2c3d4e5f6"
CLIENT_SECRET = "simulator-only~client-secret"  # noqa: S105 - the simulator's own, good nowhere else
REFRESH_TOKEN = "simulator-only.0.refresh-token-of-ana"  # noqa: S105 - the simulator's own, good nowhere else

PARTNER_CENTER = "https://api.partnercenter.microsoft.com"
AZURE = "https://management.azure.com"
GRAPH = "https://graph.microsoft.com"


@dataclass(frozen=True)
class User:
    """A test user. `roles` are app role strings; `tenant` is the home tenant, the `tid` of every token."""

    upn: str
    name: str
    tenant: str
    roles: tuple[str, ...]

    @property
    def object_id(self) -> str:
        """Stable, so that a restart doesn't make somebody else of them."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"oid:{self.upn}"))


USERS = {
    user.upn: user
    for user in (
        User("ana@partner.example", "Ana Admin", PARTNER_TENANT, ("AdminAgent",)),
        User("glen@partner.example", "Glen Global", PARTNER_TENANT, ("GlobalAdmin",)),
        User("hana@partner.example", "Hana Helpdesk", PARTNER_TENANT, ("HelpdeskAgent",)),
        User("sam@partner.example", "Sam Sales", PARTNER_TENANT, ("SalesAgent",)),
        User("uma@partner.example", "Uma Users", PARTNER_TENANT, ("UserManagementAdmin",)),
        User("finn@partner.example", "Finn Finance", PARTNER_TENANT, ("BillingAdmin",)),
        User("rita@reseller.example", "Rita Reseller", RESELLER_TENANT, ("IndirectReseller",)),
        User("carl@contoso.example", "Carl Contoso", CONTOSO, ("Customer",)),
        User("cora@fabrikam.example", "Cora Fabrikam", FABRIKAM, ("Customer",)),
    )
}
