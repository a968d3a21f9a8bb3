"""What readers said about articles, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from service.feedback import Comment, Verdicts
from service.terminal import print_lines

_INDENT = Text("              ")


def print_feedback(found: Sequence[Verdicts], days: int, console: Console | None = None) -> None:
    """Print the verdicts on each article with its latest comments, or that there are none."""
    console = console or Console(highlight=False)
    if not found:
        print_lines(console, Text(f"No reader said anything about an article in {days} days."))
        return
    print_lines(console, Text(" helped  not  article", "bold"))
    for verdicts in found:
        counts = Text.assemble((f"{verdicts.helpful:>7}", "green"), (f"{verdicts.unhelpful:>5}", "yellow"), "  ")
        print_lines(console, Text(verdicts.article), counts, _INDENT)
        for comment in verdicts.comments:
            print_lines(console, Text(_told(comment), "bright_black"), _INDENT)


def _told(comment: Comment) -> str:
    words = " ".join(comment.text.split())
    return f"{comment.created:%Y-%m-%d} {'helped' if comment.helpful else 'did not help'}: {words}"
