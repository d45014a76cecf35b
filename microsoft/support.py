"""Azure support tickets (Microsoft.Support 2024-04-01), on behalf of a customer."""

from microsoft.identity import Identity
from microsoft.transport import Transport


class Support:
    """Microsoft.Support. `http` is the transport of management.azure.com."""

    def __init__(self, http: Transport, identity: Identity) -> None:
        self._http = http
        self._identity = identity
