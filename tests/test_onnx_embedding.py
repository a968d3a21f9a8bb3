from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer import onnx_embedding
from indexer.embedding import Embedder


def test_mixed_lengths_come_back_in_order(real_embedder: Embedder) -> None:
    texts = [
        f"{word} " * length
        for word, length in {"disk": 200, "mail": 1, "token": 80, "kafka": 3, "login": 250, "proxy": 40}.items()
    ]
    together = real_embedder.embed(texts)
    alone = np.concatenate([real_embedder.embed([text]) for text in texts])
    # Dynamic int8 scales by everything in the batch, so near and not equal; other texts are far away.
    cosines = together @ alone.T
    assert cosines.diagonal().min() > 0.95


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

    def export(scratch: Path) -> Path:
        calls.append(scratch)
        (scratch / "half.onnx").write_bytes(b"model")
        return scratch / "half.onnx"

    monkeypatch.setattr(onnx_embedding, "_export", export)
    first, second = onnx_embedding.exported_model(), onnx_embedding.exported_model()
    assert first == second
    assert first.read_bytes() == b"model"
    assert first.is_relative_to(tmp_path)
    assert len(calls) == 1
    assert list(first.parent.iterdir()) == [first]


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_MODEL_CACHE", str(tmp_path))

    def export(scratch: Path) -> Path:
        (scratch / "half.onnx").write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(onnx_embedding, "_export", export)
    with pytest.raises(OSError, match="disk full"):
        onnx_embedding.exported_model()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
