"""Git repositories and wikis, made on the spot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from indexer.articles import read_article
from indexer.errors import SourceError
from indexer.importing.fetching import Credentials
from indexer.importing.git_repository import GitRepository, check_clone_address
from indexer.importing.markdown import convert_markdown
from indexer.metadata import Audience
from tests.import_world import sync


def git(folder: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, **files: str | None) -> str:
    """Write or remove files (`__` for `/`, no suffix: `.md`) and commit; gives the commit."""
    if not (folder / ".git").exists():
        folder.mkdir(exist_ok=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        file = folder / (name.replace("__", "/") + ("" if "." in name else ".md"))
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


LONG = "The widget stops.\n" * 20


def test_paths_front_matter_and_visibility(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(
        repository,
        README="# Read me\n\nHello. [docs](docs/a.md#part)\n",
        docs__a="---\nid: KB-1\naudience: public\nproducts: [api]\nowner: team\n---\n\n"
        "# A page\n\n## Part\n\n[up](../README.md)\n",
        docs__b="---\naudience: secret\n---\n\n# B\n\ntext\n",
    )
    (repository / "docs/uncommitted.md").write_text("# No\n\nno\n")
    with GitRepository(str(repository)) as source:
        report = sync(source, tmp_path / "kb")
    assert sorted(report.added) == ["README.md", "docs/a.md"]
    assert [(item.id, "audience" in item.reason) for item in report.failed] == [("docs/b.md", True)]
    a = read_article(tmp_path / "kb", tmp_path / "kb/docs/a.md")
    assert (a.article_id, a.audience, a.meta.products, a.meta.owner) == ("KB-1", Audience.PUBLIC, ("api",), "team")
    assert "[up](../README.md)" in a.source.text
    readme = read_article(tmp_path / "kb", tmp_path / "kb/README.md")
    assert (readme.audience, readme.title) == (Audience.INTERNAL, "Read me")
    assert "[docs](docs/a.md#part)" in readme.source.text


def test_what_a_file_leaves_open_is_the_operators_to_say(tmp_path: Path) -> None:
    commit(tmp_path / "r", a="# A\n\ntext\n", b="---\naudience: internal\n---\n# B\n\ntext\n")
    with GitRepository(str(tmp_path / "r"), unsaid=Audience.PUBLIC) as source:
        sync(source, tmp_path / "kb")
    found = {name: read_article(tmp_path / "kb", tmp_path / "kb" / name).audience.value for name in ("a.md", "b.md")}
    assert found == {"a.md": "public", "b.md": "internal"}
    with GitRepository(str(tmp_path / "r")) as source:
        assert sync(source, tmp_path / "kb").tightened == ["a.md"]


def test_a_page_whose_new_front_matter_is_broken_is_closed(tmp_path: Path) -> None:
    commit(tmp_path / "r", a="---\naudience: public\n---\n# A\n\ntext\n", b="# B\n\ntext\n")
    with GitRepository(str(tmp_path / "r")) as source:
        sync(source, tmp_path / "kb")
    commit(tmp_path / "r", a="---\naudience: [public\n---\n# A\n\ntext\n")
    with GitRepository(str(tmp_path / "r")) as source:
        report = sync(source, tmp_path / "kb")
    assert (report.tightened, len(report.failed)) == (["a.md"], 1)
    assert read_article(tmp_path / "kb", tmp_path / "kb/a.md").audience is Audience.INTERNAL


@pytest.mark.parametrize("cloned", [False, True])
def test_renamed_and_edited_at_once_keeps_its_id(tmp_path: Path, cloned: bool) -> None:
    repository = tmp_path / "r"
    commit(repository, **{"a.md": f"# A\n\n{LONG}", "b.md": f"# B\n\n{LONG}other\n", "c.md": "# C\n\nc\n"})
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    place = f"file://{repository}" if cloned else str(repository)
    with GitRepository(place) as source:
        sync(source, tmp_path / "kb")
    ids = {n: read_article(tmp_path / "kb", tmp_path / f"kb/{n}.md").article_id for n in "ab"}
    commit(
        repository,
        **{"a.md": None, "b.md": None, "sub/a2.md": f"# A\n\n{LONG}and more\n", "b2.md": f"# B\n\n{LONG}other\n"},
    )
    with GitRepository(place) as source:
        report = sync(source, tmp_path / "kb")
    assert (sorted(report.moved), report.added, report.removed) == (["b2.md", "sub/a2.md"], [], [])
    assert read_article(tmp_path / "kb", tmp_path / "kb/sub/a2.md").article_id == ids["a"]
    assert read_article(tmp_path / "kb", tmp_path / "kb/b2.md").article_id == ids["b"]


def test_a_clone_of_one_branch_and_folder(tmp_path: Path) -> None:
    repository = tmp_path / "r"
    first = commit(repository, docs__a="# A\n\nold\n", other="# O\n\nx\n")
    git(repository, "branch", "old")
    commit(repository, docs__a="# A\n\nnew\n")
    for ref, words in (("old", "old"), ("", "new"), ("main", "new"), (first, "old")):
        with GitRepository(f"file://{repository}", ref, "docs/") as source:
            folder = tmp_path / f"kb-{ref}"
            assert sync(source, folder).added == ["a.md"]
        assert f"# A\n\n{words}\n" in (folder / "a.md").read_text()


def test_any_commit_and_tags_that_look_like_one(tmp_path: Path) -> None:
    repository = tmp_path / "r"
    commit(repository, a="# A\n\nmain\n")
    git(repository, "switch", "--quiet", "--create", "side")
    side = commit(repository, a="# A\n\nside\n")
    git(repository, "tag", "20240101")
    git(repository, "tag", "v1.0")
    git(repository, "switch", "--quiet", "main")
    for ref in (side, side[:10], "20240101", "v1.0", "side"):
        with GitRepository(f"file://{repository}", ref) as source:
            sync(source, tmp_path / f"kb-{ref}")
        assert "side" in (tmp_path / f"kb-{ref}/a.md").read_text()


def test_wiki_links_frames_and_other_formats(tmp_path: Path) -> None:
    commit(
        tmp_path / "wiki",
        **{
            "Home.md": "[[Getting Started]], [[words|Getting-Started#First Step]], [x](getting-started), [[Nowhere]]"
            "\n\n`[[Getting Started]]`\n\n```\n[[Getting Started]]\n```\n",
            "Getting-Started.md": "# Getting started\n\n## First step\n\nGo [home](Home).\n",
            "_Sidebar.md": "[[Home]]\n",
            "Old.rst": "Old\n===\n",
        },
    )
    with GitRepository(str(tmp_path / "wiki")) as source:
        report = sync(source, tmp_path / "kb")
    text = (tmp_path / "kb/Home.md").read_text()
    assert (
        "[Getting Started](Getting-Started.md), [words](Getting-Started.md#first-step), [x](Getting-Started.md)" in text
    )
    assert ", Nowhere\n\n`[[Getting Started]]`\n\n```\n[[Getting Started]]\n```" in text
    assert [item.reason[:22] for item in report.left_out] == ["is the frame of a wiki", "are not Markdown (reSt"]


def test_links_in_code_and_escaped_links_stay() -> None:
    text = "a `[x](y)` [x](y) ![i](p.png)\n\n    [x](y)\n\n[r]: y 'T'\n\\[[z]]\n"
    assert convert_markdown(text, {"y": "new"}.get) == (
        "a `[x](y)` [x](new) ![i](p.png)\n\n    [x](y)\n\n[r]: new 'T'\n\\[[z]]\n"
    )


def test_links_hooks_submodules_and_hidden_files_are_not_followed(tmp_path: Path) -> None:
    repository, secret = tmp_path / "r", tmp_path / "secret.md"
    secret.write_text("# Secret\n\ntop secret\n")
    commit(repository, **{"a.md": "# A\n\nx\n", ".github/b.md": "# B\n\nx\n"})
    (repository / "link.md").symlink_to(secret)
    hook = repository / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git(repository, "add", "--all")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(repository, "commit", "--quiet", "--message", "x")
    for place in (str(repository), f"file://{repository}"):
        folder = tmp_path / ("clone" if "://" in place else "local")
        with GitRepository(place) as source:
            report = sync(source, folder)
        assert report.added == ["a.md"]
        assert [item.name for item in report.left_out] == ["link.md"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"remote.origin.uploadpack": "touch {ran}; git-upload-pack"},
        {"remote.origin.url": "ext::sh -c touch% {ran}", "protocol.ext.allow": "always"},
    ],
    ids=["upload-pack", "ext"],
)
def test_a_repository_names_no_program_to_fetch_with(tmp_path: Path, settings: dict[str, str]) -> None:
    commit(tmp_path / "r", a="# A\n\nx\n")
    git(tmp_path / "r", "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{tmp_path}/r", "partial")
    for name, value in settings.items():
        git(tmp_path / "partial", "config", name, value.format(ran=tmp_path / "ran"))
    with GitRepository(str(tmp_path / "partial")) as source, pytest.raises(SourceError, match="clone it whole"):
        sync(source, tmp_path / "kb")
    assert not (tmp_path / "ran").exists()


def test_files_of_headings_alone_are_left_out(tmp_path: Path) -> None:
    commit(tmp_path / "r", a="# A\n\nx\n", contents="# Contents\n\n## One\n", empty="")
    for _ in range(2):
        with GitRepository(str(tmp_path / "r")) as source:
            report = sync(source, tmp_path / "kb")
        assert [item.id for item in report.left_out] == ["contents.md", "empty.md"]
        assert report.exit_status == 0


def test_a_missing_text_is_one_failure(tmp_path: Path) -> None:
    repository = tmp_path / "r"
    commit(repository, a="# A\n\nx\n", b="# B\n\ny\n")
    name = git(repository, "rev-parse", "HEAD:a.md")
    (repository / ".git/objects" / name[:2] / name[2:]).unlink()
    with GitRepository(str(repository)) as source:
        report = sync(source, tmp_path / "kb")
    assert report.added == ["b.md"]
    assert [(item.id, "git fsck" in item.reason) for item in report.failed] == [("a.md", True)]


def test_the_configuration_of_an_account_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path / "r", a="# A\n\nx\n")
    (tmp_path / ".gitconfig").write_text(f'[url "file:///nowhere/"]\n\tinsteadOf = file://{tmp_path}/\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    with GitRepository(f"file://{tmp_path}/r") as source:
        assert sync(source, tmp_path / "kb").added == ["a.md"]


@pytest.mark.parametrize(
    "place",
    [
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "http://example.com/x.git",
        "https://user:secret@example.com/x.git",
        "git://example.com/x.git",
        "https://[server]/x.git",
        "no/such/folder",
    ],
)
def test_addresses_that_are_not_cloned(place: str) -> None:
    with pytest.raises(SourceError) as caught:
        GitRepository(place)
    assert "secret" not in str(caught.value)


def test_addresses_that_are() -> None:
    for place in ("https://example.com/x.git", "ssh://git@example.com/x", "git@example.com:a/b.git", "file:///srv/x"):
        assert check_clone_address(place) == place


@pytest.mark.parametrize(
    ("ref", "subfolder"), [("--all", ""), ("a..b", ""), ("x y", ""), ("", "../x"), ("", ":(top)x")]
)
def test_refs_and_folders_that_will_not_do(tmp_path: Path, ref: str, subfolder: str) -> None:
    commit(tmp_path / "r", a="# A\n\nx\n")
    with pytest.raises(SourceError):
        GitRepository(str(tmp_path / "r"), ref, subfolder)


def test_errors_say_what_git_said(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(SourceError, match="not a git repository"):
        GitRepository(str(tmp_path / "plain"))
    commit(tmp_path / "r", a="# A\n\nx\n")
    for place in (str(tmp_path / "r"), f"file://{tmp_path}/r"):
        with pytest.raises(SourceError) as caught:
            GitRepository(place, "no-such-branch")
        assert str(caught.value) == f"no branch, tag or commit 'no-such-branch' in {place}"
    with (
        GitRepository(str(tmp_path / "r"), "", "docs") as source,
        pytest.raises(SourceError, match="no Markdown files"),
    ):
        source.list_pages()


def test_a_token_is_in_no_argument_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []

    def record(command: list[str], env: dict[str, str], **options: object) -> subprocess.CompletedProcess[bytes]:
        seen.append((command, env))
        return subprocess.CompletedProcess(command, 128, b"", b"fatal: no")

    monkeypatch.setattr(subprocess, "run", record)
    with pytest.raises(SourceError):
        GitRepository("https://example.com/x.git", credentials=Credentials("me", "s3cr3t"))
    command, environment = seen[0]
    assert "s3cr3t" not in " ".join(command)
    assert environment["GIT_CONFIG_KEY_1"] == "http.https://example.com/.extraHeader"
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
