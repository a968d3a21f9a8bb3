"""`kb search` and `kb keys`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.cli import app
from indexer.errors import IndexNotFound, InputError
from indexer.metadata import Audience
from service.keys import KeyFile, KeyKind
from tests.conftest import FakeEmbedder
from tests.http_world import UNCOVERED, DecidedAssistant, World, make_world

runner = CliRunner()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = make_world(tmp_path)
    monkeypatch.setattr("service.assistant.Assistant", lambda index: DecidedAssistant(index, FakeEmbedder()))
    return made


def run(world: World, *arguments: str, text: str | None = None) -> tuple[int, str]:
    result = runner.invoke(app, [*arguments, "--index", str(world.index)], input=text)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_search_prints_rank_title_place_reasons_and_snippet(world: World) -> None:
    code, out = run(world, "search", "every request answers 401 invalid_token", "--limit", "2")
    assert code == 0
    assert "Answered" in out
    assert "83% sure" in out
    assert " 1  API answers 401 invalid_token after the token expired" in out
    assert "api/token-expired.md:" in out
    assert "▏ " in out


def test_search_says_honestly_that_nothing_covers_it(world: World) -> None:
    code, out = run(world, "search", f"{UNCOVERED} 401")
    assert code == 1
    assert "No article covers this" in out
    assert "nearest" in out
    listed = [line for line in out.splitlines() if line.startswith(" 2  ")]
    assert listed, "several articles came near"
    first, _, others = out.partition(listed[0])
    assert "▏ " in first
    assert "▏ " not in others, "a screen of quotes would hide that it is no answer"


def test_search_as_json_from_standard_input_and_by_audience(world: World) -> None:
    code, out = run(world, "search", "-", "--json", "--title", "401", text="invalid_token quokka\n")
    answer = json.loads(out)
    assert code == 0
    assert {s["audience"] for s in answer["suggestions"]} == {"public", "internal"}
    _, out = run(world, "search", "--stdin", "--json", "--audience", "public", text="quokka alert\n")
    assert {s["audience"] for s in json.loads(out)["suggestions"]} == {"public"}


def test_a_mistyped_product_does_not_look_like_no_answer(world: World) -> None:
    assert run(world, "search", "invalid_token", "--product", "Platform-API")[0] == 0
    with pytest.raises(InputError, match=r"no article names product 'platfrom-api'; there are: .*platform-api"):
        run(world, "search", "invalid_token", "--product", "platfrom-api")


def test_an_empty_question_is_an_error(world: World) -> None:
    with pytest.raises(InputError):
        run(world, "search", "  ")


def test_keys_are_made_listed_and_revoked(world: World) -> None:
    code, token = run(world, "keys", "add", "console", "--audience", "internal")
    assert code == 0
    keys = KeyFile(world.settings.keys_path)
    key = keys.find(token.strip())
    assert key
    assert (key.kind, key.audience) == (KeyKind.SECRET, Audience.INTERNAL)
    code, listed = run(world, "keys", "list", "--json")
    assert (code, {"name", "origins", "id"} <= json.loads(listed)[0].keys()) == (0, True)
    code, listed = run(world, "keys", "list")
    assert key.id in listed
    assert token.strip() not in listed
    assert run(world, "keys", "revoke", key.id)[0] == 0
    assert keys.find(token.strip()) is None
    _, token = run(world, "keys", "add", "page", "--publishable", "--origin", "https://help.example.com/")
    page = keys.find(token.strip())
    assert page
    assert page.origins == ("https://help.example.com",)


@pytest.mark.parametrize("command", ["search", "triage"])
def test_of_a_text_that_is_too_long_head_and_tail_are_read(world: World, command: str) -> None:
    text = "Since noon\n" + "nothing to see here\n" * 2000 + "HTTP 401 invalid_token\n"
    arguments = [command, "-", "--title", "Import", "--index", str(world.index)]
    result = runner.invoke(app, arguments, input=text)
    assert result.exit_code == 0, result.exception
    assert "kb: note: read the first 9,991 and the last 9,983 of 40,034 characters" in result.stderr
    assert command == "triage" or "API answers 401 invalid_token" in result.stdout
    assert "note" not in runner.invoke(app, arguments, input="HTTP 401 invalid_token").stderr


@pytest.mark.parametrize("command", ["search", "triage"])
def test_forgotten_quotes_are_told_of(world: World, command: str) -> None:
    with pytest.raises(InputError, match="put the text in quotes, or use - to read standard input"):
        run(world, command, "every", "request", "answers", "401")
    assert runner.invoke(app, [command, "x", "--no-such-option"]).exit_code == 2


def test_a_report_creates_nothing(tmp_path: Path, world: World) -> None:
    before = sorted(tmp_path.iterdir())
    code, out = run(world, "deflection", "--json")
    assert (code, json.loads(out)["visits"]["all"]["shown"]) == (0, 0)
    with pytest.raises(IndexNotFound, match=r"no index at .*typo"):
        run(replace(world, index=tmp_path / "typo"), "deflection")
    assert sorted(tmp_path.iterdir()) == before


def test_keys_beside_no_index_are_told_of(tmp_path: Path, world: World) -> None:
    for index, is_told in ((world.index, False), (tmp_path / "typo", True)):
        for command in (("add", "console"), ("list",), ("revoke", "none")):
            result = runner.invoke(app, ["keys", *command, "--index", str(index)])
            assert (f"kb: note: there is no index at {index}" in result.stderr) is is_told
    elsewhere = {"KB_KEYS_FILE": str(tmp_path / "keys.json")}
    named = runner.invoke(app, ["keys", "list", "--index", str(tmp_path / "typo")], env=elsewhere)
    assert "note" not in named.stderr


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nimport eval.cli as cli\n"
        "heavy = {'faiss', 'torch', 'fastapi', 'uvicorn', 'sqlalchemy', 'pydantic', 'sentence_transformers'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script.replace("import eval.cli as cli", "from eval.cli import app")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 10
