from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.articles import Article, read_article
from service.answers import Answer, Suggestion
from service.triage_playbook import find_asking, find_playbook
from tests.conftest import write_article


class Shelf:
    """Articles to look up, and answers that suggest them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.articles: dict[str, Article] = {}

    def add(self, path: str, front: str, article_id: str | None = None) -> None:
        file = write_article(self._folder, path, title=path, article_id=article_id, front=front)
        article = read_article(self._folder, file)
        self.articles |= {path: article, article.article_id: article}

    def find(self, name: str) -> Article | None:
        return self.articles.get(name)

    def answer(self, **scores: float) -> Answer:
        found = (
            Suggestion(
                self.articles[path].article_id, path, path, "", "internal", self.articles[path].meta.type, None, (),
                score, (), (),
            )
            for path, score in ((f"{name}.md", score) for name, score in scores.items())
        )  # fmt: skip
        return Answer(True, 0.9, 0.5, tuple(found), (), None, "v1", 1.0, ())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    shelf.add("pool.md", "type: known-error\ncomponents: [database]", "KB-1001")
    shelf.add("saturated.md", "type: runbook\ncomponents: [database, pool]", "KB-1900")
    shelf.add("bypass.md", "type: runbook\ncomponents: [sso]", "KB-1901")
    shelf.add("named.md", "type: known-error\ncomponents: [database]\nrelated: [KB-1001, KB-1901]", "KB-1002")
    shelf.add("summary.md", "type: communication\ncomponents: [sso]\nrelated: [KB-1901]", "KB-1003")
    return shelf


@pytest.mark.parametrize(
    ("scores", "path", "reason"),
    [
        ({"bypass": 5.0, "saturated": 5.0}, "bypass.md", "it is the first suggestion"),
        ({"named": 5.0, "saturated": 5.0}, "bypass.md", "KB-1002 names it as related"),
        ({"pool": 5.0, "saturated": 2.1}, "saturated.md", "it is suggestion 2"),
        ({"pool": 5.0, "bypass": 4.9, "saturated": 4.0}, "saturated.md", "it is suggestion 3"),
    ],
)
def test_the_playbook_is_about_the_same(shelf: Shelf, scores: dict[str, float], path: str, reason: str) -> None:
    found = find_playbook(shelf.answer(**scores), shelf.find)
    assert found is not None
    assert (found.path, found.reason) == (path, reason)


@pytest.mark.parametrize(
    "scores",
    [
        {"pool": 5.0, "bypass": 4.9},  # another component
        {"pool": 5.0, "saturated": 1.9},  # far behind
        {"pool": 5.0, "named": 4.0, "bypass": 3.9, "saturated": 3.9},  # the fourth
        {"summary": 5.0, "bypass": 4.9},  # nothing has failed
        {},
    ],
)
def test_a_runbook_for_something_else_is_worse_than_none(shelf: Shelf, scores: dict[str, float]) -> None:
    assert find_playbook(shelf.answer(**scores), shelf.find) is None


def test_without_a_trusted_answer_there_is_none(shelf: Shelf) -> None:
    assert find_playbook(replace(shelf.answer(bypass=5.0), answered=False), shelf.find) is None


def test_a_playbook_for_another_component_asks_for_nothing(shelf: Shelf) -> None:
    asking = find_asking(shelf.answer(named=5.0), shelf.find)
    assert [article.path for article in asking] == ["named.md"]
    asking = find_asking(shelf.answer(pool=5.0, saturated=4.0), shelf.find)
    assert [article.path for article in asking] == ["saturated.md", "pool.md"]
