from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from eval.ablating import print_ablation, run_ablation, variants
from eval.datasets import load_dataset
from eval.preparing import Setup
from eval.runner import run_evaluation
from eval.summary import summarise
from service.evidence import Weights
from tests.conftest import FakeEmbedder
from tests.eval_world import write_dataset, write_lines


def test_the_first_row_is_what_an_evaluation_measures(small_world: Path, tmp_path: Path) -> None:
    data = load_dataset(write_dataset(small_world.parent), tmp_path / "cache")
    setup = Setup(cache_dir=tmp_path / "cache")
    embedder = FakeEmbedder()
    rows = run_ablation(data, setup, lambda *step: None, embedder)
    assert max(Counter(embedder.texts).values()) == 1, "every variant asks the same, and each text is embedded once"
    measured = summarise(run_evaluation(data, setup, FakeEmbedder())).retrieval
    assert rows[0].value == measured["nDCG@10"]
    assert rows[0].first == measured["Success@1"].value
    assert rows[0].delta is None
    assert {row.name.strip() for row in rows} >= {"without words", "words alone", "without error signatures"}
    for row in rows[1:]:
        assert row.delta is not None
        np.testing.assert_allclose(row.delta.interval.value, row.value.value - rows[0].value.value, atol=1e-9)
    console = Console(record=True, width=100)
    print_ablation(data, rows, console)
    assert "without words" in console.export_text()


def test_tickets_are_left_out_only_where_there_are_some(small_world: Path, tmp_path: Path) -> None:
    assert "without resolved tickets" not in variants(with_tickets=False)
    history = write_lines(tmp_path / "h.jsonl", [{"text": "no answer since noon", "articles": ["db/listener.md"]}])
    data = load_dataset(write_dataset(small_world.parent), tmp_path / "cache")
    setup = Setup(cache_dir=tmp_path / "cache", history=history)
    names = [row.name for row in run_ablation(data, setup, lambda *step: None, FakeEmbedder())]
    assert "without resolved tickets" in names


def test_every_signal_is_left_out_by_some_variant() -> None:
    left_out = {
        field.name
        for weights in variants(with_tickets=True).values()
        for field in fields(Weights)
        if getattr(weights, field.name) == 0 and replace(weights, **{field.name: 1.0}) != weights
    }
    assert left_out == {field.name for field in fields(Weights)}
