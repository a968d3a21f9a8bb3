"""Tickets of the last days, for finding duplicates and bursts. No text of them is kept.

A row holds the ticket's id and address at the vendor, what people call it where the id is not that, when it came,
whether it is open, the vector of its text in half precision, a hash of each exact error signature, and one of who sent
it. Texts are not stored, and no title but as the name of what has no other: an alert or a mail. A vector tells roughly
what a text was about, so rows end after `KB_INTAKE_RECENT_DAYS`, and 0 days keeps none.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from service.connectors.contract import Event, EventKind
from service.database import METADATA, Database

if TYPE_CHECKING:
    from indexer.embedding import Vectors
    from service.triage_similar import RecentTicket

RECENT = Table(
    "intake_recent",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("connector", String(40), nullable=False),
    Column("subject_id", String(300), nullable=False),
    Column("url", Text, nullable=False),
    Column("created_s", Float, nullable=False, index=True),
    Column("is_open", Boolean, nullable=False),
    Column("embedder", String(100), nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("signatures", Text, nullable=False),
    Column("account", String(100)),
    Column("name", String(200)),
    Index("intake_recent_subject", "connector", "subject_id"),
    sqlite_autoincrement=True,
)

MAX_COMPARED = 5_000
"""Only this many, the newest, are compared with."""

_OVERLAP = 50
"""Rows below the last seen id that are read again: another process may have committed them late."""


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    id: int
    connector: str
    subject_id: str
    url: str
    created_s: float
    is_open: bool
    embedder: str
    vector: Any
    signatures: frozenset[str]
    account: str | None
    name: str | None


class RecentTickets:
    """See the module. Thread-safe; reads only what came since the last look."""

    def __init__(self, database: Database, keep_s: float) -> None:
        self._database = database
        self.keep_s = keep_s
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], _Row] = {}
        self._seen = 0

    def remember(
        self,
        connector: str,
        event: Event,
        vector: Vectors,
        signatures: Iterable[str],
        embedder: str,
        now_s: float,
    ) -> None:
        """Keep what is needed to recognise the ticket. What it was about stays as it was when it first came."""
        if self.keep_s <= 0 or not event.subject_id:
            return
        import numpy as np

        subject = event.subject_id[:300]
        account = account_of(connector, event)
        name = name_of(event)
        mine = (RECENT.c.connector == connector) & (RECENT.c.subject_id == subject)
        values: dict[str, Any] = {
            "created_s": now_s,
            "embedder": embedder,
            "vector": np.asarray(vector, np.float16).tobytes(),
            "signatures": json.dumps(sorted({hash_signature(signature) for signature in signatures})),
        }
        with self._database.begin() as connection:
            known = connection.execute(select(RECENT).where(mine)).mappings().first()
            if known is not None:
                kept = ("created_s",) if known["embedder"] != embedder else tuple(values)
                values |= {name: known[name] for name in kept}
                account = account or known["account"] or ""
                name = known["name"] or name
                connection.execute(delete(RECENT).where(mine))
            connection.execute(
                insert(RECENT).values(
                    connector=connector,
                    subject_id=subject,
                    url=event.url,
                    is_open=_is_open(event),
                    account=account or None,
                    name=name or None,
                    **values,
                )
            )

    def update_status(self, connector: str, event: Event) -> None:
        """Take over whether the ticket is open, where it is known here and `event` says; nothing else changes."""
        if self.keep_s <= 0 or not event.subject_id or not event.fields.get("status"):
            return
        mine = (RECENT.c.connector == connector) & (RECENT.c.subject_id == event.subject_id[:300])
        with self._database.begin() as connection:
            known = connection.execute(select(RECENT).where(mine)).mappings().first()
            if known is not None and known["is_open"] != _is_open(event):
                kept = {name: value for name, value in known.items() if name != "id"}
                connection.execute(delete(RECENT).where(mine))  # a new id, by which other processes see the change
                connection.execute(insert(RECENT).values({**kept, "is_open": _is_open(event)}))

    def window(self, connector: str, signatures: Iterable[str], embedder: str, now_s: float) -> Sequence[RecentTicket]:
        """What is known of the tickets before now, with those of `signatures` that they share."""
        from service.triage_similar import RecentTicket

        if self.keep_s <= 0:
            return ()
        by_hash = {hash_signature(signature): signature for signature in signatures}
        with self._lock:
            self._read(now_s)
            rows = [row for row in self._rows.values() if row.embedder == embedder and row.created_s <= now_s]
        rows.sort(key=lambda row: -row.created_s)
        return [
            RecentTicket(
                ticket_id=_named(row, row.subject_id, connector),
                vector=row.vector,
                created_s=row.created_s,
                signatures=frozenset(by_hash[name] for name in row.signatures & by_hash.keys()),
                is_open=row.is_open,
                url=row.url,
                account=row.account or "",
                name=_named(row, row.name, connector) if row.name else "",
            )
            for row in rows[:MAX_COMPARED]
        ]

    def purge(self, before_s: float) -> int:
        """Forget what came before; returns how many tickets."""
        with self._database.begin() as connection:
            return connection.execute(delete(RECENT).where(RECENT.c.created_s < before_s)).rowcount

    def _read(self, now_s: float) -> None:
        """Take up new rows, and drop those that are too old.

        Tables that SQLite made for an earlier version give ids anew when the newest rows are purged; then all are read.
        """
        import numpy as np

        with self._database.begin() as connection:
            newest = connection.execute(select(func.max(RECENT.c.id))).scalar() or 0
            if newest < self._seen:
                self._seen = 0
            query = select(RECENT).where(RECENT.c.id > self._seen - _OVERLAP, RECENT.c.created_s >= now_s - self.keep_s)
            for row in connection.execute(query.order_by(RECENT.c.id)).mappings():
                vector = np.frombuffer(row["vector"], np.float16).astype(np.float32)
                hashes = frozenset(json.loads(row["signatures"]))
                self._rows[row["connector"], row["subject_id"]] = _Row(
                    **{**row, "vector": vector, "signatures": hashes}
                )
                self._seen = max(self._seen, row["id"])
        oldest = now_s - self.keep_s
        for key in [key for key, row in self._rows.items() if row.created_s < oldest]:
            del self._rows[key]


def account_of(connector: str, event: Event) -> str:
    """Who sent a ticket, as `RecentTicket` wants it: one name in one tool, and nothing to read. Empty if unknown."""
    from service.triage_similar import ALERTS

    if event.kind is EventKind.ALERT:
        return ALERTS
    account = event.fields.get("account")
    return f"{connector}:{account}"[:100] if account else ""


def name_of(event: Event) -> str:
    """What people call a ticket whose id they do not know; empty where the id is its name."""
    name = str(event.fields.get("name", "")) or (event.title if event.kind is EventKind.ALERT else "")
    return " ".join(name.split())[:200]


def hash_signature(signature: str) -> str:
    """The stored form of an error signature: enough to see that two are equal, nothing to read."""
    return hashlib.sha256(signature.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _named(row: _Row, name: str, connector: str) -> str:
    """`name` with the tool before it, where that is another than this."""
    return name if row.connector == connector else f"{row.connector} {name}"


def _is_open(event: Event) -> bool:
    """A ticket is open unless the tool says otherwise."""
    from service.triage_similar import CLOSED_STATUSES

    return str(event.fields.get("status", "")).strip().casefold() not in CLOSED_STATUSES
