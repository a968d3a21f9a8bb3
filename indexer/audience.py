"""Who may see an article. On its own, so that a command line can name it without loading a schema library."""

from __future__ import annotations

from enum import StrEnum


class Audience(StrEnum):
    """Who may see an article."""

    PUBLIC = "public"
    INTERNAL = "internal"
