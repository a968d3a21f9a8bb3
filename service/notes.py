"""Answers and articles as Markdown that an engineer pastes into a ticket, every claim with its citation."""

from __future__ import annotations

import re
from collections.abc import Callable

from service.answers import Answer, Citation, Snippet, Suggestion
from service.quoting import make_whole

LinkTo = Callable[[Citation], str]
"""Address that opens a citation."""


def write_note(answer: Answer, link_to: LinkTo) -> str:
    """The internal note for a ticket: what was found, how sure that is, and where it stands."""
    sure = f"{answer.sure_percent}% sure"
    if answer.answered:
        lines = [f"**Suggested articles** ({sure})"]
    elif answer.suggestions:
        lines = [f"**No article covers this** ({sure}). What came nearest:"]
    else:
        lines = [f"**No article covers this** ({sure})."]
    for rank, suggestion in enumerate(answer.suggestions, start=1):
        lines += ["", _entry(rank, suggestion, link_to)]
    if answer.clarification:
        lines += ["", f"To ask: {answer.clarification}"]
    lines += ["", f"Index {answer.index_version}"]
    return "\n".join(lines) + "\n"


def write_reply(suggestion: Suggestion, link_to: LinkTo) -> str:
    """One suggestion as the body of a reply: its quoted snippets, each with its citation."""
    lines = [f"**{escape(suggestion.title)}**"]
    if suggestion.summary:
        lines += ["", escape(suggestion.summary)]
    for snippet in suggestion.snippets:
        lines += ["", quote_snippet(snippet, link_to)]
    return "\n".join(lines) + "\n"


def quote_article(title: str, summary: str, address: str, quoted: str = "", where: str = "") -> str:
    """An article as the body of a reply: its title, then the lines quoted from it, or its summary where there are none.

    Args:
        address: opens the article, at the quoted lines where there are some.
        where: names the quoted lines, such as `path:12-18`.
    """
    source = f"[{escape(where or title)}](<{address}>)"
    if quoted.strip():
        body = f"{block_quote(make_whole(quoted))}\n>\n> — {source}"
    else:
        body = f"{escape(summary)}\n\n— {source}".lstrip()
    return f"**{escape(title)}**\n\n{body}\n"


def quote_snippet(snippet: Snippet, link_to: LinkTo) -> str:
    """The snippet's lines as a quote, with its citation as the last one."""
    return f"{block_quote(make_whole(snippet.text))}\n>\n> — {cite_snippet(snippet, link_to)}"


def cite_snippet(snippet: Snippet, link_to: LinkTo) -> str:
    """Where the snippet stands: `path:12-18` as a link, and the headings above it."""
    where = " › ".join(snippet.citation.heading_path[1:])
    return f"{link_lines(snippet.citation, link_to)}{f', {escape(where)}' if where else ''}"


def link_lines(citation: Citation, link_to: LinkTo) -> str:
    """`path:12-18` as a link to these lines."""
    return f"[{escape(quote_lines(citation))}](<{link_to(citation)}>)"


def quote_lines(citation: Citation) -> str:
    """`path:12-18`, or `path:12`."""
    first, last = citation.start_line, citation.end_line
    return f"{citation.path}:{first}" if first == last else f"{citation.path}:{first}-{last}"


def block_quote(text: str) -> str:
    """`text`, which may be Markdown, as a quote."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip("\r\n").splitlines())


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it stands."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", text)


def _entry(rank: int, suggestion: Suggestion, link_to: LinkTo) -> str:
    badge = f" ({suggestion.audience})" if suggestion.audience == "internal" else ""
    reasons = "; ".join(reason.detail for reason in suggestion.reasons[:2])
    lines = [f"{rank}. **{escape(suggestion.title)}**{badge}"]
    if reasons:
        lines.append(f"   Why: {escape(reasons)}")
    lines += [_indent(quote_snippet(snippet, link_to)) for snippet in suggestion.snippets[:1]]
    return "\n".join(lines)


def _indent(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())
