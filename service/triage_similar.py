"""Tickets that say the same as this one: likely duplicates, known incidents, and a burst that may be a new incident.

Pure; the caller hands in the window of recent tickets and the time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from indexer.embedding import Vectors
from indexer.signatures import SignatureKind

SAME_WORDING_COSINE = 0.8
"""From here on two tickets say much the same, whatever else they hold."""
SAME_SIGNATURE_COSINE = 0.45
"""Two tickets with the same exact error are about the same thing from here on; below, they met by chance."""
SAME_SYMPTOM_COSINE = 0.65
"""Near enough to count towards a burst, where one chance pair does no harm."""
MAX_DUPLICATES = 5

ALERTS = "alerts"
"""The one account of all alerting tools: an alert and the page about it are one thing that arrives more than once."""

CLOSED_STATUSES = frozenset({"closed", "solved", "resolved", "done", "cancelled", "canceled"})
"""Statuses, in lower case, of tickets that are not open; any other is open."""

_ANY_FAILURE = re.compile(
    r"(?:type|value|key|index|attribute|runtime|name|syntax|reference|range|assertion|io|os|socket|http)(?:error|exception)"
    r"|nullpointerexception|illegal(?:argument|state)exception|error [45]\d\d|smtp 2\.\d+\.\d+"
)
_TELLING = (SignatureKind.TEMPLATE, SignatureKind.DECLARED, SignatureKind.CODE, SignatureKind.EXCEPTION)


@dataclass(frozen=True, slots=True, eq=False)
class RecentTicket:
    """One ticket of the recent past, as the help desk knows it.

    Attributes:
        vector: the embedder's unit vector of its text, shape (dimensions,).
        created_s: Unix time in seconds.
        signatures: exact error signatures in its text, as `service.queries.read_question` gives them.
        is_open: only open tickets are proposed as duplicates; a burst counts the others too.
        is_incident: whether it stands for a declared incident or known problem.
        account: who sent it, an opaque name; several tickets of one account count once towards a burst, and once in
            each window of the time before it. ALERTS for an alert, whichever tool it came from.
        name: what people call it, where that is not its id: a record's number, an alert's name, a mail's subject.
    """

    ticket_id: str
    vector: Vectors
    created_s: float
    signatures: frozenset[str] = frozenset()
    is_open: bool = True
    is_incident: bool = False
    title: str = ""
    url: str = ""
    account: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class NamedTicket:
    """Another ticket, as a person finds it.

    Attributes:
        name: what people call it; its id where it has no other name.
        url: where it can be read; empty if unknown.
    """

    ticket_id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An open ticket or declared incident that is likely about the same thing.

    Attributes:
        name: what people call it; its id where it has no other name.
        cosine: likeness of meaning, -1 to 1.
        signatures: exact error signatures in both.
        reason: for a person.
    """

    ticket_id: str
    name: str
    title: str
    url: str
    is_incident: bool
    created_s: float
    cosine: float
    signatures: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class BurstRule:
    """When tickets of one symptom are a possible incident.

    Attributes:
        window_s: how far back the burst may reach.
        min_count: tickets in it at least, this one included.
        chance: how unlikely so many must be at the usual rate: the Poisson probability at most.
        least_expected: the usual number in a window is never taken for less, so a short history proves nothing.
    """

    window_s: float = 7200.0
    min_count: int = 4
    chance: float = 0.005
    least_expected: float = 0.5


@dataclass(frozen=True, slots=True)
class PossibleIncident:
    """Many tickets of the same symptom in a short time.

    Attributes:
        count: tickets in the burst, this one included; several of one account count once.
        since_s: Unix time of the first of them.
        window_s: the time in which they came, at most.
        expected: how many the time before would lead one to expect.
        ticket_ids, tickets: the others, oldest first.
    """

    count: int
    since_s: float
    window_s: float
    expected: float
    ticket_ids: tuple[str, ...]
    tickets: tuple[NamedTicket, ...]
    signatures: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Match:
    ticket: RecentTicket
    cosine: float
    shared: tuple[str, ...]


def find_duplicates(
    vector: Vectors, signatures: Iterable[str], recent: Sequence[RecentTicket], account: str = ""
) -> tuple[Duplicate, ...]:
    """The open tickets and declared incidents that are likely about the same, the likeliest first.

    Likely means: nearly the same words, or the same exact error and a similar text. Of alerts the likeliest is named
    alone, and none where this is an alert itself: the others are the same alert through another tool.

    Args:
        account: who sent this ticket, as in RecentTicket; empty if that is unknown.
    """
    found = [
        match
        for match in _compare(vector, signatures, recent)
        if (match.ticket.is_open or match.ticket.is_incident) and _is_same(match, SAME_WORDING_COSINE)
    ]
    found.sort(key=lambda match: (not match.ticket.is_incident, -len(match.shared), -match.cosine))
    return tuple(_duplicate(match) for match in _without_twins(found, account)[:MAX_DUPLICATES])


