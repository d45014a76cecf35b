"""The search attributes of a claim: the columns and filters that operators have in the Temporal UI.

No personal data in any of them. Pure, so that workflows may import it.
"""

from collections.abc import Mapping
from datetime import datetime

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.common import SearchAttributeKey

CLAIM_STATUS: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("ClaimStatus")
"""The claim's status, one of the words of the table of claims."""

CUSTOMER_ID: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("CustomerId")
"""The customer's id at Partner Center (a GUID, not a name)."""

TICKET_ID: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("TicketId")
"""Number of the service request or Azure ticket; unset until filed."""

WAITING_ON: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("WaitingOn")
"""Whose move it is; unset once the claim is closed."""

DUE_AT: SearchAttributeKey[datetime] = SearchAttributeKey.for_datetime("DueAt")
"""The first instant too late for filing, UTC; unset where nothing has to be filed."""

SEARCH_ATTRIBUTES = (CLAIM_STATUS, CUSTOMER_ID, TICKET_ID, WAITING_ON, DUE_AT)

_TYPE_NAMES = {
    IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD: "Keyword",
    IndexedValueType.INDEXED_VALUE_TYPE_DATETIME: "Datetime",
}

SEARCH_ATTRIBUTE_TYPES: Mapping[str, str] = {
    key.name: _TYPE_NAMES[IndexedValueType.ValueType(int(key.indexed_value_type))] for key in SEARCH_ATTRIBUTES
}
"""Name to type, in the words that the `temporal` program takes (``--search-attribute DueAt=Datetime``)."""
