"""Answers given before, and tags by which a browser asks whether one still holds.

An answer is a function of index version, scope and question, so an entry never goes stale and never needs a lifetime.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence

from indexer.scope import Scope
from service.answers import Answer, Question

MAX_CACHED_CHARS = 2_000
"""A longer question is a pasted ticket or log, which nobody sends twice."""


_PROCESS = secrets.token_hex(8)
"""In every tag: what another process answered, perhaps of another release or with other settings, does not count."""


class AnswerCache:
    """The latest answers by index version, scope and question. Thread-safe; holds digests and never a question."""

    def __init__(self, size: int) -> None:
        """
        Args:
            size: answers kept, the least recently used dropped first; 0 keeps none.
        """
        self._size = size
        self._lock = threading.Lock()
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._version = ""

    def find(self, version: str, scope: Scope, question: Question) -> Answer | None:
        """The answer that index `version` gave to exactly this question in exactly this scope."""
        if not self._takes(question):
            return None
        key = _digest(version, scope, question)
        with self._lock:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
            return found

    def keep(self, answer: Answer, scope: Scope, question: Question) -> None:
        """Remember `answer`. The first one of a new index version drops all of the one before."""
        if not self._takes(question):
            return
        key = _digest(answer.index_version, scope, question)
        with self._lock:
            if answer.index_version != self._version:
                self._answers.clear()
                self._version = answer.index_version
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)

    def __len__(self) -> int:
        return len(self._answers)

    def _takes(self, question: Question) -> bool:
        return self._size > 0 and len(question.text) + len(question.title) <= MAX_CACHED_CHARS


def answer_tag(version: str, scope: Scope, question: Question) -> str:
    """A weak ETag of the answer, the same for byte-different answers that say the same (they differ in `took_ms`)."""
    return f'W/"{_digest(_PROCESS + version, scope, question).hex()[:32]}"'


def content_tag(*parts: str) -> str:
    """A strong ETag of what is made of `parts` by this process, which may be another release than the one before."""
    return f'"{hashlib.sha256(_frame((_PROCESS, *parts))).hexdigest()[:32]}"'


def is_current(tag: str, if_none_match: str) -> bool:
    """Whether the `If-None-Match` header names `tag`, or whatever there is, compared weakly (RFC 9110, 13.1.2)."""
    given = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return tag.removeprefix("W/") in given or given == {"*"}


def _digest(version: str, scope: Scope, question: Question) -> bytes:
    """32 bytes. Every part is preceded by its length, so no two keys run into each other."""
    asked = (question.title, question.text, str(question.limit))
    groups: tuple[Sequence[str], ...] = ((version,), sorted(scope.audiences), sorted(scope.products), asked)
    return hashlib.sha256(b"".join(_frame(group) for group in groups)).digest()


def _frame(parts: Sequence[str]) -> bytes:
    framed = [len(parts).to_bytes(4, "big")]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        framed += (len(data).to_bytes(8, "big"), data)
    return b"".join(framed)
