"""Events and notes as JSON text, as they wait in the database.

What a newer version stored is read without the names that this one does not know: a rollback must not stop the queue.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from indexer.metadata import Audience
from service.connectors.contract import Event, EventKind, Note, NoteLink


def encode_event(event: Event) -> str:
    """`event` as JSON."""
    return _encode(asdict(event))


def decode_event(text: str) -> Event:
    """The event that `encode_event` wrote. Raises ValueError, TypeError or KeyError if it is none."""
    values = _known(Event, json.loads(text))
    return Event(**{**values, "kind": EventKind(values["kind"]), "audience": Audience(values["audience"])})


def encode_note(note: Note) -> str:
    """`note` as JSON."""
    return _encode(asdict(note))


def decode_note(text: str) -> Note:
    """The note that `encode_note` wrote. Raises ValueError, TypeError or KeyError if it is none."""
    values = _known(Note, json.loads(text))
    links = tuple(NoteLink(**_known(NoteLink, link)) for link in values["links"])
    return Note(**{**values, "links": links, "tags": tuple(values["tags"]), "claims": tuple(values.get("claims", ()))})


def _known(kind: type[Event | Note | NoteLink], values: Any) -> dict[str, Any]:
    """Those of `values` that `kind` has a place for."""
    if not isinstance(values, dict):
        raise ValueError(f"no {kind.__name__} is stored here")  # noqa: TRY004 -- it is the text that is wrong
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _encode(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
