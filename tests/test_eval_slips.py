from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from rapidfuzz.distance import OSA

from eval.datasets import Dataset, Ticket, load_dataset
from eval.full_report import make_report, report_values
from eval.preparing import Setup
from eval.report_page import markdown_page
from eval.slips import SHARES, ask_with_slips, misspell
from service.assistant import Assistant
from tests.conftest import FakeEmbedder, build
from tests.eval_world import write_dataset


def _quiet(stage: str, done: int, total: int) -> None:
    pass


def test_a_slip_is_one_and_long_plain_words_alone_have_it() -> None:
    rng = random.Random(1)
    kept = "a bad key ORA-12154 /var/log/kern.log"
    assert misspell(kept, 1.0, rng) == kept
    assert misspell("database connection refused", 0.0, rng) == "database connection refused"
    for _ in range(200):
        slipped = misspell("connection", 1.0, rng)
        assert OSA.distance(slipped, "connection") <= 1
        assert slipped[0] == "c"
    texts = " ".join(["connection"] * 1_000)
    changed = sum(word != "connection" for word in misspell(texts, 0.3, rng).split())
    assert 200 < changed < 350, "a letter may take its own place, or that of its double"


def test_subjects_alone_are_asked_with_and_without(small_world: Path, index_dir: Path, tmp_path: Path) -> None:
    build(small_world, index_dir)
    assistant = Assistant(index_dir, FakeEmbedder())
    setup = Setup(tmp_path / "cache")
    data = load_dataset(write_dataset(small_world.parent), tmp_path / "cache")
    title = "import fails, log says ORA-12154: TNS:could not resolve"
    named = Ticket("s1", title, "never read: bounced mail", labels={"db/listener.md": 1})
    silent = Ticket("s2", "", "the listener", labels={"db/listener.md": 1})
    data = replace(data, tickets=(named, silent, Ticket("n", "lunch", "?", kind="off_topic")))
    rows = ask_with_slips(assistant, data, setup, _quiet)
    assert [(row.share, row.asked) for row in rows] == [(share, 1) for share in SHARES]
    assert rows[0].ndcg == 1.0
    assert ask_with_slips(assistant, replace(data, tickets=(silent,)), setup, _quiet) == []


def test_the_report_has_them(small_world: Path, tmp_path: Path) -> None:
    data: Dataset = load_dataset(write_dataset(small_world.parent), tmp_path / "cache")
    data = replace(data, tickets=tuple(replace(ticket, title="listener") for ticket in data.tickets))
    made = make_report(data, None, Setup(tmp_path / "cache"), "kb", _quiet, FakeEmbedder())
    page = markdown_page(made).split("## Slips of the finger")[1]
    assert f"| 60% | {made.slips[2].asked} | {made.slips[2].ndcg:.3f} |" in page
    assert report_values(made)["slips"][1]["share"] == 0.3
    assert "Slips" not in markdown_page(replace(made, slips=[]))
