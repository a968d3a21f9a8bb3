"""The last good version of a file that is malformed just now, for `kb index --watch`: one bad save, or half of one,
must not take an article away from those who read it.

What was good stays only while it cannot do harm: the file is still there with text in it, and nothing in it takes back
what the kept version shows. A public article stays public only while the front matter still plainly says `public`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

from indexer.errors import ArticleError, IndexCorrupt, IndexMismatch, IndexNotFound, NoText
from indexer.metadata import Audience
from indexer.snapshot import Manifest, check_files, current_version
from indexer.store import ArticleStore

Keep = Callable[[bytes, ArticleError], bytes | None]
"""Given a malformed file's bytes and what is wrong with it: the bytes to index in its place, None for none."""

_PLAINLY_PUBLIC = re.compile(r"""(["']?)audience\1[ \t]*:[ \t]+(["']?)public\2[ \t]*(?:#.*)?""")

_MAYBE_DRAFT = re.compile(r"""[ \t]*["']?(?:draft|published)\b""", re.IGNORECASE)


def keep_nothing(_data: bytes, _error: ArticleError) -> bytes | None:
    """A malformed file is left out."""
    return None


class LastGood:
    """What the live version below an index directory holds of files. Opened and verified when first asked."""

    def __init__(self, index_dir: Path, default_audience: Audience) -> None:
        self._index_dir, self._default = index_dir, default_audience
        self._store: ArticleStore | None = None
        self._is_opened = False

    def __call__(self, data: bytes, error: ArticleError) -> bytes | None:
        """The source that the live version has of the file, if that may stay in its place."""
        if isinstance(error, NoText):  # emptied: taken back, as if it were deleted
            return None
        store = self._opened()
        row = store.row_of_path(error.path) if store else None
        if store is None or row is None:
            return None
        article = store.article(row)
        would_be = article.meta.audience or self._default
        if would_be is Audience.PUBLIC and not still_public(data, self._default):
            return None
        return article.source.data

    def _opened(self) -> ArticleStore | None:
        if not self._is_opened:
            self._is_opened = True
            try:
                folder = self._index_dir / current_version(self._index_dir)
                check_files(folder, Manifest.read(folder))
                self._store = ArticleStore(folder)
            except (IndexNotFound, IndexCorrupt, IndexMismatch, OSError):
                self._store = None
        return self._store


def still_public(data: bytes, default_audience: Audience) -> bool:
    """Whether a file that cannot be parsed says beyond doubt that its article is public.

    Every line of its front matter that holds the word must be `audience: public`. Without such a line it is what
    `default_audience` says, if all of the file can be read. In doubt it is not, and so if it might be a draft.
    """
    text = data.decode("utf-8-sig", "replace")
    first, *lines = re.split(r"\r\n|\r|\n", text)
    is_front = first.rstrip() == "---"
    # Without front matter it is malformed for what stands in its place, TOML say, so all of the file is looked at.
    front = list(takewhile(lambda line: not line.startswith("---"), lines)) if is_front else [first, *lines]
    if any(_MAYBE_DRAFT.match(line) for line in front):
        return False
    told = [line for line in front if "audience" in line.casefold()]
    if told:
        return all(_PLAINLY_PUBLIC.fullmatch(line.rstrip()) for line in told)
    is_readable = "\ufffd" not in text and "\0" not in text and "internal" not in "\n".join(front).casefold()
    return is_readable and default_audience is Audience.PUBLIC
