"""What the assistant takes and gives: plain frozen data, the same for CLI, HTTP, MCP and connectors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from indexer.errors import InputError

MAX_QUERY_CHARS = 20_000
"""More than a long ticket with a pasted log; a longer text is refused rather than cut without a word."""

MAX_RESULTS = 50


@dataclass(frozen=True, slots=True)
class Question:
    """A symptom, or a whole ticket.

    Half surrogates, as from a text that was cut in the middle of a character, become question marks.

    Attributes:
        text: the ticket's body, or all there is.
        title: the ticket's subject; empty where there is none.
        limit: how many suggestions to return at most.
    """

    text: str
    title: str = ""
    limit: int = 5

    def __post_init__(self) -> None:
        for name in ("text", "title"):
            object.__setattr__(self, name, getattr(self, name).encode("utf-8", "replace").decode())
        if not (self.text.strip() or self.title.strip()):
            raise InputError("the query is empty; type a symptom, an error message or a whole ticket")
        if len(self.text) + len(self.title) > MAX_QUERY_CHARS:
            raise InputError(f"the query is longer than {MAX_QUERY_CHARS} characters; send the part with the symptom")
        if not 1 <= self.limit <= MAX_RESULTS:
            raise InputError(f"limit must be from 1 to {MAX_RESULTS}")


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a snippet stands, so that anybody can check it against the source file.

    Attributes:
        path: the article's path below the indexed folder.
        heading_path: titles from the article down to the section.
        anchor: fragment of the section in the rendered article; empty before the first heading.
        start_line, end_line: 1-based, inclusive.
        start_byte, end_byte: 0-based, half-open, in the UTF-8 file as stored.
        sha256: of exactly those bytes.
        article_version: SHA-256 of the whole file.
    """

    path: str
    heading_path: tuple[str, ...]
    anchor: str
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    sha256: str
    article_version: str


@dataclass(frozen=True, slots=True)
class Snippet:
    """A cited piece of an article: one or a few whole sentences or lines that answer.

    Attributes:
        text: verbatim source, so its SHA-256 is the citation's.
        highlights: half-open character ranges of `text` that match the query's words.
    """

    text: str
    highlights: tuple[tuple[int, int], ...]
    citation: Citation


@dataclass(frozen=True, slots=True)
class Reason:
    """One named signal's part in an article's score.

    Attributes:
        signal: stable name: `passages`, `gist`, `opening`, `words`, `signature` or `tickets`.
        contribution: what it added to the score.
        detail: for a person: "error code ora-12154", "14 similar tickets were solved by this".
    """

    signal: str
    contribution: float
    detail: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One ranked article.

    Attributes:
        score: comparable within one answer only.
        reasons: why it matched, the strongest first.
    """

    article_id: str
    path: str
    title: str
    summary: str
    audience: str
    type: str | None
    confidence: str | None
    products: tuple[str, ...]
    score: float
    reasons: tuple[Reason, ...]
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """A word of the question that was taken for a misspelt one.

    Attributes:
        written: as it stands there.
        read_as: as it was read: a word of an article that the caller may see.
    """

    written: str
    read_as: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The assistant's answer.

    Attributes:
        answered: whether the top suggestion is trusted; if not, `suggestions` is what came nearest, shown as such to
            engineers and not at all to customers.
        confidence: calibrated probability, 0 to 1, that the top suggestion resolves the question.
        threshold: `answered` means confidence of at least this.
        suggestions: best first.
        signatures: error signatures found in the question, each with its kind: "status: http 401".
        clarification: one question whose answer would separate the leading articles; None where none would.
        index_version: the index that answered.
        took_ms: time in the assistant, milliseconds.
        corrections: misspelt words of the question and what they were read as, in their order.
    """

    answered: bool
    confidence: float
    threshold: float
    suggestions: tuple[Suggestion, ...]
    signatures: tuple[str, ...]
    clarification: str | None
    index_version: str
    took_ms: float
    corrections: tuple[Correction, ...]

    @property
    def sure_percent(self) -> int:
        """The confidence as people are told it, 0 to 99: no answer is certain."""
        return min(99, round(100 * self.confidence))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values; field names are the contract of `--json` and of `/v1`."""
        return asdict(self)
