"""What one import did, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from indexer.importing.pages import LeftOut


@dataclass(frozen=True, slots=True)
class Trouble:
    """A page, and what is the matter with it."""

    id: str
    name: str
    reason: str


@dataclass
class Report:
    """What one run did. Paths are below the target folder.

    Attributes:
        tightened: files made internal in place, because the source restricts the page.
        conflicts: files edited after their import; left as they are.
        failed: pages whose text could not be taken over; their old files stay.
        left_out: pages that are not articles: archived, empty, of another format.
        warnings: parts of pages that have no Markdown form.
        public, internal: articles of each audience after the run.
        stopped: why the run ended before its work; empty if it did not.
    """

    dry_run: bool = False
    pages: int = 0
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    tightened: list[str] = field(default_factory=list)
    unchanged: int = 0
    public: int = 0
    internal: int = 0
    attachments: int = 0
    conflicts: list[Trouble] = field(default_factory=list)
    failed: list[Trouble] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[Trouble] = field(default_factory=list)
    stopped: str = ""

    @property
    def exit_status(self) -> int:
        """0 fine; 1 some pages failed or are in conflict; 2 stopped before the end."""
        return 2 if self.stopped else 1 if self.failed or self.conflicts else 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def troubles(self) -> Iterator[str]:
        """One line for each thing an operator should look at."""
        for path in self.tightened:
            yield f"now internal: {path}"
        for kind, items in (("failed", self.failed), ("conflict", self.conflicts), ("note", self.warnings)):
            for item in items:
                yield f"{kind}: {item.name} ({item.id}): {item.reason}"
        for left in self.left_out:
            yield f"left out: {left.name} ({left.id}): {left.reason}"

    def summary(self) -> str:
        """One line of counts."""
        verb = "would be " if self.dry_run else ""
        counts = [
            (len(self.added), "added"),
            (len(self.updated), "updated"),
            (len(self.moved), "moved"),
            (len(self.removed), "removed"),
        ]
        changes = ", ".join(f"{count} {verb}{what}" for count, what in counts)
        return (
            f"{self.pages} pages: {changes}, {self.unchanged} unchanged, {len(self.failed)} failed; "
            f"{self.public} public and {self.internal} internal articles"
        )
