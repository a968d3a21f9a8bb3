"""Component, product and tags: nothing without evidence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from indexer.articles import Article, parse_article
from indexer.history import ResolvedTickets
from service.answers import Answer, Suggestion
from service.triage_labels import Labels, ResolvedNeighbour, nearest_resolved, suggest_labels


def article(path: str, components: str, tags: str = "[x]", products: str = "[api]") -> Article:
    front = f"components: {components}\ntags: {tags}\nproducts: {products}\naudience: public"
    return parse_article(path, f"---\ntitle: {path}\n{front}\n---\n\n# {path}\n\nText.\n".encode())


ARTICLES = {
    "a.md": article("a.md", "[gateway, keys]", "[one, two, three, four, five, six]"),
    "b.md": article("b.md", "[database]", "[two]", "[connectors]"),
    "c.md": article("c.md", "[gateway]", "[seven]"),
}


def answer(*paths: str, answered: bool = True, confidence: float = 0.8) -> Answer:
    suggestions = tuple(
        Suggestion("id", path, path, "", "public", None, None, (), 1.0, reasons=(), snippets=()) for path in paths
    )
    return Answer(answered, confidence, 0.5, suggestions, (), None, "v", 1.0, ())


def labels(given: Answer, *neighbours: ResolvedNeighbour, articles: Mapping[str, Article] = ARTICLES) -> Labels:
    return suggest_labels(given, articles.get, neighbours)


def test_the_trusted_first_article_gives_its_values_in_its_order() -> None:
    found = labels(answer("a.md", "b.md"))
    assert [label.value for label in found.components] == ["gateway", "keys"]
    assert [label.value for label in found.tags] == ["one", "two", "three", "four", "five"]
    assert found.components[0].articles == ("a.md",)
    assert found.components[0].reason == "the first article is about it (80% sure)"


def test_an_untrusted_answer_gives_nothing() -> None:
    assert labels(answer("a.md", answered=False)) == Labels()
    assert labels(answer()) == Labels()


def test_resolved_tickets_that_agree_give_their_articles_values() -> None:
    near = [ResolvedNeighbour(0.8, ("b.md",)), ResolvedNeighbour(0.7, ("b.md",)), ResolvedNeighbour(0.6, ("a.md",))]
    found = labels(answer(answered=False), *near)
    assert [(label.value, label.tickets, label.articles) for label in found.components] == [("database", 2, ("b.md",))]
    assert found.components[0].share == pytest.approx((0.8**4 + 0.7**4) / (0.8**4 + 0.7**4 + 0.6**4), abs=1e-3)
    assert found.components[0].reason == "2 of the 3 nearest resolved tickets were solved by an article about it"


def test_one_ticket_or_a_split_vote_is_no_evidence() -> None:
    assert labels(answer(answered=False), ResolvedNeighbour(0.9, ("b.md",))) == Labels()
    split = [ResolvedNeighbour(0.7, (path,)) for path in ("a.md", "b.md", "b.md", "a.md", "c.md", "c.md")]
    assert [label.value for label in labels(answer(answered=False), *split).components] == ["gateway"]


def test_tickets_strengthen_what_the_article_says() -> None:
    near = [ResolvedNeighbour(0.8, ("c.md",)), ResolvedNeighbour(0.8, ("c.md",))]
    found = labels(answer("a.md", confidence=0.6), *near)
    assert [(label.value, label.share) for label in found.components] == [("gateway", 1.0), ("keys", 0.6)]
    assert found.components[0].articles == ("a.md", "c.md")


def test_articles_out_of_scope_are_no_evidence() -> None:
    near = [ResolvedNeighbour(0.8, ("b.md",)), ResolvedNeighbour(0.8, ("b.md",))]
    assert labels(answer("a.md"), *near, articles={}) == Labels()


def test_the_nearest_resolved_tickets_are_found_and_distant_ones_left_out() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.8, 0.6]], np.float32)
    history = ResolvedTickets(vectors, (("a.md",), ("b.md",), ("c.md",), ("c.md", "a.md")), ("",) * 4)
    found = nearest_resolved(history, np.array([1, 0], np.float32))
    assert [(round(neighbour.cosine, 2), neighbour.articles) for neighbour in found] == [
        (1.0, ("a.md",)),
        (0.8, ("c.md", "a.md")),
        (0.6, ("b.md",)),
    ]
    assert len(nearest_resolved(history, np.array([1, 0], np.float32), limit=1)) == 1
