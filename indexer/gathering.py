"""What goes into a build: article files by their content, and what each contributes, worked out once and kept.

Everything kept is found by a digest of all that it depends on: the file's path and bytes, the audience of articles that
name none, the chunk limits, the embedder, and the code and libraries that read articles. Nothing kept can be out of
date, and nothing has to be told that it is.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from indexer.articles import Article, find_articles, parse_article, read_source
from indexer.cache import BlobTable
from indexer.chunking import ChunkLimits, CountTokens
from indexer.derived import Derived, derive_article, pack_derived, unpack_derived
from indexer.embedding import Fingerprint
from indexer.errors import ArticleError, IndexCorrupt
from indexer.keeping import Keep, keep_nothing
from indexer.metadata import Audience

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work advances."""

_LIBRARIES = ("faiss-cpu", "markdown-it-py", "mdit-py-plugins", "numpy", "pydantic", "PyYAML", "tantivy", "tokenizers")
_KEY_BYTES = 32
_BATCH = 64
"""Articles in memory at a time, and worked out between two commits."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an article's share depends on besides the file."""

    fingerprint: Fingerprint
    limits: ChunkLimits
    default_audience: Audience

    def digest(self) -> bytes:
        """Of all of it, and of the code that applies it."""
        values = [self.fingerprint.as_dict(), self.limits.as_dict(), self.default_audience, _code_digest()]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One article file. `key` names its path, its bytes and the recipe."""

    file: Path
    path: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One article of a build.

    Attributes:
        key: where the `ArticleCache` has its share.
        version: SHA-256 of the file.
        vector_keys: where the `EmbeddingCache` has its vectors: one a chunk, then the opening's.
    """

    key: bytes
    path: str
    article_id: str
    version: str
    vector_keys: tuple[bytes, ...]


class ArticleCache:
    """What articles contribute (`Derived`), by key, in a `BlobTable`."""

    def __init__(self, file: Path) -> None:
        self._table = BlobTable(file, "articles")

    def close(self) -> None:
        self._table.close()

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Those of `keys` that are kept and undamaged."""
        return {key: _read_entry(key, value) for key, value in self._table.read(keys, _BATCH)}

    def put(self, items: Sequence[tuple[Entry, Derived]]) -> None:
        """Keep `items` by their entries' keys."""
        self._table.put((entry.key, _pack_entry(entry) + pack_derived(item)) for entry, item in items)

    def read(self, entries: Sequence[Entry]) -> Iterator[Derived]:
        """What `entries` contribute, in their order, a few of them in memory. Raises IndexCorrupt if one is gone."""
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            found = dict(self._table.read([entry.key for entry in part]))
            for entry in part:
                value = found.pop(entry.key, None)
                if value is None:
                    raise IndexCorrupt(f"{entry.path} was damaged in the cache while it was read: run `kb index` again")
                yield unpack_derived(value[4 + int.from_bytes(value[:4], "big") :])

    def keep_only(self, entries: Sequence[Entry]) -> None:
        """Drop everything else."""
        self._table.keep_only(entry.key for entry in entries)


def read_sources(source_dir: Path, recipe: Recipe) -> list[SourceFile]:
    """Every article file below `source_dir`, sorted by path, with its bytes' key."""
    digest = recipe.digest()
    return [_read_file(source_dir, file, digest)[0] for file in find_articles(source_dir)]


def _read_file(source_dir: Path, file: Path, recipe: bytes) -> tuple[SourceFile, bytes | ArticleError]:
    """`file` as it is now, and its bytes or why they cannot be had; the key is of either."""
    try:
        path, data = read_source(source_dir, file)
    except ArticleError as error:
        return SourceFile(file, error.path, _key(recipe, error.path, error.reason.encode())), error
    return SourceFile(file, path, _key(recipe, path, data)), data


def digest_inputs(keys: Sequence[bytes]) -> str:
    """A digest of all that goes into a version: the keys of its files, in their order."""
    return hashlib.sha256(b"".join(keys)).hexdigest()


@dataclass(frozen=True, slots=True)
class Gathered:
    """What goes into a build.

    Attributes:
        entries: the articles, in path order.
        errors: one for each malformed file.
        kept: paths of the malformed files whose last good version is among `entries`; the others are left out.
        inputs: the digest of all files.
    """

    entries: list[Entry]
    errors: list[ArticleError]
    kept: frozenset[str]
    inputs: str


