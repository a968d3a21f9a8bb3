"""An answer on the terminal, in colour where there is one; in a pipe or a file one line stays one line, and no blanks
are added at its end, so that quotes and commands can be searched and copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.answers import Answer, Snippet, Suggestion
from service.notes import quote_lines

_CONFIDENCE_CELLS = 10
_NARROWEST = 20
"""Columns that a text is given on however narrow a terminal."""

_WIDEST = 10_000
"""Columns of a table that no terminal shows."""

_NOTHING, _INDENT = Text(), Text("    ")
_STEERING = dict.fromkeys(
    (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"
)
"""Control characters but tab and line feed, and marks that turn the direction of writing: what an article or a comment
holds of them could clear the screen, or show something else than is there."""


def print_answer(answer: Answer, console: Console | None = None) -> None:
    """Print rank, title, `path:line`, reasons and highlighted snippets, or that no article covers the question.

    What only came nearest is listed with one snippet of the first: a screen of them would hide that it is no answer.
    """
    console = console or Console(highlight=False)
    print_lines(console, _verdict(answer))
    if answer.corrections:
        read = ", ".join(f"“{item.written}” as “{item.read_as}”" for item in answer.corrections)
        print_lines(console, Text(f"Read {read}", "bright_black"))
    for rank, suggestion in enumerate(answer.suggestions, start=1):
        print_lines(console, Text())
        quoted = suggestion.snippets if answer.answered else suggestion.snippets[: rank == 1]
        _print_suggestion(console, rank, suggestion, quoted, is_trusted=answer.answered)
    if answer.clarification:
        print_lines(console, Text.assemble(("\nTo ask: ", "bold"), answer.clarification))
    print_lines(console, Text(f"\nindex {answer.index_version} · {answer.took_ms:.0f} ms", "bright_black"))


def print_lines(console: Console, text: Text, first: Text = _NOTHING, rest: Text | None = None) -> None:
    """Print `text`, `first` before its first line and `rest`, by default the same, before all others.

    A terminal's lines are broken between words, each piece with `rest` before it. Anything else gets them as they are.
    Control characters are shown as U+FFFD.
    """
    rest = first if rest is None else rest
    text = text.copy()
    text.plain = text.plain.translate(_STEERING)
    lines = text.split("\n", allow_blank=True)
    if not console.is_terminal:
        plain = (f"{(rest if number else first).plain}{line.plain}".rstrip() for number, line in enumerate(lines))
        console.file.write("".join(f"{line}\n" for line in plain))
        return
    width = max(console.width - max(first.cell_len, rest.cell_len), _NARROWEST)
    pieces = [piece for line in lines for piece in (line.wrap(console, width) or [line])]
    for number, piece in enumerate(pieces):
        whole = (rest if number else first) + piece
        whole.rstrip()
        console.print(whole, soft_wrap=True)


def print_table(console: Console, table: Table) -> None:
    """Print `table` as wide as the terminal; elsewhere a row is one line, however long, with no blanks at its end."""
    if console.is_terminal:
        console.print(table)
        return
    rows = console.render_lines(table, console.options.update_width(_WIDEST))
    lines = ("".join(segment.text for segment in row).rstrip() for row in rows)
    console.print("\n".join(lines), soft_wrap=True, markup=False, highlight=False)


def _verdict(answer: Answer) -> Text:
    filled = round(answer.confidence * _CONFIDENCE_CELLS)
    bar = "█" * filled + "░" * (_CONFIDENCE_CELLS - filled)
    sure = f" {answer.sure_percent}% sure, {answer.threshold:.0%} needed"
    if answer.answered:
        return Text.assemble(("Answered  ", "bold green"), (bar, "green"), (sure, "bright_black"))
    line = Text.assemble(("No article covers this  ", "bold yellow"), (bar, "yellow"), (sure, "bright_black"))
    if answer.suggestions:
        line.append("\nWhat came nearest, to judge for yourself (all quotes: --json):", "yellow")
    return line


def _print_suggestion(
    console: Console, rank: int, suggestion: Suggestion, quoted: Sequence[Snippet], *, is_trusted: bool
) -> None:
    first = suggestion.snippets[0].citation if suggestion.snippets else None
    badges = [part for part in (suggestion.type, suggestion.audience) if part]
    where = Text.assemble(
        (f"{suggestion.path}:{first.start_line}" if first else suggestion.path, "cyan"),
        (f"  {' · '.join(badges)}", "bright_black"),
    )
    why = Text(
        "; ".join(f"{reason.detail} +{reason.contribution:.2f}" for reason in suggestion.reasons), "bright_black"
    )
    title = Text(suggestion.title, "bold" if is_trusted else "")
    print_lines(console, title, Text(f"{rank:>2}  ", "bright_black"), _INDENT)
    print_lines(console, where, _INDENT)
    print_lines(console, why, _INDENT)
    for snippet in quoted:
        print_lines(console, _quoted(snippet), Text("    ▏ ", "cyan"))


def _quoted(snippet: Snippet) -> Text:
    body = Text(snippet.text)
    for start, end in snippet.highlights:
        body.stylize("bold black on yellow", start, end)
    body.rstrip()
    section = " › ".join(snippet.citation.heading_path[1:])
    body.append(f"\n{quote_lines(snippet.citation)}{f'  {section}' if section else ''}", "bright_black")
    return body
