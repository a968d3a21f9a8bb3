"""What the service stores while it serves: one database, and the stores in it, each made when first used.

SQLAlchemy takes 10 MB and an eighth of a second to load. Most processes answer for a while before they store anything,
and some never do.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.errors import KBError

if TYPE_CHECKING:
    from service.database import Database
    from service.feedback import FeedbackStore
    from service.ledger import Ledger
    from service.settings import Settings


class StateUnavailable(KBError):
    """The database cannot be reached or written just now."""


class Stores:
    """The database of one service and what is kept in it. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError if the operator named a database that cannot be used here."""
        self._url = settings.state_url
        self._file = settings.state_file
        self._lock = threading.Lock()
        self._database: Database | None = None
        if settings.database_url:
            _ = self.database

    @property
    def database(self) -> Database:
        """The database; it connects when first asked for something, and then makes the tables of all stores."""
        import service.feedback
        import service.ledger  # noqa: F401 -- declares its table, as the one above
        from service.database import Database

        with self._lock:
            if self._database is None:
                self._database = Database(self._url)
            return self._database

    @property
    def hold_anything(self) -> bool:
        """Whether there may be something stored; looking does not make a database where there is none."""
        return self._database is not None or self._file.exists()

    @cached_property
    def feedback(self) -> FeedbackStore:
        """What readers said about articles."""
        from service.feedback import FeedbackStore

        return FeedbackStore(self.database)

    @cached_property
    def ledger(self) -> Ledger:
        """What customers were shown, and what became of it."""
        from service.ledger import Ledger

        return Ledger(self.database)

    def close(self) -> None:
        """Drop all connections."""
        with self._lock:
            if self._database is not None:
                self._database.close()
