"""Small worlds for tests: articles written to a folder, and an embedder that needs no model."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from indexer.articles import Article
from indexer.building import BuildOptions, BuildReport, build_index
from indexer.chunking import Wording, heading_text
from indexer.embedding import Embedder, Encoded, Fingerprint, Precision, Signs, load_embedder
from indexer.snapshot import Snapshot
from indexer.source import Span

# A developer's machine looks for new examples each time; a build has to say the same of one commit each time.
settings.register_profile("kb", deadline=None, max_examples=60, derandomize="CI" in os.environ)
settings.load_profile("kb")

FAKE_DIMENSIONS = 64
_TOKEN = re.compile(r"\w+|[^\w\s]")


class FakeEmbedder(Embedder):
    """Deterministic hashed bags of words as unit vectors. Texts that share words are near each other, and equal words'
    signs are equal.

    Attributes:
        texts: everything embedded so far, in order.
    """

    def __init__(
        self, max_tokens: int = 256, salt: str = "fake", query_prompt: str = "", document_prompt: str = ""
    ) -> None:
        self.texts: list[str] = []
        self._fingerprint = Fingerprint(
            "fake",
            hashlib.sha256(salt.encode()).hexdigest(),
            Precision.FP32,
            FAKE_DIMENSIONS,
            max_tokens,
            query_prompt=query_prompt,
            document_prompt=document_prompt,
        )

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(_TOKEN.findall(text)) for text in texts]

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        self.texts.extend(texts)
        vectors = np.zeros((len(texts), FAKE_DIMENSIONS), np.float32)
        signs: list[Signs] = []
        for row, text in enumerate(texts):
            vector = vectors[row]
            tokens = _TOKEN.findall(text.casefold())[: max_tokens or self._fingerprint.max_tokens]
            digests = [hashlib.blake2b(token.encode(), digest_size=FAKE_DIMENSIONS // 8).digest() for token in tokens]
            for digest in digests or [bytes(8)]:
                vector[int.from_bytes(digest[:4], "big") % FAKE_DIMENSIONS] += 1.0 if digest[4] & 1 else -1.0
            if not vector.any():
                vector[0] = 1.0
            vectors[row] /= np.linalg.norm(vector)
            signs.append(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, FAKE_DIMENSIONS // 8))
        return Encoded(vectors, tuple(signs))


def write_article(
    root: Path,
    path: str,
    body: str = "The widget stops with an error.\n",
    *,
    title: str | None = None,
    audience: str | None = "public",
    article_id: str | None = None,
    front: str = "",
) -> Path:
    """Write one article below `root` and return its file. `front` holds further front-matter lines."""
    title = title or f"Article about {Path(path).stem.replace('-', ' ')}"
    lines = [f"title: {title}"]
    if article_id:
        lines.append(f"id: {article_id}")
    if audience:
        lines.append(f"audience: {audience}")
    if front:
        lines.append(front.strip("\n"))
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(["---", *lines, "---", "", f"# {title}", "", body])
    file.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    return file


def build(source: Path, index: Path, embedder: Embedder | None = None, **options: object) -> BuildReport:
    """Index `source` into `index` with the fake embedder unless another is given."""
    return build_index(source, index, embedder or FakeEmbedder(), BuildOptions(**options))  # type: ignore[arg-type]


def chunk_text(snapshot: Snapshot, chunk: int) -> str:
    """The chunk as the embedder read it, from the stored source."""
    record = snapshot.chunks[chunk]
    article = snapshot.article(int(record["article"]))
    heading = heading_text(article.sections[int(record["section"])].heading_path)
    return f"{heading}\n{words_in(article, snapshot.chunk_span(chunk))}"


def words_in(article: Article, span: Span) -> str:
    """What is embedded of a piece of an article."""
    place = article.source.offset_of_byte
    return Wording(article).of(place(span.start_byte), place(span.end_byte))


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """A command that sets up its logs writes to a captured stream, which is closed when its test ends."""
    loggers = [logging.getLogger(name) for name in ("kb", "kb.access", "uvicorn")]
    before = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty folder for articles."""
    folder = tmp_path / "articles"
    folder.mkdir()
    return folder


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    """Where an index may go; does not exist yet."""
    return tmp_path / "index"


@pytest.fixture
def small_world(source: Path) -> Path:
    """Three public articles and one internal one, about four things."""
    write_article(
        source,
        "auth/token-expired.md",
        "## Symptoms\n\nThe API answers 401 and `invalid_token`.\n\n"
        "```text\nHTTP/1.1 401 Unauthorized\n```\n\n## Resolution\n\nRequest a new token. Set the clock.\n",
        title="API answers 401 after the token expired",
        article_id="KB-1001",
        front="products: [platform-api]",
    )
    write_article(
        source,
        "db/listener.md",
        "## Symptoms\n\n```text\nORA-12154: TNS:could not resolve the connect identifier specified\n```\n\n"
        "## Resolution\n\nCorrect the alias in tnsnames.ora.\n",
        title="Oracle connection fails with ORA-12154",
        article_id="KB-1002",
        front="products: [connectors]",
    )
    write_article(
        source,
        "mail/bounce.md",
        "## Symptoms\n\nMessages bounce with 550 5.7.26.\n\n## Resolution\n\nPublish an SPF record.\n",
        title="Mail bounces because authentication is missing",
        article_id="KB-1003",
        front="products: [email]",
    )
    write_article(
        source,
        "runbooks/restart.md",
        "## Trigger\n\nThe gateway answers 503 in every region.\n\n## Mitigation\n\nRestart the gateway pods.\n",
        title="Gateway is down in every region",
        audience="internal",
        article_id="KB-1004",
        front="products: [platform-api]",
    )
    return source


@pytest.fixture(scope="session")
def real_embedder() -> Embedder:
    """The default model in int8; exported once a machine."""
    return load_embedder()
