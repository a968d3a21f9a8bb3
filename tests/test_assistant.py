from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import IndexMismatch, InputError, NotFound
from indexer.scope import INTERNAL, PUBLIC
from service.answers import MAX_QUERY_CHARS, Correction, Question
from service.assistant import Assistant
from service.queries import read_question, symptom_text
from tests.conftest import FakeEmbedder, build, write_article


@pytest.fixture
def assistant(small_world: Path, index_dir: Path) -> Assistant:
    build(small_world, index_dir)
    return Assistant(index_dir, FakeEmbedder())


def test_the_right_article_first_with_reasons_and_citations(assistant: Assistant) -> None:
    answer = assistant.answer(Question("import fails, log says ORA-12154: TNS:could not resolve"), INTERNAL)
    first = answer.suggestions[0]
    assert first.path == "db/listener.md"
    assert "error code: ora-12154" in {detail for r in first.reasons for detail in r.detail.split(", ")}
    assert first.score == pytest.approx(sum(r.contribution for r in first.reasons), abs=0.5)
    assert first.snippets[0].citation.heading_path[-1] == "Resolution"
    assert answer.index_version == assistant.index_version
    assert answer.answered == (answer.confidence >= answer.threshold)


def test_scope_and_limit(assistant: Assistant) -> None:
    question = Question("gateway is down in every region", limit=2)
    assert assistant.answer(question, INTERNAL).suggestions[0].path == "runbooks/restart.md"
    answer = assistant.answer(question, PUBLIC)
    assert len(answer.suggestions) <= 2
    assert all(found.audience == "public" for found in answer.suggestions)


def test_what_a_misspelt_word_was_read_as_is_told_from_visible_articles_alone(assistant: Assistant) -> None:
    asked = Question("Oracle conection fails, gatewya too")
    told = [Correction("conection", "connection"), Correction("gatewya", "gateway")]
    assert list(assistant.answer(asked, INTERNAL).corrections) == told
    assert list(assistant.answer(asked, PUBLIC).corrections) == told[:1], "only an internal article says gateway"
    assert assistant.answer(Question("Oracle connection fails"), INTERNAL).corrections == ()


def test_excluded_articles_are_not_there(assistant: Assistant) -> None:
    question = Question("ORA-12154")
    path, features = assistant.judge(question, INTERNAL)
    assert path == "db/listener.md"
    without, weaker = assistant.judge(question, INTERNAL, frozenset({path}))
    assert without not in {path, ""}
    assert weaker.signatures < features.signatures
    answer = assistant.answer(question, INTERNAL, frozenset({path}))
    assert path not in {found.path for found in answer.suggestions}
    assert answer.confidence < assistant.answer(question, INTERNAL).confidence


def test_the_models_prompt_stands_before_every_question(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir, FakeEmbedder(query_prompt="find this : "))
    embedder = FakeEmbedder(query_prompt="find this : ")
    answer = Assistant(index_dir, embedder).answer(Question("ORA-12154"), INTERNAL)
    assert embedder.texts == ["find this : ORA-12154"]
    assert answer.suggestions[0].path == "db/listener.md"
    with pytest.raises(IndexMismatch):
        Assistant(index_dir, FakeEmbedder())


def test_refresh_takes_up_a_new_version_while_questions_run(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    assistant = Assistant(index_dir, FakeEmbedder())
    assert not assistant.refresh()
    failures: list[Exception] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                assert assistant.answer(Question("token expired"), INTERNAL).suggestions
            except Exception as error:  # noqa: BLE001 -- reported by the assertion below
                failures.append(error)

    workers = [threading.Thread(target=ask) for _ in range(2)]
    for worker in workers:
        worker.start()
    write_article(small_world, "new/xylophone.md", "The xylophone is out of tune.\n", title="Xylophone out of tune")
    build(small_world, index_dir)
    assert assistant.refresh()
    stop.set()
    for worker in workers:
        worker.join()
    assert not failures
    assert assistant.answer(Question("xylophone"), PUBLIC).suggestions[0].path == "new/xylophone.md"


def test_an_embedder_that_did_not_make_the_index_is_refused(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    with pytest.raises(IndexMismatch, match="kb index"):
        Assistant(index_dir, FakeEmbedder(salt="other"))


def test_articles_and_their_absence(assistant: Assistant) -> None:
    assert assistant.article("KB-1004", INTERNAL).path == "runbooks/restart.md"
    for name in ("KB-1004", "runbooks/restart.md", "no/such.md"):
        with pytest.raises(NotFound):
            assistant.article(name, PUBLIC)
    assert "runbooks/restart.md" not in {card.path for card in assistant.articles(PUBLIC)}


@pytest.mark.parametrize(
    ("text", "title", "limit"), [("", "  ", 5), ("x" * (MAX_QUERY_CHARS + 1), "", 5), ("a", "", 0), ("a", "", 51)]
)
def test_questions_that_cannot_be_asked(text: str, title: str, limit: int) -> None:
    with pytest.raises(InputError):
        Question(text, title, limit)


def test_the_symptom_is_what_is_left_of_a_ticket() -> None:
    ticket = (
        "Hello support,\n\nThe export stops.\nERROR 1205\n\nKind regards\nthe team\n\n"
        "> On Monday you wrote:\n> try again\n-- \nExample Ltd\n"
    )
    views = read_question(Question(ticket, "Export stops"))
    assert views.body == "The export stops.\nERROR 1205\n\nthe team"
    assert views.full.startswith("Export stops. The export stops.")
    assert "error code: error 1205" in views.signatures


@given(st.text(max_size=300), st.text(max_size=40))
def test_no_question_is_cleaned_away(text: str, title: str) -> None:
    if not (text.strip() or title.strip()):
        return
    views = read_question(Question(text, title))
    assert views.full.strip()
    assert views.title.strip()
    assert symptom_text(symptom_text(text)) == symptom_text(text)
