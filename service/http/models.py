"""Bodies of requests and responses. An answer is the assistant's own `Answer`; its field names are the contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field

from indexer.store import ArticleCard
from service.answers import MAX_QUERY_CHARS, MAX_RESULTS, Answer, Question, Snippet, Suggestion
from service.triage import Triage


def _encodable(text: str) -> str:
    """JSON can smuggle in half a surrogate pair, which is no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds characters that are not valid Unicode") from None
    return text


def _without_nul(text: str) -> str:
    """PostgreSQL stores all characters but this one."""
    return text.replace("\0", "\ufffd")


Text = Annotated[str, AfterValidator(_encodable)]
QueryText = Annotated[Text, Field(max_length=MAX_QUERY_CHARS)]
Product = Annotated[Text, Field(max_length=80)]
Products = Annotated[
    list[Product], Field(max_length=20, description="Only articles about these products, and about none in particular.")
]
IndexVersion = Annotated[
    str,
    Field(
        pattern="^[0-9]{8}T[0-9]{12}-[0-9a-f]{12}$",
        description="`index_version` of the answer or article that was shown. Its form is checked, not whether it was "
        "ever served: an index that was built anew forgets the versions before.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=MAX_RESULTS, description="How many suggestions at most.")]


class SearchRequest(BaseModel):
    """A symptom, an error message, a log or a whole ticket."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {"text": "every request answers 401 invalid_token since we rotated the key", "limit": 3},
                {"title": "Webhooks stopped", "text": "no deliveries since 09:00 UTC", "products": ["webhooks"]},
            ]
        },
    )

    text: QueryText = Field(
        default="", validation_alias=AliasChoices("text", "q"), description="The text; `q` is the same."
    )
    title: QueryText = Field(default="", description="The subject, where there is one.")
    limit: Limit = 5
    products: Products = []

    def question(self) -> Question:
        """What the assistant takes. Raises InputError if there is no text."""
        return Question(self.text, self.title, self.limit)


class TicketRequest(BaseModel):
    """A ticket as a help desk has it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "subject": "SSO login loops",
                    "body": "Since this morning the sign-in page comes back again and again. Chrome 130, SAML.",
                    "limit": 3,
                }
            ]
        },
    )

    subject: QueryText = ""
    body: QueryText = ""
    limit: Limit = 3
    products: Products = []

    def question(self) -> Question:
        """What the assistant takes. Raises InputError if there is no text."""
        return Question(self.body, self.subject, self.limit)


@dataclass(frozen=True, slots=True)
class AnswerBody(Answer):
    """The assistant's answer.

    `answered` tells whether the first suggestion is trusted. If not, `nearest` is true for callers who see what came
    nearest, and `suggestions` is empty for public callers: a wrong article costs a customer more than none.
    """

    nearest: bool

    @classmethod
    def of(cls, answer: Answer, shows: Callable[[Snippet], bool], *, is_internal: bool) -> AnswerBody:
        """`answer` as this caller may see it, without snippets that `shows` refuses; how many tickets is the team's."""
        values = {field.name: getattr(answer, field.name) for field in fields(Answer)}
        found = answer.suggestions if answer.answered or is_internal else ()
        shown = (_shown(suggestion, shows) for suggestion in found)
        values["suggestions"] = tuple(shown if is_internal else map(_uncounted, shown))
        return cls(**values, nearest=not answer.answered and bool(values["suggestions"]))


def _shown(suggestion: Suggestion, shows: Callable[[Snippet], bool]) -> Suggestion:
    snippets = tuple(filter(shows, suggestion.snippets))
    return suggestion if len(snippets) == len(suggestion.snippets) else replace(suggestion, snippets=snippets)


def _uncounted(suggestion: Suggestion) -> Suggestion:
    reasons = (
        replace(reason, detail="similar tickets were solved by this") if reason.signal == "tickets" else reason
        for reason in suggestion.reasons
    )
    return replace(suggestion, reasons=tuple(reasons))


