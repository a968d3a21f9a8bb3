"""This project in the harness: `build_index` and `Assistant`, as in production."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.peers.harness import Found, main

if TYPE_CHECKING:
    from indexer.embedding import Embedder
    from service.assistant import Assistant


class Ours:
    """Reads, parses and chunks the articles itself, where the peers are handed finished chunks."""

    _embedder: Embedder
    _assistant: Assistant

    def prepare(self, job: dict[str, Any]) -> None:
        from indexer.embedding import load_embedder
        from service import assistant  # noqa: F401 (importing is part of preparing)

        self._embedder = load_embedder()

    def build(self, job: dict[str, Any], folder: Path) -> None:
        from indexer.building import build_index

        build_index(Path(job["articles_dir"]), folder, self._embedder)

    def load(self, folder: Path) -> None:
        from service.assistant import Assistant

        self._assistant = Assistant(folder, self._embedder)

    def search(self, title: str, text: str, limit: int, without: frozenset[str] = frozenset()) -> Found:
        from indexer.scope import INTERNAL
        from service.answers import Question

        answer = self._assistant.answer(Question(text, title, limit), INTERNAL, without)
        return Found([(found.path, found.score) for found in answer.suggestions], answer.confidence)

    def replace(self, job: dict[str, Any], folder: Path, article: str, texts: list[str]) -> None:
        from indexer.building import build_index

        file = Path(job["articles_dir"], article)
        sentence = texts[-1][texts[-1].rindex("Revision ") :]
        file.write_text(f"{file.read_text(encoding='utf-8').rstrip()}\n\n{sentence}\n", encoding="utf-8")
        build_index(Path(job["articles_dir"]), folder, self._embedder)


if __name__ == "__main__":
    main(Ours())
