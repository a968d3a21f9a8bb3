"""Writes the commands of docs/cli.md from the commands themselves: `python -m tests.cli_page`, or `make docs`."""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from eval.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
MARK = "<!-- From here on written by `make docs`. -->\n"

_SHOWN_TYPES = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_BARE_CODE = re.compile(r"(?<![`\w/])(--[a-z][a-z-]*|KB_[A-Z_]+(?:=\w*)?)(?![`\w])")
_PAGE_NAME = re.compile(r"\bdocs/([a-z-]+\.md)")


def walk(command: Any = None, path: tuple[str, ...] = ("kb",)) -> Iterator[tuple[str, Any]]:
    """Every command and group below `kb`, with its whole name, in the order of `kb --help`."""
    command = command or typer.main.get_command(app)
    if len(path) > 1:
        yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


def flags_of(command: Any) -> set[str]:
    """Every spelling of a command's options, `--help` and the completion of shells left out."""
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    spelt = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    return spelt - {"--help", "--install-completion", "--show-completion"}


def describe_command(name: str, command: Any) -> str:
    """One command as a section: what it does, exit status, arguments and options."""
    heading = "#" * min(len(name.split()), 3)
    text, _, status = " ".join((command.help or "").split()).partition("Exit status")
    parts = [f"{heading} `{name}`", _prose(text)]
    if status or command.epilog:
        parts.append(_prose(f"Exit status{status}" if status else command.epilog))
    rows = [_row(parameter) for parameter in command.params if "--help" not in parameter.opts]
    if rows and not getattr(command, "commands", None):
        parts.append("\n".join(["| argument or option | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def render_page(page: str) -> str:
    """The page with everything after the mark written anew."""
    kept = page.partition(MARK)[0]
    return kept + MARK + "\n" + "\n\n".join(describe_command(name, command) for name, command in walk()) + "\n"


def _row(parameter: Any) -> str:
    meaning = [_prose(parameter.help or "")]
    default = getattr(parameter.default, "value", parameter.default)
    if parameter.required:
        meaning.append("Required.")
    elif default not in (None, "", False, True) and "Default" not in meaning[0]:
        meaning.append(f"Default: `{default}`.")
    if parameter.param_type_name == "argument":
        spelt = [parameter.metavar or parameter.name.upper()]
    else:
        longest_first = sorted(parameter.opts, key=len, reverse=True)
        value = "" if parameter.is_flag or parameter.secondary_opts else f" {_value(parameter)}"
        spelt = [longest_first[0] + value, *longest_first[1:], *parameter.secondary_opts]
    cells = (", ".join(f"`{item}`" for item in spelt), " ".join(meaning))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(option: Any) -> str:
    """How an option's value is shown: its own word for it, its choices, or its type."""
    return str(option.metavar or _show_type(option.type_descriptor.annotation))


def _show_type(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "|".join(inner)
    if origin in (typing.Union, types.UnionType, list, typing.Annotated):
        return _show_type(inner[0])
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "|".join(member.value for member in annotation)
    return _SHOWN_TYPES[annotation]


def _prose(text: str) -> str:
    """A help text as Markdown: names of options and settings as code, pages as links."""
    return _PAGE_NAME.sub(r"[\1](\1)", _BARE_CODE.sub(r"`\1`", text)).strip()


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text("utf-8")), "utf-8")
