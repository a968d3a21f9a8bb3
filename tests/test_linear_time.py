"""What strangers may send is read in time that grows with its length, whatever it holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from indexer.articles import parse_article
from indexer.metadata import Audience
from service.rendering import public_markdown, render_article

_UNITS = (
    *("A.", "a.", "http://a.", "a-", "a@", "Aa", "A_", "0x", "1.", "error ", "http ", "/a"),
    *("\n", " ", "\t", " \n", "x\n\n", "[", "![", "](", "[a](", "[](", "`", "**a", "# ", "|", "> ", '"'),
)
_LINES = (
    "at a",
    "at a.b(",
    "at a.b()",
    '{"',
    '{"time"',
    "09:12:07 ",
    "a | ",
    "#1 a",
    "main.f",
    "< a",
    'File "',
    "from a.rb",
    "on a wrote",
    "phone 1",
    "a@",
    "name: ",
    "received by",
    "<p",
)
"""How lines of a log and places of a stack trace begin; each of the units is repeated after it."""

_READ = """
import json, sys
from indexer.chunking import strip_markup
from indexer.pointers import find_pointers
from indexer.signatures import extract_signatures
from service.findings import find_details
from service.queries import symptom_text

units, lines = json.load(sys.stdin)
for unit in units:
    text = (unit * 60_000)[:60_000]
    for read in (extract_signatures, find_details, strip_markup, symptom_text, find_pointers):
        print(json.dumps([read.__name__, unit]), flush=True)
        read(text)
    for line in lines:
        print(json.dumps(["symptom_text", line, unit]), flush=True)
        symptom_text((line + unit * 20_000)[:20_000].replace("\\n", " "))
"""
_LIMIT_S = 150
"""Where time grows with the square, one of these texts takes minutes, and else all of them together some seconds."""


def test_a_text_of_one_thing_over_and_over() -> None:
    command = [sys.executable, "-c", _READ]
    root = Path(__file__).parents[1]
    try:
        subprocess.run(
            command,
            input=json.dumps([_UNITS, _LINES]),
            text=True,
            check=True,
            timeout=_LIMIT_S,
            cwd=root,
            capture_output=True,
        )
    except subprocess.TimeoutExpired as error:
        begun = (error.stdout or b"").decode().splitlines()
        pytest.fail(f"takes very long: {begun[-1] if begun else 'importing'}")


@pytest.mark.parametrize(
    "item", ["- item {}\n", "- item {}\n  - below\n", "> {}\n\n", "# {}\n\nText.\n\n", "[a{}](b.md)\n\n"]
)
def test_an_article_of_one_thing_over_and_over_is_shown_in_linear_time(item: str) -> None:
    def calls(count: int) -> int:
        """Calls made in showing `count` items: as good as time, and the same on a busy machine."""
        body = "".join(item.format(number) for number in range(count))
        article = parse_article("a.md", f"# T\n\nText.\n\n{body}".encode(), Audience.PUBLIC)
        made = 0

        def count_call(frame: FrameType, event: str, argument: object) -> None:
            nonlocal made
            made += event in {"call", "c_call"}

        sys.setprofile(count_call)
        try:
            render_article(article, lambda _: None)
            public_markdown(article, lambda _: None)
        finally:
            sys.setprofile(None)
        return made

    calls(10)
    assert calls(1000) < 12 * calls(100)
