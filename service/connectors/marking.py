"""The mark on every note: how an interrupted delivery finds it again, and how our own words are known on return."""

from __future__ import annotations

import re

from service.connectors.contract import Event
from service.connectors.reading import digest

_PREFIX = "symptom-kb:"
_MARK = re.compile(rf"{_PREFIX}[0-9a-f]{{16}}")


def note_marker(event: Event) -> str:
    """The mark of the one note about `event`: the same at every attempt, another for every event."""
    return _PREFIX + digest(event.subject_id.encode(), event.delivery_id.encode())[:16]


def is_own_note(text: str) -> bool:
    """Whether `text` ends with a mark. A reply that quotes a note is not ours: the mark is not its last line."""
    lines = text.strip().splitlines()
    return bool(lines) and not lines[-1].lstrip().startswith(">") and _MARK.search(lines[-1]) is not None
