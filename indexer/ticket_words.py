"""Which of the articles' words each resolved ticket uses, and how alike a question is to it by them.

Vectors know that two tickets are about the same subject; words know that both name the same setting. Kept of a ticket
is only the set of its words that articles use too, analysed and without order or number: enough to compare by, and
never a customer's name, address or number that no article holds.

Likeness is BM25 over these sets (k1 = 1.2, b = 0.5; Robertson and Zaragoza 2009), in which every word occurs once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import save_array

Mask = NDArray[np.bool_]

_K1, _B = 1.2, 0.5

_TERMS, _TICKETS, _STARTS = "terms.txt", "term_tickets.npy", "term_starts.npy"


def write_ticket_words(folder: Path, words: Sequence[Iterable[str]]) -> None:
    """Write the analysed words of every ticket, in the tickets' order, into the existing `folder`."""
    tickets: dict[str, list[int]] = {}
    for ticket, terms in enumerate(words):
        for term in set(terms):
            tickets.setdefault(term, []).append(ticket)
    ordered = sorted(tickets)
    counts = [len(tickets[term]) for term in ordered]
    together = [ticket for term in ordered for ticket in tickets[term]]
    (folder / _TERMS).write_text("\n".join(ordered), encoding="utf-8")
    save_array(folder / _TICKETS, np.array(together, np.uint32))
    save_array(folder / _STARTS, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def has_ticket_words(folder: Path) -> bool:
    """Whether anything was written into `folder`."""
    return (folder / _TERMS).is_file()


def read_ticket_words(folder: Path, ticket_count: int) -> tuple[frozenset[str], ...]:
    """What `write_ticket_words` was given; empty if nothing was written into `folder`."""
    if not has_ticket_words(folder):
        return ()
    words: list[set[str]] = [set() for _ in range(ticket_count)]
    index = TicketWords(folder, ticket_count)
    for term, number in index.terms.items():
        for ticket in index.tickets_of(number).tolist():
            words[ticket].add(term)
    return tuple(map(frozenset, words))


class TicketWords:
    """Reads what `write_ticket_words` wrote. Thread-safe."""

    def __init__(self, folder: Path, ticket_count: int) -> None:
        text = (folder / _TERMS).read_text(encoding="utf-8")
        self.terms = {term: number for number, term in enumerate(text.split("\n") if text else ())}
        self._tickets: NDArray[np.uint32] = np.load(folder / _TICKETS, allow_pickle=False)
        self._starts: NDArray[np.int64] = np.load(folder / _STARTS, allow_pickle=False)
        self._lengths = np.bincount(self._tickets, minlength=ticket_count)

    def tickets_of(self, number: int) -> NDArray[np.uint32]:
        """Those that use the term with this number, ascending."""
        return np.asarray(self._tickets[self._starts[number] : self._starts[number + 1]])

    def likeness(self, terms: Iterable[str], known: Mask) -> NDArray[np.float32]:
        """BM25 of every ticket for a question with the analysed `terms`: shape (tickets,).

        Args:
            known: which tickets there are, shape (tickets,): the rest have 0 and change nothing.
        """
        count = np.count_nonzero(known)
        rarity = np.zeros(len(known), np.float32)
        for term in terms:
            number = self.terms.get(term)
            if number is not None:
                tickets = self.tickets_of(number)
                holding = tickets[known[tickets]]
                rarity[holding] += np.float32(np.log1p((count - len(holding) + 0.5) / (len(holding) + 0.5)))
        if not rarity.any():
            return rarity
        usual = self._lengths[known].mean()
        return np.asarray(rarity * (_K1 + 1) / (1 + _K1 * (1 - _B + _B * self._lengths / usual)), np.float32)
