"""The default model in int8 on onnxruntime: the same weights, without torch.

The graph (`indexer.onnx_model`) is written the first time, in about a second, and kept by weight hash and recipe in the
user's cache folder.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.embedding import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    DEFAULT_WEIGHTS_SHA256,
    Fingerprint,
    Precision,
    Vectors,
    checked_model_dir,
    count_with,
    load_default_tokenizer,
)
from indexer.onnx_model import GRAPH_FILE, RECIPE, WORDS_FILE, write_int8_model

_TOKENS_PER_BATCH = 512
"""Batches hold about this many tokens. The products are bound by arithmetic from 16 tokens up, so larger batches gain
nothing, and from 1,000 on they lose a tenth because their states leave the processor's cache."""


class OnnxEmbedder:
    """all-MiniLM-L6-v2 with int8 matrix products. Thread-safe: one session serves concurrent calls.

    A text's vector does not depend on what else it is embedded with, up to the last bits of float32.
    """

    def __init__(self, model_dir: Path, threads: int = 0) -> None:
        """
        Args:
            model_dir: what `exported_model` gives.
            threads: batches that one call runs at a time; 0 for one on each core. A batch is never spread over cores:
                two batches side by side finish sooner than two threads that wait for each other in every product.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        graph = str(model_dir / GRAPH_FILE)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._words = WordTable(model_dir / WORDS_FILE)
        self._tokenizer = load_default_tokenizer()
        self._tokenizer.no_truncation()
        self._fingerprint = Fingerprint(
            DEFAULT_MODEL, DEFAULT_WEIGHTS_SHA256, Precision.INT8, 384, DEFAULT_MAX_TOKENS, RECIPE
        )
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()

    @classmethod
    def load(cls, threads: int = 0) -> OnnxEmbedder:
        """The exported model, exporting it first if this machine has not done so yet."""
        return cls(exported_model(), threads)

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return count_with(self._tokenizer, texts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors in the order of `texts`. Runs length-sorted batches, so short texts pay for no padding."""
        vectors = np.empty((len(texts), self._fingerprint.dimensions), np.float32)
        if not texts:
            return vectors
        rows = [_cut(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        batches = plan_batches([len(row) for row in rows], _TOKENS_PER_BATCH)

        def run(batch: list[int]) -> None:
            vectors[batch] = self._run([rows[index] for index in batch])

        if len(batches) == 1 or self._threads == 1:
            for batch in batches:
                run(batch)
        else:
            # The longest first: what is left at the end, when one core has nothing more to do, is short.
            list(self._executor().map(run, reversed(batches)))
        return vectors

    def _run(self, rows: list[list[int]]) -> Vectors:
        longest = max(map(len, rows))
        ids = np.zeros((len(rows), longest), np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for number, tokens in enumerate(rows):
            ids[number, : len(tokens)] = tokens
            mask[number, : len(tokens)] = 1
        pooled: Vectors = self._session.run(None, {"words": self._words.rows(ids), "attention_mask": mask})[0]
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled

    def _executor(self) -> ThreadPoolExecutor:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")
            return self._pool


class WordTable:
    """The model's word vectors, read from their file row by row: mapped, the pages once read would count as memory.

    Thread-safe.
    """

    def __init__(self, file: Path) -> None:
        with file.open("rb") as stream:
            np.lib.format.read_magic(stream)
            shape, _, self._type = np.lib.format.read_array_header_1_0(stream)
            self._start = stream.tell()
        self._width = shape[1]
        self._bytes = self._width * self._type.itemsize
        self._file = os.open(file, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Those of word `numbers`, of any shape: shape (.., dimensions), float16."""
        different, places = np.unique(numbers, return_inverse=True)
        offsets = (self._start + different * self._bytes).tolist()
        data = b"".join([os.pread(self._file, self._bytes, offset) for offset in offsets])
        return np.frombuffer(data, self._type).reshape(len(different), self._width)[places.reshape(numbers.shape)]


def _cut(tokens: list[int]) -> list[int]:
    """At most as many tokens as the model reads, the last of them the separator as always."""
    return tokens if len(tokens) <= DEFAULT_MAX_TOKENS else [*tokens[: DEFAULT_MAX_TOKENS - 1], tokens[-1]]


def plan_batches(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Indexes into `lengths` in batches of similar length, the shortest first.

    A batch times its longest length, which is what it costs, stays within `limit`; a longer text goes alone.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and lengths[index] * (len(batches[-1]) + 1) <= limit:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def exported_model() -> Path:
    """Folder of the int8 model for the pinned weights; exports it on first use.

    The folder appears by an atomic rename, so a crash or a second process never leaves half a model.
    """
    target = _cache_dir() / f"{DEFAULT_MODEL}-{DEFAULT_WEIGHTS_SHA256[:16]}-{RECIPE}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as scratch:
            ready = Path(scratch) / "model"
            ready.mkdir()
            _export(ready)
            try:
                ready.rename(target)
            except OSError:
                if not target.is_dir():  # another process was first
                    raise
    return target


def _cache_dir() -> Path:
    configured = os.environ.get("KB_MODEL_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(configured) if configured else Path.home() / ".cache") / "symptom-kb"


def _export(folder: Path) -> None:
    write_int8_model(checked_model_dir() / "model.safetensors", folder)
