"""An answer on the terminal, in colour where there is one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from service.answers import Answer, Snippet, Suggestion
from service.notes import quote_lines

_CONFIDENCE_CELLS = 10


def print_answer(answer: Answer, console: Console | None = None) -> None:
    """Print rank, title, `path:line`, reasons and highlighted snippets, or that no article covers the question.

    What only came nearest is listed with one snippet of the first: a screen of them would hide that it is no answer.
    """
    console = console or Console(highlight=False)
    console.print(_verdict(answer))
    for rank, suggestion in enumerate(answer.suggestions, start=1):
        console.print()
        quoted = suggestion.snippets if answer.answered else suggestion.snippets[: rank == 1]
        console.print(_suggestion(rank, suggestion, quoted, is_trusted=answer.answered))
    if answer.clarification:
        console.print()
        console.print(Text.assemble(("To ask: ", "bold"), answer.clarification))
    console.print()
    console.print(Text(f"index {answer.index_version} · {answer.took_ms:.0f} ms", "bright_black"))


def _verdict(answer: Answer) -> Text:
    filled = round(answer.confidence * _CONFIDENCE_CELLS)
    bar = "█" * filled + "░" * (_CONFIDENCE_CELLS - filled)
    sure = f" {answer.confidence:.0%} sure, {answer.threshold:.0%} needed"
    if answer.answered:
        return Text.assemble(("Answered  ", "bold green"), (bar, "green"), (sure, "bright_black"))
    line = Text.assemble(("No article covers this  ", "bold yellow"), (bar, "yellow"), (sure, "bright_black"))
    if answer.suggestions:
        line.append("\nWhat came nearest, to judge for yourself (all quotes: --json):", "yellow")
    return line


def _suggestion(rank: int, suggestion: Suggestion, quoted: Sequence[Snippet], *, is_trusted: bool) -> Group:
    first = suggestion.snippets[0].citation if suggestion.snippets else None
    badges = [part for part in (suggestion.type, suggestion.audience) if part]
    title = Text.assemble((f"{rank:>2}  ", "bright_black"), (suggestion.title, "bold" if is_trusted else ""))
    where = Text.assemble(
        (f"{suggestion.path}:{first.start_line}" if first else suggestion.path, "cyan"),
        (f"  {' · '.join(badges)}", "bright_black"),
    )
    why = Text(
        "; ".join(f"{reason.detail} +{reason.contribution:.2f}" for reason in suggestion.reasons), "bright_black"
    )
    snippets = [Padding(_snippet(snippet), (0, 0, 0, 4)) for snippet in quoted]
    return Group(title, Padding(where, (0, 0, 0, 4)), Padding(why, (0, 0, 0, 4)), *snippets)


def _snippet(snippet: Snippet) -> Text:
    body = Text(snippet.text)
    for start, end in snippet.highlights:
        body.stylize("bold black on yellow", start, end)
    body.rstrip()
    quoted = Text("\n").join(Text("▏ ", "cyan") + line for line in body.split("\n"))
    section = " › ".join(snippet.citation.heading_path[1:])
    quoted.append(f"\n▏ {quote_lines(snippet.citation)}{f'  {section}' if section else ''}", "bright_black")
    return quoted
