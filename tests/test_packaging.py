"""The built wheel holds all that the product needs, and works where there is no source tree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import build, write_article

ROOT = Path(__file__).parent.parent
PACKAGES = ("indexer", "service", "eval")
ASSET_FOLDERS = (
    "service/web/templates",
    "service/web/static",
    "service/web/demo",
    "service/web/export",
    "service/web/widget",
)

SERVE = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
import service
from service.http.app import create_app
from service.http.demo import create_demo_app
from service.settings import Settings

PATHS = "/ /static/console.css /static/console.js /widget/kb-help.js /sign-in /v1/openapi.json"
assert Path(service.__file__).is_relative_to(sys.argv[1]), service.__file__
with TestClient(create_app(Settings(index=Path(sys.argv[2])))) as client:
    for path in PATHS.split():
        answer = client.get(path)
        print(path, answer.status_code, len(answer.content) > 100)
print("demo", TestClient(create_demo_app("http://127.0.0.1:1", "kbp_x")).get("/").status_code)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as hatchling builds it, without a network and without an isolated environment."""
    folder = tmp_path_factory.mktemp("wheel")
    script = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's packages and its command; their dependencies come from this environment."""
    target = tmp_path_factory.mktemp("installed")
    options = [
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--disable-pip-version-check",
        "--target",
        str(target),
    ]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True, capture_output=True)
    return target


def run_elsewhere(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run from a folder that is not the source tree, with the installed packages before anything else."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("KB_") or name == "KB_MODEL_CACHE"
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_wheel_holds_every_module_and_asset(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {file.relative_to(ROOT).as_posix() for name in PACKAGES for file in (ROOT / name).rglob("*.py")}
    assets = {
        file.relative_to(ROOT).as_posix()
        for name in ASSET_FOLDERS
        for file in (ROOT / name).rglob("*")
        if file.is_file()
    }
    assert {
        "service/web/templates/console.html",
        "service/web/static/console.css",
        "service/web/widget/kb-help.js",
    } <= assets
    needed = modules | assets | {f"{name}/py.typed" for name in PACKAGES}
    needed |= {"service/connectors/assets/servicenow_business_rule.js", "eval/peers/txtai.txt"}
    assert needed - held == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in held}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert [name for name in held if "__pycache__" in name or name.endswith((".sqlite", ".keys.json"))] == []
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


def test_the_command_runs_without_the_source_tree(installed: Path, tmp_path: Path) -> None:
    command = installed / "bin" / "kb"
    assert command.is_file()
    done = run_elsewhere(installed, tmp_path, str(command), "--help")
    assert done.returncode == 0, done.stderr
    assert "search" in done.stdout
    missing = run_elsewhere(installed, tmp_path, str(command), "verify", "--index", "nowhere")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "kb index" in missing.stderr


def test_pages_and_scripts_are_served_without_the_source_tree(installed: Path, tmp_path: Path) -> None:
    articles, index = tmp_path / "articles", tmp_path / "index"
    write_article(articles, "a.md")
    build(articles, index)
    done = run_elsewhere(installed, tmp_path, "-c", SERVE, str(installed), str(index))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "/ 200 True",
        "/static/console.css 200 True",
        "/static/console.js 200 True",
        "/widget/kb-help.js 200 True",
        "/sign-in 200 True",
        "/v1/openapi.json 200 True",
        "demo 200",
    ]


def test_requirements_are_pinned_and_complete() -> None:
    """Every dependency that pyproject.toml names is pinned, each line of the lock is one exact version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []

    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    pinned = [normal(line.split("==")[0]) for line in lines]
    assert len(pinned) == len(set(pinned))
    extras = project["project"]["optional-dependencies"].values()
    named = [*project["project"]["dependencies"], *(name for extra in extras for name in extra)]
    assert {normal(re.match(r"[\w.-]+", name)[0]) for name in named} - set(pinned) == set()  # type: ignore[index]
