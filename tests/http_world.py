"""A small service for tests: public and internal articles with canary words, an assistant whose judgement is set."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from indexer.embedding import Embedder
from indexer.metadata import Audience
from indexer.scope import Scope
from service.answers import Answer, Question
from service.assistant import Assistant
from service.http.app import create_app
from service.http.connections import Connection
from service.keys import KeyFile, KeyKind, make_key
from service.settings import Settings
from tests.conftest import FakeEmbedder, build, write_article

SECRETS = ("KB-7777", "KB-8888", "zanzibar", "quokka", "xylophone", "nightjar")
"""Words that stand only in internal articles: ids, title words, paths, body words."""

UNCOVERED = "gardening"
"""A word that makes the assistant of this world abstain."""


class DecidedAssistant(Assistant):
    """Answers as the real one, except that the judgement is fixed: it abstains on UNCOVERED and trusts all else."""

    def answer(self, question: Question, scope: Scope, *args: Any, **kwargs: Any) -> Answer:
        answer = super().answer(question, scope, *args, **kwargs)
        answered = UNCOVERED not in f"{question.title} {question.text}" and bool(answer.suggestions)
        return dataclasses.replace(answer, answered=answered, confidence=0.83 if answered else 0.12, threshold=0.5)


def write_articles(root: Path) -> None:
    """Two public and two internal articles; the public ones point at an internal one in every way they can."""
    write_article(
        root,
        "api/token-expired.md",
        "## Symptoms\n\nEvery request answers 401 with `invalid_token`.\n\n"
        '```text\nHTTP/1.1 401 Unauthorized\nWWW-Authenticate: Bearer error="invalid_token"\n```\n\n'
        "## Resolution\n\nRequest a new token and **set the clock**.\n\n"
        "See [the other page](../mail/bounce.md#symptoms) or [the playbook](../runbooks/zanzibar.md) or "
        "[elsewhere](https://docs.example.com/x).\n",
        title="API answers 401 invalid_token after the token expired",
        article_id="KB-1001",
        front='products: [platform-api]\ntype: known-error\nrelated: [KB-1003, KB-7777]\nerror_codes: ["401"]',
    )
    write_article(
        root,
        "mail/bounce.md",
        "## Symptoms\n\nMessages bounce with 550 5.7.26.\n\n## Resolution\n\nPublish an SPF record.\n",
        title="Mail bounces because authentication is missing",
        article_id="KB-1003",
        front="products: [email]",
    )
    write_article(
        root,
        "runbooks/zanzibar.md",
        "## Trigger\n\nThe quokka alert fires and every request answers 401 invalid_token.\n\n"
        "## First 15 minutes\n\n1. Look at the quokka board:\n   ```bash\n   kubectl get pods -n quokka\n   ```\n"
        "2. Ask the zanzibar team.\n\n## Escalation\n\nPage the xylophone rota.\n",
        title="Zanzibar gateway restart after the quokka alert",
        audience="internal",
        article_id="KB-7777",
        front="products: [platform-api, nightjar]\ntype: runbook\nrelated: [KB-1001]",
    )
    write_article(
        root,
        "triage/xylophone.md",
        "## Trigger\n\nCustomers say mail bounces with 550 5.7.26 everywhere.\n\n## Escalation\n\nThe nightjar team.\n",
        title="Xylophone triage of bouncing mail",
        audience="internal",
        article_id="KB-8888",
        front="type: triage",
    )


@dataclass(frozen=True)
class World:
    """A published index and keys for it.

    Attributes:
        engineer, integrator: secret keys with internal and with public audience.
        page_key: a publishable key for `page_origin`.
    """

    source: Path
    index: Path
    settings: Settings
    engineer: str
    integrator: str
    page_key: str
    page_origin: str = "https://help.example.com"

    def app(self, **changes: object) -> FastAPI:
        """A fresh app on this index, with these settings changed."""
        settings = self.settings.model_copy(update=changes)
        return create_app(settings, lambda: DecidedAssistant(self.index, FakeEmbedder()))

    @contextlib.contextmanager
    def client(
        self, token: str | None = None, *, base: str = "http://testserver", **changes: object
    ) -> Iterator[TestClient]:
        """A client of a warm app at `base`, with `token` as its key."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        app = self.app(**changes)
        with TestClient(app, base_url=base, headers=headers, raise_server_exceptions=False) as client:
            wait_until_ready(client)
            yield client


def make_world(folder: Path, embedder: Embedder | None = None) -> World:
    """Write, index and give keys."""
    source, index = folder / "articles", folder / "index"
    source.mkdir(parents=True)
    write_articles(source)
    build(source, index, embedder)
    settings = Settings(index=index, reload_interval_s=0.05)
    keys = KeyFile(settings.keys_path)
    tokens = []
    for name, kind, audience, origins in (
        ("engineer", KeyKind.SECRET, Audience.INTERNAL, ()),
        ("integrator", KeyKind.SECRET, Audience.PUBLIC, ()),
        ("page", KeyKind.PUBLISHABLE, Audience.PUBLIC, (World.page_origin,)),
    ):
        key, token = make_key(name, kind, audience, origins)
        keys.add(key)
        tokens.append(token)
    return World(source, index, settings, *tokens)


def wait_until_ready(client: TestClient, timeout_s: float = 20.0) -> None:
    """Return when the service answers questions; fail if it never does."""
    ends = time.monotonic() + timeout_s
    while client.get("/v1/ready").status_code != 200:
        assert time.monotonic() < ends, "the service never became ready"
        time.sleep(0.02)


@contextlib.contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve `app` on a free loopback port; gives its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Connection, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        ends = time.monotonic() + 20
        while not (server.started and app.state.services.library.is_ready):
            assert time.monotonic() < ends, "the server did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()
