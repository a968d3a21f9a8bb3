from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.declared import DeclaredErrors, declared_signatures
from indexer.scope import INTERNAL, PUBLIC
from indexer.signatures import signature_key
from service.answers import Question
from service.assistant import Assistant
from tests.conftest import FakeEmbedder, build, write_article


def keys(*codes: str) -> set[str]:
    return {signature_key(signature) for signature in declared_signatures(codes)}


def found(text: str, *codes: str) -> set[str]:
    return {key.partition(": ")[2] for key in DeclaredErrors(keys(*codes)).find(text)}


@pytest.mark.parametrize(
    ("code", "signatures"),
    [
        ("ORA-12154", {"error code: ora-12154"}),
        ("curl 60", {"declared error: curl 60"}),
        ("max.poll.interval.ms", {"declared error: max poll interval ms"}),
        ("NoSuchKey", {"declared error: NoSuchKey"}),
        ("Pending", {"declared error: pending"}),
        ("401", {"status: http 401"}),
        ("137", {"status: exit code 137"}),
        ("-1202", {"error code: error 1202"}),
        ("53300", {"error code: error 53300", "error code: sqlstate 53300"}),
        ("550 5.7.26", {"declared error: 550 5 7 26", "error code: smtp 5.7.26"}),
        ("5.7.26", {"error code: smtp 5.7.26"}),
        ("'<'", set()),
    ],
)
def test_what_is_declared(code: str, signatures: set[str]) -> None:
    assert signatures <= keys(code)
    assert {key for key in keys(code) if key.startswith("declared")} == {
        key for key in signatures if key.startswith("declared")
    }


@pytest.mark.parametrize(
    ("text", "code", "is_found"),
    [
        ("curl: (60) SSL certificate problem", "curl 60", True),
        ("curl: (6) could not resolve", "curl 60", False),
        ("it says Manifest Unknown, and stops", "manifest unknown", True),
        ("the manifest is unknown", "manifest unknown", False),
        ("the answer is NoSuchKey for each", "NoSuchKey", True),
        ("the answer is nosuchkey for each", "NoSuchKey", False),
        ("nosuchkey", "NoSuchKey", True),
        ("enospc", "ENOSPC", True),
        ("Pending orders are lost", "Pending", False),
        ("pending?", "Pending", True),
        ("MySQL 5.7.26 is slow", "5.7.26", False),
    ],
)
def test_where_it_is_found(text: str, code: str, is_found: bool) -> None:
    assert bool(found(text, code)) is is_found


@given(st.text(alphabet="ab1 .-", max_size=30), st.lists(st.text(alphabet="ab1 .", max_size=8), max_size=5))
def test_only_what_was_declared_is_found(text: str, codes: list[str]) -> None:
    assert DeclaredErrors(keys(*codes)).find(text) <= keys(*codes)


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Assistant:
    folder = tmp_path_factory.mktemp("declared")
    source = folder / "articles"
    for number in range(12):
        write_article(
            source,
            f"other/{number}.md",
            f"## Symptoms\n\nThe widget of room {number} hums.\n",
            title=f"Room {number} hums",
        )
    write_article(
        source,
        "storage/missing.md",
        "## Cause\n\nThe object was deleted.\n",
        title="A download is gone",
        front="error_codes: ['NoSuchKey', 'manifest unknown', '7009']",
    )
    write_article(
        source,
        "runbooks/hidden.md",
        "## Cause\n\nThe quota of the vault is used up.\n",
        title="The vault is full",
        audience="internal",
        front="error_codes: ['vault sealed']",
    )
    assert build(source, folder / "index").errors == ()
    return Assistant(folder / "index", FakeEmbedder())


@pytest.mark.parametrize("text", ["NoSuchKey", "nosuchkey", "manifest unknown", "7009", "#7009"])
def test_a_declared_error_alone_is_answered_by_its_article(assistant: Assistant, text: str) -> None:
    answer = assistant.answer(Question(text), PUBLIC)
    assert answer.answered
    assert answer.suggestions[0].path == "storage/missing.md"
    assert answer.suggestions[0].reasons[0].signal == "signature"


def test_what_internal_articles_declare_is_unknown_to_the_public(assistant: Assistant) -> None:
    text = "it says vault sealed since noon"
    assert "declared error: vault sealed" in assistant.answer(Question(text), INTERNAL).signatures
    public, other = (assistant.answer(Question(asked), PUBLIC) for asked in (text, text.replace("sealed", "scaled")))
    assert public.signatures == other.signatures == ()
    assert public.confidence == pytest.approx(other.confidence, abs=0.05)
