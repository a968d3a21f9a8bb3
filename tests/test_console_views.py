"""Chips, bars and snippets of the console, and how it reads a ticket."""

from __future__ import annotations

import pytest

from indexer.errors import InputError
from indexer.signatures import SignatureKind
from service.answers import Citation, Reason, Snippet, Suggestion
from service.evidence import Weights
from service.http.console_search import read_ticket
from service.http.console_views import SIGNALS, ChipView, RepeatView, chip_views, result_views, split_codes


def snippet(text: str, *highlights: tuple[int, int]) -> Snippet:
    citation = Citation("a/b.md", ("T", "Symptoms"), "symptoms", 3, 4, 0, len(text), "0", "1")
    return Snippet(text, highlights, citation)


def suggestion(score: float, *reasons: Reason, snippets: tuple[Snippet, ...] = ()) -> Suggestion:
    return Suggestion("KB-1", "a/b.md", "T", "", "public", None, None, (), score, reasons, snippets)


def parts(text: str, *highlights: tuple[int, int], code: tuple[int, ...] = ()) -> list[tuple[str, bool]]:
    """The parts of a snippet from line 3 on; `code` are the lines in code blocks."""
    found = suggestion(1.0, snippets=(snippet(text, *highlights),))
    (view,) = result_views([(1, found)], 1.0, "http://kb", lambda _: frozenset(code), {}, lambda path: None)
    return [
        ("".join(f"[{piece}]" if marked else piece for piece, marked in part.pieces), part.is_code)
        for part in view.snippets[0].parts
    ]


def shown(text: str, *highlights: tuple[int, int]) -> str:
    ((only, is_code),) = parts(text, *highlights)
    assert not is_code
    return only


def test_exact_errors_and_similar_tickets_come_before_likeness() -> None:
    reasons = (
        Reason("passages", 5.0, "passages of it mean much the same"),
        Reason("words", 2.0, "it shares telling words"),
        Reason("gist", 1.0, "it is about the same subject"),
        Reason("tickets", 0.8, "3 similar tickets were solved by this"),
        Reason("signature", 0.5, "error code: ora-12154, status: http 401"),
    )
    assert [(chip.tone, chip.label) for chip in chip_views(reasons)] == [
        ("d", "Error ora-12154"),
        ("d", "HTTP 401"),
        ("e", "3 similar tickets were solved by this"),
        ("a", "Same meaning"),
        ("c", "Telling words"),
    ]
    meaning = chip_views(reasons)[3]
    assert meaning.detail == "passages of it mean much the same; it is about the same subject"


def test_the_console_knows_the_signals_that_there_are_and_no_other() -> None:
    folded = {"plain": "passages", "prototype": "tickets", "votes": "tickets"}
    assert {folded.get(name, name) for name in Weights().as_dict()} == SIGNALS.keys()


def test_a_signal_that_the_console_does_not_know_speaks_for_itself() -> None:
    assert chip_views([Reason("moon", 1.0, "the moon is full")]) == (
        ChipView("x", "The moon is full", "the moon is full"),
    )


def test_many_codes_are_counted_and_long_ones_cut() -> None:
    detail = "log line: fatal: sorry, too many clients already on a very long line, " + ", ".join(
        f"error code: e{number}" for number in range(4)
    )
    assert [kind for kind, _ in split_codes(detail)] == ["log line", *["error code"] * 4]
    labels = [chip.label for chip in chip_views([Reason("signature", 1.0, detail)])]
    assert labels == ["Log fatal: sorry, too many clients already on a…", "Error e0", "Error e1", "2 more"]


@pytest.mark.parametrize("kind", SignatureKind)
def test_every_kind_of_signature_has_a_name_for_people(kind: SignatureKind) -> None:
    assert split_codes(f"{kind.value}: x 1, {kind.value}: y") == [(kind.value, "x 1"), (kind.value, "y")]


def test_bars_share_out_the_score_by_kind_of_reason() -> None:
    reasons = (
        Reason("passages", 3.0, ""),
        Reason("gist", 1.0, ""),
        Reason("words", 4.0, ""),
        Reason("words", -1.0, ""),
    )
    (view,) = result_views(
        [(2, suggestion(5.0, *reasons))],
        10.0,
        "",
        lambda _: frozenset(),
        {2: RepeatView(1, "O", 90)},
        lambda path: None,
    )
    assert view.percent == 50
    assert [(bar.tone, bar.start, bar.width) for bar in view.bars] == [("a", 0.0, 25.0), ("c", 25.0, 25.0)]
    assert view.repeat == RepeatView(1, "O", 90)
    assert view.url == "/articles/a/b.md"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("**Set** the `clock`\nnow.", "Set the clock now."),
        ("- one\n- two", "one\ntwo"),
        ("Press *Enable* for *.pem and *.crt", "Press Enable for *.pem and *.crt"),
        ("Lower the *number of\n  calls* at 2 * 3 * 4", "Lower the number of   calls at 2 * 3 * 4"),
        ("| a | b |\n|---|---|\n| 1 | `2` |", "a · b\n1 · 2"),
        ("Run a | b here", "Run a | b here"),
        ("see [that](x.md#y) > [1]", "see that > [1]"),
    ],
)
def test_snippets_are_shown_without_markup(source: str, text: str) -> None:
    assert shown(source) == text


def test_code_and_prose_stand_apart_and_marks_keep_their_place() -> None:
    text = "Run **this**:\n\n   ```bash\n   a | b *c*\n     d\n   ```\n\nand\nwait."
    place = text.index("b *c*")
    assert parts(text, (4, 8), (place, place + 5), code=(5, 6, 7, 8)) == [
        ("Run [th]is:", False),
        ("a | [b *c*]\n  d\n", True),
        ("and wait.", False),
    ]
    assert parts("a | b\n  c", code=(3, 4)) == [("a | b\n  c", True)]
    assert parts("```", code=(3,)) == []


def test_marks_of_one_character_are_left_out() -> None:
    assert shown("**Set** the clock", (2, 5), (12, 17)) == "[Set] the [clock]"
    assert shown("1. Set", (0, 1), (3, 6)) == "1. [Set]"


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("Subject: no mail\n\nHi, it stopped.", "no mail", "\nHi, it stopped."),
        ("  SUBJECT:  no mail", "no mail", ""),
        ("Betreff: keine Mail\r\nHallo", "keine Mail", "Hallo"),
        ("the subject: is lost", "", "the subject: is lost"),
        ("Subject:\nnothing", "", "Subject:\nnothing"),
    ],
)
def test_a_first_line_can_name_the_subject(text: str, title: str, body: str) -> None:
    question = read_ticket(text, 5)
    assert (question.title, question.text) == (title, body)


def test_a_text_that_is_too_long_says_what_to_do() -> None:
    with pytest.raises(InputError, match="send the part with the symptom"):
        read_ticket("x" * 20_001, 5)
