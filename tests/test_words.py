from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from indexer.analysis import analyze
from indexer.words import ArticleText, WordIndex, build_words

ARTICLES = [
    ArticleText("Token expired", "Symptoms Cause", "Ask for a new token", "The gateway refuses the credential"),
    ArticleText("Listener unknown", "Symptoms", "", "ORA-12154 from the database listener; token is fine"),
    ArticleText("Mail bounces", "Cause", "Publish records", "The message is rejected"),
]


@pytest.fixture
def words(tmp_path: Path) -> WordIndex:
    build_words(tmp_path / "words", ARTICLES)
    return WordIndex(tmp_path / "words", len(ARTICLES))


def _ranked(words: WordIndex, text: str) -> list[int]:
    scores, _ = words.scores(words.query_weights(text))
    return [row for row in np.argsort(-scores).tolist() if scores[row] > 0]


def test_a_title_counts_for_more_than_a_body(words: WordIndex) -> None:
    assert _ranked(words, "token") == [0, 1]
    assert _ranked(words, "ORA-12154") == [1]
    assert _ranked(words, "nothing of that") == []


def test_idf(words: WordIndex) -> None:
    (token,), (mail,) = analyze("token"), analyze("mail")
    assert words.idf(token) == pytest.approx(math.log(1 + 1.5 / 2.5))
    assert words.idf(mail) == pytest.approx(math.log(1 + 2.5 / 1.5))
    assert words.idf("unheard") > words.idf(mail)


def test_scores_follow_the_formula(words: WordIndex) -> None:
    fields = [
        [analyze(getattr(article, name)) for name in ("title", "headings", "summary", "body")] for article in ARTICLES
    ]
    means = [max(1.0, sum(len(article[field]) for article in fields) / len(fields)) for field in range(4)]
    for term in {term for article in fields for field in article for term in field}:
        expected = []
        for article in fields:
            frequency = 0.0
            for field, weight in enumerate((3.0, 2.0, 1.0, 1.0)):
                norm = 1.0 - 0.75 + 0.75 * len(article[field]) / means[field]
                frequency += weight * article[field].count(term) / norm
            expected.append(np.float32(frequency * (8.0 + 1) / (frequency + 8.0)))
        assert words.scores({term: 1.0})[0].tolist() == expected, term


def test_scores_stay_below_the_most(words: WordIndex) -> None:
    weights = words.query_weights("token token gateway listener mail bounces")
    scores, held = words.scores(weights)
    assert scores.shape == held.shape == (len(ARTICLES),)
    assert float(held.max()) <= sum(weights.values())
    assert held[0] == pytest.approx(sum(weights[term] for term in analyze("token gateway")))
    (token,) = analyze("token")
    assert weights[token] == pytest.approx((1 + math.log(2)) * words.idf(token))


def test_a_part_knows_nothing_of_the_rest(words: WordIndex, tmp_path: Path) -> None:
    part = words.within(np.array([True, False, True]))
    build_words(tmp_path / "alone", [ARTICLES[0], ARTICLES[2]])
    alone = WordIndex(tmp_path / "alone", 2)
    for text in ("token token gateway listener mail bounces", "listner ORA-12154 gatway tokens", "databases unheard"):
        assert part.query_weights(text) == alone.query_weights(text), text
    for word in ("listner", "gatway", "bounses", "databese"):
        assert part.spelling.correction(word) == alone.spelling.correction(word), word
    assert words.spelling.correction("listner") == "listener"
    (token,), (listener,) = analyze("token"), analyze("listener")
    assert part.idf(token) == alone.idf(token) != words.idf(token)
    assert (part.knows(token), part.knows(listener), words.knows(listener)) == (True, False, True)
    assert part.scores({token: 1.0})[1].tolist() == [1.0, 1.0, 0.0], "rows stay as they are"
    assert words.within(np.zeros(3, np.bool_)).query_weights("token listener") == {}
    assert words.within(np.ones(3, np.bool_)).query_weights("token") == words.query_weights("token")


def test_misspelt_words_are_put_right_and_digits_never(words: WordIndex) -> None:
    assert _ranked(words, "listner")[0] == 1
    assert _ranked(words, "gatway")[0] == 0
    assert _ranked(words, "ORA-12155") == [1]
    assert words.spelling.correction("12155") is None
    assert words.spelling.correction("tok") is None


def test_no_words_at_all(tmp_path: Path) -> None:
    build_words(tmp_path / "words", [ArticleText("", "", "", "")])
    assert _ranked(WordIndex(tmp_path / "words", 1), "token") == []
