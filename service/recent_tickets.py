"""A file of recent tickets, as a help desk exports them, in the form that triage compares with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import DatasetError
from indexer.scope import INTERNAL
from service.answers import MAX_QUERY_CHARS, Question
from service.json_lines import Record, read_records
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
    records = list(read_records(file))
    if not records:
        raise DatasetError(f"{file} holds no ticket; write one JSON object a line with `_id`, `text` and `created`")
    ids = [record.name("_id") for record in records]
    questions = [_question(record) for record in records]
    times = [_created_s(record) for record in records]
    vectors = assistant.vectors(questions, INTERNAL)
    return [
        RecentTicket(
            ticket_id=ticket_id,
            vector=vector,
            created_s=created_s,
            signatures=read_question(question).signatures,
            is_open=record.text("status", "open").casefold() not in CLOSED_STATUSES,
            is_incident=record.values.get("incident") is True,
            title=question.title,
            url=record.text("url", ""),
            account=record.name("account", ""),
        )
        for record, ticket_id, question, created_s, vector in zip(records, ids, questions, times, vectors, strict=True)
    ]


def read_time(text: str) -> float:
    """Unix seconds of an ISO time that names its zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    return moment.timestamp()


def _question(record: Record) -> Question:
    title, text = record.title_and_text()
    title = title[:_MAX_TITLE_CHARS]
    return Question(text[: MAX_QUERY_CHARS - len(title)], title)


def _created_s(record: Record) -> float:
    try:
        return read_time(record.text("created", ""))
    except ValueError as error:
        raise DatasetError(f'{record.where}: "created" must be an ISO time with its zone: {error}') from error
