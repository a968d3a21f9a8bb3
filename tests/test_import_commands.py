"""`kb import` as an operator runs it, and what comes of it in an index."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app
from indexer.errors import InputError, KBError, SourceError
from indexer.scope import INTERNAL, PUBLIC
from service.answers import Question
from service.assistant import Assistant
from tests.conftest import FakeEmbedder, build
from tests.import_world import serving
from tests.test_import_confluence import site_of_five
from tests.test_import_html import write
from tests.test_import_servicenow import row
from tests.test_import_zendesk import Zendesk, article

runner = CliRunner()


def run(*arguments: str | Path, **environment: str) -> tuple[int, str, str]:
    result = runner.invoke(app, ["import", *map(str, arguments)], env=environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_html_with_summary_json_and_dry_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="<title>A</title><p>x</p>", b="<title>B</title><p>y</p>")
    code, out, err = run("html", folder, "--to", tmp_path / "kb", "--dry-run", "--audience", "public")
    assert (code, out) == (0, "")
    assert "2 pages: 2 would be added" in err
    assert not (tmp_path / "kb").exists()
    code, out, _ = run("html", folder, "--to", tmp_path / "kb", "--audience", "public", "--json", "--quiet")
    report = json.loads(out)
    assert (code, report["added"], report["public"]) == (0, ["a.md", "b.md"], 2)
    (folder / "a.html").unlink()
    (folder / "b.html").unlink()
    (folder / "c.html").write_text("<title>C</title><p>z</p>")
    code, out, err = run("html", folder, "--to", tmp_path / "kb", "--json")
    assert (code, "--allow-mass-delete" in json.loads(out)["stopped"]) == (2, True)
    assert "--allow-mass-delete" in err
    assert run("html", folder, "--to", tmp_path / "kb", "--allow-mass-delete")[0] == 0
    assert [file.name for file in (tmp_path / "kb").glob("*.md")] == ["c.md"]


def test_failures_are_told_by_name_and_reason_even_when_quiet(tmp_path: Path) -> None:
    bad = '<meta name="kb:audience" content="everyone"><title>A</title><p>x</p>'
    folder = write(tmp_path / "in", a=bad, b="<title>B</title><p>y</p>")
    code, out, err = run("html", folder, "--to", tmp_path / "kb", "--quiet")
    assert (code, out) == (1, "")
    assert err.strip() == "failed: a (a.html): kb:audience is 'everyone'; write public or internal"


def test_zendesk_with_credentials_of_the_environment(tmp_path: Path) -> None:
    zendesk = Zendesk(article(1), article(2, user_segment_id=4))
    with serving(zendesk) as server:
        zendesk.address = server.address
        code, _, err = run(
            "zendesk-guide", server.address, "--to", tmp_path / "kb", "--locale", "en-us", "--product", "portal",
            KB_IMPORT_USER="a@example.com", KB_IMPORT_TOKEN="s3cr3t",
        )  # fmt: skip
        assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert code == 0
    assert "1 public and 1 internal articles" in err
    assert "s3cr3t" not in err
    assert all("s3cr3t" not in file.read_text() for file in (tmp_path / "kb").iterdir())
    assert "products:\n- portal" in (tmp_path / "kb/article-1-1.md").read_text()


def test_confluence_and_servicenow_by_address_and_by_file(tmp_path: Path) -> None:
    with serving(site_of_five()) as server:
        code, out, _ = run(
            "confluence", server.address, "--space", "KB", "--audience", "public", "--to", tmp_path / "a", "--json",
            KB_IMPORT_TOKEN="t",
        )  # fmt: skip
    assert (code, json.loads(out)["public"], json.loads(out)["internal"]) == (0, 3, 2)
    file = tmp_path / "export.json"
    file.write_text(json.dumps({"result": [row(1), row(2)]}))
    code, out, _ = run("servicenow", file, "--to", tmp_path / "b", "--json", "--all-internal", "--audience", "public")
    assert (code, json.loads(out)["public"], json.loads(out)["internal"]) == (0, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["confluence", "https://x.atlassian.net"], InputError),
        (["confluence", "no-such-file.zip", "--space", "KB"], InputError),
        (["confluence", "no-such-file.zip"], SourceError),
        (["zendesk-guide", "http://example.com"], SourceError),
        (["servicenow", "no-such-file.json"], SourceError),
        (["git", "no-such-folder"], SourceError),
        (["html", "no-such-folder"], SourceError),
    ],
)
def test_mistakes_end_with_one_message(tmp_path: Path, arguments: list[str], kind: type[KBError]) -> None:
    with pytest.raises(kind):
        run(*arguments, "--to", tmp_path / "kb")


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="<title>A</title><p>x</p>")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="not a folder"):
        run("html", folder, "--to", tmp_path / "file")
    with pytest.raises(SourceError, match="cannot be read or written"):
        run("html", folder, "--to", tmp_path / "file" / "kb")


def options_of(command: str) -> set[str]:
    from typer.main import get_command

    group: Any = get_command(app)
    found = group.commands["import"].commands[command].params
    return {name for param in found for name in param.opts if name.startswith("--")}


def test_every_option_is_in_the_docs_and_the_other_way_round() -> None:
    text = Path("docs/import.md").read_text(encoding="utf-8").partition("\n# Exporting\n")[0]
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    exist = set().union(*(options_of(name) for name in ("confluence", "zendesk-guide", "servicenow", "git", "html")))
    assert exist - {"--help"} <= told
    assert told <= exist


def test_imported_articles_are_found_within_their_audience(tmp_path: Path) -> None:
    """Import, index, search: an internal article reaches nobody outside, and closing one works through to the index."""
    cause = "<h2>Cause</h2><p>The refresh token expired: invalid_grant.</p>"
    zendesk = Zendesk(
        article(1, title="Login fails with invalid_grant", body=cause),
        article(2, title="Restart the quokka gateway", user_segment_id=4, body="<p>invalid_grant: quokka.</p>"),
        article(3, title="Reports are late", body="<p>Reports wait for the nightly job.</p>"),
    )
    question = Question("login answers invalid_grant", "", 5)

    def paths(scope: Any) -> set[str]:
        answer = Assistant(tmp_path / "index", FakeEmbedder()).answer(question, scope)
        return {item.path for item in answer.suggestions}

    with serving(zendesk) as server:
        zendesk.address = server.address
        run("zendesk-guide", server.address, "--to", tmp_path / "kb/zendesk")
        report = build(tmp_path / "kb", tmp_path / "index")
        assert (report.article_count, report.errors) == (3, ())
        assert "zendesk/login-fails-with-invalid-grant-1.md" in paths(PUBLIC)
        hidden = "zendesk/restart-the-quokka-gateway-2.md"
        assert hidden not in paths(PUBLIC)
        assert hidden in paths(INTERNAL)
        zendesk.articles[0]["user_segment_id"] = 4
        run("zendesk-guide", server.address, "--to", tmp_path / "kb/zendesk")
        build(tmp_path / "kb", tmp_path / "index")
        assert "zendesk/login-fails-with-invalid-grant-1.md" not in paths(PUBLIC)
