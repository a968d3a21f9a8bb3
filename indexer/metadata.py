"""The front matter of an article: one documented schema (docs/articles.md), used by the indexer and by `kb lint`."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from indexer.audience import Audience as Audience  # noqa: PLC0414 -- part of this schema, too


class ArticleType(StrEnum):
    KNOWN_ERROR = "known-error"
    TROUBLESHOOTING = "troubleshooting"
    HOW_TO = "how-to"
    FAQ = "faq"
    RUNBOOK = "runbook"
    TRIAGE = "triage"
    INCIDENT = "incident"
    COMMUNICATION = "communication"


INTERNAL_TYPES = frozenset({ArticleType.RUNBOOK, ArticleType.TRIAGE, ArticleType.INCIDENT, ArticleType.COMMUNICATION})


class Confidence(StrEnum):
    """KCS v6 article confidence."""

    WORK_IN_PROGRESS = "work-in-progress"
    NOT_VALIDATED = "not-validated"
    VALIDATED = "validated"
    ARCHIVED = "archived"


class Governance(StrEnum):
    """KCS v6 article governance."""

    OPEN = "open"
    COMPLIANCE = "compliance"


PRODUCTS = frozenset(
    {
        "platform-api", "identity", "webhooks", "ingestion", "agent", "connectors",
        "reports", "email", "console", "sdk", "platform",
    }
)  # fmt: skip


def _as_text(value: Any) -> str | None:
    """One value as it was typed; None for a blank one, a list or a mapping."""
    if isinstance(value, str | int | float | date):
        return str(value).strip() or None
    return None


def _as_list(value: Any) -> list[str]:
    """YAML writes one value without a list often enough. What is no text is passed over."""
    return [text for item in (value if isinstance(value, list) else [value]) if (text := _as_text(item)) is not None]


def _as_date(value: Any) -> date | None:
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        return None


Text = Annotated[str | None, BeforeValidator(_as_text)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class LooseFrontMatter(BaseModel):
    """What the indexer reads of any article's front matter: all of it optional, unknown keys and what a field cannot
    take passed over.

    Only `audience` is strict: a value that is neither `public` nor `internal` is an error, never a guess.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Text = None
    title: Text = None
    summary: Annotated[str, BeforeValidator(lambda value: _as_text(value) or "")] = ""
    type: Text = None
    audience: Audience | None = None
    confidence: Text = None
    governance: Text = None
    products: Strings = ()
    versions: Strings = ()
    components: Strings = ()
    error_codes: Strings = ()
    tags: Strings = ()
    owner: Text = None
    last_verified: Annotated[date | None, BeforeValidator(_as_date)] = None
    related: Strings = ()


class FrontMatter(BaseModel):
    """The full schema that `kb lint` holds. Field by field as in docs/articles.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^KB-\d{4}$")
    title: str = Field(min_length=20, max_length=110)
    summary: str = Field(min_length=1, max_length=300)
    type: ArticleType
    audience: Audience = Audience.INTERNAL
    confidence: Confidence
    governance: Governance
    products: list[str] = Field(min_length=1)
    versions: list[str] = []
    components: list[str] = Field(min_length=1)
    error_codes: list[str] = []
    tags: list[str] = Field(min_length=2, max_length=8)
    owner: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    last_verified: date
    related: list[str] = []
