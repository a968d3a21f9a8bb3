"""What a team's resolved tickets say about its articles. Vectors, links and some words are kept, never a ticket's text.

Two signals, both in closed form, so that learning takes seconds and a new ticket needs no training:

- prototype: each article's mean vector drawn towards the tickets that it resolved. With n tickets x_1..x_n and the
  article's own mean m, the prototype is the direction of lambda m + x_1 + .. + x_n. Articles without tickets keep m.
- votes: each of the k most similar tickets votes for its articles with its similarity to the fourth power; the sum is
  divided by how often the article is linked at all, to the power 3/4, so popular articles do not win by being popular,
  and its root is taken, so that ten tickets do not outweigh everything else. Similarity is three parts cosine and two
  parts likeness of words (`indexer.ticket_words`), as a share of the likest ticket's.

Both fade in with the amount of history: trust = belief x tickets / (tickets + 3 articles), where belief is 1 unless it
was measured (`service.believing`): a history whose tickets resemble no earlier ones says little, however long it is.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import save_array
from indexer.dense import DenseIndex, IndexType, Selection, build_dense, choose_type
from indexer.embedding import Vectors
from indexer.geometry import transform
from indexer.ticket_words import TicketWords, has_ticket_words, read_ticket_words, write_ticket_words

_SHRINKAGE = 3.0
_NEIGHBOURS = 100
_PROPOSED = 4 * _NEIGHBOURS
"""Tickets that cosine and words propose each; of these the most similar vote."""
_BY_WORDS = 0.4
_POWER = 4.0
_POPULARITY = 0.75
_TRUST = 3.0

Scores = NDArray[np.float32]

_TICKETS, _LINKS, _NEAREST, _SUMS = "tickets.npy", "links.json", "tickets.faiss", "sums.npy"
_BELIEF = "belief.json"


@dataclass(frozen=True, slots=True)
class Belief:
    """How far a history is to be believed, measured on its own tickets, each held out while it was asked.

    Attributes:
        factor: 0 to 1, what the trust that its size earns is multiplied by.
        tickets: how many were asked.
        articles: how many different articles resolved these.
        tried: factors with the quality of the ranking that each gave (nDCG@10), ascending; the first is 0, no history.
        measured_on: ISO date.
    """

    factor: float
    tickets: int
    articles: int
    tried: tuple[tuple[float, float], ...]
    measured_on: str

    @property
    def quality(self) -> float:
        """What the chosen factor gave."""
        return dict(self.tried)[self.factor]

    @property
    def quality_without(self) -> float:
        """What the ranking without the history gave."""
        return self.tried[0][1]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Belief:
        return cls(**{**values, "tried": tuple((factor, quality) for factor, quality in values["tried"])})


@dataclass(frozen=True, slots=True)
class ResolvedTickets:
    """A history in the form it is kept in.

    Attributes:
        vectors: the embedder's unit vectors, shape (tickets, dimensions), before the corpus' geometry.
        links: for each ticket the paths of the articles that resolved it.
        created: for each ticket its ISO date, empty if unknown.
        belief: how far it is to be believed; None if that was not measured.
        words: for each ticket its analysed words that articles use too; empty where they are not known.
    """

    vectors: Vectors
    links: tuple[tuple[str, ...], ...]
    created: tuple[str, ...]
    belief: Belief | None = None
    words: tuple[frozenset[str], ...] = ()


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
    """Write a history for the articles at `paths`, in row order.

    Args:
        means: the articles' mean chunk vectors, shape (articles, d), of any length.

    Links to articles that are not in the index are kept in the file, so they count again when the article comes back.
    """
    folder.mkdir(parents=True)
    save_array(folder / _TICKETS, tickets.vectors)
    records = [{"articles": links, "created": day} for links, day in zip(tickets.links, tickets.created, strict=True)]
    (folder / _LINKS).write_text(json.dumps(records), encoding="utf-8")
    if tickets.belief is not None:
        (folder / _BELIEF).write_text(json.dumps(asdict(tickets.belief), indent=1), encoding="utf-8")
    if tickets.words:
        write_ticket_words(folder, tickets.words)
    mapped = transform(tickets.vectors, geometry)
    build_dense(folder / _NEAREST, mapped, choose_type(IndexType.AUTO, len(mapped)))
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    sums = _SHRINKAGE * means / np.maximum(norms, 1e-9)
    rows = {path: row for row, path in enumerate(paths)}
    for vector, links in zip(mapped, tickets.links, strict=True):
        for path in links:
            if path in rows:
                sums[rows[path]] += vector / len(links)
    save_array(folder / _SUMS, sums.astype(np.float32))


def read_tickets(folder: Path) -> ResolvedTickets:
    """The history in `folder`, for a rebuild."""
    records = json.loads((folder / _LINKS).read_bytes())
    return ResolvedTickets(
        np.load(folder / _TICKETS, allow_pickle=False),
        tuple(tuple(record["articles"]) for record in records),
        tuple(record["created"] for record in records),
        _read_belief(folder),
        read_ticket_words(folder, len(records)),
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
        self._known = np.ones(len(records), np.bool_)
        self._admitted = Selection(self._known)
        self._words = TicketWords(folder, len(records)) if has_ticket_words(folder) else None
        belief = _read_belief(folder)
        self._belief = 1.0 if belief is None else belief.factor

    def __len__(self) -> int:
        return self._admitted.count

    @property
    def trust(self) -> float:
        """How far the whole history is to be believed, 0 to 1."""
        return self._belief * len(self) / (len(self) + _TRUST * max(1, len(self._sums)))

    def without(self, tickets: NDArray[np.int64]) -> TicketHistory:
        """The history as if `tickets` (places in the file, none twice) were not in it. This one is left as it is."""
        other = copy.copy(self)
        other._known = np.array(self._known)
        gone = tickets[other._known[tickets]]
        other._known[gone] = False
        other._admitted = Selection(other._known)
        other._sums = np.array(self._sums)
        for ticket, vector in zip(gone.tolist(), self._nearest.vectors(gone), strict=True):
            other._sums[self._links[ticket]] -= vector * np.float32(self._shares[ticket])
        other._prototypes = _unit(other._sums)
        other._resolved = self._count_resolved(np.flatnonzero(other._known).tolist())
        return other

    def evidence(self, vector: Vectors, terms: Collection[str] = (), before: str = "") -> TicketEvidence:
        """Evidence for a question's `vector` (d,) in the corpus' geometry.

        Args:
            terms: the question's analysed words that articles use too.
            before: ISO date; only tickets that are older count, as if it were that day. Tickets without a date do not.
        """
        if before:
            older = (self._created != "") & (self._created < before)
            return self.without(np.flatnonzero(~older)).evidence(vector, terms)
        votes = np.zeros(len(self._resolved))
        counts = np.zeros(len(self._resolved), np.int64)
        for ticket, similarity in zip(*self._most_similar(vector, terms), strict=True):
            linked = self._links[ticket]
            votes[linked] += similarity**_POWER * self._shares[ticket]
            counts[linked] += 1
        weighed = np.sqrt(votes / (self._resolved + 1) ** _POPULARITY)
        return TicketEvidence(self._prototypes @ vector, weighed.astype(np.float32), counts, self.trust)

    def _most_similar(self, vector: Vectors, terms: Collection[str]) -> tuple[list[int], list[float]]:
        """The tickets that vote, in no order, and how similar each is: 0 to 1."""
        alike = self._alike(terms)
        if alike is None:
            found = self._nearest.search(vector[None, :], self._admitted, _NEIGHBOURS)[0]
            return found.rows.tolist(), np.maximum(found.scores, 0.0).tolist()
        near = self._nearest.search(vector[None, :], self._admitted, _PROPOSED)[0].rows
        likest = np.argpartition(-alike, min(_PROPOSED, len(alike) - 1))[:_PROPOSED]
        rows = np.union1d(near, likest[alike[likest] > 0])
        cosines = np.maximum(self._nearest.vectors(rows) @ vector, 0.0)
        similarity = (1 - _BY_WORDS) * cosines + _BY_WORDS * alike[rows]
        best = np.argsort(-similarity, kind="stable")[:_NEIGHBOURS]
        return rows[best].tolist(), similarity[best].tolist()

    def _alike(self, terms: Collection[str]) -> Scores | None:
        """How alike each ticket is by words, as a share of the likest; None if that is not known, or none is."""
        if self._words is None:
            return None
        likeness = self._words.likeness(terms, self._known)
        most = likeness.max(initial=0.0)
        return likeness / most if most > 0 else None

    def _count_resolved(self, tickets: Iterable[int]) -> NDArray[np.float64]:
        resolved = np.zeros(len(self._sums))
        for ticket in tickets:
            resolved[self._links[ticket]] += self._shares[ticket]
        return resolved


def _read_belief(folder: Path) -> Belief | None:
    file = folder / _BELIEF
    return Belief.from_dict(json.loads(file.read_bytes())) if file.is_file() else None


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)
    return unit
