"""The default model in int8 on onnxruntime: the same weights, exported once, without torch on the serving path.

Export and quantisation (about five seconds, with torch) happen the first time and are kept by weight hash in the user's
cache folder. QInt8 per channel on MatMul only: embeddings and layer norms stay fp32.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from indexer.embedding import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    DEFAULT_WEIGHTS_SHA256,
    Fingerprint,
    Precision,
    Vectors,
    count_with,
    default_model_dir,
    load_default_tokenizer,
)

_RECIPE = "int8-matmul-perchannel-1"
"""Names the way of exporting; a change of recipe makes a new file and a new fingerprint."""

_TOKENS_PER_BATCH = 1024
"""Batches hold about this many tokens: four to eight chunks, the fastest on two cores."""


class OnnxEmbedder:
    """all-MiniLM-L6-v2 with int8 matrix products. Thread-safe: one session serves concurrent calls."""

    def __init__(self, model_file: Path, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or (os.cpu_count() or 1)
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])
        self._tokenizer = load_default_tokenizer()
        self._counter = load_default_tokenizer()
        self._counter.no_truncation()
        self._fingerprint = Fingerprint(DEFAULT_MODEL, DEFAULT_WEIGHTS_SHA256, Precision.INT8, 384, DEFAULT_MAX_TOKENS)

    @classmethod
    def load(cls, threads: int = 0) -> OnnxEmbedder:
        """The exported model, exporting it first if this machine has not done so yet."""
        return cls(exported_model(), threads)

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return count_with(self._counter, texts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors in the order of `texts`. Runs length-sorted batches, so short texts pay for no padding."""
        vectors = np.empty((len(texts), self._fingerprint.dimensions), np.float32)
        lengths = [len(text) for text in texts]
        order = sorted(range(len(texts)), key=lengths.__getitem__)
        encodings = self._tokenizer.encode_batch_fast([texts[i] for i in order]) if texts else []
        batch: list[int] = []
        longest = 0
        for position, encoding in enumerate(encodings):
            length = len(encoding.ids)
            if batch and max(longest, length) * (len(batch) + 1) > _TOKENS_PER_BATCH:
                self._run(encodings, batch, longest, order, vectors)
                batch, longest = [], 0
            batch.append(position)
            longest = max(longest, length)
        if batch:
            self._run(encodings, batch, longest, order, vectors)
        return vectors

    def _run(self, encodings: list[Any], batch: list[int], longest: int, order: list[int], out: Vectors) -> None:
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros((len(batch), longest), np.int64)
        for row, position in enumerate(batch):
            tokens = encodings[position].ids
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        hidden = self._session.run(
            None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        )[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        out[[order[position] for position in batch]] = pooled


def exported_model() -> Path:
    """Path of the int8 model for the pinned weights; exports it on first use.

    The file appears by an atomic rename, so a crash or a second process never leaves half a model.
    """
    target = _cache_dir() / f"{DEFAULT_MODEL}-{DEFAULT_WEIGHTS_SHA256[:16]}-{_RECIPE}.onnx"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as scratch:
            _export(Path(scratch)).replace(target)
    return target


def _cache_dir() -> Path:
    configured = os.environ.get("KB_MODEL_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(configured) if configured else Path.home() / ".cache") / "symptom-kb"


def _export(scratch: Path) -> Path:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    class Encoder(torch.nn.Module):  # type: ignore[misc]
        """Token states only: pooling stays in numpy, where padding is known."""

        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = torch.ones(2, 16, dtype=torch.long)
    full, small = scratch / "fp32.onnx", scratch / "int8.onnx"
    quiet = logging.getLogger()
    level = quiet.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Encoder(AutoModel.from_pretrained(default_model_dir()).eval()),
            (example, example, torch.zeros_like(example)),
            str(full),
            input_names=names,
            output_names=["hidden"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "hidden"]},
            dynamo=False,
            opset_version=17,
        )
        quiet.setLevel(logging.ERROR)
        try:
            quantize_dynamic(
                str(full), str(small), weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"]
            )
        finally:
            quiet.setLevel(level)
    return small
