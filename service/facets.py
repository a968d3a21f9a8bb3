"""Facets: the named values by which a list of articles is narrowed, with counts that say what they count.

Values of one facet widen each other, facets narrow each other. A facet's counts leave its own choice aside, so they
tell what a further tick would add. Pure; whoever calls hands in only articles that the reader may see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from indexer.articles import Article

MAX_VALUES = 20
MAX_VALUE_CHARS = 120


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow.

    Attributes:
        name: its parameter in an address.
        is_internal: whether only the team may use it: outside, there is one audience only.
    """

    name: str
    label: str
    values_of: Callable[[Article], tuple[str, ...]]
    is_internal: bool = False


def _one(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


FACETS = (
    Facet("product", "Product", lambda article: article.meta.products),
    Facet("version", "Version", lambda article: article.meta.versions),
    Facet("component", "Component", lambda article: article.meta.components),
    Facet("type", "Type", lambda article: _one(article.meta.type)),
    Facet("audience", "Audience", lambda article: _one(article.audience.value), is_internal=True),
    Facet("confidence", "Confidence", lambda article: _one(article.meta.confidence)),
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a reader chose: pairs of facet name and value, without repeats, in facet order."""

    chosen: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.chosen)

    def values(self, name: str) -> tuple[str, ...]:
        """The chosen values of one facet."""
        return tuple(value for facet, value in self.chosen if facet == name)

    def admit(self, article: Article, but: str = "") -> bool:
        """Whether `article` has a chosen value of every facet that was chosen, the facet `but` left aside."""
        return all(
            not wanted or _folded(facet.values_of(article)) & wanted
            for facet in FACETS
            if facet.name != but
            for wanted in (_folded(self.values(facet.name)),)
        )


@dataclass(frozen=True, slots=True)
class ValueCount:
    """One value of a facet: how many articles have it, and whether it was chosen."""

    value: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class FacetCount:
    """One facet of a list, its most frequent values first; `total` is how many articles were counted."""

    name: str
    label: str
    values: tuple[ValueCount, ...]
    total: int

    @property
    def chosen(self) -> tuple[str, ...]:
        return tuple(value.value for value in self.values if value.is_chosen)

    @property
    def narrows(self) -> bool:
        """Whether there is anything to choose or to take back: a value that all have parts nothing."""
        return bool(self.chosen) or any(value.count < self.total for value in self.values)


def read_filters(pairs: Iterable[tuple[str, str]], *, is_internal: bool) -> Filters:
    """The filters among an address' parameters. Whatever is no facet of this reader is passed over.

    At most 20 values a facet, cut at 120 characters: nobody ticks more, and an address can hold anything.
    """
    open_facets = [facet for facet in FACETS if is_internal or not facet.is_internal]
    given = [(name, value.strip()[:MAX_VALUE_CHARS]) for name, value in pairs]
    chosen: list[tuple[str, str]] = []
    for facet in open_facets:
        values = {value.casefold(): value for name, value in reversed(given) if name == facet.name and value}
        chosen += [(facet.name, value) for value in list(reversed(values.values()))[:MAX_VALUES]]
    return Filters(tuple(chosen))


def count_facet(facet: Facet, articles: Sequence[Article], filters: Filters) -> FacetCount:
    """How many of `articles` have each value of `facet`, among those that the other facets' choice admits."""
    counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    counted = [article for article in articles if filters.admit(article, but=facet.name)]
    for article in counted:
        for folded, value in {value.casefold(): value for value in facet.values_of(article)}.items():
            spelling.setdefault(folded, value)
            counts[folded] += 1
    chosen = {value.casefold(): value for value in filters.values(facet.name)}
    for folded, value in chosen.items():
        spelling.setdefault(folded, value)
        counts.setdefault(folded, 0)
    ordered = sorted(counts, key=lambda folded: (-counts[folded], folded))
    return FacetCount(
        facet.name,
        facet.label,
        tuple(ValueCount(spelling[folded], counts[folded], folded in chosen) for folded in ordered),
        len(counted),
    )


def _folded(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.casefold() for value in values)
