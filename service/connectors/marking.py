"""The mark on every note: how an interrupted delivery finds it again, and how our own words are known on return."""

from __future__ import annotations

import re
from collections.abc import Collection

from service.connectors.calling import clip
from service.connectors.contract import ConnectorConfig, Event, Note
from service.connectors.markup import to_plain, to_quiet_markdown
from service.connectors.reading import digest

_PREFIX = "symptom-kb:"
_MARK = re.compile(rf"{_PREFIX}[0-9a-f]{{16}}")


def note_marker(event: Event) -> str:
    """The mark of the one note about `event`: the same at every attempt, another for every event."""
    return _PREFIX + digest(event.subject_id.encode(), event.delivery_id.encode())[:16]


def note_message_id(event: Event) -> str:
    """The mark as a `webhook-id` or the first half of a Message-ID."""
    return note_marker(event).replace(":", "-")


def is_own_note(text: str) -> bool:
    """Whether `text` ends with a mark. A reply that quotes a note is not ours: the mark is not its last line."""
    lines = text.strip().splitlines()
    return bool(lines) and not lines[-1].lstrip().startswith(">") and _MARK.search(lines[-1]) is not None


def why_own(config: ConnectorConfig, authors: Collection[str], *texts: str) -> str:
    """Why a delivery is our own words coming back, empty if it is not: by the option `author_id`, or by the mark."""
    if config.options.get("author_id", "") in set(authors) - {""}:
        return "written by this integration"
    return "one of our own notes" if any(is_own_note(text) for text in texts) else ""


def plain_note(note: Note, event: Event, max_chars: int) -> str:
    """The note as plain text, with its mark as the last line."""
    return f"{clip(to_plain(note.markdown), max_chars)}\n\n{note_marker(event)}"


def forge_note(note: Note, event: Event, max_chars: int) -> str:
    """The note as Markdown for a code forge, with its mark in a comment that is not shown."""
    return f"{clip(to_quiet_markdown(note.markdown.rstrip()), max_chars)}\n\n<!-- {note_marker(event)} -->"
