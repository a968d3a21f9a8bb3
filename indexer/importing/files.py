"""The target folder: names that stay inside it, atomic writes, and front matter made stricter in place."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Container, Iterable
from pathlib import Path, PurePosixPath

import yaml

from indexer.articles import ARTICLE_SUFFIXES, parse_article
from indexer.errors import ArticleError, SourceError
from indexer.metadata import Audience

MAX_NAME_BYTES = 150
SCRATCH_PATTERN = ".kb-import-*.tmp"
"""Files that are being written; hidden from the indexer."""

_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))})
_EDGES = re.compile(r"^[\s.]+|[\s.]+$")
_FRONT = re.compile(rb"\A(?:\xef\xbb\xbf)?---[ \t]*\r?\n(?P<body>.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def slug(text: str, longest: int = 60) -> str:
    """Lower-case letters, digits and hyphens of `text`; accents dropped where a plain letter is left."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = ascii_only if re.search(r"[A-Za-z0-9]", ascii_only) else unicodedata.normalize("NFKC", text)
    return re.sub(r"[\W_]+", "-", plain.lower()).strip("-")[:longest].strip("-")


def page_path(title: str, page_id: str) -> str:
    """File name of a page that has no path of its own: title and id."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", page_id).strip("-")[:80] or "page"
    return f"{slug(title)}-{name}.md".lstrip("-")


def safe_path(path: str) -> str:
    """A relative POSIX path for `path` that stays below any folder, is not hidden and exists on every file system."""
    parts = []
    for part in PurePosixPath(path.replace("\\", "/")).parts:
        name = "".join(_shown(character) for character in unicodedata.normalize("NFC", part))
        name = _EDGES.sub("", re.sub(r'[<>:"|?*/]', "-", name))
        while len(name.encode()) > MAX_NAME_BYTES:
            stem, dot, suffix = name.rpartition(".")
            name = _EDGES.sub("", f"{stem[:-1]}{dot}{suffix}" if stem and len(suffix) < 10 else name[:-1])
        if name.split(".")[0].strip().lower() in _RESERVED:
            name = f"_{name}"
        if name:
            parts.append(name)
    return "/".join(parts) or "page"


def _shown(character: str) -> str:
    """The character in a name: every kind of space as a plain one, and none that cannot be seen."""
    kind = unicodedata.category(character)[0]
    return " " if kind == "Z" else "" if kind == "C" else character


def article_path(path: str) -> str:
    """`safe_path` for an article: its name has an article's suffix, and no folder above it has."""
    *folders, name = safe_path(path).split("/")
    suffixes = tuple(ARTICLE_SUFFIXES)
    kept = [f"{folder}_" if folder.lower().endswith(suffixes) else folder for folder in folders]
    return "/".join([*kept, name if name.lower().endswith(suffixes) else f"{name}.md"])


def unique_path(path: str, taken: Container[str]) -> str:
    """`path`, or with a number before its suffix if its case-folded form is taken."""
    pure, number = PurePosixPath(path), 1
    while path.casefold() in taken:
        number += 1
        path = str(pure.with_name(f"{pure.stem}-{number}{pure.suffix}"))
    return path


def target_file(root: Path, path: str) -> Path:
    """The file at `path` below `root`.

    Raises:
        SourceError: `path` would lead out of `root`, by its own parts or through a link in the folder.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in path:
        raise SourceError(f"{path!r} is not a path below the target folder; delete .kb-import.json and import again")
    file = root / pure
    if not file.parent.resolve().is_relative_to(root.resolve()):
        raise SourceError(f"{file.parent} is a link that leads out of {root}; replace it with a folder")
    return file


def write_file(file: Path, data: bytes | Iterable[bytes]) -> None:
    """Replace `file` by `data`, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=file.parent, prefix=SCRATCH_PATTERN.partition("*")[0], suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as out:
            for piece in (data,) if isinstance(data, bytes) else data:
                out.write(piece)
            out.flush()
            os.fchmod(out.fileno(), 0o644)
            os.fsync(out.fileno())
        Path(scratch).replace(file)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def remove_file(root: Path, file: Path) -> None:
    """Remove `file` and the folders below `root` that are empty then."""
    file.unlink(missing_ok=True)
    folder = file.parent
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def audience_of(data: bytes) -> Audience | None:
    """The audience that an article file names. None if it names none.

    Raises:
        ArticleError: the file is malformed; no index takes it.
    """
    return parse_article("article.md", data).meta.audience


def is_open(data: bytes) -> bool:
    """Whether an index built from this file could show it to the public: it is not marked internal."""
    try:
        return audience_of(data) is not Audience.INTERNAL
    except ArticleError:
        return False


def make_internal(data: bytes) -> bytes | None:
    """The article with `audience: internal` and nothing else changed; None if its front matter cannot be edited."""
    match = _FRONT.match(data)
    if match is None:
        changed = b"---\naudience: internal\n---\n\n" + data.removeprefix(b"\xef\xbb\xbf")
    else:
        body = re.sub(rb"(?im)^audience[ \t]*:.*\r?\n(?:[ \t]+.*\r?\n)*", b"", match["body"])
        changed = data[: match.start("body")] + b"audience: internal\n" + body + data[match.end("body") :]
    try:
        return changed if audience_of(changed) is Audience.INTERNAL else None
    except ArticleError:
        return None


def front_matter(values: dict[str, object]) -> str:
    """`values` as a front-matter block; empty ones left out."""
    kept = {key: value for key, value in values.items() if value not in ("", None, [], {}, ())}
    return f"---\n{yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1000)}---\n"
