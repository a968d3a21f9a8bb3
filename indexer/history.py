"""What a team's resolved tickets say about its articles. Only vectors and links are kept, never a ticket's text.

Two signals, both in closed form, so that learning takes seconds and a new ticket needs no training:

- prototype: each article's mean vector drawn towards the tickets that it resolved. With n tickets x_1..x_n and the
  article's own mean m, the prototype is the direction of lambda m + x_1 + .. + x_n. Articles without tickets keep m.
- votes: each of the k most similar tickets votes for its articles with its cosine to the fourth power; the sum is
  divided by how often the article is linked at all, to the power 3/4, so popular articles do not win by being popular,
  and its root is taken, so that ten tickets do not outweigh everything else.

Both fade in with the amount of history: trust = tickets / (tickets + 3 articles).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.dense import DenseIndex, IndexType, Selection, build_dense, choose_type
from indexer.embedding import Vectors
from indexer.geometry import transform

_SHRINKAGE = 3.0
_NEIGHBOURS = 100
_POWER = 4.0
_POPULARITY = 0.75
_TRUST = 3.0

_TICKETS, _LINKS, _NEAREST, _SUMS = "tickets.npy", "links.json", "tickets.faiss", "sums.npy"


@dataclass(frozen=True, slots=True)
class ResolvedTickets:
    """A history in the form it is kept in.

    Attributes:
        vectors: the embedder's unit vectors, shape (tickets, dimensions), before the corpus' geometry.
        links: for each ticket the paths of the articles that resolved it.
        created: for each ticket its ISO date, empty if unknown.
    """

    vectors: Vectors
    links: tuple[tuple[str, ...], ...]
    created: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TicketEvidence:
    """What similar tickets say of every article; arrays of shape (articles,).

    Attributes:
        prototype: cosine of the question with each article's prototype.
        votes: see the module's text.
        counts: how many of the most similar tickets each article resolved.
        trust: 0 to 1, how far the history is to be believed as a whole.
    """

    prototype: NDArray[np.float32]
    votes: NDArray[np.float32]
    counts: NDArray[np.int64]
    trust: float


def write_history(
    folder: Path, tickets: ResolvedTickets, paths: Sequence[str], means: Vectors, geometry: NDArray[np.float32]
) -> None:
    """Write a history for the articles at `paths` (row order), whose mean chunk vectors are `means` (articles, d).

    Links to articles that are not in the index are kept in the file, so they count again when the article comes back.
    """
    folder.mkdir(parents=True)
    np.save(folder / _TICKETS, tickets.vectors)
    records = [{"articles": links, "created": day} for links, day in zip(tickets.links, tickets.created, strict=True)]
    (folder / _LINKS).write_text(json.dumps(records))
    mapped = transform(tickets.vectors, geometry)
    build_dense(folder / _NEAREST, mapped, choose_type(IndexType.AUTO, len(mapped)))
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    sums = _SHRINKAGE * means / np.maximum(norms, 1e-9)
    rows = {path: row for row, path in enumerate(paths)}
    for vector, links in zip(mapped, tickets.links, strict=True):
        for path in links:
            if path in rows:
                sums[rows[path]] += vector / len(links)
    np.save(folder / _SUMS, sums.astype(np.float32))


def read_tickets(folder: Path) -> ResolvedTickets:
    """The history in `folder`, for a rebuild."""
    records = json.loads((folder / _LINKS).read_bytes())
    return ResolvedTickets(
        np.load(folder / _TICKETS, allow_pickle=False),
        tuple(tuple(record["articles"]) for record in records),
        tuple(record["created"] for record in records),
    )


class TicketHistory:
    """Reads what `write_history` wrote, for one index version. Thread-safe."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._nearest = DenseIndex(folder / _NEAREST)
        self._sums: Vectors = np.load(folder / _SUMS, mmap_mode="r", allow_pickle=False)
        self._prototypes = _unit(self._sums)
        rows = {path: row for row, path in enumerate(paths)}
        records = json.loads((folder / _LINKS).read_bytes())
        self._created = np.array([record["created"] for record in records], np.str_)
        self._links = [[rows[path] for path in record["articles"] if path in rows] for record in records]
        self._shares = np.array([1.0 / max(1, len(record["articles"])) for record in records])
        self._resolved = self._count_resolved(range(len(records)))
        self._everything = Selection(np.ones(len(records), np.bool_))

    def __len__(self) -> int:
        return len(self._links)

    @property
    def trust(self) -> float:
        """How far the whole history is to be believed, 0 to 1."""
        return self._trust(len(self))

    def evidence(self, vector: Vectors, before: str = "") -> TicketEvidence:
        """Evidence for a question's `vector` (d,) in the corpus' geometry.

        Args:
            before: ISO date; only tickets that are older count, as if it were that day. Tickets without a date do not.
        """
        if before:
            return self._evidence_before(vector, before)
        return self._evidence(vector, self._everything, self._prototypes, self._resolved, len(self))

    def _evidence_before(self, vector: Vectors, before: str) -> TicketEvidence:
        older = (self._created != "") & (self._created < before)
        newer = np.flatnonzero(~older)
        sums = np.array(self._sums)
        for ticket, known in zip(newer.tolist(), self._nearest.vectors(newer), strict=True):
            sums[self._links[ticket]] -= known * np.float32(self._shares[ticket])
        resolved = self._count_resolved(np.flatnonzero(older).tolist())
        return self._evidence(vector, Selection(older), _unit(sums), resolved, int(older.sum()))

    def _evidence(
        self, vector: Vectors, admitted: Selection, prototypes: Vectors, resolved: NDArray[np.float64], count: int
    ) -> TicketEvidence:
        found = self._nearest.search(vector[None, :], admitted, _NEIGHBOURS)[0]
        votes = np.zeros(len(resolved))
        counts = np.zeros(len(resolved), np.int64)
        for ticket, cosine in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
            linked = self._links[ticket]
            votes[linked] += max(0.0, cosine) ** _POWER * self._shares[ticket]
            counts[linked] += 1
        weighed = np.sqrt(votes / (resolved + 1) ** _POPULARITY)
        return TicketEvidence(prototypes @ vector, weighed.astype(np.float32), counts, self._trust(count))

    def _count_resolved(self, tickets: Iterable[int]) -> NDArray[np.float64]:
        resolved = np.zeros(len(self._sums))
        for ticket in tickets:
            resolved[self._links[ticket]] += self._shares[ticket]
        return resolved

    def _trust(self, tickets: int) -> float:
        return tickets / (tickets + _TRUST * max(1, len(self._sums)))


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)
    return unit
