"""Two runs of `kb eval run` on the same tickets: is the second better, or is it chance?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.bootstrap import Delta, paired_delta
from eval.metrics import MEASURES
from eval.reporting import REPORT_FORMAT
from indexer.errors import DatasetError
from service.json_lines import read_text

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both runs, ticket by ticket.

    Attributes:
        first, second: means over the shared tickets.
        wins, losses: tickets on which the second run is higher, and lower; the rest are ties.
    """

    measure: str
    tickets: int
    first: float
    second: float
    delta: Delta
    wins: int
    losses: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "tickets": self.tickets,
            "first": self.first,
            "second": self.second,
            "delta": self.delta.as_dict(),
            "wins": self.wins,
            "losses": self.losses,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, and what stands in the way of a fair comparison."""

    rows: Sequence[Row]
    problems: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        return {"rows": [row.as_dict() for row in self.rows], "problems": list(self.problems)}


def load_report(file: Path) -> dict[str, Any]:
    """A report that `kb eval run --json` wrote. Raises DatasetError."""
    try:
        report: dict[str, Any] = json.loads(read_text(file))
        if report["format"] != REPORT_FORMAT:
            raise DatasetError(f"{file}: has report format {report['format']}; run `kb eval run` again")
        report["queries"] = {query["id"]: query for query in report["queries"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{file}: is not a report of `kb eval run --json`") from error
    return report


def compare_reports(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    """Paired comparison over the tickets that both runs asked.

    Raises:
        DatasetError: no ticket is shared, or a shared one is labelled differently.
    """
    shared = [name for name in first["queries"] if name in second["queries"]]
    if not shared:
        raise DatasetError("the two reports share no ticket; compare runs of one data set and split")
    pairs = [(first["queries"][name], second["queries"][name]) for name in shared]
    for one, two in pairs:
        if one["labels"] != two["labels"] or one["answerable"] != two["answerable"]:
            raise DatasetError(f"ticket {one['id']} is labelled differently in the two reports; run both again")
    answerable = [(one, two) for one, two in pairs if one["answerable"]]
    unanswerable = [(one, two) for one, two in pairs if not one["answerable"]]
    rows = [_row(name, [(a["metrics"][name], b["metrics"][name]) for a, b in answerable]) for name in MEASURES]
    rows += [
        _row("coverage", [(a["suggested"], b["suggested"]) for a, b in answerable]),
        _row("offline deflection potential", [(_deflects(a), _deflects(b)) for a, b in answerable]),
        _row("false suggestions", [(a["suggested"], b["suggested"]) for a, b in unanswerable]),
    ]
    lonely = len(first["queries"]) + len(second["queries"]) - 2 * len(shared)
    problems = [f"{lonely} tickets are in only one of the two reports and left out"] if lonely else []
    return Comparison([row for row in rows if row], problems)


def print_comparison(comparison: Comparison, names: tuple[str, str], console: Console) -> None:
    """The rows as a table, with a star where the interval of the difference does not hold 0."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from service.terminal import print_table

    console.print(f"\nA = {names[0]}\nB = {names[1]}", highlight=False)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("measure", min_width=18)
    for heading in ("A", "B", "B - A", "95 % interval", "up/down/same"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.rows:
        interval = row.delta.interval
        clear = "*" if interval.low > 0 or interval.high < 0 else " "
        table.add_row(
            row.measure,
            f"{row.first:.3f}",
            f"{row.second:.3f}",
            f"{interval.value:+.3f}{clear}",
            f"[{interval.low:+.3f}, {interval.high:+.3f}]",
            f"{row.wins}/{row.losses}/{row.tickets - row.wins - row.losses}",
        )
    print_table(console, table)
    console.print("* the interval of the paired difference does not hold 0", style="dim", highlight=False)


def _row(measure: str, pairs: Sequence[tuple[float, float]]) -> Row | None:
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    delta = paired_delta(first, second)
    if delta is None:
        return None
    return Row(
        measure,
        len(pairs),
        sum(first) / len(pairs),
        sum(second) / len(pairs),
        delta,
        sum(b > a for a, b in pairs),
        sum(b < a for a, b in pairs),
    )


def _deflects(query: Mapping[str, Any]) -> bool:
    return bool(query["suggested"] and query["metrics"]["Success@1"] > 0)
