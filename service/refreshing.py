"""Taking up newly published versions of the index while questions are answered."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from indexer.errors import KBError
from indexer.snapshot import current_version

if TYPE_CHECKING:
    from service.assistant import Assistant

logger = logging.getLogger("kb.serve")

TROUBLES = (OSError, ValueError, RuntimeError)
"""What opening an index raises besides KBError: files that are gone or not ours to read, engines that refuse them."""

_RETRY_BROKEN_S = 30.0


class Refresher:
    """Moves an assistant to the version that is published. A broken one is logged once and looked at now and then."""

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._broken: tuple[str, float] = ("", 0.0)
        """Name of a version that could not be opened, and when it was last tried."""

    def refresh(self, assistant: Assistant) -> Literal["", "taken", "refused"]:
        """What became of a new version; empty if there is none, or none that was not refused before.

        It never raises what opening an index can raise: the old version goes on.
        """
        published = ""
        try:
            published = current_version(self._index_dir)
            name, tried = self._broken
            if published == name and time.monotonic() - tried < _RETRY_BROKEN_S:
                return ""
            taken = assistant.refresh()
        except KBError as error:
            return self._refuse(assistant, published, str(error))
        except TROUBLES as error:
            return self._refuse(assistant, published, f"{type(error).__name__} while it was opened")
        self._broken = ("", 0.0)
        if not taken:
            return ""
        logger.info("now serving index %s", assistant.index_version)
        return "taken"

    def _refuse(self, assistant: Assistant, published: str, message: str) -> Literal["", "refused"]:
        name = published or "unnamed"
        is_known = name == self._broken[0]
        self._broken = (name, time.monotonic())
        if is_known:
            return ""
        logger.error("a new index is not served, %s goes on: %s", assistant.index_version, message)
        return "refused"
