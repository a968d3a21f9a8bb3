"""A note as an Adaptive Card: nothing in it that Teams would show as it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.connectors.cards import MAX_CARD_BYTES, to_card, to_message
from service.connectors.contract import NoteLink

NOTE = """**First 15 minutes**: [Restart](<https://kb.example.com/r.md>) (named)

- [ ] Look at `pods` and *wait*:
  ```bash
  kubectl get pods \\
    -n a_b_c
  ```
- [ ] Ask.

1. one
   - nested

> quoted **line**
"""


def texts(value: Any) -> Iterator[str]:
    """All that is shown, run by run."""
    if isinstance(value, dict):
        yield from [value["text"]] if value.get("type") == "TextRun" else ()
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def shown(element: dict[str, Any]) -> str:
    return "".join(texts(element))


def test_a_note_is_taken_apart() -> None:
    card = to_card("HighErrorRate", NOTE, [NoteLink("Restart", "https://kb.example.com/r.md", "r.md:1")])
    lines = [shown(element) for element in card["body"] if element["type"] == "RichTextBlock"]
    assert lines == [
        "HighErrorRate", "First 15 minutes: Restart (named)", "☐ Look at pods and wait:", "☐ Ask.", "1. one",
        "\N{EM SPACE}• nested",
    ]  # fmt: skip
    code, quote = (element for element in card["body"] if element["type"] == "Container")
    assert [shown(line) for line in code["items"]] == ["kubectl get pods \\", "  -n a_b_c"]
    assert {run["fontType"] for line in code["items"] for run in line["inlines"]} == {"Monospace"}
    assert (quote["style"], shown(quote)) == ("emphasis", "quoted line")
    assert card["actions"] == [{"type": "Action.OpenUrl", "url": "https://kb.example.com/r.md", "title": "Restart"}]
    link = next(run for run in card["body"][1]["inlines"] if "selectAction" in run)
    assert link["selectAction"] == {"type": "Action.OpenUrl", "url": "https://kb.example.com/r.md"}
    assert "TextBlock" not in {element["type"] for element in card["body"]}, "that would read Markdown again"


def test_only_whole_addresses_are_links() -> None:
    card = to_card("", "[a](../b.md) [c](https://kb.example.com/c)")
    assert [run.get("selectAction", {}).get("url") for run in card["body"][0]["inlines"]] == [
        None, None, "https://kb.example.com/c",
    ]  # fmt: skip


def test_a_card_writes_no_date_for_an_articles_words() -> None:
    assert "{{DATE(" not in json.dumps(to_card("{{DATE(2026-01-01T00:00:00Z)}}", "`{{TIME(x)}}`"))
    assert shown(to_card("", "`{{.Name}}`")) == "{{.Name}}"


def test_a_long_note_is_cut_to_what_teams_takes() -> None:
    card = to_card("t", "A sentence of some length.\n\n" * 2_000)
    assert shown(card["body"][-1]) == "…"
    assert MAX_CARD_BYTES - 500 < len(json.dumps(card)) < 28_000


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_markdown_is_a_card(markdown: str) -> None:
    card = to_card("", markdown)
    assert all(element["type"] in {"RichTextBlock", "Container"} for element in card["body"])


def test_a_table_is_a_line_for_each_row() -> None:
    card = to_card("", "| a | b |\n|---|---|\n| `c` | d |")
    assert [shown(element) for element in card["body"]] == ["a | b", "c | d"]
    assert card["body"][0]["inlines"][0]["weight"] == "Bolder"


def test_a_message_is_a_card_alone() -> None:
    message = to_message("t", "a")
    assert message == {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": to_card("t", "a")}],
    }
