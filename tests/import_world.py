"""Small foreign knowledge bases for tests: a server on loopback that answers as told, and one that is in memory."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from indexer.errors import PageError
from indexer.importing.pages import Attachment, LeftOut, Link, Page, PageRef, Source
from indexer.importing.reporting import Report
from indexer.importing.syncing import SyncOptions, sync_pages
from indexer.metadata import Audience


@dataclass(frozen=True)
class Request:
    """What a fake server was asked. `query` has the first value of each parameter."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What a fake server says. A `dict` or `list` body goes out as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]


@dataclass
class FakeServer:
    """A running server. `requests` grows with each one."""

    address: str
    requests: list[Request]

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


@contextlib.contextmanager
def serving(handler: Handler) -> Iterator[FakeServer]:
    """Serve `handler` on a free loopback port."""
    requests: list[Request] = []

    class _Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            request = Request(parts.path, query, {k.lower(): v for k, v in self.headers.items()})
            requests.append(request)
            answer = handler(request)
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield FakeServer(f"http://127.0.0.1:{server.server_address[1]}", requests)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@dataclass
class Note:
    """A page of a `Notebook`. `audience` None in the listing means that only the page tells."""

    title: str = "A note"
    html: str = "<p>The widget stops.</p>"
    audience: Audience = Audience.PUBLIC
    listed_audience: Audience | None = Audience.PUBLIC
    version: str = "1"
    path: str = ""
    content_key: str = ""
    failure: str = ""
    markdown: str | None = None
    article_id: str = ""
    attachments: tuple[tuple[str, bytes | None], ...] = ()  # None cannot be downloaded


class Notebook(Source):
    """A knowledge base in memory. `fetched` lists the ids that were asked for."""

    kind = "notebook"
    prefix = "note"

    def __init__(self, **notes: Note) -> None:
        self.place = "notebook"
        self.left_out: list[LeftOut] = []
        self.notes = notes
        self.fetched: list[str] = []

    def list_pages(self) -> list[PageRef]:
        return [
            PageRef(name, note.version, note.title, note.listed_audience, note.path, note.content_key)
            for name, note in self.notes.items()
        ]

    def fetch_page(self, ref: PageRef) -> Page:
        note = self.notes[ref.id]
        self.fetched.append(ref.id)
        if note.failure:
            raise PageError(note.failure)
        return Page(
            note.title,
            note.audience,
            html=note.html if note.markdown is None else None,
            markdown=note.markdown,
            article_id=note.article_id,
            attachments=tuple(
                Attachment(name, len(data or b""), f"{ref.id}\n{number}")
                for number, (name, data) in enumerate(note.attachments)
            ),
        )

    def find_link(self, href: str, page_id: str) -> Link | None:
        target, _, fragment = href.partition("#")
        return Link(target, fragment) if "/" not in target and ":" not in target else None

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        page_id, _, number = attachment.address.rpartition("\n")
        data = self.notes[page_id].attachments[int(number)][1]
        if data is None:
            raise PageError("cannot be downloaded")
        yield data


def sync(source: Source, folder: Path, **options: Any) -> Report:
    """One import into `folder`, without progress."""
    return sync_pages(source, folder, SyncOptions(**options), lambda stage, done, total: None)


def file_of(folder: Path, page_id: str) -> Path:
    """The article file of a page, by the state of the last import."""
    state = json.loads((folder / ".kb-import.json").read_bytes())
    return folder / str(state["pages"][page_id]["path"])
