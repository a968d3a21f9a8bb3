"""The command line end to end, with the default model."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.commands import app
from indexer.errors import DatasetError, InputError
from tests.eval_world import write_dataset

ROOT = Path(__file__).parents[1]


def _invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("real_embedder")
def test_run_and_compare(small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_dataset(small_world.parent)
    output = _invoke("run", folder, "--json", "out/a.json", "--run-file", "out/a.run")
    assert "nDCG@10" in output
    report = json.loads(Path("out/a.json").read_text())
    assert report["summary"]["retrieval"]["nDCG@10"]["value"] == 1.0
    assert report["summary"]["citations"]["share"] == 1.0
    assert (report["index"]["model"], report["index"]["precision"]) == ("all-MiniLM-L6-v2", "int8")
    assert Path(report["index"]["folder"]).parent == Path("var/eval")
    assert Path("out/a.run").read_text().startswith("t1 Q0 auth/token-expired.md 1 ")
    built = report["index"]["folder"]
    version = Path(built, "CURRENT").read_text()
    assert _invoke("run", folder, "--index", built, "--json", "out/b.json", "--limit", "2", "--quiet") == ""
    assert Path(built, "CURRENT").read_text() == version
    assert "B - A" in _invoke("compare", "out/a.json", "out/b.json", "--json", "out/c.json")
    rows = json.loads(Path("out/c.json").read_text())["rows"]
    assert {row["delta"]["value"] for row in rows if row["measure"] in ("nDCG@10", "coverage")} == {0.0}


@pytest.mark.parametrize("option", ["--model", "--precision", "--history", "--calibrate-on"])
def test_an_index_that_is_named_is_not_changed(small_world: Path, option: str) -> None:
    folder = write_dataset(small_world.parent)
    with pytest.raises(InputError, match=f"as it is; leave out --index, or {option}"):
        _invoke("run", folder, "--index", "mine", option, "fp32")


def test_mistake_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="is not a folder"):
        _invoke("run", "absent")


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys; from eval.commands import app; from typer.testing import CliRunner; "
        "result = CliRunner().invoke(app, ['run', '--help']); assert result.exit_code == 0; "
        "print([name for name in ('numpy', 'torch', 'faiss', 'onnxruntime', 'ir_measures') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["eval", "service", "indexer", "tests"])
def test_nothing_rebinds_the_builtin_eval(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.asname is None]
                assert not [name for name in names if name.split(".")[0] == "eval"], f"{file}:{node.lineno}"