@dataclass(frozen=True, slots=True)
class TicketAnswerBody(AnswerBody):
    """The same answer, a note in Markdown with its citations, ready for the ticket's internal side, and triage.

    `triage` is for the team: null for public callers, whatever there would be to say.
    """

    internal_note: str
    triage: Triage | None

    @classmethod
    def with_note(cls, body: AnswerBody, note: str, triage: Triage | None) -> TicketAnswerBody:
        """`body`, its note and its triage."""
        values = {field.name: getattr(body, field.name) for field in fields(AnswerBody)}
        return cls(**values, internal_note=note, triage=triage)


class ArticleSummary(BaseModel):
    """An article in a list."""

    model_config = ConfigDict(from_attributes=True)

    article_id: str
    path: str
    title: str
    summary: str
    audience: str
    type: str | None
    confidence: str | None
    products: list[str]
    versions: list[str]
    components: list[str]
    error_codes: list[str]
    tags: list[str]
    last_verified: str | None
    version: str = Field(description="SHA-256 of the source file.")

    @classmethod
    def of(cls, card: ArticleCard) -> ArticleSummary:
        """The summary of a catalogue entry."""
        return cls.model_validate(card)


class ArticleList(BaseModel):
    """A page of articles, in path order."""

    articles: list[ArticleSummary]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")
    index_version: str


class SectionBody(BaseModel):
    """A section of an article."""

    heading_path: list[str]
    anchor: str
    level: int
    start_line: int
    end_line: int


class ArticleBody(ArticleSummary):
    """An article with its text."""

    related: list[ArticleSummary]
    sections: list[SectionBody]
    html: str = Field(description="Sanitised HTML.")
    markdown: str = Field(description="The source; without its front matter for public callers.")
    index_version: str


class FeedbackRequest(BaseModel):
    """A reader's verdict on an article."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "index_version": "20261124T044056553567-46f560ad8a3a",
                    "article": "api/401-after-api-key-rotation.md",
                    "helpful": True,
                    "comment": "Step 2 was it.",
                }
            ]
        },
    )

    index_version: IndexVersion
    article: Annotated[Text, Field(min_length=1, max_length=1000)] = Field(description="Its path or id.")
    helpful: bool
    comment: Annotated[Text, AfterValidator(_without_nul), Field(max_length=2000)] = ""


class FeedbackReceipt(BaseModel):
    """That feedback was stored."""

    stored: Literal[True] = True


class Health(BaseModel):
    """That the process answers."""

    status: Literal["ok"] = "ok"
    version: str = Field(description="Version of the software.")


class Readiness(BaseModel):
    """That questions are answered."""

    status: Literal["ready"] = "ready"
    index_version: str


class SessionRequest(BaseModel):
    """A secret key, or the token of a one-time sign-in link."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[Text, Field(min_length=1, max_length=200)]


class SessionBody(BaseModel):
    """Who the caller is."""

    audience: str
    signed_in: bool
    name: str


ANSWER_EXAMPLE: dict[str, Any] = {
    "answered": True,
    "confidence": 0.83,
    "threshold": 0.5,
    "suggestions": [
        {
            "article_id": "KB-1001",
            "path": "api/401-after-api-key-rotation.md",
            "title": "API answers 401 after an API key rotation",
            "summary": "The old key is still in use somewhere.",
            "audience": "public",
            "type": "known-error",
            "confidence": "validated",
            "products": ["platform-api"],
            "score": 1.12,
            "reasons": [{"signal": "passages", "contribution": 0.65, "detail": "passages of it mean much the same"}],
            "snippets": [
                {
                    "text": "The API answers 401 with `invalid_token`.",
                    "highlights": [[8, 15], [16, 19]],
                    "citation": {
                        "path": "api/401-after-api-key-rotation.md",
                        "heading_path": ["API answers 401 after an API key rotation", "Symptoms"],
                        "anchor": "symptoms",
                        "start_line": 22,
                        "end_line": 22,
                        "start_byte": 610,
                        "end_byte": 651,
                        "sha256": "0f3c…",
                        "article_version": "9a41…",
                    },
                }
            ],
        }
    ],
    "signatures": ["error code: invalid_token", "status: http 401"],
    "clarification": None,
    "index_version": "20261124T044056553567-46f560ad8a3a",
    "took_ms": 21.4,
    "corrections": [{"written": "rotaton", "read_as": "rotation"}],
    "nearest": False,
}
