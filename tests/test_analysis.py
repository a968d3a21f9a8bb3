from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.analysis import analyze, split_words, surface_words


def test_analyze() -> None:
    assert analyze("The Connections were failing") == analyze("connection fails")
    assert analyze("ORA-12154") == ["ora", "12154"]
    assert analyze("ERR_CERT_AUTHORITY_INVALID") == analyze("err cert authority invalid")
    assert analyze("Café") == ["cafe"]
    assert analyze("doesn't don’t") == []


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Schlu\u0308ssel", ["schlussel"]),
        ("パスワードを忘れた", ["パス", "スワ", "ワー", "ード", "ドを", "を忘", "忘れ", "れた"]),
        ("导出CSV报表时，错", ["导出", "csv", "报表", "表时", "错"]),
        ("पासवर्ड रीसेट", ["पासवर्ड", "रीसेट"]),
        ("비밀번호를 잊었어요", ["비밀번호를", "잊었어요"]),
        ("Не приходят вебхуки", ["не", "приходят", "вебхуки"]),
        ("请在设置中将编码改为统一码后重新导出如果问题仍然存在请联系管理员", 31),
    ],
)
def test_words_of_any_script(text: str, terms: list[str] | int) -> None:
    found = analyze(text)
    assert (found if isinstance(terms, list) else len(found)) == terms


_PARTS = ("ab", "1", "Don’t", "Schlu\u0308ssel", "é", "中", "文字", "パー", "รหัส", "पी", "한국", " ", "-", "_", "。")


@given(st.lists(st.sampled_from(_PARTS), max_size=12).map("".join))
def test_words_found_in_a_text_are_those_of_its_analysis(text: str) -> None:
    pieces, words = split_words(text)
    assert ("".join(pieces), len(words)) == (text, len(pieces) // 2)
    found = [term for word in words for term in analyze(word)[:1]]
    assert set(analyze(text)) <= set(found)


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
