"""The assistant opened in a thread of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.embedding import Embedder
from indexer.errors import IndexNotFound
from indexer.scope import PUBLIC
from service.answers import Question
from service.opening import begin_opening
from service.settings import Settings
from tests.conftest import build, write_article


def test_it_answers_when_it_is_asked_for(tmp_path: Path, real_embedder: Embedder) -> None:
    write_article(tmp_path / "articles", "api/token.md", "Request a new token.\n", title="The token has expired")
    version = build(tmp_path / "articles", tmp_path / "index", real_embedder).version
    assistant = begin_opening(Settings(index=tmp_path / "index"))()
    answer = assistant.answer(Question("token expired"), PUBLIC)
    assert answer.index_version == version
    assert [suggestion.path for suggestion in answer.suggestions] == ["api/token.md"]


def test_what_keeps_it_from_opening_is_raised_where_it_is_asked_for(tmp_path: Path) -> None:
    opened = begin_opening(Settings(index=tmp_path / "none"))
    with pytest.raises(IndexNotFound):
        opened()
