"""Azure reservations (Microsoft.Capacity 2022-11-01), on behalf of a customer."""

from microsoft.identity import Identity
from microsoft.transport import Transport


class Reservations:
    """Microsoft.Capacity. `http` is the transport of management.azure.com."""

    def __init__(self, http: Transport, identity: Identity) -> None:
        self._http = http
        self._identity = identity
