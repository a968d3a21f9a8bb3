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
from collections.abc import Sequence
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

_TICKETS, _LINKS, _NEAREST, _PROTOTYPES = "tickets.npy", "links.json", "tickets.faiss", "prototypes.npy"


@dataclass(frozen=True, slots=True)
class ResolvedTickets:
    """A history in the form it is kept in.

    Attributes:
        vectors: the embedder's unit vectors, shape (tickets, dimensions), before the corpus' geometry.
        links: for each ticket the paths of the articles that resolved it.
    """

    vectors: Vectors
    links: tuple[tuple[str, ...], ...]


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
    (folder / _LINKS).write_text(json.dumps(tickets.links))
    mapped = transform(tickets.vectors, geometry)
    build_dense(folder / _NEAREST, mapped, choose_type(IndexType.AUTO, len(mapped)))
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    sums = _SHRINKAGE * means / np.maximum(norms, 1e-9)
    rows = {path: row for row, path in enumerate(paths)}
    for vector, links in zip(mapped, tickets.links, strict=True):
        for path in links:
            if path in rows:
                sums[rows[path]] += vector / len(links)
    prototypes = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    np.save(folder / _PROTOTYPES, prototypes.astype(np.float32))


def read_tickets(folder: Path) -> ResolvedTickets:
    """The history in `folder`, for a rebuild."""
    links = json.loads((folder / _LINKS).read_bytes())
    return ResolvedTickets(np.load(folder / _TICKETS, allow_pickle=False), tuple(tuple(paths) for paths in links))


class TicketHistory:
    """Reads what `write_history` wrote, for one index version. Thread-safe."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._nearest = DenseIndex(folder / _NEAREST)
        self._prototypes: NDArray[np.float32] = np.load(folder / _PROTOTYPES, mmap_mode="r", allow_pickle=False)
        rows = {path: row for row, path in enumerate(paths)}
        links = json.loads((folder / _LINKS).read_bytes())
        self._links = [[rows[path] for path in ticket if path in rows] for ticket in links]
        self._shares = np.array([1.0 / max(1, len(ticket)) for ticket in links])
        self._resolved = np.zeros(len(paths))
        for share, linked in zip(self._shares, self._links, strict=True):
            self._resolved[linked] += share
        self._everything = Selection(np.ones(len(self._nearest), np.bool_))
        self.trust = len(links) / (len(links) + _TRUST * max(1, len(paths)))

    def __len__(self) -> int:
        return len(self._links)

    def evidence(self, vector: Vectors) -> TicketEvidence:
        """Evidence for a question's `vector` (d,) in the corpus' geometry."""
        found = self._nearest.search(vector[None, :], self._everything, _NEIGHBOURS)[0]
        votes = np.zeros(len(self._resolved))
        counts = np.zeros(len(self._resolved), np.int64)
        for ticket, cosine in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
            linked = self._links[ticket]
            votes[linked] += max(0.0, cosine) ** _POWER * self._shares[ticket]
            counts[linked] += 1
        weighed = np.sqrt(votes / (self._resolved + 1) ** _POPULARITY)
        return TicketEvidence(
            np.asarray(self._prototypes @ vector, np.float32), weighed.astype(np.float32), counts, self.trust
        )
