"""`kb export`: what leaves an index, and that it comes back as it was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app
from indexer.articles import find_articles, read_article
from indexer.errors import IndexNotFound, InputError
from indexer.importing.git_repository import GitRepository
from indexer.importing.html_folder import HtmlFolder
from indexer.metadata import Audience
from indexer.scope import INTERNAL, PUBLIC
from indexer.snapshot import Snapshot
from service.exporting import MARKER, Exporter, ExportFormat, export_articles
from tests.conftest import build, write_article
from tests.http_world import SECRETS, write_articles
from tests.import_world import sync
from tests.test_import_git import git

runner = CliRunner()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two public and two internal articles; a public one points at internal ones in every way it can."""
    write_articles(tmp_path / "articles")
    windows = (
        "---\r\ntitle: Written elsewhere\r\naudience: public\r\nowner: nightjar\r\n---\r\n# Written elsewhere\r\n\r\n"
    )
    link = "[x](../runbooks/zanzibar.md)\r\n"
    (tmp_path / "articles/api/windows.md").write_bytes(f"{windows}## Part\r\n\r\n{link}".encode())
    build(tmp_path / "articles", tmp_path / "index")
    return tmp_path / "index"


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = runner.invoke(app, ["export", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def files_of(folder: Path) -> dict[str, str]:
    return {f.relative_to(folder).as_posix(): f.read_text() for f in sorted(folder.rglob("*")) if f.is_file()}


class Page(HTMLParser):
    """Links, ids and elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.ids.add(values.get("id") or "")
        if tag == "a" and values.get("href"):
            self.hrefs.append(str(values["href"]))
        self.sources += [str(values[key]) for key in ("src", "href") if values.get(key) and tag != "a"]


@pytest.mark.parametrize("form", ["html", "jsonl"])
def test_nothing_internal_is_in_a_public_export(tmp_path: Path, index: Path, form: str) -> None:
    code, _, err = run("--index", index, "--to", tmp_path / "out", "--format", form)
    assert code == 0
    assert "3 public articles written" in err
    for name, text in files_of(tmp_path / "out").items():
        for secret in SECRETS:
            assert secret.casefold() not in f"{name}\n{text}".casefold(), (name, secret)


def test_internal_is_asked_for_by_name(tmp_path: Path, index: Path) -> None:
    run("--index", index, "--to", tmp_path / "out", "--audience", "internal")
    files = files_of(tmp_path / "out")
    assert "Internal: for the team only" in files["articles/runbooks/zanzibar.html"]
    assert "Internal: for the team only" not in files["articles/mail/bounce.html"]
    assert 'href="../runbooks/zanzibar.html"' in files["articles/api/token-expired.html"]


def test_every_link_of_the_site_leads_somewhere(tmp_path: Path, index: Path) -> None:
    run("--index", index, "--to", tmp_path / "out", "--audience", "internal", "--title", "Our <help>")
    pages = {name: Page(text) for name, text in files_of(tmp_path / "out").items() if name.endswith(".html")}
    assert len(pages) == 6
    followed = 0
    for name, page in pages.items():
        assert not page.tags & {"script", "img", "iframe"}
        for href in page.hrefs + page.sources:
            if href.startswith("https://docs.example.com/"):
                continue
            path, _, fragment = href.partition("#")
            target = (tmp_path / "out" / name).parent / path if path else tmp_path / "out" / name
            assert target.is_file(), (name, href)
            if fragment and target.suffix == ".html":
                assert fragment in Page(target.read_text()).ids, (name, href)
            followed += 1
    assert followed > 15
    assert "<h1>Our &lt;help&gt;</h1>" in (tmp_path / "out/index.html").read_text()


def test_json_lines(tmp_path: Path, index: Path) -> None:
    code, out, _ = run("--index", index, "--to", "-", "--format", "jsonl")
    records = {record["path"]: record for record in map(json.loads, out.splitlines())}
    assert code == 0
    assert list(records) == ["api/token-expired.md", "api/windows.md", "mail/bounce.md"]
    record = records["api/token-expired.md"]
    assert (record["id"], record["audience"], record["type"]) == ("KB-1001", "public", "known-error")
    assert (record["related"], record["products"], record["error_codes"]) == (["KB-1003"], ["platform-api"], ["401"])
    assert "owner" not in record
    assert [section["anchor"] for section in record["sections"]][1:] == ["symptoms", "resolution"]
    lines = record["markdown"].split("\n")
    for section in record["sections"]:
        assert section["markdown"] == "\n".join(lines[section["start_line"] - 1 : section["end_line"]])
    assert record["sections"][2]["markdown"].startswith("## Resolution\n\nRequest a new token")
    everything = [
        json.loads(line)
        for line in run("--index", index, "--to", "-", "--format", "jsonl", "--audience", "internal")[1].splitlines()
    ]
    assert [item["path"] for item in everything][3:] == ["runbooks/zanzibar.md", "triage/xylophone.md"]
    assert everything[1]["owner"] == "nightjar"


def test_only_one_product(tmp_path: Path, index: Path) -> None:
    _, out, _ = run("--index", index, "--to", tmp_path / "out", "--product", "Email", "--json")
    report = json.loads(out)
    assert (report["articles"], report["audience"], report["format"]) == (2, "public", "html")


@pytest.mark.parametrize("to", ["out", "-"])
def test_a_product_that_no_article_names_leaves_the_earlier_export(tmp_path: Path, index: Path, to: str) -> None:
    run("--index", index, "--to", tmp_path / "out")
    before = files_of(tmp_path / "out")
    where = ["--to", "-", "--format", "jsonl"] if to == "-" else ["--to", tmp_path / to]
    with pytest.raises(InputError, match=r"no public article names product 'emial'; there are: .*email"):
        run("--index", index, *where, "--product", "emial", "--product", "email")
    assert files_of(tmp_path / "out") == before


def test_an_article_that_closes_is_gone_from_the_next_export(tmp_path: Path, index: Path) -> None:
    run("--index", index, "--to", tmp_path / "out")
    assert (tmp_path / "out/articles/mail/bounce.html").exists()
    write_article(tmp_path / "articles", "mail/bounce.md", title="Mail bounces now", audience="internal")
    build(tmp_path / "articles", index)
    run("--index", index, "--to", tmp_path / "out")
    assert not (tmp_path / "out/articles/mail/bounce.html").exists()
    assert "bounces" not in (tmp_path / "out/index.html").read_text()
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_somebody_elses_folder_is_left_alone(tmp_path: Path, index: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        run("--index", index, "--to", tmp_path / "mine")
    with pytest.raises(InputError, match="not a folder"):
        run("--index", index, "--to", tmp_path / "mine/thesis.txt")
    for inside in (index, index / "out", index.parent):
        with pytest.raises(InputError, match="lie in one another"):
            run("--index", index, "--to", inside)
    assert [f.name for f in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_failed_export_leaves_the_old_one(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("--index", index, "--to", tmp_path / "out")
    before = files_of(tmp_path / "out")
    monkeypatch.setattr("service.exporting.render_article", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("--index", index, "--to", tmp_path / "out")
    assert files_of(tmp_path / "out") == before
    assert [entry.name for entry in tmp_path.iterdir() if "building" in entry.name] == []


def test_mistakes_end_with_one_message(tmp_path: Path, index: Path) -> None:
    with pytest.raises(IndexNotFound):
        run("--index", tmp_path / "none", "--to", tmp_path / "out")
    with pytest.raises(InputError, match="--format jsonl"):
        run("--index", index, "--to", "-")
    assert not (tmp_path / "out").exists()


def test_file_names_of_every_kind(tmp_path: Path) -> None:
    source = tmp_path / "articles"
    for path in ("index.md", "a b#c?%41.md", "A.md", "a.markdown", "ä/ö.md"):
        write_article(source, path, "[A](A.md) and [odd](a%20b%23c%3F%2541.md)\n")
    build(source, tmp_path / "index")
    run("--index", tmp_path / "index", "--to", tmp_path / "out")
    page = Page((tmp_path / "out/articles/index.html").read_text())
    assert "A.html" in page.hrefs
    assert "a%20b%23c%3F%2541.html" in page.hrefs
    assert (tmp_path / "out/articles/a b#c?%41.html").exists()
    assert len({name.casefold() for name in files_of(tmp_path / "out") if name.startswith("articles/")}) == 5


def test_every_option_is_in_the_docs() -> None:
    from typer.main import get_command

    command: Any = get_command(app)
    options = {name for param in command.commands["export"].params for name in param.opts if name.startswith("--")}
    told = re.findall(r"`(--[a-z-]+)", Path("docs/import.md").read_text(encoding="utf-8").partition("# Exporting")[2])
    assert options - {"--help"} <= set(told)


WORDS = ("gateway", "token", "invoice", "webhook", "report", "mailbox", "agent", "cluster", "login", "export")


def write_two_hundred(source: Path) -> dict[str, str]:
    """200 articles in ten folders, every third internal; gives audiences by id."""
    audiences = {}
    for number in range(200):
        word, audience = WORDS[number % 10], "internal" if number % 3 == 0 else "public"
        article_id = f"KB-{2000 + number}"
        other = (number + 10) % 200
        body = (
            f"## Symptoms\n\nThe {word} number {number} answers `ERR_{number}` and __stops__ [again]: "
            "a\\*b < c & d.\n\n"
            f'```text\n{word}: "ERR_{number}" | <failed> &amp; **gone**\n\n    at line {number}\n```\n\n'
            f"| code | meaning |\n|---|---|\n| `ERR_{number}` | a \\| b |\n| {number} | none |\n\n"
            f"## Resolution\n\n1. Open *settings*.\n2. Do this:\n   - first\n   - second\n\n"
            f"   ```bash\n   kubectl get pods -n {word}\n   ```\n3. See [the other](n{other}.md#symptoms).\n\n"
            "> **Note** Mind the gap.\n"
        )
        front = (
            f'products: [{word}, sdk]\ntags: ["{word}", "err-{number}"]\n'
            f'error_codes: ["ERR_{number}", "sorry, no {word}"]\n'
            f'summary: "About {word}: {number}"\nlast_verified: 2026-01-31\nconfidence: validated\ntype: known-error'
        )
        write_article(
            source, f"{word}/n{number}.md", body, title=f"The {word} stops with error {number}",
            audience=audience, article_id=article_id, front=front,
        )  # fmt: skip
        audiences[article_id] = audience
    return audiences


def known(folder: Path) -> dict[str, Any]:
    """What an article folder says, by id, in a form that two ways of writing the same Markdown share."""
    from markdown_it import MarkdownIt

    plain = MarkdownIt("commonmark", {"html": False}).enable(["table"])
    found = {}
    for file in find_articles(folder):
        article = read_article(folder, file)
        body = article.source.text.partition("\n---\n")[2]
        html = re.sub(r"\s+", " ", plain.render(body).replace(">\n<", "><"))
        found[article.article_id] = {
            "audience": article.audience.value,
            "title": article.title,
            "summary": article.summary,
            "products": article.meta.products,
            "tags": article.meta.tags,
            "error_codes": article.meta.error_codes,
            "confidence": article.meta.confidence,
            "type": article.meta.type,
            "last_verified": article.meta.last_verified,
            "anchors": [section.anchor for section in article.sections],
            "html": html,
        }
    return found


@dataclass(frozen=True)
class World:
    """200 articles, their index, and their audiences by id."""

    source: Path
    index: Path
    audiences: dict[str, str]


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("two-hundred")
    audiences = write_two_hundred(folder / "articles")
    build(folder / "articles", folder / "index")
    return World(folder / "articles", folder / "index", audiences)


def test_two_hundred_articles_out_as_html_and_back(tmp_path: Path, two_hundred: World) -> None:
    audiences = two_hundred.audiences
    export_articles(two_hundred.index, tmp_path / "out", ExportFormat.HTML, INTERNAL, "KB", lambda *step: None)
    report = sync(HtmlFolder(tmp_path / "out/articles"), tmp_path / "kb")
    assert (len(report.added), report.failed, report.public, report.internal) == (200, [], 133, 67)
    before, after = known(two_hundred.source), known(tmp_path / "kb")
    assert {name: item["audience"] for name, item in after.items()} == audiences
    assert after == before
    assert sync(HtmlFolder(tmp_path / "out/articles"), tmp_path / "kb").unchanged == 200


def test_two_hundred_articles_out_as_json_lines_and_back_through_git(tmp_path: Path, two_hundred: World) -> None:
    audiences = two_hundred.audiences
    export_articles(two_hundred.index, tmp_path / "out", ExportFormat.JSONL, INTERNAL, "KB", lambda *step: None)
    repository = tmp_path / "repository"
    for line in (tmp_path / "out/articles.jsonl").read_text().splitlines():
        record = json.loads(line)
        file = repository / record["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(record["markdown"])
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "x")
    with GitRepository(str(repository)) as source:
        report = sync(source, tmp_path / "kb")
    assert (len(report.added), report.failed, report.public, report.internal) == (200, [], 133, 67)
    assert {name: item["audience"] for name, item in known(tmp_path / "kb").items()} == audiences
    assert known(tmp_path / "kb") == known(two_hundred.source)


def test_a_public_export_of_two_hundred_holds_the_public_ones(two_hundred: World) -> None:
    audiences = two_hundred.audiences
    records = list(Exporter(Snapshot.open(two_hundred.index), PUBLIC).records())
    assert {record["id"] for record in records} == {name for name, value in audiences.items() if value == "public"}
    internal_files = {f"n{int(name[3:]) - 2000}.md" for name, value in audiences.items() if value == "internal"}
    text = json.dumps(records)
    assert not [name for name in internal_files if re.search(rf"\b{re.escape(name)}", text)]


def test_the_marker_tells_what_the_export_is(tmp_path: Path, index: Path) -> None:
    run("--index", index, "--to", tmp_path / "out")
    marker = json.loads((tmp_path / "out" / MARKER).read_text())
    assert (marker["audience"], marker["articles"]) == (Audience.PUBLIC, 3)
