"""Small data sets for the tests of `eval`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eval.datasets import Ticket
from eval.runner import Outcome


def write_lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON Lines and return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write_text(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def write_dataset(folder: Path) -> Path:
    """Labels for the articles of the `small_world` fixture, which lie in `folder`/articles."""
    write_lines(
        folder / "queries.jsonl",
        [
            {"_id": "t1", "title": "401 from the API", "text": "Every call answers 401 invalid_token since noon."},
            {"_id": "t2", "title": "", "text": "ORA-12154 TNS could not resolve the connect identifier"},
            {"_id": "t3", "title": "Mail bounces", "text": "550 5.7.26 authentication missing", "audience": "public"},
        ],
    )
    write_text(folder / "qrels.tsv", "t1\tauth/token-expired.md\t1\nt2\tdb/listener.md\t1\nt3\tmail/bounce.md\t1\n")
    write_lines(
        folder / "no_answer.jsonl",
        [
            {"_id": "n1", "title": "Lunch", "text": "What is for lunch in the canteen?", "kind": "off_topic"},
            {"_id": "n2", "text": "The printer is out of toner", "kind": "same_product"},
        ],
    )
    return folder


def outcome(
    query_id: str,
    ranked: Iterable[str] = (),
    *,
    labels: Mapping[str, int] | None = None,
    confidence: float = 0.8,
    suggested: bool = True,
    kind: str | None = None,
) -> Outcome:
    """An outcome with made-up scores; answerable exactly if it has labels and no kind."""
    ticket = Ticket(query_id, "", "text", labels=labels or {}, kind=kind)
    scored = tuple((path, 10.0 - rank) for rank, path in enumerate(ranked))
    return Outcome(ticket, scored, confidence, suggested, 1.0)
