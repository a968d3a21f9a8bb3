"""Articles next to an article."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.articles import parse_article
from indexer.scope import INTERNAL, PUBLIC
from service.assistant import Assistant
from service.neighbours import Repeat, find_neighbours, find_repeats
from tests.conftest import FakeEmbedder, build, write_article

BODY = " ".join(f"word{number} says what has to be done about it" for number in range(30))


@pytest.fixture
def assistant(source: Path, index_dir: Path) -> Assistant:
    write_article(source, "a.md", f"{BODY}\n", title="The gateway refuses requests")
    write_article(source, "b.md", f"Before that, wait.\n\n{BODY}\n", title="Requests fail at the gateway")
    write_article(source, "c.md", f"{BODY}\n", title="The gateway refuses internal requests", audience="internal")
    write_article(source, "d.md", "Mail bounces with 550.\n", title="The gateway and its mail")
    build(source, index_dir)
    return Assistant(index_dir, FakeEmbedder())


def test_articles_that_repeat_each_other_come_first_with_their_share(assistant: Assistant) -> None:
    found = find_neighbours(assistant.article("a.md", INTERNAL), assistant, INTERNAL)
    assert {other.path for other in found[:2]} == {"b.md", "c.md"}
    assert all(other.shared > 0.95 for other in found[:2])
    assert {other.path for other in found[2:]} <= {"d.md"}


def test_neighbours_stay_inside_the_scope_and_never_hold_the_article_itself(assistant: Assistant) -> None:
    found = find_neighbours(assistant.article("a.md", PUBLIC), assistant, PUBLIC)
    assert found[0].path == "b.md"
    assert {other.path for other in found} <= {"b.md", "d.md"}


def test_a_list_names_the_earlier_article_that_is_repeated() -> None:
    texts = (f"# A\n\n{BODY}\n", "# B\n\nShort.\n", f"# C\n\n{BODY}\n", f"# D\n\n{BODY}\n")
    articles = [parse_article(f"{number}.md", text.encode()) for number, text in enumerate(texts)]
    assert find_repeats(articles) == {2: Repeat(0, 1.0), 3: Repeat(0, 1.0)}
