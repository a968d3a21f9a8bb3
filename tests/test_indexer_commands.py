"""`kb index`, `kb verify` and `kb lint` as a shell sees them: exit status, standard output, standard error."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from eval.cli import app
from indexer import linting
from indexer.embedding import Precision
from indexer.errors import IndexNotFound, InputError, KBError
from indexer.publishing import Learned, publish_learned
from indexer.secret_scanning import ADDRESS, PERSONAL_DATA, SECRET
from indexer.snapshot import Snapshot, current_version
from tests.conftest import FakeEmbedder, write_article


@pytest.fixture(autouse=True)
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.embedding.load_embedder", lambda *_: FakeEmbedder())


def run(*arguments: str | Path, **environment: str) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_index_is_where_the_option_says_or_else_the_environment(source: Path, tmp_path: Path) -> None:
    write_article(source, "a.md")
    assert run("index", source, "--quiet", KB_INDEX=str(tmp_path / "one")).exit_code == 0
    assert run("index", source, "--index", tmp_path / "two", "--quiet", KB_INDEX=str(tmp_path / "no")).exit_code == 0
    assert Snapshot.open(tmp_path / "one").name
    assert Snapshot.open(tmp_path / "two").name
    assert not (tmp_path / "no").exists()
    assert run("verify", KB_INDEX=str(tmp_path / "one")).exit_code == 0


def test_the_summary_names_model_and_precision(source: Path, index_dir: Path) -> None:
    write_article(source, "a.md")
    assert "vectors embedded by fake in fp32, 0 reused" in run("index", source, "--index", index_dir).stderr
    for _ in range(2):  # with and without a change
        report = json.loads(run("index", source, "--index", index_dir, "--json").stdout)
        assert (report["model"], report["precision"]) == ("fake", "fp32")
        write_article(source, "b.md")


def test_the_model_that_made_the_index_is_taken_again(
    source: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def load(*arguments: object) -> FakeEmbedder:
        asked.append(arguments)
        return FakeEmbedder()

    monkeypatch.setattr("indexer.embedding.load_embedder", load)
    write_article(source, "a.md")
    for more in ((), (), ("--precision", "int8"), ("--model", "another")):
        run("index", source, "--index", index_dir, "--quiet", *more)
    first, *later = asked
    assert first == ("all-MiniLM-L6-v2", None)
    assert later == [("fake", Precision.FP32), ("fake", Precision.INT8), ("another", None)]


def test_another_model_says_that_what_was_learned_is_left_out(
    source: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_article(source, "a.md")
    run("index", source, "--index", index_dir, "--quiet")
    publish_learned(index_dir, FakeEmbedder(), Learned(decision={"model": {}}))
    assert "note" not in run("index", source, "--index", index_dir).stderr
    monkeypatch.setattr("indexer.embedding.load_embedder", lambda *_: FakeEmbedder(salt="other"))
    said = run("index", source, "--index", index_dir).stderr
    assert "learned with fake in fp32 and is left out: run `kb learn` and `kb calibrate` again" in said
    assert Snapshot.open(index_dir).decision is None


def test_lost_learning_is_said_even_when_quiet(source: Path, index_dir: Path) -> None:
    write_article(source, "a.md")
    run("index", source, "--index", index_dir, "--quiet")
    version, _ = publish_learned(index_dir, FakeEmbedder(), Learned(decision={"model": {}}))
    (index_dir / version / "decision.json").write_text("{}")
    result = run("index", source, "--index", index_dir, "--quiet", "--json")
    assert result.exit_code == 1
    assert "decision.json" in json.loads(result.stdout)["learning_lost"]
    assert "is lost" in result.stderr
    assert "run `kb learn` and `kb calibrate` again" in result.stderr
    assert run("index", source, "--index", index_dir, "--quiet").exit_code == 0


def test_the_model_is_taken_again_from_another_format_and_named_where_it_cannot_be_told(
    source: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr("indexer.embedding.load_embedder", lambda *given: (asked.append(given), FakeEmbedder())[1])  # type: ignore[func-returns-value]
    write_article(source, "a.md")
    run("index", source, "--index", index_dir)
    for module in ("snapshot", "publishing"):
        monkeypatch.setattr(f"indexer.{module}.FORMAT_VERSION", 99)
    assert "note" not in run("index", source, "--index", index_dir).stderr
    assert asked[1] == ("fake", Precision.FP32)
    (index_dir / current_version(index_dir) / "manifest.json").write_text("{}")
    said = run("index", source, "--index", index_dir).stderr
    assert asked[2] == ("all-MiniLM-L6-v2", None)
    assert "what model made the index cannot be told" in said
    assert "all-MiniLM-L6-v2 makes it now" in said


def test_a_malformed_file_is_named_and_the_rest_is_published(source: Path, index_dir: Path) -> None:
    write_article(source, "good.md")
    (source / "bad.md").write_text("---\ntitle: [\n---\n\n# Bad\n", "utf-8")
    result = run("index", source, "--index", index_dir, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["articles"] == 1
    assert "bad.md:" in result.stderr


def test_watch_says_that_a_malformed_file_stays_as_it_was(
    source: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_article(source, "a.md")

    def watch(_source: Path, _index: Path, rebuild: Callable[[], None]) -> None:
        rebuild()
        file.write_text("---\ntitle: [\naudience: public\n---\n\n# Bad\n", "utf-8")
        rebuild()

    monkeypatch.setattr("indexer.watching.watch_articles", watch)
    result = run("index", source, "--index", index_dir, "--watch")
    assert "a.md:3: front matter is not valid YAML" in result.stderr
    assert "; its last good version stays in the index" in result.stderr
    assert "1 malformed files are in the index as they were before" in result.stderr
    assert "not in the index" not in result.stderr
    assert Snapshot.open(index_dir).store.row_of_path("a.md") == 0


def test_strict_publishes_nothing(source: Path, index_dir: Path) -> None:
    write_article(source, "good.md")
    (source / "bad.md").write_text("---\ntitle: [\n---\n\n# Bad\n", "utf-8")
    with pytest.raises(KBError, match=r"bad\.md"):
        run("index", source, "--index", index_dir, "--strict")
    with pytest.raises(IndexNotFound, match="kb index"):
        run("verify", "--index", index_dir)


def test_verify_tells_a_changed_article_from_a_sound_index(source: Path, index_dir: Path) -> None:
    write_article(source, "a.md")
    run("index", source, "--index", index_dir, "--quiet")
    sound = run("verify", "--index", index_dir, "--source", source)
    assert (sound.exit_code, "sound" in sound.stdout) == (0, True)
    write_article(source, "a.md", "Another text.\n")
    changed = run("verify", "--index", index_dir, "--source", source)
    assert changed.exit_code == 1
    assert changed.stdout.startswith("a.md: ")


def test_verify_says_why_a_file_is_not_in_the_index(source: Path, index_dir: Path) -> None:
    write_article(source, "a.md", article_id="KB-1")
    write_article(source, "dup.md", article_id="KB-1")
    (source / "bad.md").write_text("---\ntitle: [\n---\n\n# Bad\n", "utf-8")
    told = run("index", source, "--index", index_dir).stderr
    found = run("verify", "--index", index_dir, "--source", source).stdout
    for path, reason in (("dup.md", "has the same id KB-1 as a.md; give it one of its own"), ("bad.md", "malformed")):
        assert f"{path}:" in told
        assert f"{path}: " in found
        assert reason in found
    assert "give it one of its own" in told
    assert "run `kb index`" not in found


def test_lint_prints_place_rule_and_message(source: Path) -> None:
    write_article(source, "a.md", "See [gone](gone.md).\n")
    result = run("lint", source)
    assert result.exit_code == 1
    assert any(line.startswith("a.md:") and "gone.md" in line for line in result.stdout.splitlines())


def test_lint_of_some_rules_alone(source: Path) -> None:
    (source / "a.md").write_text("---\nlast_verified: 2024-13-45\n---\nSee [gone](gone.md), ask jo@corp.net.\n")
    every = run("lint", source)
    assert {"front-matter", "title-heading", "link", "personal-data"} <= {
        line.split(": ")[1] for line in every.stdout.splitlines()
    }
    some = run("lint", source, "--only", "link", "--only", "secret")
    assert (some.exit_code, some.stdout) == (1, "a.md:4: link: `gone.md` does not exist\n")
    assert "1 articles: 1 breaches" in some.stderr
    assert run("lint", source, "--only", "secret").exit_code == 0
    with pytest.raises(InputError, match="no rule 'secrets'; the rules are unreadable, front-matter"):
        run("lint", source, "--only", "secrets")


def test_every_rule_has_its_name_in_the_list() -> None:
    trees = [ast.parse(file.read_text()) for file in Path(linting.__file__).parent.glob("lint*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 3]
    named = {call.args[2].value for call in calls if isinstance(call.args[2], ast.Constant)}
    assert set(linting.RULES) == named | {"tags", "components", SECRET, PERSONAL_DATA, ADDRESS}


def test_a_link_longer_than_any_file_name_leads_nowhere(source: Path) -> None:
    write_article(source, "a.md", f"See [gone]({'x' * 300}.md).\n")
    assert "xxx.md` does not exist" in run("lint", source).stdout


def test_a_name_that_is_not_utf8_is_told_and_the_rest_is_published(source: Path, index_dir: Path) -> None:
    write_article(source, "good.md")
    write_article(source, b"\xdcbersicht.md".decode("utf-8", "surrogateescape"), title="Overview")
    result = run("index", source, "--index", index_dir, "--json")
    assert (result.exit_code, json.loads(result.stdout)["articles"]) == (1, 1)
    assert r"\xdcbersicht.md:1: has a name that is not UTF-8" in result.stderr
    assert r"\xdcbersicht.md: is malformed" in run("verify", "--index", index_dir, "--source", source).stdout
    assert r"\xdcbersicht.md:1: unreadable" in run("lint", source).stdout


@pytest.mark.parametrize("command", ["index", "lint"])
def test_a_missing_folder_says_what_to_name(command: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name the one that holds the Markdown articles"):
        run(command, tmp_path / "nowhere")
