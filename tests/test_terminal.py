"""Answers and triage as they are printed: in a file line for line, on a terminal with the prefix before every piece."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.answers import Answer, Citation, Correction, Snippet, Suggestion
from service.terminal import print_answer, print_lines, print_table

COMMAND = "curl --silent --show-error --header 'Authorization: Bearer TOKEN' https://api.example.com/v1/things?page=1"
QUOTED = f"Ask with the new token:\n\n```sh\n{COMMAND}\n\tmake\n```"


def answer() -> Answer:
    cited = Citation("api/token.md", ("T", "Resolution"), "resolution", 3, 7, 10, 90, "0", "1")
    title = "API answers 401 after the token expired, and again after it was renewed on another machine"
    suggestion = Suggestion(
        "KB-1", "api/token.md", title, "", "public", None, None, (), 1.0, (), (Snippet(QUOTED, ((0, 3),), cited),)
    )
    return Answer(True, 0.9, 0.5, (suggestion,), (), "Which of the two is it? " * 9, "v", 1.0, ())


def printed(*, is_terminal: bool, width: int = 60) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=width, highlight=False, color_system=None)
    print_answer(answer(), console)
    return out.getvalue().splitlines()


def test_a_file_gets_every_line_whole_and_without_blanks_at_its_end() -> None:
    lines = printed(is_terminal=False)
    assert f"    ▏ {COMMAND}" in lines
    assert "    ▏ \tmake" in lines
    assert "    ▏" in lines, "the blank line of the quote"
    assert lines == [line.rstrip() for line in lines]
    assert [line for line in lines if line.startswith(" 1  API answers") and line.endswith("another machine")]


def test_misspelt_words_are_told() -> None:
    out = io.StringIO()
    read = (Correction("tokn", "token"), Correction("Certifcate", "Certificate"))
    print_answer(dataclasses.replace(answer(), corrections=read), Console(file=out, width=200))
    assert out.getvalue().splitlines()[1] == "Read “tokn” as “token”, “Certifcate” as “Certificate”"
    assert not [line for line in printed(is_terminal=False) if line.startswith("Read ")]


@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_terminal_gets_the_prefix_before_every_piece(width: int) -> None:
    lines = printed(is_terminal=True, width=width)
    assert lines == [line.rstrip() for line in lines]
    assert max(map(len, lines)) <= width
    start = next(number for number, line in enumerate(lines) if "Ask with" in line)
    end = next(number for number, line in enumerate(lines) if "api/token.md:3-7" in line)
    assert all(line.startswith("    ▏") for line in lines[start : end + 1])
    quoted = [line.removeprefix("    ▏").strip() for line in lines[start:end]]
    assert "".join("".join(quoted).split()) == "".join(QUOTED.split())
    title = [line for line in lines if "API" in line or "machine" in line]
    assert title[0].startswith(" 1  ")
    assert all(line.startswith("    ") for line in title[1:])


def test_colours_stay_where_the_text_is(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(force_terminal=True, width=30, color_system="standard")
    print_lines(console, Text.assemble("plain words before ", ("bold words after the break", "bold")), Text("| "))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("| \x1b[1m")


def test_a_file_gets_a_row_a_line_and_a_terminal_what_fits() -> None:
    table = Table("name", "origins", "made", box=None)
    table.add_row("a very long name " * 10, "https://help.example.com " * 5, "today")
    for is_terminal in (False, True):
        out = io.StringIO()
        print_table(Console(file=out, force_terminal=is_terminal, width=40, color_system=None), table)
        lines = out.getvalue().splitlines()
        if is_terminal:
            assert max(map(len, lines)) <= 40
        else:
            assert [line.split()[-1] for line in lines] == ["made", "today"]
            assert lines == [line.rstrip() for line in lines]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_no_text_of_an_article_steers_the_terminal(is_terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=60, color_system=None)
    text = Text("clear \x1b[2J title \x1b]0;x\x9c turn \u202e and\tstop\nnext")
    text.stylize("bold", 0, 5)
    print_lines(console, text)
    assert "\x1b" not in out.getvalue()
    assert "\x9c" not in out.getvalue()
    assert "\u202e" not in out.getvalue()
    assert out.getvalue().startswith("clear \ufffd[2J title \ufffd]0;x\ufffd turn \ufffd and")
    assert "\x1b" in text.plain, "the caller's text stays as it is"
