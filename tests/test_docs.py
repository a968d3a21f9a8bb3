"""The documentation names every command, option, setting and route there is, and none that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.markup import render
from starlette.routing import Mount, Route

from service.http.app import create_app
from service.settings import Settings
from tests.cli_page import PAGE as CLI_PAGE
from tests.cli_page import flags_of, render_page, walk

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))])
SOURCES = sorted(
    file
    for folder in ("indexer", "service", "eval", "tests", ".ci")
    for file in (ROOT / folder).rglob("*")
    if file.suffix in {".py", ".js", ".css", ".html", ".json", ".txt", ""} and file.is_file()
)

EXAMPLE_NAMES = {"KB_NAME", "KB_KEY"}
"""Stand for any setting, and for a key in the reader's shell."""

INSIDE_NAMES = {"KB_BENCH_JOB"}
"""Passed from one process of a command to another; nobody sets them."""

FOREIGN_FLAGS = {"--data-urlencode", "--data-binary", "--get", "--no-sync"}
TEST_NAMES = {"KB_REQUIRE_BROWSER"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@cache
def text_of(file: Path) -> str:
    return file.read_text("utf-8")


def code_spans(page: Path) -> Iterator[str]:
    """Inline code of a page, tables included."""
    for token in MarkdownIt("commonmark").enable("table").parse(text_of(page)):
        for child in token.children or []:
            if child.type == "code_inline":
                yield child.content


def code_lines(page: Path) -> Iterator[str]:
    """Lines of a page's fenced code, without prompts."""
    for token in MarkdownIt("commonmark").parse(text_of(page)):
        if token.type == "fence":
            yield from (line.strip().removeprefix("$ ") for line in token.content.splitlines())


COMMANDS = dict(walk())


def misused(line: str) -> str:
    """What is wrong with `kb ...` as the docs write it; empty if nothing."""
    words = re.split(r"[#|;>]|&&", line)[0].replace("[", " ").replace("]", " ").split()
    name = "kb"
    while len(words) > 1 and f"{name} {words[1]}" in COMMANDS:
        name = f"{name} {words.pop(1)}"
    if name == "kb":
        is_placeholder = len(words) == 1 or words[1].startswith("-") or words[1].isupper()
        return "" if is_placeholder else f"there is no command {line!r}"
    flags = {word.split("=")[0].rstrip(".,") for word in words[1:] if word.startswith("--")} - {"--help"}
    unknown = flags - flags_of(COMMANDS[name])
    return f"{name} has no {sorted(unknown)}" if unknown else ""


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("kb search - --limit 3 < ticket.txt", ""),
        ('kb keys add "help desk" --audience internal   # --secret', ""),
        ("kb eval run DATASET", ""),
        ("kb COMMAND --help", ""),
        ("kb find x", "there is no command 'kb find x'"),
        ("kb eval run DATASET --limits 3", "kb eval run has no ['--limits']"),
    ],
)
def test_a_misused_command_is_seen(line: str, wrong: str) -> None:
    assert misused(line) == wrong


def test_no_help_text_loses_what_rich_takes_for_markup() -> None:
    for name, command in walk():
        for text in (command.help or "", *(getattr(parameter, "help", "") or "" for parameter in command.params)):
            assert render(text).plain == text, name


def test_the_command_page_is_up_to_date() -> None:
    text = text_of(CLI_PAGE)
    assert text == render_page(text), "docs/cli.md is behind the commands: run `make docs`"
    for name, command in COMMANDS.items():
        assert f"# `{name}`\n" in text
        assert all(f"`{flag}" in text for flag in flags_of(command))


@each_page
def test_commands_in_the_docs_exist(page: Path) -> None:
    written = [text for text in (*code_spans(page), *code_lines(page)) if text == "kb" or text.startswith("kb ")]
    assert [wrong for wrong in map(misused, written) if wrong] == []


@each_page
def test_options_in_the_docs_exist(page: Path) -> None:
    known = set().union(*map(flags_of, COMMANDS.values())) | FOREIGN_FLAGS
    known |= {"--help", "--install-completion", "--show-completion"}
    named = {word for span in code_spans(page) for word in re.findall(r"(?:^|\s)(--[a-z][a-z-]+)", span)}
    assert {name for name in named if not name.startswith("--kb-")} - known == set()


def test_every_setting_has_its_row_and_no_other_has() -> None:
    rows = re.findall(r"^\| `(KB_[A-Z_]+)`", text_of(DOCS / "settings.md"), re.MULTILINE)
    assert sorted(rows) == sorted(f"KB_{name.upper()}" for name in Settings.model_fields)


