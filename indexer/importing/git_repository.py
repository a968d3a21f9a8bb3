"""Markdown of a Git repository or wiki: read from its objects, so nothing is checked out and no hook or filter runs.

Wikis of GitHub and GitLab are Git repositories too: their `[[Page]]` links and links without a suffix are resolved.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote, urlsplit

from indexer.articles import ARTICLE_SUFFIXES, MAX_FILE_BYTES, parse_article
from indexer.errors import ArticleError, NoText, PageError, SourceError
from indexer.front_matter import load_yaml
from indexer.importing.fetching import Credentials, is_loopback
from indexer.importing.markdown import WIKI_SCHEME
from indexer.importing.pages import Attachment, LeftOut, Link, Page, PageRef, Source
from indexer.importing.rendering import EmptyPage
from indexer.metadata import Audience, Confidence

CLONE_TIMEOUT_S = 600
_COMMAND_TIMEOUT_S = 120
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?\n", re.DOTALL | re.MULTILINE)
_SSH = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:(?!//).+")
_NO_SUCH_REF = re.compile(r"Needed a single revision|Remote branch .* not found")
_OTHER_MARKUP = frozenset({".rst", ".adoc", ".asciidoc", ".textile", ".org", ".mediawiki", ".rdoc"})
_WIKI_FRAME = re.compile(r"_(sidebar|footer|header)\.(md|markdown)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Blob:
    name: str
    size_bytes: int


class GitRepository(Source):
    """Markdown files of one commit, below one folder of it. Use as a context manager: it removes its clone."""

    kind = "git"
    prefix = "git"

    def __init__(
        self,
        place: str,
        ref: str = "",
        subfolder: str = "",
        unsaid: Audience = Audience.INTERNAL,
        credentials: Credentials | None = None,
    ) -> None:
        """`place` is a folder or a clone address; `unsaid` the audience of files that name none.

        Raises:
            SourceError: the address or the ref will not do, or the repository cannot be read.
        """
        folder = Path(place)
        self._is_clone = not folder.is_dir()
        if self._is_clone:
            check_clone_address(place)
        self._environment = _environment(place, credentials or Credentials(), fetches=self._is_clone)
        self._ref, self._subfolder = _check_ref(ref), _check_subfolder(subfolder)
        self._unsaid = unsaid
        self.left_out: list[LeftOut] = []
        self._blobs: dict[str, _Blob] = {}
        self._wiki_names: dict[str, str] = {}
        self._reader: subprocess.Popen[bytes] | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="kb-import-")
        self._directory = Path(self._scratch.name) / "repository.git" if self._is_clone else folder
        origin = place if self._is_clone else str(folder.resolve())
        self.place = f"{origin} {self._subfolder}".strip()
        try:
            if self._is_clone:
                self._clone(place)
            wanted = f"{self._ref or 'HEAD'}^{{commit}}"
            self._commit = self._git("rev-parse", "--verify", "--end-of-options", wanted).strip()
        except BaseException as error:
            self._scratch.cleanup()
            if self._ref and isinstance(error, SourceError) and _NO_SUCH_REF.search(str(error)):
                raise SourceError(f"no branch, tag or commit {self._ref!r} in {place}") from error
            raise

    def __enter__(self) -> GitRepository:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.communicate()
        self._scratch.cleanup()

    @property
    def cursor(self) -> str:
        return self._commit

    def list_pages(self) -> list[PageRef]:
        others = 0
        below = [self._subfolder] if self._subfolder else []
        listing = self._git("ls-tree", "-r", "-l", "-z", "--full-tree", self._commit, "--", *below)
        for entry in filter(None, listing.split("\0")):
            told, _, full = entry.partition("\t")
            mode, kind, name, size = told.split()
            path = full.removeprefix(f"{self._subfolder}/") if self._subfolder else full
            pure = PurePosixPath(path)
            if kind != "blob" or any(part.startswith(".") for part in pure.parts):
                continue  # a submodule, or hidden
            if pure.suffix.lower() not in ARTICLE_SUFFIXES:
                others += pure.suffix.lower() in _OTHER_MARKUP
            elif not full.isprintable():
                self.left_out.append(LeftOut(ascii(path), ascii(path), "has a name that is not plain UTF-8 text"))
            elif mode == "120000":
                self.left_out.append(LeftOut(path, path, "is a symbolic link"))
            elif _WIKI_FRAME.fullmatch(pure.name):
                self.left_out.append(LeftOut(path, path, "is the frame of a wiki"))
            else:
                self._blobs[path] = _Blob(name, int(size) if size.isdecimal() else 0)  # BAD: it is missing
        if others:
            self.left_out.append(LeftOut("*", f"{others} files", "are not Markdown (reStructuredText, AsciiDoc, ...)"))
        if not self._blobs:
            raise SourceError(
                f"{self.place} has no Markdown files at {self._commit[:12]}; check the ref and the subfolder"
            )
        for path in sorted(self._blobs, key=lambda path: (-len(path), path)):
            self._wiki_names[_wiki_name(PurePosixPath(path).stem)] = path
            self._wiki_names[_wiki_name(str(PurePosixPath(path).with_suffix("")))] = path
        return [
            PageRef(path, f"{blob.name} {self._unsaid}", path, None, path, blob.name)
            for path, blob in sorted(self._blobs.items())
        ]

    def fetch_page(self, ref: PageRef) -> Page:
        blob = self._blobs[ref.id]
        if blob.size_bytes > MAX_FILE_BYTES:
            raise PageError(f"is larger than {MAX_FILE_BYTES // 1024**2} MiB; split it")
        try:
            data = self._read_blob(blob)
            article = parse_article(ref.id, data)
        except NoText as error:
            raise EmptyPage("has no text of its own") from error
        except ArticleError as error:
            raise PageError(f"line {error.line}: {error.reason}") from error
        text = data.decode("utf-8")
        match = _FRONT.match(text)
        front: dict[str, Any] = load_yaml(ref.id, match[1]) if match and match[1].strip() else {}
        return Page(
            title=article.title,
            audience=article.meta.audience or self._unsaid,
            markdown=text[match.end() :] if match else text.removeprefix("\ufeff"),
            article_id=article.meta.id or "",
            confidence=_confidence(article.meta.confidence),
            products=article.meta.products,
            front={key: value for key, value in front.items() if key.lower() != "audience"},
        )

    def find_link(self, href: str, page_id: str) -> Link | None:
        if href.startswith(WIKI_SCHEME):
            name, _, fragment = href.removeprefix(WIKI_SCHEME).partition("#")
            target = self._wiki_names.get(_wiki_name(name), name) if name.strip() else page_id
            return Link(target, fragment.strip().lower().replace(" ", "-"))
        try:
            parts = urlsplit(href)
        except ValueError:
            return None
        if parts.scheme or parts.netloc or not parts.path:
            return None
        path = unquote(parts.path)
        target = normpath(join(dirname(page_id), path)) if not path.startswith("/") else path.lstrip("/")
        if target in self._blobs:
            return Link(target, parts.fragment)
        if not PurePosixPath(target).suffix and (known := self._wiki_names.get(_wiki_name(target))):
            return Link(known, parts.fragment)
        return None

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        raise PageError("files of a repository are not attachments")

    def find_renames(self, since: str) -> dict[str, str]:
        if not re.fullmatch(r"[0-9a-f]{40,64}", since):
            return {}
        try:
            if self._is_clone:
                self._git("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "origin", since)
            told = self._git(
                "diff", "--no-ext-diff", "--name-status", "-z", "-M50%", "--diff-filter=R", since, self._commit, "--"
            )
        except SourceError:
            return {}  # the old commit cannot be had any more; unchanged texts are known again by their content
        fields = told.split("\0")
        prefix = f"{self._subfolder}/" if self._subfolder else ""
        return {
            new.removeprefix(prefix): old.removeprefix(prefix)
            for status, old, new in zip(fields[0::3], fields[1::3], fields[2::3], strict=False)
            if status.startswith("R")
        }

    def _read_blob(self, blob: _Blob) -> bytes:
        """The blob's bytes, by one `git cat-file --batch` for the whole run."""
        if self._reader is None:
            self._reader = subprocess.Popen(  # noqa: S603  a fixed program, its arguments checked
                ["git", *_SAFE, "-C", str(self._directory), "cat-file", "--batch"],  # noqa: S607
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        pipe_in, pipe_out = self._reader.stdin, self._reader.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        try:
            pipe_in.write(f"{blob.name}\n".encode())
            pipe_in.flush()
            head = pipe_out.readline().split()
        except BrokenPipeError as error:
            raise SourceError("git ended while the repository was read; try again") from error
        if len(head) != 3 or head[1] != b"blob":
            raise PageError("is missing from the repository; run `git fsck` there")
        return pipe_out.read(int(head[2]) + 1)[:-1]

    def _clone(self, address: str) -> None:
        if re.fullmatch(r"[0-9a-f]{7,64}", self._ref):
            narrow = []  # a commit of any branch, or a branch or tag that looks like one
        else:
            narrow = ["--single-branch", "--no-tags", "--depth=1", *([f"--branch={self._ref}"] if self._ref else [])]
        self._call(
            ["git", *_SAFE, "clone", "--quiet", "--bare", "--no-recurse-submodules", *narrow, "--", address,
             str(self._directory)],
            CLONE_TIMEOUT_S,
        )  # fmt: skip

    def _git(self, *arguments: str) -> str:
        return self._run(*arguments).decode("utf-8", "surrogateescape")

    def _run(self, *arguments: str) -> bytes:
        return self._call(["git", *_SAFE, "-C", str(self._directory), *arguments], _COMMAND_TIMEOUT_S)

    def _call(self, command: list[str], timeout_s: float) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603  a fixed program, its arguments checked
                command,
                env=self._environment,
                capture_output=True,
                timeout=timeout_s,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise SourceError("git is not installed; install it to import from a repository") from error
        except subprocess.TimeoutExpired as error:
            raise SourceError(f"git did not end within {timeout_s:.0f} s; try again later") from error
        if done.returncode:
            if b"from promisor remote" in done.stderr:
                raise SourceError("the repository is a partial clone that lacks texts; clone it whole")
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
            raise SourceError(f"git cannot read the repository: {last[0]}")
        return done.stdout


_KEPT_VARIABLES = (
    "PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "GIT_SSL_CAINFO",
)  # fmt: skip
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false")


def check_clone_address(place: str) -> str:
    """`place` if it is an address that may be cloned. Raises SourceError."""
    if _SSH.fullmatch(place):
        return place
    try:
        parts = urlsplit(place)
    except ValueError as error:
        raise SourceError(f"{place!r} is neither a folder nor an address") from error
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise SourceError(f"clone over https, not over plain HTTP: https://{parts.hostname}{parts.path}")
    if parts.scheme in {"https", "http"} and (parts.username or parts.password):
        raise SourceError("take the credentials out of the address and set KB_IMPORT_USER and KB_IMPORT_TOKEN")
    if parts.scheme not in {"https", "http", "ssh", "file"}:
        raise SourceError(f"{place!r} is neither a folder nor an address that Git clones over https, ssh or file")
    return place


def _environment(place: str, credentials: Credentials, *, fetches: bool) -> dict[str, str]:
    """git's environment: no prompts, the configuration of nobody but the repository, credentials only for `place`.

    A repository's configuration may name programs to fetch with. GIT_ALLOW_PROTOCOL goes before all that it says:
    without `fetches` nothing is fetched, not even an object that a partial clone lacks.
    """
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    kept |= {
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:file" if fetches else "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    parts = urlsplit(place)
    if credentials.token and parts.scheme in {"https", "http"}:
        pair = f"{credentials.user or 'oauth2'}:{credentials.token}"
        kept |= {
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_2": "http.followRedirects",
            "GIT_CONFIG_VALUE_2": "false",
            "GIT_CONFIG_KEY_1": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
            "GIT_CONFIG_VALUE_1": f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}",
        }
    return kept


def _check_ref(ref: str) -> str:
    if ref and (not re.fullmatch(r"[A-Za-z0-9_][\w./+-]*", ref) or ".." in ref):
        raise SourceError(f"{ref!r} is not the name of a branch, tag or commit")
    return ref


def _check_subfolder(folder: str) -> str:
    pure = PurePosixPath(folder.strip("/"))
    if ".." in pure.parts or folder.startswith(":"):
        raise SourceError(f"{folder!r} is not a folder of the repository")
    return "" if str(pure) == "." else str(pure)


def _wiki_name(name: str) -> str:
    """A wiki page's name as its links are compared: case, spaces, hyphens and underscores alike."""
    return re.sub(r"[\s_-]+", "-", name.strip().strip("/")).casefold()


def _confidence(value: str | None) -> Confidence | None:
    return Confidence(value) if value in set(Confidence) else None
