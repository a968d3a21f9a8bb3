"""What a section is for, told by its headings: what to do, why it happens, what one sees, or something else.

A reader with a symptom has the symptom already; what is worth quoting is what to do and why. The headings are those of
the known-error and runbook forms (docs/articles.md) and their usual names elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache


class SectionRole(StrEnum):
    """The part that a section plays in an answer."""

    ACTION = "action"
    REASON = "reason"
    CHECK = "check"
    SIGHT = "sight"
    REFERENCE = "reference"
    OTHER = "other"


_ROLES = (
    (SectionRole.REFERENCE, re.compile(r"\b(?:related|see also|references?|further reading|links)\b")),
    (
        SectionRole.ACTION,
        re.compile(
            r"resol|solution|solv|\bfix|workaround|\bsteps?\b|mitigat|first 15|\bhow (?:to|do|can)\b|procedure|remed"
            r"|recover|what to do|answer|instructions?\b|\?\s*$"
        ),
    ),
    (SectionRole.CHECK, re.compile(r"verif")),
    (SectionRole.REASON, re.compile(r"cause|diagnos|\bwhy\b|reason|explan|investigat|troubleshoot|check|confirm")),
    (
        SectionRole.SIGHT,
        re.compile(
            r"symptom|environment|trigger|\bgoal\b|applies|overview|background|prerequisite|when to|requirements?\b"
        ),
    ),
)


def role_of(heading_path: Sequence[str]) -> SectionRole:
    """The role of the section under `heading_path` (title first): its topmost heading below the title decides."""
    return _role_of_heading(heading_path[1].casefold()) if len(heading_path) > 1 else SectionRole.OTHER


@lru_cache(maxsize=4096)
def _role_of_heading(heading: str) -> SectionRole:
    return next((role for role, pattern in _ROLES if pattern.search(heading)), SectionRole.OTHER)
