"""The house's plan, held by reading imports: one line of packages, and heavy libraries only where they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("indexer", "service", "eval")
"""Bottom to top: each may import itself and those before it."""

WEB = {"fastapi", "starlette", "uvicorn", "jinja2", "httpx", "mcp"}
HEAVY = WEB | {
    "cryptography",
    "faiss",
    "jwt",
    "lxml",
    "numpy",
    "onnx",
    "onnxruntime",
    "scipy",
    "sentence_transformers",
    "sqlalchemy",
    "tantivy",
    "tokenizers",
    "torch",
    "transformers",
}
MAX_LINES = 400
LONGER = {
    "indexer/importing/syncing.py": "one run, whose steps must stay in this order",
    "service/client.py": "a client and its asynchronous twin, read side by side",
}
"""Modules that may be longer, and why."""

FAISS_USERS = {
    "indexer/dense.py": "the adapter",
    "eval/bench/scale.py": "times FAISS layouts that no index uses",
}


@dataclass(frozen=True)
class Import:
    """One `import` statement's module.

    Attributes:
        module: dotted name of what is imported from.
        names: what `from module import ...` names.
        binds: the name that a plain `import` binds, empty for `from` imports.
    """

    line: int
    module: str
    names: tuple[str, ...]
    binds: str

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def read_imports(source: str) -> Iterator[Import]:
    """Every import of a module's source, at any depth, those for type checkers included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, (), alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield Import(node.lineno, module, tuple(alias.name for alias in node.names), "")


@cache
def imports_of(path: str) -> tuple[Import, ...]:
    return tuple(read_imports((ROOT / path).read_text("utf-8")))


def modules(*folders: str) -> list[str]:
    found = [str(file.relative_to(ROOT)) for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def upward(path: str, imports: tuple[Import, ...]) -> list[str]:
    """Imports of a package above the module's own, or of tests."""
    allowed = PACKAGES[: PACKAGES.index(path.partition("/")[0]) + 1]
    forbidden = {*PACKAGES, "tests", "kb_articles"} - {*allowed}
    return [f"{path}:{item.line} imports {item.module}" for item in imports if item.top in forbidden]


def rebinding(path: str, imports: tuple[Import, ...]) -> list[str]:
    """Imports that would bind the name `eval`, a builtin."""
    return [f"{path}:{item.line} binds eval" for item in imports if item.binds == "eval" or "eval" in item.names]


def test_packages_import_only_downwards() -> None:
    assert [breach for path in modules(*PACKAGES) for breach in upward(path, imports_of(path))] == []


def test_there_are_no_other_packages() -> None:
    found = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert found == {*PACKAGES, "tests"}


def test_nothing_rebinds_the_builtin_eval() -> None:
    paths = modules(*PACKAGES, "tests")
    assert [breach for path in paths for breach in rebinding(path, imports_of(path))] == []


def test_imports_are_absolute() -> None:
    paths = modules(*PACKAGES, "tests")
    assert [f"{path}:{item.line}" for path in paths for item in imports_of(path) if item.module.startswith(".")] == []


@pytest.mark.parametrize(
    ("path", "source", "breaches"),
    [
        ("indexer/x.py", "def f():\n    from service.answers import Answer\n", 1),
        ("service/x.py", "import eval.metrics as m\nfrom indexer.scope import Scope\n", 1),
        ("service/x.py", "from tests.conftest import build\n", 1),
        ("eval/x.py", "import service.assistant, indexer.scope\nfrom eval.metrics import x\n", 0),
    ],
)
def test_an_upward_import_is_seen_at_any_depth(path: str, source: str, breaches: int) -> None:
    assert len(upward(path, tuple(read_imports(source)))) == breaches


@pytest.mark.parametrize(
    ("source", "breaches"),
    [
        ("import eval.metrics\n", 1),
        ("import eval\n", 1),
        ("from x import eval\n", 1),
        ("from eval.metrics import score\n", 0),
        ("import eval.metrics as metrics\n", 0),
    ],
)
def test_a_rebinding_import_is_seen(source: str, breaches: int) -> None:
    assert len(rebinding("eval/x.py", tuple(read_imports(source)))) == breaches


def reachable(start: str) -> set[str]:
    """Project modules that a module imports, and what they import in turn."""
    seen, waiting = set[str](), [start]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for item in imports_of(path):
            if item.top not in PACKAGES:
                continue
            for name in (item.module, *(f"{item.module}.{part}" for part in item.names)):
                stem = name.replace(".", "/")
                waiting += [file for file in (f"{stem}.py", f"{stem}/__init__.py") if (ROOT / file).is_file()]
    return seen


def test_the_answer_knows_no_web_framework() -> None:
    found = reachable("service/assistant.py")
    assert {"service/snippets.py", "indexer/engine.py", "indexer/dense.py"} <= found, "the walk misses imports"
    assert not {path for path in found if path.startswith("service/http/")}
    assert [f"{path} imports {item.module}" for path in found for item in imports_of(path) if item.top in WEB] == []


def test_faiss_is_imported_in_one_place() -> None:
    paths = modules(*PACKAGES)
    found = {path for path in paths for item in imports_of(path) if item.top == "faiss"}
    assert found == set(FAISS_USERS)


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from eval.cli import app\n"
        "assert 'Commands' in CliRunner().invoke(app, ['--help']).output\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "eval.cli" in loaded
    assert loaded & HEAVY == set()


def test_modules_stay_short() -> None:
    lengths = {path: (ROOT / path).read_text("utf-8").count("\n") for path in modules(*PACKAGES)}
    assert {path for path, lines in lengths.items() if lines > MAX_LINES} - set(LONGER) == set()
    assert set(LONGER) - set(lengths) == set(), "listed and gone"
