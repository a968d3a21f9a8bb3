"""The deflection report on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.deflection import Report, Tally
from service.terminal import print_table

_ROWS = (
    ("shown", "something was shown"),
    ("opened", "opened an article"),
    ("explicit", "explicit: marked as solved"),
    ("implicit", "implicit: left without a ticket"),
    ("submitted_anyway", "submitted anyway"),
    ("under_way", "still under way"),
)


def print_report(report: Report, console: Console | None = None) -> None:
    """Print counts and shares by surface, or what to do if there is nothing to count."""
    console = console or Console(highlight=False)
    span = f"{report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}"
    if not report.total.shown:
        console.print(Text(f"Nothing was shown to customers from {span}."))
        console.print(Text("Put the widget on your help centre: docs/widget.md says how.", "bright_black"))
        return
    tallies = [*report.tallies.values(), report.total]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(Text(f"visits, {span}"))
    for name in (*(surface.value for surface in report.tallies), "all"):
        table.add_column(name, justify="right")
        table.add_column("")
    for name, words in _ROWS:
        table.add_row(words, *(cell for tally in tallies for cell in _cells(tally, name, tally.shares.get(name))))
    table.add_section()
    durable = f"durable: no ticket within {report.durable_days} days"
    table.add_row(durable, *(cell for tally in tallies for cell in _cells(tally, "durable", tally.shares["durable"])))
    table.add_row("came back with a ticket", *(cell for tally in tallies for cell in _cells(tally, "returned", None)))
    table.add_row("too early to tell", *(cell for tally in tallies for cell in _cells(tally, "early", None)))
    print_table(console, table)
    console.print(Text("durable is a share of the deflected visits old enough to tell", "bright_black"))


def _cells(tally: Tally, name: str, share: float | None) -> tuple[str, Text]:
    return f"{getattr(tally, name):,}", Text("" if share is None else f"{share:.0%}", "bright_black")
