from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.embedding import Embedder, Fingerprint, Precision
from indexer.onnx_embedding import exported_model, plan_batches

FINGERPRINT = Fingerprint("folder/model", "0" * 64, Precision.INT8, 384, 256, "recipe")


def test_mixed_lengths_come_back_in_order(real_embedder: Embedder) -> None:
    texts = [
        f"{word} " * length
        for word, length in {"disk": 200, "mail": 1, "token": 80, "kafka": 3, "login": 250, "proxy": 40}.items()
    ]
    together = real_embedder.embed(texts)
    alone = np.concatenate([real_embedder.embed([text]) for text in texts])
    cosines = together @ alone.T
    assert cosines.diagonal().min() > 0.9999


def test_company_does_not_change_a_vector(real_embedder: Embedder) -> None:
    text = "the API answers 401 since noon"
    alone = real_embedder.embed([text])[0]
    strange = "ÿ" * 200
    for others in (["x"], [strange], [strange, "word " * 240, ""]):
        assert float(real_embedder.embed([*others, text])[-1] @ alone) > 0.9999


def test_batches_hold_similar_lengths_within_the_limit() -> None:
    lengths = [3, 200, 5, 600, 4, 190, 5]
    batches = plan_batches(lengths, 512)
    assert sorted(index for batch in batches for index in batch) == list(range(7))
    assert [[lengths[index] for index in batch] for batch in batches] == [[3, 4, 5, 5], [190, 200], [600]]
    assert plan_batches([], 512) == []


def test_threads_share_one_session(real_embedder: Embedder) -> None:
    texts = [f"error number {number}" for number in range(8)]
    expected = [real_embedder.embed([text]) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: real_embedder.embed([text]), texts))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_export_appears_at_once_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_MODEL_CACHE", str(tmp_path))
    calls: list[Path] = []

    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "graph.onnx").write_bytes(b"model")

    first, second = exported_model(FINGERPRINT, write), exported_model(FINGERPRINT, write)
    assert first == second
    assert (first / "graph.onnx").read_bytes() == b"model"
    assert first.is_relative_to(tmp_path)
    assert len(calls) == 1
    assert list(first.parent.iterdir()) == [first]


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_MODEL_CACHE", str(tmp_path))

    def write(folder: Path) -> None:
        (folder / "graph.onnx").write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        exported_model(FINGERPRINT, write)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_two_processes_may_export_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_MODEL_CACHE", str(tmp_path))

    def write_other(folder: Path) -> None:
        (folder / "graph.onnx").write_bytes(b"the other's")

    def write(folder: Path) -> None:
        (folder / "graph.onnx").write_bytes(b"mine")
        exported_model(FINGERPRINT, write_other)

    assert (exported_model(FINGERPRINT, write) / "graph.onnx").read_bytes() == b"the other's"