def gather_articles(
    source_dir: Path,
    sources: Sequence[SourceFile],
    recipe: Recipe,
    count_tokens: CountTokens,
    vector_key: Callable[[str], bytes],
    kept: ArticleCache,
    progress: Progress,
    keep: Keep = keep_nothing,
) -> Gathered:
    """Take what `kept` has of `sources`; work out the rest and keep it, so that a crash loses a few articles' work.

    Args:
        keep: what to index in the place of a file that is malformed.
    """
    known = kept.entries([source.key for source in sources])
    outcomes = {source.path: _Outcome(source.path, source.key, known.get(source.key)) for source in sources}
    todo = [source for source in sources if source.key not in known]
    work = _Work(source_dir, recipe, recipe.digest(), count_tokens, vector_key, keep)
    for start in range(0, len(todo), _BATCH):
        fresh: list[tuple[Entry, Derived]] = []
        for number, source in enumerate(todo[start : start + _BATCH], start=start + 1):
            outcomes[source.path], item = work.on(source)
            fresh += item
            progress("reading", number, len(todo))
        kept.put(fresh)
    return _settle(outcomes.values())


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What has become of one file: an entry or an error, or both where its last good version stands in for it.

    `key` is that of the bytes which the file holds.
    """

    path: str
    key: bytes
    entry: Entry | None = None
    error: ArticleError | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """Makes entries of files."""

    source_dir: Path
    recipe: Recipe
    digest: bytes
    count_tokens: CountTokens
    vector_key: Callable[[str], bytes]
    keep: Keep

    def on(self, source: SourceFile) -> tuple[_Outcome, list[tuple[Entry, Derived]]]:
        """What becomes of the file as it is now, for it may have changed since it was listed, and what is new of it."""
        now, data = _read_file(self.source_dir, source.file, self.digest)
        if isinstance(data, ArticleError):
            return _Outcome(source.path, now.key, None, data), []
        article, error = self._parse(now.path, data)
        if article is None:
            return _Outcome(source.path, now.key, None, error), []
        item = derive_article(article, self.recipe.limits, self.count_tokens)
        # A version that stands in is found as if the file still held it: a build that only keeps it publishes nothing.
        key = _key(self.digest, now.path, article.source.data)
        vector_keys = tuple(self.vector_key(text) for text in item.texts)
        entry = Entry(key, now.path, article.article_id, article.version, vector_keys)
        return _Outcome(source.path, now.key, entry, error), [(entry, item)]

    def _parse(self, path: str, data: bytes) -> tuple[Article | None, ArticleError | None]:
        """The article that `data` is, or the one to index in its place, if any, with what is wrong with `data`."""
        try:
            return parse_article(path, data, self.recipe.default_audience), None
        except ArticleError as error:
            good = self.keep(data, error)
            if good is None:
                return None, error
            try:
                return parse_article(path, good, self.recipe.default_audience), error
            except ArticleError as worse:
                return None, worse


def _settle(outcomes: Collection[_Outcome]) -> Gathered:
    """Of files that claim one id the first sound one has it; what only its last good version speaks for gives way."""
    sound = {outcome.entry.article_id for outcome in outcomes if outcome.entry and not outcome.error}
    entries: dict[str, Entry] = {}
    errors: list[ArticleError] = []
    kept: set[str] = set()
    keys: list[bytes] = []
    for outcome in outcomes:
        entry, error = outcome.entry, outcome.error
        if entry and error and entry.article_id in sound:
            entry = None
        if entry and entry.article_id in entries:
            first = entries[entry.article_id].path
            reason = f"has the same id {entry.article_id} as {first}; give it one of its own"
            entry, error = None, ArticleError(outcome.path, 1, reason)
        if entry:
            entries[entry.article_id] = entry
        if entry and error:
            kept.add(outcome.path)
        if error:
            errors.append(error)
        keys.append(entry.key if entry else outcome.key)
    return Gathered(list(entries.values()), errors, frozenset(kept), digest_inputs(keys))


def _key(recipe: bytes, path: str, data: bytes) -> bytes:
    return hashlib.sha256(recipe + path.encode("utf-8", "surrogateescape") + b"\0" + data).digest()


def _pack_entry(entry: Entry) -> bytes:
    values = json.dumps([entry.path, entry.article_id, entry.version]).encode()
    body = len(values).to_bytes(4, "big") + values + b"".join(entry.vector_keys)
    return len(body).to_bytes(4, "big") + body


def _read_entry(key: bytes, value: bytes) -> Entry:
    end = 4 + int.from_bytes(value[:4], "big")
    middle = 8 + int.from_bytes(value[4:8], "big")
    path, article_id, sha256 = json.loads(value[8:middle])
    keys = tuple(value[start : start + _KEY_BYTES] for start in range(middle, end, _KEY_BYTES))
    return Entry(key, path, article_id, sha256, keys)


@cache
def _code_digest() -> str:
    """Of the modules that make an index and the libraries they read articles with."""
    digest = hashlib.sha256(repr(sys.version_info).encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"\0{library} {version(library)}".encode())
    return digest.hexdigest()
