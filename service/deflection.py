"""What customers were shown and what became of it, counted. `service.ledger` keeps the events.

Three kinds of deflection are kept apart, because they prove different things:

- explicit: the customer said that it was solved, and sent no ticket in that visit;
- implicit: the visit ended without a ticket and without a word;
- durable: of those two, no ticket came from the same session within N days either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any

VISIT_GAP = timedelta(minutes=30)
"""A session that was silent for this long has ended its visit: the usual convention of web analytics."""


class EventKind(StrEnum):
    """What happened. `submitted` is a ticket sent, whether or not anything had been shown before."""

    SHOWN = "shown"
    OPENED = "opened"
    SOLVED = "solved"
    UNSOLVED = "unsolved"
    SUBMITTED = "submitted"


class Surface(StrEnum):
    """Where: the search box, or beside a ticket form."""

    SEARCH = "search"
    FORM = "form"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a customer saw or did.

    Attributes:
        created: when, with time zone.
        session: opaque random id of a page view, or the one that the help centre gave.
        articles: paths of the articles concerned, best first.
        index_version: the version that answered; empty where nothing was shown.
        key_id: the API key that sent it.
    """

    created: datetime
    session: str
    kind: EventKind
    surface: Surface
    articles: tuple[str, ...] = ()
    index_version: str = ""
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Visits in which something was shown, counted.

    shown = explicit + implicit + submitted_anyway + under_way, and explicit + implicit = durable + returned + early.

    Attributes:
        opened: an article was opened.
        explicit: marked as solved, and no ticket in the visit.
        implicit: ended without a ticket and without being marked.
        submitted_anyway: a ticket was sent in the visit, whatever else happened: better one deflection too few.
        under_way: not over yet.
        durable: deflected, and no ticket from the session within N days.
        returned: deflected, but a ticket came from the session within N days.
        early: deflected, but less than N days ago.
    """

    shown: int = 0
    opened: int = 0
    explicit: int = 0
    implicit: int = 0
    submitted_anyway: int = 0
    under_way: int = 0
    durable: int = 0
    returned: int = 0
    early: int = 0

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        mine, theirs = asdict(self), asdict(other)
        return Tally(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def shares(self) -> dict[str, float | None]:
        """Deflection rates and their counterparts; None where there is nothing to divide by.

        Of the visits shown, except `durable`: of the deflected visits that are old enough to tell.
        """
        judged = self.durable + self.returned
        of_shown = ("opened", "explicit", "implicit", "submitted_anyway", "under_way")
        shares = {name: getattr(self, name) / self.shown if self.shown else None for name in of_shown}
        return {**shares, "durable": self.durable / judged if judged else None}


@dataclass(frozen=True, slots=True)
class Report:
    """The ledger of a stretch of time, by surface.

    Attributes:
        durable_days: the N of "no ticket within N days".
        tallies: for each surface; a visit that touched a ticket form belongs to `form`.
    """

    since: datetime
    until: datetime
    durable_days: int
    tallies: dict[Surface, Tally]

    @property
    def total(self) -> Tally:
        """All surfaces together."""
        whole = Tally()
        for tally in self.tallies.values():
            whole = whole.plus(tally)
        return whole

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values; the contract of `kb deflection --json` and of `GET /v1/deflection`."""
        tallies = {surface.value: tally for surface, tally in self.tallies.items()} | {"all": self.total}
        return {
            "since": self.since.isoformat(timespec="seconds"),
            "until": self.until.isoformat(timespec="seconds"),
            "durable_days": self.durable_days,
            "visits": {name: {**asdict(tally), "shares": tally.shares} for name, tally in tallies.items()},
        }


def count_visits(events: Iterable[Event], now: datetime, durable_for: timedelta) -> dict[Surface, Tally]:
    """The tally of each surface. `events` come by session, and by time within it."""
    tallies = {surface: Tally() for surface in Surface}
    for _, of_session in groupby(events, key=lambda event: event.session):
        visits = list(_split_visits(of_session))
        tickets = [event.created for visit in visits for event in visit if event.kind is EventKind.SUBMITTED]
        for visit in visits:
            surface = Surface.FORM if any(event.surface is Surface.FORM for event in visit) else Surface.SEARCH
            tallies[surface] = tallies[surface].plus(_judge_visit(visit, tickets, now, durable_for))
    return tallies


def _split_visits(events: Iterable[Event]) -> Iterator[list[Event]]:
    visit: list[Event] = []
    for event in events:
        if visit and event.created - visit[-1].created >= VISIT_GAP:
            yield visit
            visit = []
        visit.append(event)
    if visit:
        yield visit


def _judge_visit(visit: list[Event], tickets: list[datetime], now: datetime, durable_for: timedelta) -> Tally:
    """The tally of one visit; zeros if nothing was shown in it."""
    kinds = {event.kind for event in visit}
    if EventKind.SHOWN not in kinds:
        return Tally()
    seen = Tally(shown=1, opened=int(EventKind.OPENED in kinds))
    ended = visit[-1].created
    if EventKind.SUBMITTED in kinds:
        return seen.plus(Tally(submitted_anyway=1))
    if EventKind.SOLVED in kinds:
        seen = seen.plus(Tally(explicit=1))
    elif now - ended < VISIT_GAP:
        return seen.plus(Tally(under_way=1))
    else:
        seen = seen.plus(Tally(implicit=1))
    if any(ended < ticket <= ended + durable_for for ticket in tickets):
        return seen.plus(Tally(returned=1))
    return seen.plus(Tally(early=1) if now < ended + durable_for else Tally(durable=1))
