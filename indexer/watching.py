"""Rebuild whenever an article changes, until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, watch

from indexer.articles import ARTICLE_SUFFIXES

_DEBOUNCE_MS = 1500
_QUIET_MS = 250


def watch_articles(
    source_dir: Path,
    index_dir: Path,
    rebuild: Callable[[], None],
    *,
    stop: threading.Event | None = None,
    debounce_ms: int = _DEBOUNCE_MS,
    quiet_ms: int = _QUIET_MS,
) -> None:
    """Call `rebuild` once at the start and after every burst of changes below `source_dir`; return when stopped.

    The watch is in place before the first call, so a change made while a build runs leads to another build. A folder
    that takes the place of `source_dir`, as a deployment does that turns a link, is watched from then on.

    Args:
        index_dir: passed over even if it lies inside `source_dir`, so that a build never wakes itself.
        stop: ends the watch when set. Ctrl-C ends it as well, without an exception.
        debounce_ms: a burst is cut off after this long.
        quiet_ms: a burst ends after this long without a change.
    """
    index, stop = index_dir.resolve(), stop or threading.Event()

    def watch_folder(seen: tuple[int, int]) -> None:
        """Until the folder is another one than `seen`, or `stop` is set."""
        root, started = source_dir.resolve(), False
        for changes in watch(
            root,
            watch_filter=lambda _change, path: concerns_articles(root, index, Path(path)),
            stop_event=stop,
            debounce=debounce_ms,
            step=quiet_ms,
            rust_timeout=quiet_ms,
            yield_on_timeout=True,
        ):
            if changes or not started:
                started = True
                rebuild()
            if (Change.deleted, str(root)) in changes or _identity(source_dir) != seen:
                return

    try:
        while not stop.is_set():
            try:
                if seen := _identity(source_dir):
                    watch_folder(seen)
            except FileNotFoundError:
                if _identity(source_dir):
                    raise
            stop.wait(quiet_ms / 1000)
    except KeyboardInterrupt:
        return


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells the folder from one that has taken its name, behind a link too; None if there is none just now."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def concerns_articles(root: Path, index: Path, path: Path) -> bool:
    """Whether a change of `path` below `root` can change the index: an article, or what may be a folder of them."""
    if path.is_relative_to(index) or not path.is_relative_to(root):
        return False
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        return False
    return path.suffix.lower() in ARTICLE_SUFFIXES or not path.is_file()
