"""Products as the command line names them. A mistyped one must not look like a knowledge base that says nothing."""

from __future__ import annotations

from collections.abc import Iterable

from indexer.errors import InputError
from indexer.metadata import Audience
from indexer.scope import Scope
from indexer.store import ArticleCard


def require_products(scope: Scope, cards: Iterable[ArticleCard]) -> None:
    """Raises InputError, naming the products there are, if no article within the scope's audiences names one of its."""
    seen = [card for card in cards if card.audience in scope.audiences]
    known = {product.casefold(): product for card in seen for product in card.products}
    article = "article" if Audience.INTERNAL in scope.audiences else "public article"
    if missing := sorted(scope.products - known.keys()):
        named = ", ".join(map(repr, missing))
        there = f"there are: {', '.join(sorted(known.values()))}" if known else "none names any; leave --product out"
        raise InputError(f"no {article} names product {named}; {there}")
