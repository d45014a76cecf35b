"""Who may do what to a claim.

Sources: the seed page (only the CSP partner submits, never an end customer or an indirect reseller); the request-credit
article (Admin agent, in its 2021 and 2023 editions Global admin too); permissions overview for the other agent roles.
"""

from collections.abc import Iterable
from enum import StrEnum

from domain.model import Frozen


class Role(StrEnum):
    """A role as it stands on every entry of the timeline. The first six are people of the partner."""

    ADMIN_AGENT = "admin_agent"
    GLOBAL_ADMIN = "global_admin"
    HELPDESK_AGENT = "helpdesk_agent"
    SALES_AGENT = "sales_agent"
    USER_MANAGEMENT_ADMIN = "user_management_admin"
    BILLING_ADMIN = "billing_admin"
    INDIRECT_RESELLER = "indirect_reseller"
    CUSTOMER = "customer"


class Actor(Frozen):
    """The person behind an entry of the timeline, in the role that let them act."""

    subject: str
    name: str | None = None
    role: Role
    tenant_id: str


class Action(StrEnum):
    """What a person can do at the desk."""

    OPEN = "open"
    READ = "read"
    ATTACH_EVIDENCE = "attach_evidence"
    REVOKE_EVIDENCE = "revoke_evidence"
    RECORD_FILING = "record_filing"
    FILE_TICKET = "file_ticket"
    REPLY = "reply"
    RECORD_DECISION = "record_decision"
    ALLOCATE_CREDIT = "allocate_credit"
    RELEASE_CREDIT = "release_credit"
    WRITE_OFF = "write_off"
    DISPUTE = "dispute"
    ASSIGN = "assign"
    WITHDRAW = "withdraw"
    REOPEN = "reopen"
    FILE_AS_EXCEPTION = "file_as_exception"
    CHECK_AGAIN = "check_again"


_FILERS = frozenset({Role.ADMIN_AGENT, Role.GLOBAL_ADMIN})
_AGENTS = _FILERS | {Role.HELPDESK_AGENT, Role.USER_MANAGEMENT_ADMIN}
_FINANCE = _FILERS | {Role.BILLING_ADMIN}
_OUTSIDE = frozenset({Role.INDIRECT_RESELLER, Role.CUSTOMER})
_PARTNER = frozenset(Role) - _OUTSIDE

PERMISSIONS: dict[Action, frozenset[Role]] = {
    Action.OPEN: frozenset(Role) - {Role.BILLING_ADMIN},
    Action.READ: frozenset(Role),
    Action.ATTACH_EVIDENCE: frozenset(Role) - {Role.BILLING_ADMIN},
    Action.REVOKE_EVIDENCE: _AGENTS,
    Action.RECORD_FILING: _FILERS,
    Action.FILE_TICKET: _FILERS,
    Action.REPLY: _AGENTS,
    Action.RECORD_DECISION: _FINANCE | _AGENTS,
    Action.ALLOCATE_CREDIT: _FINANCE,
    Action.RELEASE_CREDIT: _FINANCE,
    Action.WRITE_OFF: _FINANCE,
    Action.DISPUTE: _FINANCE,
    Action.ASSIGN: _PARTNER,
    Action.WITHDRAW: _AGENTS | _OUTSIDE | {Role.SALES_AGENT},
    Action.REOPEN: _AGENTS,
    Action.FILE_AS_EXCEPTION: _FILERS,
    Action.CHECK_AGAIN: _PARTNER,
}


def acting_role(roles: Iterable[Role], action: Action) -> Role | None:
    """The caller's role that allows the action, or None. The order of `Role` decides where several do."""
    return min(set(roles) & PERMISSIONS[action], key=list(Role).index, default=None)


def is_partner(role: Role) -> bool:
    """True for people of the partner, who see every claim; a customer or a reseller sees their own."""
    return role in _PARTNER
