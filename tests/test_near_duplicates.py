from __future__ import annotations

import time

import pytest

from indexer.near_duplicates import RUN_WORDS, find_near_duplicates, word_runs

WORDS = [f"word{number}" for number in range(400)]


def _text(start: int, stop: int) -> str:
    return " ".join(WORDS[start:stop])


def test_word_runs() -> None:
    assert len(word_runs("one two three four five six")) == 2
    assert word_runs("One, two three: four FIVE") == word_runs("one two three four five")
    assert word_runs("too few words") == set()
    assert RUN_WORDS == 5


def test_resemblance_is_jaccard_of_runs() -> None:
    (pair,) = find_near_duplicates([_text(0, 104), _text(20, 124)])
    assert (pair.first, pair.second) == (0, 1)
    assert pair.resemblance == pytest.approx(80 / 120)
    assert pair.containment == pytest.approx(80 / 100)


def test_an_article_inside_a_longer_one() -> None:
    (pair,) = find_near_duplicates([_text(0, 400), _text(100, 150)])
    assert pair.containment == 1.0
    assert pair.resemblance < 0.2


@pytest.mark.parametrize(
    "texts",
    [
        [_text(0, 100), _text(70, 170)],
        [_text(0, 10), _text(0, 10)],
        ["", ""],
        [],
    ],
)
def test_little_overlap_and_short_texts_are_no_pairs(texts: list[str]) -> None:
    assert find_near_duplicates(texts) == []


def test_many_copies_are_each_found_beside_the_first_few_only() -> None:
    pairs = find_near_duplicates([_text(0, 100)] * 60)
    assert {pair.second for pair in pairs} == set(range(1, 60))
    assert {pair.first for pair in pairs} == set(range(20))
    assert len(pairs) == sum(min(number, 20) for number in range(60))


def test_a_thousand_articles_take_moments() -> None:
    started = time.monotonic()
    texts = [" ".join(f"w{number}x{place}" for place in range(300)) + _text(0, 20) for number in range(300)]
    assert find_near_duplicates(texts) == []
    assert time.monotonic() - started < 5
