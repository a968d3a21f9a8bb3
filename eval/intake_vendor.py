"""A vendor to try intake on: takes notes as the documents of Zendesk and of Standard Webhooks say, fails on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Not secrets: the published example of Standard Webhooks, and made-up ones like it.
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
CALLBACK_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105
ZENDESK_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="  # noqa: S105
ZENDESK_TOKEN = "agent@example.com/token:9a8b7c6d5e4f"  # noqa: S105


@dataclass(frozen=True)
class Call:
    """One request that the vendor received."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at_s: float


@dataclass
class Answer:
    """What the vendor says instead of doing as its documents say.

    Attributes:
        does_it: the request has its effect all the same.
        drops: the connection is closed without any answer.
        delay_s: time before the answer.
    """

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    does_it: bool = False
    drops: bool = False
    delay_s: float = 0.0


class Vendor:
    """Zendesk's comments, and `POST /callback` that deduplicates by `webhook-id`, as Standard Webhooks asks of it.

    Attributes:
        url: its address.
        calls: everything it received, in order.
        comments: ticket id -> comments, the newest last.
        first_note_s: ticket id -> when its first comment came.
        failed: how many requests were not treated as documented.
        stored: what was written to any other address; reading any other address gives all of it.
        default_status: the answer to that.
        received: `webhook-id` -> bodies of /callback; more than one only where it did not deduplicate.
        script: answers to the next requests, each used once; `choose` may decide by request.
    """

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.tags: dict[str, list[str]] = {}
        self.received: dict[str, list[Any]] = {}
        self.first_note_s: dict[str, float] = {}
        self.failed = 0
        self.stored: list[Any] = []
        self.default_status = 200
        self.script: list[Answer] = []
        self.choose: Callable[[Call], Answer | None] = lambda call: None
        self.lock = threading.Lock()

    def writes(self) -> list[Call]:
        """The requests that were to change something."""
        return [call for call in self.calls if call.method != "GET"]

    def do(self, call: Call) -> tuple[int, Any]:
        """Status and body of a request that is treated as documented."""
        if match := re.fullmatch(r"/api/v2/tickets/(\d+)\.json", call.path):
            if not call.headers.get("authorization", "").startswith("Basic "):
                return 401, {"error": "Couldn't authenticate you"}
            self.comments.setdefault(match[1], []).append(call.body["ticket"]["comment"])
            self.first_note_s.setdefault(match[1], call.at_s)
            return 200, {"ticket": {"id": int(match[1])}}
        if match := re.fullmatch(r"/api/v2/tickets/(\d+)/tags\.json", call.path):
            held = self.tags.setdefault(match[1], [])
            held += [tag for tag in call.body["tags"] if tag not in held]
            return 200, {"tags": held}
        if match := re.match(r"/api/v2/tickets/(\d+)/comments\.json", call.path):
            return 200, {"comments": list(reversed(self.comments.get(match[1], []))), "next_page": None}
        if call.path == "/callback":
            self.received.setdefault(call.headers["webhook-id"], [])
            if not self.received[call.headers["webhook-id"]]:
                self.received[call.headers["webhook-id"]].append(call.body)
            return 200, {"ok": True}
        if call.method == "GET":
            return 200, {"ok": True, "items": self.stored}
        self.stored.append(call.body)
        return self.default_status, {"ok": True}


@contextlib.contextmanager
def vendor() -> Iterator[Vendor]:
    """A vendor on a loopback port."""
    state = Vendor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(self.command, self.path, headers, json.loads(raw) if raw else None, time.time())
            with state.lock:
                state.calls.append(call)
                scripted = state.script.pop(0) if state.script else state.choose(call)
                state.failed += scripted is not None
                done = state.do(call) if scripted is None or scripted.does_it else None
            if scripted and scripted.delay_s:
                time.sleep(scripted.delay_s)
            if scripted and scripted.drops:
                self.close_connection = True
                return
            if scripted:
                status, extra, body = scripted.status, scripted.headers, scripted.body
            else:
                status, value = done or (500, {})
                extra, body = {}, json.dumps(value).encode()
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 -- names that the standard library asks for

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def write_connectors(file: Path, address: str, **changes: Any) -> Path:
    """A connectors file with Zendesk and the generic connector writing to the vendor at `address`."""
    import yaml

    tables: dict[str, Any] = {
        "zendesk": {"secrets": [ZENDESK_SECRET], "base_url": address, "token": ZENDESK_TOKEN},
        "generic": {
            "secrets": [SIGNING_SECRET],
            "token": CALLBACK_SECRET,
            "options": {"callback_url": f"{address}/callback"},
        },
    }
    for name, values in changes.items():
        tables.setdefault(name, {}).update(values)
    file.write_text(yaml.safe_dump(tables))
    file.chmod(0o600)
    return file


def zendesk_delivery(
    ticket: str, subject: str, description: str, *, delivery: str = "", is_public: bool = True
) -> dict[str, Any]:
    """A `ticket.created` event, signed as Zendesk documents."""
    content = {
        "id": delivery or f"01HZ{ticket}",
        "type": "zen:event-type:ticket.created",
        "detail": {"id": ticket, "subject": subject, "description": description, "is_public": is_public, "tags": []},
        "event": {},
    }
    body = json.dumps(content).encode()
    timestamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    digest = hmac.new(ZENDESK_SECRET.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    return {
        "content": body,
        "headers": {
            "content-type": "application/json",
            "x-zendesk-webhook-signature": base64.b64encode(digest).decode(),
            "x-zendesk-webhook-signature-timestamp": timestamp,
        },
    }
