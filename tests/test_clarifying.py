from __future__ import annotations

from pathlib import Path

import pytest

from indexer.scope import INTERNAL, PUBLIC
from indexer.store import ArticleCard
from service.answers import Question
from service.assistant import Assistant
from service.clarifying import ask_to_separate, leading_rows
from service.evidence import Ranked
from tests.conftest import FakeEmbedder, build, write_article


def _ranked(*scores: float) -> list[Ranked]:
    return [Ranked(row, score, {}, row) for row, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("scores", "confidence", "rows"),
    [
        ((5.0, 4.5, 4.4, 4.3), 0.5, [0, 1, 2]),
        ((5.0, 4.0), 0.5, []),
        ((5.0,), 0.5, []),
        ((5.0, 5.0), 0.1, []),
        ((), 0.0, []),
    ],
)
def test_leading_articles(scores: tuple[float, ...], confidence: float, rows: list[int]) -> None:
    assert leading_rows(_ranked(*scores), confidence) == rows


@pytest.fixture
def cards(source: Path, index_dir: Path) -> dict[str, ArticleCard]:
    fronts = {
        "mysql": "products: [connectors]\ncomponents: [mysql]",
        "postgresql": "products: [connectors]\ncomponents: [postgresql]",
        "mail": "products: [email]\ncomponents: [mysql]",
        "plain": "",
    }
    for name, front in fronts.items():
        write_article(source, f"{name}.md", "The connection is refused.\n", front=front)
    write_article(source, "secret.md", "The connection is refused.\n", audience="internal", front="products: [vault]")
    build(source, index_dir)
    return {card.path.removesuffix(".md"): card for card in Assistant(index_dir, FakeEmbedder()).articles(INTERNAL)}


def test_the_first_attribute_that_separates_all_is_asked_for(cards: dict[str, ArticleCard]) -> None:
    pair = [cards["postgresql"], cards["mysql"]]
    assert ask_to_separate("connection refused", pair) == "Which part is affected: postgresql or mysql?"
    assert (
        ask_to_separate("refused", [cards["mail"], cards["mysql"]])
        == "Which product is this about: email or connectors?"
    )
    assert ask_to_separate("our PostgreSQL connection is refused", pair) is None
    assert ask_to_separate("refused", [cards["plain"], cards["mysql"]]) is None
    assert ask_to_separate("refused", [cards["mysql"]]) is None
    assert ask_to_separate("refused", []) is None


def test_no_internal_value_reaches_a_public_question(cards: dict[str, ArticleCard], index_dir: Path) -> None:
    assert cards
    answer = Assistant(index_dir, FakeEmbedder()).answer(Question("The connection is refused"), PUBLIC)
    assert "vault" not in (answer.clarification or "")
