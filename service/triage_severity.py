"""A hint at how bad it is, from the words that say so, quoted. A hint only: it never sets a priority. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.findings import clip
from service.triage_signs import MILD, SeveritySign, SignKind, find_signs

_QUOTED = 4


class Severity(StrEnum):
    """How bad the words say it is."""

    CRITICAL = "critical"
    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class SeverityHint:
    """What the words suggest.

    Attributes:
        signs: the phrases that speak for `severity`; positions count in the subject, a line feed and the text.
        against: phrases that speak for something milder.
        reason: for a person; quotes the signs.
    """

    severity: Severity
    signs: tuple[SeveritySign, ...]
    against: tuple[SeveritySign, ...]
    reason: str


def hint_severity(title: str, text: str) -> SeverityHint | None:
    """What the words of a ticket suggest; None where none of them says anything clear.

    Critical: something is exposed, or two different strong signs meet on a live system. High: one strong sign. Low:
    only mild signs. Whoever writes "everybody" and "only me" says nothing clear.
    """
    signs = find_signs(f"{title}\n{text}")
    strong = tuple(sign for sign in signs if sign.kind not in MILD)
    mild = tuple(sign for sign in signs if sign.kind in MILD)
    kinds, mild_kinds = {sign.kind for sign in strong}, {sign.kind for sign in mild}
    if not strong:
        return SeverityHint(Severity.LOW, mild, (), _reason(mild, ())) if mild else None
    if SignKind.NARROW in mild_kinds and kinds <= {SignKind.EVERYBODY, SignKind.MANY}:
        return None
    is_critical = SignKind.EXPOSED in kinds or (len(kinds) > 1 and SignKind.NOT_LIVE not in mild_kinds)
    return SeverityHint(Severity.CRITICAL if is_critical else Severity.HIGH, strong, mild, _reason(strong, mild))


def _reason(signs: Sequence[SeveritySign], against: Sequence[SeveritySign]) -> str:
    said = "; ".join(f"“{clip(sign.quote)}” says that {sign.kind.value}" for sign in signs[:_QUOTED])
    if not against:
        return said
    return f"{said}; against it, “{clip(against[0].quote)}” says that {against[0].kind.value}"
