"""Attachments of imported pages: downloaded into a folder beside the article, each page's once in a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from indexer.articles import ARTICLE_SUFFIXES
from indexer.errors import PageError
from indexer.importing.files import remove_file, safe_path, target_file, unique_path, write_file
from indexer.importing.pages import Page, Source
from indexer.importing.reporting import Report, Trouble

MAX_ATTACHMENT_BYTES = 200 * 1024**2


class Attachments:
    """Downloads what pages of one source have attached. Tells `report` what it got and what it could not get."""

    def __init__(self, source: Source, folder: Path, report: Report) -> None:
        self._source, self._folder, self._report = source, folder, report
        self._done: set[str] = set()

    def has(self, page_id: str) -> bool:
        """Whether this page's were downloaded in this run."""
        return page_id in self._done

    def download(self, page_id: str, page: Page, path: str, earlier: Sequence[str]) -> tuple[list[str], list[str]]:
        """Paths of the files stored for the article at `path`, and names of the attachments that could not be had.

        A file of an earlier run stays where its attachment cannot be had now, and goes where there is none any more.

        Args:
            earlier: paths that were stored before.
        """
        self._done.add(page_id)
        folder, taken = PurePosixPath(path).with_suffix(".files"), set[str]()
        before = {PurePosixPath(old).name: old for old in earlier}
        stored: list[str] = []
        missing: list[str] = []
        for item in page.attachments:
            name = PurePosixPath(safe_path(item.name)).name
            if PurePosixPath(name).suffix.lower() in ARTICLE_SUFFIXES:
                name += ".txt"  # or the indexer would take it for an article
            target = unique_path(f"{folder}/{name}", taken)
            taken.add(target.casefold())
            try:
                write_file(self._file(target), _bounded(self._source.read_attachment(item)))
            except PageError as error:
                self._report.failed.append(Trouble(page_id, f"{page.title}: {item.name}", str(error)))
                missing.append(item.name)
                if (old := before.get(PurePosixPath(target).name)) and self._file(old).exists():
                    stored.append(old)
                continue
            stored.append(target)
            self._report.attachments += 1
        for old in before.values():
            if old not in stored:
                remove_file(self._folder, self._file(old))
        return stored, missing

    def _file(self, path: str) -> Path:
        return target_file(self._folder, path)


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    size_bytes = 0
    for piece in pieces:
        size_bytes += len(piece)
        if size_bytes > MAX_ATTACHMENT_BYTES:
            raise PageError(f"is larger than {MAX_ATTACHMENT_BYTES // 1024**2} MiB")
        yield piece
