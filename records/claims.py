"""Claims on record."""

from sqlalchemy.ext.asyncio import AsyncEngine


class ClaimRecords:
    """Claims, their timelines and documents, in the database of `engine`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