def test_names_of_the_environment_are_documented_and_exist() -> None:
    read = {
        node.value
        for file in SOURCES
        if file.suffix == ".py" and "tests" not in file.relative_to(ROOT).parts
        for node in ast.walk(ast.parse(text_of(file)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("KB_[A-Z_]+", node.value)
    } - INSIDE_NAMES
    assert "KB_MODEL_CACHE" in read
    documented = {name for page in PAGES for name in re.findall(r"\bKB_[A-Z_]*[A-Z]\b", text_of(page))}
    assert read - documented == set()
    settings = {f"KB_{name.upper()}" for name in Settings.model_fields}
    assert documented - settings - read - EXAMPLE_NAMES - TEST_NAMES == set()
    assert all(name in text_of(ROOT / ".ci" / "run") for name in TEST_NAMES)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """`METHOD /path` of all that the app serves, the parameters' converters left out."""
    app = create_app(Settings(index=tmp_path_factory.mktemp("docs") / "index"))
    found = set[str]()
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, Mount):
            found.add(f"GET {route.path}/{{file}}")
        elif isinstance(route, Route) or hasattr(route, "methods"):
            path = re.sub(r":\w+}", "}", route.path)  # type: ignore[attr-defined]
            found |= {f"{method} {path}" for method in (getattr(route, "methods", None) or {"POST"}) - {"HEAD"}}
        else:
            waiting += route.original_router.routes  # type: ignore[attr-defined]
    in_openapi = {f"{method.upper()} {path}" for path, item in app.openapi()["paths"].items() for method in item}
    assert in_openapi < found
    assert "POST /mcp" in found
    return found


def test_every_route_is_documented_and_no_other_is(routes: set[str]) -> None:
    rows = re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /\S*)` \|", text_of(DOCS / "http-api.md"), re.MULTILINE)
    assert sorted(rows) == sorted(routes)


def test_the_examples_of_proxies_close_what_is_open_to_everybody_and_tells_of_others() -> None:
    section = text_of(DOCS / "settings.md").partition("## Behind a proxy")[2]
    examples = dict(re.findall(r"```(nginx|caddy)\n(.*?)```", section, re.DOTALL))
    assert re.search(r"^ +location = /metrics { return 404; }$", examples["nginx"], re.MULTILINE)
    assert re.search(r"^ +respond /metrics 404$", examples["caddy"], re.MULTILINE)
    sent = set(re.findall(r"proxy_set_header (\S+)", examples["nginx"]))
    assert sent == {"Host", "X-Forwarded-Proto", "X-Forwarded-For"}


@each_page
def test_routes_in_the_docs_exist(page: Path, routes: set[str]) -> None:
    patterns = [re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(route))) for route in routes]
    for span in code_spans(page):
        if written := re.match(r"(GET|POST|DELETE) (/(?:v1|mcp|metrics|widget|articles|static)\b[^?\s]*)$", span):
            name = f"{written[1]} {written[2]}"
            is_prefix = name.endswith("/") and any(route.startswith(name) for route in routes)
            assert is_prefix or any(pattern.fullmatch(name) for pattern in patterns), f"{page.name}: {span}"


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    found = list[str]()
    tokens = MarkdownIt("commonmark").parse(text_of(page))
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or []).lower()
            anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for token in MarkdownIt("commonmark").enable("table").parse(text_of(page)):
        for child in token.children or []:
            target = str(child.attrs.get("href" if child.type == "link_open" else "src", ""))
            if not target or re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            is_there = file.exists() and (not anchor or (file.suffix == ".md" and anchor in anchors_of(file)))
            if not is_there or not file.is_relative_to(ROOT):
                dead.append(target)
    assert dead == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text_of(ROOT / "README.md")))
    assert linked == {page.name for page in DOCS.glob("*.md")}


def test_every_picture_is_shown_somewhere() -> None:
    shown = {name for page in PAGES for name in re.findall(r"images/([\w.-]+)", text_of(page))}
    assert {file.name for file in (DOCS / "images").iterdir()} - shown == set()


FOREIGN_PLACES = re.compile(
    r"(?<![\w.:/-])/(?:work|root|home/\w+|Users/\w+)/|\.\./shared\b|"
    r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|download\.pytorch\.org|deb\.debian\.org)\b"
)


@pytest.mark.parametrize("text", ["see /work/x", "../shared/x", "https://pypi.org/simple"])
def test_a_foreign_place_is_seen(text: str) -> None:
    assert FOREIGN_PLACES.search(text)


def test_nothing_names_a_place_of_one_machine_or_a_package_registry() -> None:
    others = [ROOT / name for name in ("Makefile", "pyproject.toml", "requirements.lock")]
    files = [file for file in (*PAGES, *SOURCES, *others) if file != Path(__file__)]
    assert [
        f"{file.relative_to(ROOT)}: {hit[0]}" for file in files if (hit := FOREIGN_PLACES.search(text_of(file)))
    ] == []
