"""Reading what a vendor sent: every value is looked at before it is believed, and nothing but `Rejected` is raised."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from indexer.metadata import Audience
from service.connectors.contract import (
    ON,
    ConnectorConfig,
    Event,
    EventKind,
    Inbound,
    Rejected,
    RejectedReason,
)

JSON_TYPE = "application/json"
MAX_TEXT_CHARS = 20_000
"""Longer texts are cut: the symptom stands at the beginning, the rest is attachments and logs."""
MAX_ID_CHARS = 200
BY_STAFF = "a comment by staff"
"""Why a comment is ignored that is not the requester's: nobody answers the help desk's own words."""
_MAX_ITEMS = 50
_ID = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def require_content_type(inbound: Inbound, *allowed: str) -> str:
    """The media type of the body, which must be one of `allowed`."""
    given = inbound.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in allowed:
        raise Rejected(RejectedReason.WRONG_CONTENT_TYPE, f"the Content-Type must be {' or '.join(allowed)}")
    return given


def read_object(body: bytes | str) -> Mapping[str, Any]:
    """The JSON object in `body`."""
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise malformed("the body is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise malformed("the body is not a JSON object")
    return value


def object_at(data: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The object at `path`, empty if there is none."""
    value = _value_at(data, path)
    return value if isinstance(value, dict) else {}


def list_at(data: Mapping[str, Any], *path: str) -> Sequence[Any]:
    """The list at `path`, empty if there is none."""
    value = _value_at(data, path)
    return value if isinstance(value, list) else []


def objects_at(data: Mapping[str, Any], *path: str) -> list[Mapping[str, Any]]:
    """The objects in the list at `path`."""
    return [item for item in list_at(data, *path)[:_MAX_ITEMS] if isinstance(item, dict)]


def text_at(data: Mapping[str, Any], *path: str) -> str:
    """The text or number at `path` as clean text, empty if there is none."""
    value = _value_at(data, path)
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return str(value)
    return clean_text(value) if isinstance(value, str) else ""


def flag_at(data: Mapping[str, Any], *path: str) -> bool | None:
    """The boolean at `path`, or its name as text; None if it is neither."""
    value = _value_at(data, path)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def texts_at(data: Mapping[str, Any], *path: str) -> list[str]:
    """The texts of the list at `path`; a text with spaces or commas counts as a list of words."""
    value = _value_at(data, path)
    items = re.split(r"[\s,]+", value) if isinstance(value, str) else value if isinstance(value, list) else []
    return [clean_text(item)[:MAX_ID_CHARS] for item in items[:_MAX_ITEMS] if isinstance(item, str) and item.strip()]


def labels_at(data: Mapping[str, Any], *path: str) -> dict[str, str]:
    """The object of texts and numbers at `path`, as clean text."""
    given = object_at(data, *path)
    named = ((clean_text(name), text_at(given, name)) for name in list(given)[:_MAX_ITEMS])
    return {name: text for name, text in named if text}


def web_address(text: str) -> str:
    """`text` if it is a web address, else nothing: it becomes a link that people click."""
    return text if re.fullmatch(r"https?://[^\s<>\"']+", text) else ""


def required_id(data: Mapping[str, Any], *path: str, pattern: str = r"[\x21-\x7e]{1,200}") -> str:
    """The id at `path`; ids go into addresses, so each vendor gives the pattern of its own."""
    value = text_at(data, *path)
    if not re.fullmatch(pattern, value, re.ASCII):
        raise malformed(f"`{'.'.join(path)}` is missing or not an id of the expected form")
    return value


def delivery_id(given: str, *signed: bytes) -> str:
    """The vendor's id of a delivery, or a digest of what was `signed` where it gave none that can be kept."""
    return given if len(given) <= MAX_ID_CHARS and _ID.fullmatch(given) else f"sha256-{digest(*signed)}"


def digest(*parts: bytes) -> str:
    """Hex SHA-256 of the parts, each with its length, so that no two lists of parts have the same one."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()


def opaque(name: str) -> str:
    """A short digest of an id, an address or a name: enough to see that two are equal. Empty for nothing."""
    return digest(name.encode())[:24] if name else ""


def clean_text(text: str) -> str:
    """`text` of limited length, with plain newlines and without characters that no database takes."""
    plain = text[: 2 * MAX_TEXT_CHARS].replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", plain)[:MAX_TEXT_CHARS].strip()


def present(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in ("", None, [], {}, False)}


def is_on(config: ConnectorConfig, option: str) -> bool:
    """Whether an option is switched on: yes, true, on or 1."""
    return config.options.get(option, "").strip().lower() in ON


def reply_audience(config: ConnectorConfig, is_public: bool) -> Audience:
    """Who reads the answer to a ticket: the public only where replies are public and so were the words."""
    return Audience.PUBLIC if config.public_replies and is_public else Audience.INTERNAL


def why_no_comments(config: ConnectorConfig) -> str:
    """Why a comment gets no note, empty where the option `answer_comments` is on."""
    return "" if is_on(config, "answer_comments") else "comments are not answered (option answer_comments)"


def ignored(delivery: str, why: str, subject_id: str = "", replay_key: str = "", status: str = "") -> Event:
    """An authentic delivery of no interest, but for the `status` that the ticket has now."""
    fields = present(ignored=why, status=status)
    return Event(EventKind.IGNORED, delivery, subject_id=subject_id, fields=fields, replay_key=replay_key)


def malformed(detail: str) -> Rejected:
    """The rejection of a body that cannot be read."""
    return Rejected(RejectedReason.MALFORMED, detail)


def unknown_event(detail: str) -> Rejected:
    """The rejection of a kind of event that was never asked for."""
    return Rejected(RejectedReason.UNKNOWN_EVENT, detail)


def _value_at(data: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = data
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
