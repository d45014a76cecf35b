"""Invoice lines on record, and what claims were given of them."""

from sqlalchemy.ext.asyncio import AsyncEngine


class CreditRecords:
    """Invoices read, their lines, and allocations, in the database of `engine`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
