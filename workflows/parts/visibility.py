"""The search attributes of a claim. No personal data in them."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from domain.claims import Claim
from runtime.attributes import CLAIM_STATUS, CUSTOMER_ID, DUE_AT, TICKET_ID, WAITING_ON


def _values(claim: Claim) -> list[tuple[SearchAttributeKey[Any], str | datetime | None]]:
    # Any: a list of keys of two value types; each pair is built from the key's own type below.
    return [
        (CLAIM_STATUS, claim.status.value),
        (CUSTOMER_ID, claim.opening.customer_id),
        (WAITING_ON, None if claim.status.is_closed else claim.waiting_on.value),
        (TICKET_ID, claim.filing.number if claim.filing else None),
        (DUE_AT, claim.due_at),
    ]


def attributes(claim: Claim) -> TypedSearchAttributes:
    """The search attributes to start the claim's workflow with."""
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in _values(claim) if value is not None]
    )


def attribute_updates(before: Claim, after: Claim) -> list[SearchAttributeUpdate[Any]]:
    """What a transition changed of the search attributes; empty where nothing."""
    return [
        key.value_unset() if value is None else key.value_set(value)
        for (key, old), (_, value) in zip(_values(before), _values(after), strict=True)
        if value != old
    ]
