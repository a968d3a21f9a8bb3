"""Cells and tables of the reports that are written as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eval.bootstrap import Delta, Interval


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, line by line; a bar inside a cell is escaped."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for cells in rows:
        escaped = [cell.replace("|", "\\|") for cell in cells]
        yield f"| {' | '.join(escaped)} |"


def figure_cell(interval: Interval | None) -> str:
    """A figure with its interval in brackets; a dash for None."""
    return "-" if interval is None else f"{value_cell(interval.value)} ({bounds_cell(interval)})"


def change_cell(delta: Delta | None) -> str:
    """A difference with its sign and interval; empty for None."""
    if delta is None:
        return ""
    # Adding 0 makes of a negative zero a positive one.
    value, low, high = (
        round(number, 3) + 0.0 for number in (delta.interval.value, delta.interval.low, delta.interval.high)
    )
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def bounds_cell(interval: Interval | None) -> str:
    """The interval alone; empty for None."""
    return f"{interval.low:.3f} to {interval.high:.3f}" if interval else ""


def value_cell(value: float | None) -> str:
    """A figure; a dash for None."""
    return "-" if value is None else f"{value:.3f}"
