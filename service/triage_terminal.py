"""Triage on the terminal, in colour where there is one. Nothing is printed for what there is no evidence for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from service.diagnostics import Diagnostic, Diagnostics, Status
from service.notes import quote_lines
from service.terminal import print_lines
from service.triage import Triage
from service.triage_labels import SuggestedLabel
from service.triage_severity import Severity

_DIM = "bright_black"
_SEVERITY_STYLES = {Severity.CRITICAL: "bold red", Severity.HIGH: "bold yellow", Severity.LOW: "green"}
_MARKS = {
    Status.HELD: ("✓", "green"),
    Status.PARTLY: ("◐", "yellow"),
    Status.MISSING: ("✗", "red"),
    Status.UNCHECKED: ("·", _DIM),
}


def print_triage(triage: Triage, console: Console | None = None) -> None:
    """Print every finding with its reason, then the message that asks for what is missing."""
    console = console or Console(highlight=False)
    lines = list(_lines(triage))
    if not lines:
        print_lines(console, Text("No evidence for anything: no label, no known error, no hint.", "yellow"))
    for line in lines:
        indent = Text(" " * (len(line) - len(line.plain.lstrip(" "))))
        print_lines(console, line[len(indent) :], indent, indent + "  ")
    if triage.diagnostics.message:
        print_lines(console, Text("\nReady to send", "bold"))
        print_lines(console, Text(triage.diagnostics.message.rstrip()), Text("  "))
    print_lines(console, Text(f"\nindex {triage.index_version}", _DIM))


def _lines(triage: Triage) -> Iterator[Text]:
    if triage.incident:
        yield Text.assemble(("Possible incident  ", "bold red"), triage.incident.reason)
        yield Text(f"  {', '.join(ticket.name for ticket in triage.incident.tickets)}", _DIM)
    if triage.severity:
        name = triage.severity.severity
        yield Text.assemble(("Severity hint  ", "bold"), (name.value, _SEVERITY_STYLES[name]))
        yield Text(f"  {triage.severity.reason}", _DIM)
    for heading, labels in (
        ("Component", triage.components),
        ("Product", triage.products),
        ("Tags", triage.tags),
    ):
        yield from _labels(heading, labels)
    if triage.known_errors:
        yield Text("Known errors", "bold")
    for error in triage.known_errors:
        yield Text.assemble(f"  {error.title}  ", (quote_lines(error.citation), "cyan"))
        yield Text(f"    {error.reason}", _DIM)
    if triage.duplicates:
        yield Text("Likely duplicates", "bold")
    for duplicate in triage.duplicates:
        kind = "incident " if duplicate.is_incident else ""
        created = datetime.fromtimestamp(duplicate.created_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
        yield Text.assemble(f"  {kind}{duplicate.name}  {duplicate.title}  ", (created, _DIM))
        yield Text(f"    {duplicate.reason}", _DIM)
    if triage.playbook:
        where = f"{triage.playbook.path}: {triage.playbook.reason}"
        yield Text.assemble(("Runbook  ", "bold"), f"{triage.playbook.title}  ", (where, _DIM))
    yield from _diagnostics(triage.diagnostics)


def _labels(heading: str, labels: Sequence[SuggestedLabel]) -> Iterator[Text]:
    if not labels:
        return
    values = ", ".join(f"{label.value} ({label.share:.0%})" for label in labels)
    yield Text.assemble((f"{heading}  ", "bold"), values)
    yield Text(f"  {labels[0].value}: {labels[0].reason}", _DIM)


def _diagnostics(diagnostics: Diagnostics) -> Iterator[Text]:
    if diagnostics.items:
        yield Text("Diagnostics", "bold")
    for item in diagnostics.items:
        mark, style = _MARKS[item.status]
        yield Text.assemble("  ", (mark, style), f" {item.label}", (_held(item), _DIM))


def _held(item: Diagnostic) -> str:
    where = f"  {quote_lines(item.citation)}"
    parts = []
    if item.found and item.status in {Status.HELD, Status.PARTLY}:
        parts.append(f"“{item.found[0].quote}”")
    if item.missing:
        parts.append(f"missing: {', '.join(detail.value for detail in item.missing)}")
    if item.status is Status.UNCHECKED:
        parts.append("to be looked up")
    return f"  {'; '.join(parts)}{where}"
