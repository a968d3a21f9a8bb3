from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.lexical import LexicalDocument, LexicalIndex, analyze, build_lexical, identifiers, product_terms
from indexer.scope import INTERNAL, PUBLIC, Scope

DOCUMENTS = [
    LexicalDocument(0, "Oracle connection fails", "Symptoms", "ORA-12154: TNS not resolved", "public", ("connectors",)),
    LexicalDocument(1, "Oracle listener refuses", "Symptoms", "ORA-12514: TNS listener does not know", "public", ()),
    LexicalDocument(2, "Certificates", "Cause", "ERR_CERT_AUTHORITY_INVALID in browser", "internal", ("console",)),
    LexicalDocument(3, "Mail is rejected", "Cause", "550 5.7.26 unauthenticated café naïve", "public", ("email",)),
]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical") / "index"
    assert build_lexical(folder, DOCUMENTS) == 4
    return LexicalIndex(folder)


def _rows(index: LexicalIndex, text: str, scope: Scope = INTERNAL) -> list[int]:
    return [row for row, _ in index.search(text, scope, 10)]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("ORA-12154", 0),
        ("ora-12514", 1),
        ("ERR_CERT_AUTHORITY_INVALID", 2),
        ("err_cert_authority_invalid", 2),
        ("5.7.26", 3),
        ("cafe", 3),
        ("rejecting mails", 3),
    ],
)
def test_identifiers_and_words_find_their_document(index: LexicalIndex, text: str, row: int) -> None:
    assert _rows(index, text)[0] == row


def test_an_identifier_counts_for_more_than_its_parts(index: LexicalIndex) -> None:
    (first, best), *others = index.search("ORA-12154 TNS", INTERNAL, 10)
    assert first == 0
    assert all(best > 1.5 * score for _, score in others)


def test_scores_fall_and_limits_hold(index: LexicalIndex) -> None:
    found = index.search("oracle TNS listener", INTERNAL, 10)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert len(index.search("oracle TNS listener", INTERNAL, 1)) == 1
    assert index.search("oracle", INTERNAL, 0) == []


def test_scopes(index: LexicalIndex) -> None:
    assert _rows(index, "browser", PUBLIC) == []
    assert _rows(index, "browser", INTERNAL) == [2]
    assert _rows(index, "oracle tns", Scope(PUBLIC.audiences, frozenset({"email"}))) == [1]
    assert sorted(_rows(index, "oracle tns", Scope(PUBLIC.audiences, frozenset({"connectors"})))) == [0, 1]


def test_the_scope_does_not_change_scores(index: LexicalIndex) -> None:
    assert dict(index.search("oracle tns", PUBLIC, 10)) == pytest.approx(dict(index.search("oracle tns", INTERNAL, 10)))


@pytest.mark.parametrize(
    "text",
    ["", "   ", "the of and", "()[]{}^~*?:\\/\"'", "title:oracle AND (", "+-&&||!", "\0", "a" * 5000, "漢字 한국어 🙂"],
)
def test_hostile_text_is_only_text(index: LexicalIndex, text: str) -> None:
    assert isinstance(index.search(text, PUBLIC, 5), list)


def test_a_pasted_log_is_cut_to_its_rarest_terms(index: LexicalIndex) -> None:
    noise = " ".join(f"word{number}" for number in range(5000))
    assert _rows(index, f"oracle oracle {noise} listener")[0] in {0, 1}


@given(st.text(max_size=200))
def test_any_text_from_outside_keeps_the_scope(index: LexicalIndex, text: str) -> None:
    assert 2 not in _rows(index, text + " browser certificates cause", PUBLIC)


def test_analyze() -> None:
    assert analyze("The Connections were failing") == analyze("connection fails")
    assert analyze("ORA-12154") == ["ora", "12154"]
    assert analyze("Café") == ["cafe"]


def test_identifiers_are_whole_terms() -> None:
    assert identifiers("HTTP 401 and ERR_X_Y, failed to reach the server in time") == ["err_x_y", "http:401"]
    assert all(" " not in term for term in identifiers("exit code 137, SQLSTATE 40001, 550 5.7.26, error 1045"))
    assert product_terms(["Email", "sdk"]) == ("email", "sdk")
