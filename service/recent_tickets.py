"""A file of recent tickets, as a help desk exports them, in the form that triage compares with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import DatasetError
from service.answers import MAX_QUERY_CHARS, Question
from service.queries import read_question
from service.triage_similar import CLOSED_STATUSES, RecentTicket

if TYPE_CHECKING:
    from service.assistant import Assistant

_MAX_TITLE_CHARS = 1000


def read_recent(file: Path, assistant: Assistant) -> list[RecentTicket]:
    """Read `{"_id", "title", "text", "created"}` a line, and embed the texts.

    `created` is an ISO time with its zone. Optional: `status` (open unless it is closed, solved, resolved, done,
    cancelled or canceled), `incident` (true for a declared incident), `account` (who sent it), `url`.

    Raises:
        DatasetError: naming file and line.
    """
    from service.triage import question_vectors

    values = list(_lines(file))
    if not values:
        raise DatasetError(f"{file} holds no ticket; write one JSON object a line with `_id`, `text` and `created`")
    questions = [question for _, question, _ in values]
    vectors = question_vectors(assistant, questions)
    return [
        RecentTicket(
            ticket_id=str(record["_id"]),
            vector=vector,
            created_s=created_s,
            signatures=read_question(question).signatures,
            is_open=str(record.get("status") or "open").casefold() not in CLOSED_STATUSES,
            is_incident=record.get("incident") is True,
            title=question.title,
            url=str(record.get("url") or ""),
            account=str(record.get("account") or ""),
        )
        for (record, question, created_s), vector in zip(values, vectors, strict=True)
    ]


def read_time(text: str) -> float:
    """Unix seconds of an ISO time that names its zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    return moment.timestamp()


def _lines(file: Path) -> Iterator[tuple[dict[str, Any], Question, float]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"recent tickets {file} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{where}: is not JSON ({error}); write one object a line") from error
        if not isinstance(record, dict) or not record.get("_id"):
            raise DatasetError(f"{where}: must be a JSON object with an `_id`")
        title, text = str(record.get("title") or ""), str(record.get("text") or "")
        if not (title.strip() or text.strip()):
            raise DatasetError(f"{where}: has neither `title` nor `text`")
        try:
            created_s = read_time(str(record.get("created") or ""))
        except ValueError as error:
            raise DatasetError(f"{where}: `created` must be an ISO time with its zone: {error}") from error
        title = title[:_MAX_TITLE_CHARS]
        yield record, Question(text[: MAX_QUERY_CHARS - len(title)], title), created_s
