"""The examples of docs/api-clients.md are run, and the contract holds what generators and Postman need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.articles import read_article
from indexer.metadata import Audience
from tests.conftest import build
from tests.http_world import World, make_world, running

PAGE = Path(__file__).parents[1] / "docs" / "api-clients.md"
COMMANDS = re.findall(r"```console\n\$ (curl .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SAMPLES = PAGE.parents[1] / "kb_articles"
PATHS = re.findall(r"/v1/articles/([\w/-]+\.md)", " ".join(COMMANDS))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(tmp_path_factory.mktemp("examples"))
    for path in PATHS:
        shutil.copy(SAMPLES / path, made.source / path)
    build(made.source, made.index)
    return made


@pytest.fixture(scope="module")
def base(world: World) -> Iterator[str]:
    with running(world.app()) as address:
        yield address


@pytest.fixture(scope="module")
def document(world: World) -> dict[str, Any]:
    return world.app().openapi()


def curl(command: str, world: World, base: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "KB": base, "KB_KEY": world.engineer}
    return subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_each_example_works_as_it_stands(world: World, base: str, command: str) -> None:
    done = curl(command, world, base)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_examples_name_public_sample_articles() -> None:
    samples = [read_article(SAMPLES, file) for file in SAMPLES.rglob("*.md")]
    public = [sample for sample in samples if sample.audience is Audience.PUBLIC]
    named = {*PATHS, *re.findall(r"\bKB-\d+\b", " ".join(COMMANDS))}
    assert len(named) == 2
    assert named - {name for sample in public for name in (sample.path, sample.article_id)} == set()


def test_examples_show_every_operation_that_a_program_calls(document: dict[str, Any]) -> None:
    shown = {
        re.sub(r"[?\"].*", "", path) for command in COMMANDS for path in re.findall(r"\$KB(/v1/[^\s\"']+)", command)
    }
    patterns = {path: re.sub(r"\{[^}]+\}", ".+", path) for path in document["paths"]}
    wanted = [path for path in patterns if path.split("/")[2] in {"search", "tickets", "articles", "feedback", "ready"}]
    assert len(wanted) == 6
    assert not [path for path in wanted if not any(re.fullmatch(patterns[path], one) for one in shown)]


def test_an_example_with_a_wrong_key_fails(world: World, base: str) -> None:
    """Otherwise the tests above would prove nothing."""
    broken = next(command for command in COMMANDS if "$KB_KEY" in command).replace("$KB_KEY", "kbs_wrong")
    assert curl(broken, world, base).returncode == 22


def test_every_operation_has_what_generators_and_postman_go_by(document: dict[str, Any]) -> None:
    operations = [(path, item[method]) for path, item in document["paths"].items() for method in item]
    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names)
    for path, operation in operations:
        assert operation["tags"], path
        assert operation["summary"], path
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"]), path
        assert any(status.startswith("2") or status == "default" for status in operation["responses"]), path
    assert document["servers"] == [{"url": "/", "description": "the service that gives this document"}]
    assert set(document["components"]["securitySchemes"]) == {"key", "session"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for part in value.values():
                yield from references(part)
        elif isinstance(value, list):
            for part in value:
                yield from references(part)

    found = set(references(document))
    assert found
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert found <= known
