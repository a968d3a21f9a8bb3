from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.sentences import split_lines, split_sentences


def _texts(text: str) -> list[str]:
    return [text[a:b] for a, b in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Use a proxy, e.g. squid. Then restart.", ["Use a proxy, e.g. squid.", "Then restart."]),
        ("Version 3.1 is out. Upgrade.", ["Version 3.1 is out.", "Upgrade."]),
        ('He said "stop." Then it stopped.', ['He said "stop."', "Then it stopped."]),
        ("One\n\nTwo", ["One", "Two"]),
        ("Do this:\n- first\n- second", ["Do this:", "- first", "- second"]),
        ("1. Open it. Close it.\n2. Save.", ["1. Open it.", "Close it.", "2. Save."]),
        ("終わり。次の文。", ["終わり。", "次の文。"]),
        ("No full stop", ["No full stop"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_boundaries(text: str, sentences: list[str]) -> None:
    assert _texts(text) == sentences


def test_offsets_are_into_the_whole_text() -> None:
    text = "skip. One. Two. skip"
    assert split_sentences(text, 6, 15) == [(6, 10), (11, 15)]


@given(st.text(alphabet=st.sampled_from("aB1.!?。 \n\t\r-*()\"'`_[]e g"), max_size=80))
def test_every_non_blank_character_belongs_to_exactly_one_sentence(text: str) -> None:
    spans = split_sentences(text)
    covered = [offset for start, end in spans for offset in range(start, end)]
    assert len(covered) == len(set(covered))
    assert covered == sorted(covered)
    assert {offset for offset, character in enumerate(text) if not character.isspace()} <= set(covered)
    assert all(text[a:b] == text[a:b].strip() != "" for a, b in spans)


def test_lines_are_non_blank_and_stripped() -> None:
    text = "a\n\n  b  \r\nc"
    assert [text[a:b] for a, b in split_lines(text, 0, len(text))] == ["a", "b", "c"]
