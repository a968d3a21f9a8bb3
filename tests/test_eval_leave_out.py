"""Leave-article-out on made-up answers, so that every figure is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eval.datasets import Dataset, Ticket
from eval.leave_out import ask_without_labelled, summarise_left_out
from eval.preparing import Setup
from eval.runner import Run
from indexer.embedding import Precision
from indexer.scope import Scope
from service.answers import Answer, Question
from tests.eval_world import outcome

LABELS = {"a.md": 1, "b.md": 2, "c.md": 0}


def _dataset() -> Dataset:
    tickets = (Ticket("t", "", "text", labels=LABELS), Ticket("n", "", "text", kind="x"))
    return Dataset("d", Path("d"), Path("d/articles"), "", tickets)


def _assistant(answer: Callable[..., Answer]) -> Any:
    return SimpleNamespace(answer=answer)


def test_only_answerable_tickets_are_asked_without_their_relevant_articles() -> None:
    calls: list[frozenset[str]] = []

    def answer(question: Question, scope: Scope, excluded: frozenset[str] = frozenset()) -> Answer:
        calls.append(excluded)
        return Answer(False, 0.2, 0.5, (), (), None, "v", 1.0, ())

    outcomes = ask_without_labelled(_assistant(answer), _dataset(), Setup(Path("cache")), lambda *step: None)
    assert calls == [frozenset({"a.md", "b.md"})]
    assert [found.confidence for found in outcomes] == [0.2]


def _run(present: list[tuple[float, bool]], removed: list[tuple[float, bool]] | None) -> Run:
    outcomes = [outcome(f"t{i}", labels={"a.md": 1}, confidence=c, suggested=s) for i, (c, s) in enumerate(present)]
    left = None if removed is None else tuple(outcome("t", confidence=c, suggested=s) for c, s in removed)
    unanswerable = outcome("n", confidence=1.0, kind="x")
    everything = (*outcomes, unanswerable)
    return Run(_dataset(), Path("i"), "v", "m", Precision.INT8, 1, 1, everything, left, 1.0, (), 0.5)


def test_figures() -> None:
    run = _run(
        [(0.9, True), (0.6, True), (0.3, False), (0.5, True)], [(0.7, True), (0.2, False), (0.3, False), (0.6, True)]
    )
    found = summarise_left_out(run)
    assert found is not None
    assert found.tickets == 4
    # Of 16 pairs: 0.9 beats 4; 0.6 beats 2 and ties 1; 0.3 beats 1 and ties 1; 0.5 beats 2.
    assert found.auroc is not None
    assert found.auroc.value == pytest.approx((4 + 2.5 + 1.5 + 2) / 16)
    assert found.dropped is not None
    assert found.dropped.value == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert found.coverage is not None
    assert found.coverage.value == 0.75
    assert found.false_suggestions is not None
    assert found.false_suggestions.value == 0.5
    assert found.as_dict()["auroc"]["value"] == found.auroc.value


def test_run_without_it() -> None:
    assert summarise_left_out(_run([(0.9, True)], None)) is None
