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


def _as_list(value: Any) -> Any:
    """YAML writes one value without a list often enough; numbers among identifiers are kept as they were typed."""
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item for item in items]


Strings = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class LooseFrontMatter(BaseModel):
    """What the indexer reads of any article's front matter: all of it optional, unknown keys passed over.

    Only `audience` is strict: a value that is neither `public` nor `internal` is an error, never a guess.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str | None = None
    title: str | None = None
    summary: str = ""
    type: str | None = None
    audience: Audience | None = None
    confidence: str | None = None
    governance: str | None = None
    products: Strings = ()
    versions: Strings = ()
    components: Strings = ()
    error_codes: Strings = ()
    tags: Strings = ()
    owner: str | None = None
    last_verified: date | None = None
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