def find_burst(
    vector: Vectors,
    signatures: Iterable[str],
    recent: Sequence[RecentTicket],
    now_s: float,
    rule: BurstRule = BurstRule(),
    account: str = "",
) -> PossibleIncident | None:
    """A burst of this ticket's symptom up to `now_s`, where there is one.

    The accounts in the window are compared with those of windows of the same length in the time before it, as far as
    `recent` reaches back; only a number that this rate makes improbable (Poisson tail) is reported.

    Args:
        account: who sent this ticket, as in RecentTicket; empty if that is unknown.
    """
    matches = [match for match in _compare(vector, signatures, recent) if _is_same(match, SAME_SYMPTOM_COSINE)]
    starts = now_s - rule.window_s
    burst = sorted(
        (match for match in matches if starts <= match.ticket.created_s <= now_s),
        key=lambda match: match.ticket.created_s,
    )
    count = 1 + len({_account(match.ticket) for match in burst} - {account})
    before = [match for match in matches if match.ticket.created_s < starts]
    reaches_s = starts - min((ticket.created_s for ticket in recent), default=starts)
    came = {(_account(match.ticket), (starts - match.ticket.created_s) // rule.window_s) for match in before}
    usual = len(came) * rule.window_s / reaches_s if reaches_s >= rule.window_s else 0.0
    expected = max(rule.least_expected, usual)
    if count < rule.min_count or poisson_tail(count, expected) > rule.chance:
        return None
    burst = _without_twins(burst, account)
    shared = set.intersection(*(set(match.shared) for match in burst))
    return PossibleIncident(
        count=count,
        since_s=burst[0].ticket.created_s,
        window_s=rule.window_s,
        expected=usual,
        ticket_ids=tuple(match.ticket.ticket_id for match in burst),
        tickets=tuple(NamedTicket(match.ticket.ticket_id, _name(match.ticket), match.ticket.url) for match in burst),
        signatures=tuple(sorted(shared)),
        reason=_burst_reason(count, len(burst) + 1, burst[0].ticket.created_s, usual, rule.window_s, sorted(shared)),
    )


def poisson_tail(count: int, expected: float) -> float:
    """Probability of `count` or more events where `expected` are usual."""
    below = sum(math.exp(-expected + k * math.log(expected) - math.lgamma(k + 1)) for k in range(count))
    return max(0.0, 1.0 - below)


def telling(signatures: Iterable[str]) -> frozenset[str]:
    """Those signatures that name one failure: error codes, exceptions and log lines, but no status or header name.

    Exceptions that every program of a language throws name none either, nor do statuses written as `error 404`.
    """
    starts = tuple(f"{kind.value}: " for kind in _TELLING)
    return frozenset(
        signature
        for signature in signatures
        if signature.startswith(starts) and not _ANY_FAILURE.fullmatch(signature.partition(": ")[2])
    )


def name_signatures(signatures: Iterable[str]) -> str:
    """Up to three of the signatures for a person to read: codes and exceptions, whole log lines only without those."""
    ordered = sorted(signatures)
    line = f"{SignatureKind.TEMPLATE.value}: "
    short = [signature for signature in ordered if not signature.startswith(line)]
    return ", ".join(signature.partition(": ")[2] for signature in (short or ordered)[:3])


def _compare(vector: Vectors, signatures: Iterable[str], recent: Sequence[RecentTicket]) -> list[_Match]:
    if not recent:
        return []
    own = telling(signatures)
    cosines = np.stack([ticket.vector for ticket in recent]) @ vector
    return [
        _Match(ticket, float(cosine), tuple(sorted(own & ticket.signatures)))
        for ticket, cosine in zip(recent, cosines, strict=True)
    ]


def _is_same(match: _Match, cosine: float) -> bool:
    return match.cosine >= cosine or (bool(match.shared) and match.cosine >= SAME_SIGNATURE_COSINE)


def _without_twins(matches: Sequence[_Match], account: str) -> list[_Match]:
    """Of alerts the first alone; none of them where `account` says that this is one."""
    alerts = [match for match in matches if match.ticket.account == ALERTS]
    left_out = {id(match) for match in (alerts if account == ALERTS else alerts[1:])}
    return [match for match in matches if id(match) not in left_out]


def _duplicate(match: _Match) -> Duplicate:
    ticket = match.ticket
    parts = []
    if match.shared:
        parts.append(f"has the same exact error: {name_signatures(match.shared)}")
    parts.append(f"{'says much the same' if match.cosine >= SAME_WORDING_COSINE else 'is alike'} ({match.cosine:.2f})")
    return Duplicate(
        ticket.ticket_id,
        _name(ticket),
        ticket.title,
        ticket.url,
        ticket.is_incident,
        ticket.created_s,
        round(match.cosine, 4),
        match.shared,
        "; ".join(parts),
    )


def _name(ticket: RecentTicket) -> str:
    return ticket.name or ticket.ticket_id


def _account(ticket: RecentTicket) -> str:
    """Who sent it; a ticket that does not say counts for itself."""
    return ticket.account or f"ticket {ticket.ticket_id}"


def _burst_reason(
    count: int, tickets: int, since_s: float, usual: float, window_s: float, shared: Sequence[str]
) -> str:
    since = datetime.fromtimestamp(since_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    error = f", all with {name_signatures(shared)}" if shared else ""
    rate = f"about {usual:.1f} in {window_s / 3600:g} h is usual" if usual else "none came in the time before"
    who = f"{tickets} tickets" if tickets == count else f"{tickets} tickets of {count} accounts"
    return f"{who} with this symptom since {since}{error}; {rate}"
