"""What a caller may see. Every search takes a scope, and both engines apply it inside the search, never after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from indexer.metadata import Audience


@dataclass(frozen=True, slots=True)
class Scope:
    """A mandatory filter on articles.

    Attributes:
        audiences: which audiences the caller's credential opens; never taken from a request body.
        products: only articles about these, and those about no product in particular; empty for all.
    """

    audiences: frozenset[Audience]
    products: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.audiences:
            raise ValueError("a scope needs at least one audience")

    def admits(self, audience: Audience, products: frozenset[str]) -> bool:
        """Whether an article with this audience and these products is visible."""
        return audience in self.audiences and (not self.products or not products or bool(self.products & products))

    def about(self, products: Iterable[str]) -> Scope:
        """The same for articles about these products, however they are capitalised; for all where none is named."""
        return Scope(self.audiences, frozenset(name.strip().casefold() for name in products if name.strip()))


PUBLIC = Scope(frozenset({Audience.PUBLIC}))
INTERNAL = Scope(frozenset({Audience.PUBLIC, Audience.INTERNAL}))
