from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eval.datasets import load_dataset
from eval.declared import ask_declared
from eval.full_report import make_report
from eval.preparing import Setup
from eval.report_page import markdown_page
from indexer.scope import INTERNAL
from service.answers import Question
from service.assistant import Assistant
from tests.conftest import FakeEmbedder, build, write_article
from tests.eval_world import write_dataset


def _quiet(stage: str, done: int, total: int) -> None:
    pass


def test_each_error_is_asked_once_and_what_leads_elsewhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "articles"
    for number, codes in enumerate(["curl 60", "Curl 60', 'vault sealed"]):
        front = f"error_codes: ['{codes}']"
        write_article(source, f"a{number}.md", f"## Cause\n\nRoom {number}.\n", title=f"Room {number}", front=front)
    build(source, tmp_path / "index")
    assistant = Assistant(tmp_path / "index", FakeEmbedder())
    asked = ask_declared(assistant, _quiet)
    assert (asked.errors, asked.first, asked.elsewhere) == (2, 2, ())
    silent = replace(assistant.answer(Question("curl 60"), INTERNAL), suggestions=(), answered=False)
    monkeypatch.setattr(assistant, "answer", lambda question, scope: silent)
    assert ask_declared(assistant, _quiet).as_dict() == {
        "errors": 2,
        "first": 0,
        "answered": 0,
        "elsewhere": ("curl 60", "vault sealed"),
    }


def test_the_report_has_them(small_world: Path, tmp_path: Path) -> None:
    front = "error_codes: ['curl 60']"
    write_article(small_world, "api/named.md", "## Cause\n\nThe certificate is old.\n", title="TLS fails", front=front)
    data = load_dataset(write_dataset(small_world.parent), tmp_path / "cache")
    made = make_report(data, None, Setup(tmp_path / "cache"), "kb", _quiet, FakeEmbedder())
    assert made.declared.errors >= 1
    page = markdown_page(made).split("## Errors by name")[1]
    assert f"{made.declared.answered} of {made.declared.errors}" in page
    led = replace(made, declared=replace(made.declared, elsewhere=("x1",)))
    assert "Led elsewhere: `x1`." in markdown_page(led)
