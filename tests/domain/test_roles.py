"""Who may do what: filing is the partner's own, and what is offered is what is allowed."""

import pytest

from domain.claims import Event, Status, allowed_actions, refusal
from domain.roles import PERMISSIONS, Action, Role, acting_role, is_partner
from tests.domain.samples import actor, reach

OUTSIDE = [Role.CUSTOMER, Role.INDIRECT_RESELLER]
ON_THE_TICKET = [
    Action.RECORD_FILING,
    Action.FILE_AS_EXCEPTION,
    Action.REPLY,
    Action.RECORD_DECISION,
    Action.DISPUTE,
    Action.WRITE_OFF,
    Action.ALLOCATE_CREDIT,
    Action.RELEASE_CREDIT,
    Action.REVOKE_EVIDENCE,
    Action.REOPEN,
    Action.ASSIGN,
]


@pytest.mark.parametrize("role", OUTSIDE)
@pytest.mark.parametrize("status", Status)
def test_a_customer_or_a_reseller_never_files_nor_speaks_for_the_partner(role: Role, status: Status) -> None:
    offered = allowed_actions(reach(status), [role])
    assert not set(offered) & set(ON_THE_TICKET)
    assert set(offered) <= {Action.ATTACH_EVIDENCE, Action.WITHDRAW}


@pytest.mark.parametrize("role", OUTSIDE)
def test_a_customer_and_a_reseller_raise_and_hand_over(role: Role) -> None:
    for action in (Action.OPEN, Action.READ, Action.ATTACH_EVIDENCE):
        assert acting_role([role], action) is role


@pytest.mark.parametrize("action", [Action.RECORD_FILING, Action.FILE_AS_EXCEPTION])
def test_only_admin_agents_and_global_admins_file(action: Action) -> None:
    assert PERMISSIONS[action] == {Role.ADMIN_AGENT, Role.GLOBAL_ADMIN}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("role", Role)
def test_what_is_offered_is_what_is_done(status: Status, role: Role) -> None:
    claim = reach(status)
    offered = allowed_actions(claim, [role])
    for event in Event:
        if event.action is not None:
            assert (event.action in offered) is (refusal(claim, event, actor(role)) is None)


def test_an_admin_agent_is_offered_what_the_status_asks_for() -> None:
    offered = {status: set(allowed_actions(reach(status), [Role.ADMIN_AGENT])) for status in Status}
    always = {Action.ASSIGN, Action.WITHDRAW}
    evidence = {Action.ATTACH_EVIDENCE, Action.REVOKE_EVIDENCE}
    assert offered[Status.TRIAGING] == always | evidence
    assert offered[Status.CANCEL_NOW] == always | evidence | {Action.CHECK_AGAIN}
    assert offered[Status.COLLECTING_EVIDENCE] == always | evidence
    assert offered[Status.READY_TO_FILE] == always | evidence | {Action.RECORD_FILING}
    assert offered[Status.OVERDUE] == always | evidence | {Action.RECORD_FILING, Action.FILE_AS_EXCEPTION}
    at_microsoft = always | {Action.ATTACH_EVIDENCE, Action.RECORD_FILING, Action.RECORD_DECISION}
    assert offered[Status.FILED] == at_microsoft
    assert offered[Status.NEEDS_INFORMATION] == at_microsoft | {Action.REPLY}
    money = {Action.ALLOCATE_CREDIT, Action.RELEASE_CREDIT, Action.WRITE_OFF, Action.DISPUTE}
    assert offered[Status.AWAITING_CREDIT] == always | money
    assert offered[Status.CREDITED] == set()
    for status in (Status.DENIED, Status.EXPIRED, Status.WITHDRAWN):
        assert offered[status] == {Action.REOPEN}
    assert offered[Status.NOT_CLAIMABLE] == {Action.REOPEN, Action.FILE_AS_EXCEPTION}


def test_of_several_roles_one_that_may_acts() -> None:
    roles = [Role.CUSTOMER, Role.BILLING_ADMIN, Role.HELPDESK_AGENT]
    assert acting_role(roles, Action.ALLOCATE_CREDIT) is Role.BILLING_ADMIN
    assert acting_role(roles, Action.RECORD_DECISION) is Role.HELPDESK_AGENT
    assert acting_role(roles, Action.RECORD_FILING) is None
    assert acting_role([], Action.READ) is None


def test_offered_to_several_roles_is_what_any_of_them_may() -> None:
    claim = reach(Status.AWAITING_CREDIT)
    both = set(allowed_actions(claim, [Role.CUSTOMER, Role.BILLING_ADMIN]))
    assert both == {
        *allowed_actions(claim, [Role.CUSTOMER]),
        *allowed_actions(claim, [Role.BILLING_ADMIN]),
    }


@pytest.mark.parametrize("role", Role)
def test_the_partners_own_people_see_every_claim(role: Role) -> None:
    assert is_partner(role) is (role not in OUTSIDE)
