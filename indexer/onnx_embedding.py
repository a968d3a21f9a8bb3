"""A model in int8 on onnxruntime: the same weights, without torch.

The graph (`indexer.onnx_model`) is written the first time, in about a second for the default model, and kept by weight
hash and recipe in the user's cache folder. Any other model's graph is then compared with sentence-transformers on a few
texts, and not kept if it strays: what eight bits cost is known of the default model only.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.embedding import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    DEFAULT_WEIGHTS_SHA256,
    Embedder,
    Encoded,
    Fingerprint,
    Precision,
    Signs,
    Vectors,
    checked_model_dir,
    count_with,
    default_model_dir,
    load_tokenizer,
    pack_signs,
    sha256_of_file,
)
from indexer.model_folder import UnsupportedModel, find_model_folder, read_model_folder
from indexer.onnx_model import GRAPH_FILE, POOLED, RECIPE, STATES, WORDS_FILE, write_int8_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TOKENS_PER_BATCH = 512
"""Batches hold about this many tokens. The products are bound by arithmetic from 16 tokens up, so larger batches gain
nothing, and from 1,000 on they lose a tenth because their states leave the processor's cache."""


_LEAST_COSINE = 0.98
"""To the reference's vectors, of the worst of `_SAMPLES`, for a graph to be kept. The default model has 0.996."""
_SAMPLES = (
    "requests fail with 401 since noon",
    "ORA-12154: TNS:could not resolve the connect identifier specified",
    "How do I get my invoices sent to another address?",
    "Traceback (most recent call last): ConnectionResetError: [Errno 104] Connection reset by peer",
    "After the update nobody on the second floor can print. The queue shows the job for a moment, then it is gone. "
    "Restarting the spooler helps for one or two documents. The driver was not changed. " * 3,
)


class OnnxEmbedder(Embedder):
    """An encoder with int8 matrix products. Thread-safe: one session serves concurrent calls.

    A text's vector does not depend on what else it is embedded with, up to the last bits of float32.
    """

    def __init__(self, graph_dir: Path, tokenizer: Tokenizer, fingerprint: Fingerprint, threads: int = 0) -> None:
        """
        Args:
            graph_dir: what `exported_model` gives.
            tokenizer: the model's, which neither cuts nor pads.
            threads: batches that one call runs at a time; 0 for one on each core. A batch is never spread over cores:
                two batches side by side finish sooner than two threads that wait for each other in every product.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        graph = str(graph_dir / GRAPH_FILE)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._words = WordTable(graph_dir / WORDS_FILE)
        self._tokenizer = tokenizer
        self._fingerprint = fingerprint
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()

    @classmethod
    def load(cls, model: str = DEFAULT_MODEL, threads: int = 0) -> OnnxEmbedder:
        """The exported model, exporting it first if this machine has not done so yet.

        Raises:
            UnsupportedModel: a kind of model that no graph is written for, or that eight bits change too much.
            ModelError: no such model here, or altered weights.
        """
        if model == DEFAULT_MODEL:
            tokenizer = load_tokenizer(default_model_dir())
            weights, dimensions, most = DEFAULT_WEIGHTS_SHA256, 384, DEFAULT_MAX_TOKENS
            fingerprint = Fingerprint(model, weights, Precision.INT8, dimensions, most, RECIPE)
            return cls(exported_model(fingerprint, write_default_model), tokenizer, fingerprint, threads)
        folder = read_model_folder(find_model_folder(model))
        tokenizer = load_tokenizer(folder.path)
        fingerprint = Fingerprint(
            model,
            sha256_of_file(folder.weights_file),
            Precision.INT8,
            folder.dimensions,
            folder.max_tokens,
            f"{RECIPE}-{folder.digest}",
            folder.query_prompt,
            folder.document_prompt,
        )

        def write(target: Path) -> None:
            write_int8_model(folder, target)
            _check_graph(cls(target, tokenizer, fingerprint, threads), model)

        return cls(exported_model(fingerprint, write), tokenizer, fingerprint, threads)

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return count_with(self._tokenizer, texts)

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        """In the order of `texts`. Runs length-sorted batches, so short texts pay for no padding."""
        vectors = np.empty((len(texts), self._fingerprint.dimensions), np.float32)
        signs: list[Signs] = [np.empty((0, 0), np.uint8)] * len(texts)
        if not texts:
            return Encoded(vectors, ())
        most = min(max_tokens or self._fingerprint.max_tokens, self._fingerprint.max_tokens)
        rows = [_cut(encoding.ids, most) for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        batches = plan_batches([len(row) for row in rows], _TOKENS_PER_BATCH)

        def run(batch: list[int]) -> None:
            vectors[batch], states = self._run([rows[index] for index in batch])
            for index, own in zip(batch, states, strict=True):
                signs[index] = pack_signs(own[1 : len(rows[index]) - 1])

        if len(batches) == 1 or self._threads == 1:
            for batch in batches:
                run(batch)
        else:
            # The longest first: what is left at the end, when one core has nothing more to do, is short.
            list(self._executor().map(run, reversed(batches)))
        return Encoded(vectors, tuple(signs))

    def _run(self, rows: list[list[int]]) -> tuple[Vectors, Vectors]:
        """Unit vectors and token states of a batch: shapes (batch, dimensions) and (batch, tokens, dimensions)."""
        longest = max(map(len, rows))
        ids = np.zeros((len(rows), longest), np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for number, tokens in enumerate(rows):
            ids[number, : len(tokens)] = tokens
            mask[number, : len(tokens)] = 1
        given = {"words": self._words.rows(ids), "attention_mask": mask}
        pooled, states = self._session.run([POOLED, STATES], given)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled, states

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


def _cut(tokens: list[int], most: int) -> list[int]:
    """At most as many tokens as the model reads, the last of them the separator as always."""
    return tokens if len(tokens) <= most else [*tokens[: most - 1], tokens[-1]]


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


def exported_model(fingerprint: Fingerprint, write: Callable[[Path], None]) -> Path:
    """Folder of the int8 model for the weights that `fingerprint` names; `write` fills it on first use.

    The folder appears by an atomic rename, so a crash or a second process never leaves half a model.
    """
    name = f"{Path(fingerprint.model).name}-{fingerprint.weights_sha256[:16]}-{fingerprint.recipe}-{STATES}"
    target = _cache_dir() / name
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as scratch:
            ready = Path(scratch) / "model"
            ready.mkdir()
            write(ready)
            try:
                ready.rename(target)
            except OSError:
                if not target.is_dir():  # another process was first
                    raise
    return target


def write_default_model(target: Path) -> None:
    """The default model's graph and word table into `target`. Raises ModelError if its weights were altered."""
    folder = read_model_folder(checked_model_dir())
    write_int8_model(replace(folder, max_tokens=DEFAULT_MAX_TOKENS), target)


def _cache_dir() -> Path:
    configured = os.environ.get("KB_MODEL_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(configured) if configured else Path.home() / ".cache") / "symptom-kb"


def _check_graph(embedder: OnnxEmbedder, model: str) -> None:
    """Raises UnsupportedModel unless vectors of `embedder` are those of the reference, or nearly."""
    from indexer.torch_embedding import SentenceTransformerEmbedder

    reference = SentenceTransformerEmbedder(model)
    cosines = (embedder.embed(_SAMPLES) * reference.embed(_SAMPLES)).sum(axis=1)
    if not cosines.min() >= _LEAST_COSINE:  # so that NaN fails as well
        raise UnsupportedModel(f"eight bits change its vectors too much, to a cosine of {cosines.min():.3f}")
