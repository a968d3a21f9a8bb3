"""What an earlier import left: `.kb-import.json` in the target folder, hidden from the indexer."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from indexer.errors import SourceError
from indexer.importing.files import write_file
from indexer.metadata import Audience

STATE_FILE = ".kb-import.json"
_LOCK_FILE = ".kb-import.lock"
FORMAT = 1
CONVERTER = 2
"""Raise it when the same page comes out differently: every page is then converted again."""


@dataclass(frozen=True, slots=True)
class Record:
    """One imported page.

    Attributes:
        path: its file, below the target folder.
        article_id: the id in its front matter; outlasts a rename.
        version: `PageRef.version` when it was written.
        content_key: `PageRef.content_key` then.
        file_sha256: hash of the file as written; any other content is a local edit.
        next_sha256: hash of what is about to be written; empty except while that happens, or after a crash in it.
        links: what links to other pages led to, by their address at the source; empty for pages not imported.
        anchors: names of places in the page, for links of other pages.
        attachments: names of its attachments.
        stored: files of downloaded attachments, below the target folder.
        missing: attachments not stored as they are now: not asked for, or the download failed; those in `stored` with
            such a name are of an earlier run.
    """

    path: str
    title: str
    article_id: str
    version: str
    content_key: str
    audience: Audience
    file_sha256: str
    next_sha256: str = ""
    links: dict[str, str] = field(default_factory=dict)
    anchors: dict[str, str] = field(default_factory=dict)
    attachments: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def is_ours(self, data: bytes) -> bool:
        """Whether an import wrote these bytes, so that nobody's edit is lost with them."""
        return hashlib.sha256(data).hexdigest() in {self.file_sha256, self.next_sha256}


@dataclass
class State:
    """Everything imported into one folder, by page id. It belongs to one `place` of one `kind`.

    Attributes:
        cursor: `Source.cursor` of the last run.
        converter: `CONVERTER` of the last run.
        empty: versions of pages that had no text, by page id; not asked for again until they change.
    """

    kind: str
    place: str
    cursor: str = ""
    converter: int = CONVERTER
    pages: dict[str, Record] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Replace the state file atomically."""
        values = {
            "format": FORMAT,
            "converter": self.converter,
            "kind": self.kind,
            "place": self.place,
            "cursor": self.cursor,
            "empty": self.empty,
            "pages": {page_id: asdict(record) for page_id, record in sorted(self.pages.items())},
        }
        write_file(folder / STATE_FILE, json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n")


def load_state(folder: Path, kind: str, place: str) -> State:
    """The state of `folder`; an empty one before the first import.

    Raises:
        SourceError: the folder was filled from somewhere else, or its state cannot be read.
    """
    file = folder / STATE_FILE
    if not file.exists():
        return State(kind, place)
    try:
        values = json.loads(file.read_bytes())
        if values["format"] != FORMAT:
            raise SourceError(f"{file} has format {values['format']}, this program reads {FORMAT}")
        pages = {
            page_id: Record(**{**record, "audience": Audience(record["audience"])})
            for page_id, record in values["pages"].items()
        }
        state = State(values["kind"], values["place"], values["cursor"], values["converter"], pages, values["empty"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{file} cannot be read ({error}); restore it, or move the folder away and import again"
        ) from error
    if (state.kind, state.place) != (kind, place):
        raise SourceError(
            f"{folder} was filled by `kb import {state.kind}` from {state.place}; give each source a folder of its own"
        )
    return state


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` for one import. The system releases it if the process dies."""
    with (folder / _LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceError(f"another `kb import` is writing to {folder}; wait for it to end") from error
        yield
