from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.analysis import analyze, surface_words


def test_analyze() -> None:
    assert analyze("The Connections were failing") == analyze("connection fails")
    assert analyze("ORA-12154") == ["ora", "12154"]
    assert analyze("ERR_CERT_AUTHORITY_INVALID") == analyze("err cert authority invalid")
    assert analyze("Café") == ["cafe"]
    assert analyze("doesn't don’t") == []


@pytest.mark.parametrize(
    "text", ["", "   ", "the of and", "()[]{}^~*?:\\/\"'", "+-&&||!", "\0", "a" * 5000, "hello, thank you"]
)
def test_what_holds_no_word_has_no_terms(text: str) -> None:
    assert analyze(text) == []


@given(st.text(max_size=200))
def test_every_term_has_its_word(text: str) -> None:
    terms = analyze(text)
    assert len(surface_words(text)) == len(terms)
    assert all(term and not term.isspace() for term in terms)
