from __future__ import annotations

from pathlib import Path

import pytest

from indexer.analysis import analyze
from indexer.scope import INTERNAL, PUBLIC
from indexer.spelling import Spelling, common_terms
from service.answers import Question
from service.assistant import Assistant
from tests.conftest import FakeEmbedder, build, write_article

WORDS = "password reset receiver dashboard authentication postgresql modes reported invitation route carddav address"


@pytest.fixture
def spelling() -> Spelling:
    return Spelling({word: analyze(word)[0] for word in WORDS.split()}, lambda term: 1 if term in analyze(WORDS) else 0)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pasword", "password"),
        ("passwword", "password"),
        ("reciever", "receiver"),
        ("dashbaord", "dashboard"),
        ("authentification", "authentication"),
        ("autentcation", "authentication"),
        ("invitarion", "invitation"),
        ("adress", "address"),
    ],
)
def test_a_slip_of_the_finger_is_put_right(spelling: Spelling, written: str, meant: str) -> None:
    assert spelling.correction(written) == meant


@pytest.mark.parametrize(
    "word",
    [
        "passwords",  # inflected
        "modem",  # another word, and short
        "rebooted",  # behind a prefix
        "router",  # more than an article's word
        "frontend",  # two words in one
        "postgres",  # how people shorten it
        "assword",  # the first letter stays
        "kubectl",
        "adres",  # two slips in five letters
        "pass1word",
        "doesnt",
    ],
)
def test_what_may_be_meant_stays(spelling: Spelling, word: str) -> None:
    assert spelling.correction(word) is None


def test_only_plain_words_of_a_text_are_replaced(spelling: Spelling) -> None:
    kept = "pasword.txt /var/pasword user.pasword pasword@example.com PASWORD PasWord pasword_hash my-pasword pasword's"
    assert spelling.put_right(kept) == kept
    assert spelling.put_right("Pasword (pasword), pasword.\n'Adress' 401") == (
        "Password (password), password.\n'Address' 401"
    )
    assert spelling.put_right("密码重置失败了吗 пароль") == "密码重置失败了吗 пароль"


def test_what_was_put_right_is_told_in_order_and_once(spelling: Spelling) -> None:
    assert spelling.corrections("The adress, Pasword and adress are pasword") == {
        "adress": "address",
        "Pasword": "Password",
        "pasword": "password",
    }
    assert spelling.corrections("password 401") == {}


def test_of_a_long_text_the_beginning_is_put_right(spelling: Spelling) -> None:
    text = "pasword " * 1_000
    assert spelling.put_right(text) == "password " * 250 + "pasword " * 750


def test_of_several_words_the_one_that_most_articles_hold() -> None:
    counts = {"format": 1, "formal": 5}
    spelling = Spelling({word: word for word in counts}, lambda term: counts.get(term, 0))
    assert spelling.correction("formaal") == "formal"
    counts["formal"] = 0
    assert spelling.seen_by(lambda term: counts.get(term, 0)).correction("formaat") == "format"


def test_frequent_words_are_english() -> None:
    assert set(analyze("intermittently restarts commit inserted")) <= common_terms()
    assert not set(analyze("pasword evrything zqxzqx")) & common_terms()


def test_a_misspelt_question_means_the_same(tmp_path: Path, index_dir: Path) -> None:
    articles = tmp_path / "kb"
    write_article(
        articles,
        "keys.md",
        "# Rotate a credential\n\nOpen the dashboard and rotate the credential.\n",
        audience="public",
    )
    write_article(articles, "inner.md", "# Failover\n\nThe switchboard decides.\n", audience="internal")
    build(articles, index_dir)
    assistant = Assistant(index_dir, FakeEmbedder())
    typed, meant = (assistant.vectors([Question(text)], PUBLIC)[0] for text in ("dashbord gone", "dashboard gone"))
    assert (typed == meant).all()
    answer = assistant.answer(Question("dashbord credntial"), PUBLIC)
    assert [found.path for found in answer.suggestions] == ["keys.md"]
    for scope, is_known in ((PUBLIC, False), (INTERNAL, True)):
        typed, meant = (
            assistant.vectors([Question(text)], scope)[0] for text in ("swichboard gone", "switchboard gone")
        )
        assert (typed == meant).all() == is_known, "a word that internal articles alone hold is unknown to the public"
