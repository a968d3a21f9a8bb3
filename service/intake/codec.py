"""Events and notes as JSON text, as they wait in the database."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from indexer.metadata import Audience
from service.connectors.contract import Event, EventKind, Note, NoteLink


def encode_event(event: Event) -> str:
    """`event` as JSON."""
    return _encode(asdict(event))


def decode_event(text: str) -> Event:
    """The event that `encode_event` wrote."""
    values = json.loads(text)
    return Event(**{**values, "kind": EventKind(values["kind"]), "audience": Audience(values["audience"])})


def encode_note(note: Note) -> str:
    """`note` as JSON."""
    return _encode(asdict(note))


def decode_note(text: str) -> Note:
    """The note that `encode_note` wrote."""
    values = json.loads(text)
    links = tuple(NoteLink(**link) for link in values["links"])
    return Note(**{**values, "links": links, "tags": tuple(values["tags"])})


def _encode(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
