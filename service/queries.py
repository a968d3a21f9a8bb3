"""What a ticket asks: its views, its searchable text, its error signatures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from indexer.declared import BARE_NUMBER, number_in_words
from indexer.signatures import extract_signatures, signature_key
from service.answers import Question
from service.html_text import html_text, is_html
from service.logs import without_ordinary_lines
from service.mail import without_notices, written_lines

_CUT = "\n\n"
_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?!\w)")
_FEWEST_REPEATED = 6
"""Words of a line that can repeat another. Short ones differ by a number that says it all: "error 401", "error 403"."""


@dataclass(frozen=True, slots=True)
class QueryViews:
    """A question in the forms that retrieval compares.

    Attributes:
        title: the subject, or the first sentence where there is none.
        body: the symptom-bearing part of the text.
        full: title and body, as one text to embed.
        words: what the word searches read: the title twice, for it was chosen to say what matters, and the body.
        signatures: exact error signatures of everything that was sent, quoted mail included, but for the ordinary lines
            of a log and the notices of mail servers.
    """

    title: str
    body: str
    full: str
    words: str
    signatures: frozenset[str]


def read_question(question: Question) -> QueryViews:
    """The views of `question`. Never empty: where cleaning would leave nothing, the text stays as it came."""
    title = " ".join(question.title.split())
    text = (html_text(question.text) if is_html(question.text) else "") or question.text
    body = symptom_text(text)
    full = f"{title.rstrip('.')}. {body}" if title and body else title or body
    told = "\n".join(without_ordinary_lines(without_notices(text.splitlines()))) or text
    if number := BARE_NUMBER.fullmatch(full):
        told = number_in_words(number[1])
    signatures = frozenset(signature_key(signature) for signature in extract_signatures(f"{question.title}\n{told}"))
    return QueryViews(title or _first_sentence(body), body or title, full, f"{title}\n{title}\n{body}", signatures)


@dataclass(frozen=True, slots=True)
class ShortenedText:
    """A text that is not longer than was asked for.

    Attributes:
        first, last: how many characters of the whole text it begins and ends with; `last` is 0 if nothing was cut.
        whole: how many characters the whole text has.
    """

    text: str
    first: int
    last: int
    whole: int

    @property
    def is_cut(self) -> bool:
        return self.first + self.last < self.whole


def shorten_text(text: str, most: int) -> ShortenedText:
    """The head and the tail of `text`, `most` characters together, cut at line ends where there are some near.

    A ticket says at its beginning what is wrong, and the log below it says at its end what failed.
    """
    if len(text) <= most:
        return ShortenedText(text, len(text), 0, len(text))
    room = max(0, most - len(_CUT))
    head, tail = text[: room - room // 2], text[len(text) - room // 2 :]
    if (end := head.rfind("\n") + 1) > len(head) // 2:
        head = head[:end]
    if 0 < (start := tail.find("\n") + 1) < len(tail) // 2:
        tail = tail[start:]
    return ShortenedText(f"{head}{_CUT}{tail}"[:most], len(head), len(tail), len(text))


def symptom_text(text: str) -> str:
    """What of `text` tells the symptom.

    What surrounds it in a mail (`service.mail`), the ordinary lines of a log and the places of a stack trace
    (`service.logs`) are left out, and of lines whose words repeat, whatever times and numbers stand between them, the
    first is kept: told hundreds of times, it says no more and drowns what was written above it. Where nothing would be
    left, it is `text` without its outer white space.
    """
    kept = "\n".join(_once(without_ordinary_lines(written_lines(text.splitlines()))))
    return re.sub(r"\n{3,}", "\n\n", kept).strip() or text.strip()


def _once(lines: Iterable[str]) -> Iterator[str]:
    """Those that do not repeat the words of an earlier one."""
    told: set[tuple[str, ...]] = set()
    for line in lines:
        words = tuple(_WORD.findall(line))
        if words not in told:
            yield line
        if len(words) >= _FEWEST_REPEATED:
            told.add(words)


def _first_sentence(text: str) -> str:
    match = re.match(r".{10,200}?(?:[.!?](?=\s)|\n|$)", text, re.DOTALL)
    return (match.group() if match else text[:200]).strip()
