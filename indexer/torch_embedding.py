"""Any sentence-transformers model in fp32, as sentence-transformers itself runs it: the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.embedding import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    DEFAULT_WEIGHTS_SHA256,
    Embedder,
    Encoded,
    Fingerprint,
    Precision,
    Signs,
    checked_model_dir,
    count_with,
    pack_signs,
    sha256_of_file,
)
from indexer.errors import ModelError
from indexer.model_folder import document_prompt_of, find_model_folder, query_prompt_of

if TYPE_CHECKING:
    from tokenizers import Encoding


class SentenceTransformerEmbedder(Embedder):
    """Any sentence-transformers model in fp32: the reference that others are measured against."""

    def __init__(self, model: str = DEFAULT_MODEL, batch_size: int = 16) -> None:
        """
        Raises:
            ModelError: no such model here, or sentence-transformers cannot load it.
        """
        folder = checked_model_dir() if model == DEFAULT_MODEL else find_model_folder(model)
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            self._model = SentenceTransformer(str(folder), device="cpu")
        except (OSError, ValueError) as error:
            raise ModelError(f"model {model} cannot be loaded ({error}); is {folder} complete?") from error
        self._batch_size = batch_size
        if model == DEFAULT_MODEL:
            self._model.max_seq_length = DEFAULT_MAX_TOKENS
        backend = self._model.tokenizer.backend_tokenizer
        backend.no_padding()
        self._counter = type(backend).from_str(backend.to_str())
        self._counter.no_truncation()
        self._counter.no_padding()
        weights = DEFAULT_WEIGHTS_SHA256 if model == DEFAULT_MODEL else _weights_sha256(folder)
        self._fingerprint = Fingerprint(
            model,
            weights,
            Precision.FP32,
            int(self._model.get_embedding_dimension() or 0),
            int(self._model.max_seq_length or DEFAULT_MAX_TOKENS),
            query_prompt=query_prompt_of(self._model.prompts),
            document_prompt=document_prompt_of(self._model.prompts),
        )

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return count_with(self._counter, texts)

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        if not texts:
            return Encoded(np.empty((0, self._fingerprint.dimensions), np.float32), ())
        if max_tokens is not None and max_tokens < self._fingerprint.max_tokens:
            encodings = self._counter.encode_batch(list(texts))
            texts = [_cut(text, encoding, max_tokens) for text, encoding in zip(texts, encodings, strict=True)]
        found = self._model.encode(
            list(texts), prompt="", output_value=None, batch_size=self._batch_size, show_progress_bar=False
        )
        vectors = np.stack([item["sentence_embedding"].float().numpy() for item in found])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Encoded(vectors, tuple(self._signs(item) for item in found))

    def _signs(self, item: Mapping[str, Any]) -> Signs:
        """Of one text's token states but the first and the last; no rows where the model has none of its width."""
        states = item.get("token_embeddings")
        if states is None or states.shape[-1] != self._fingerprint.dimensions:
            return np.empty((0, (self._fingerprint.dimensions + 7) // 8), np.uint8)
        return pack_signs(states[item["attention_mask"].bool()].float().numpy()[1:-1])


def _cut(text: str, encoding: Encoding, most: int) -> str:
    """`text` up to where its first `most` tokens end, the closing special one among them."""
    return text if len(encoding.ids) <= most else text[: encoding.offsets[most - 2][1]]


def _weights_sha256(folder: Path) -> str:
    """Of the one file of weights below `folder`; of several, of their names and hashes.

    Of files, because parts that are missing in them get new random values at every start.
    """
    files = sorted(file for kind in ("*.safetensors", "*.bin") for file in folder.rglob(kind))
    hashes = [sha256_of_file(file) for file in files]
    if len(hashes) == 1:
        return hashes[0]
    together = "".join(f"{file.relative_to(folder)}\0{found}\0" for file, found in zip(files, hashes, strict=True))
    return hashlib.sha256(together.encode()).hexdigest()
