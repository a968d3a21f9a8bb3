"""BEIR corpora as folders of Markdown, so that they are indexed by exactly the code that indexes articles.

Layout as of Thakur et al., "BEIR", NeurIPS 2021: `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`,
`text`), `qrels/<split>.tsv` (header row; query, document, grade).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import yaml

from indexer.articles import find_articles
from indexer.errors import DatasetError
from service.json_lines import Record, read_records

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 200
"""Bytes in one path part; file systems allow 255."""

_TITLE_CHARS = 100


def path_of_document(doc_id: str) -> str:
    """A relative path that any file system takes, from which `document_of_path` gets `doc_id` back.

    Everything but ASCII letters, digits, `_` and `-` becomes `%XX` for each byte of its UTF-8 form; a long id is laid
    out over folders.
    """
    safe = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), doc_id)
    parts = [safe[start : start + _LONGEST_NAME] for start in range(0, len(safe), _LONGEST_NAME)]
    return "/".join(parts) + ".md"


def document_of_path(path: str) -> str:
    """The document id that `path_of_document` made `path` from."""
    return unquote(path.removesuffix(".md").replace("/", ""))


def write_corpus(corpus: Path, folder: Path) -> None:
    """Make `folder` hold one Markdown article for every document of `corpus`, and no other file.

    Files that are right already are left alone, so a second run costs little and re-embeds nothing.

    Raises:
        DatasetError: a malformed line or a document id that comes twice.
    """
    seen: dict[str, str] = {}
    for record in read_records(corpus):
        doc_id = record.name("_id")
        if doc_id in seen:
            raise DatasetError(f"{record.where}: document {doc_id!r} is already at {seen[doc_id]}; ids must be unique")
        seen[doc_id] = record.where
        _write_changed(folder / path_of_document(doc_id), _article_text(record))
    _remove_others(folder, map(path_of_document, seen))


def _article_text(record: Record) -> str:
    title = " ".join(record.text("title", "").split())
    body = record.text("text", "").replace("\0", " ").strip()
    if not title:
        first = " ".join(body[: 4 * _TITLE_CHARS].split())
        title = re.split(r"(?<=[.!?])\s", first)[0][:_TITLE_CHARS]
    front = yaml.safe_dump({"title": title}, allow_unicode=True, width=10**9)
    return f"---\n{front}---\n\n{body or title}\n"


def _write_changed(file: Path, text: str) -> None:
    data = text.encode("utf-8", "replace")
    if not file.is_file() or file.read_bytes() != data:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def _remove_others(folder: Path, wanted: Iterable[str]) -> None:
    keep = {PurePosixPath(path) for path in wanted}
    for file in find_articles(folder):
        if PurePosixPath(file.relative_to(folder).as_posix()) not in keep:
            file.unlink()
