"""Intake under load and under kill -9: every note written exactly once, and how soon.

A real `kb serve` of its own, in a scratch folder, is sent signed Zendesk deliveries at a steady rate by a vendor that
sends again what was not accepted, as vendors do. The vendor fails now and then: 503, 429, no answer, and answers lost
after the note was written. The server is killed at random moments and started again at once.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.errors import KBError

if TYPE_CHECKING:
    import httpx

_SENDERS = 16
_RESEND_S = 0.25
_START_S = 120.0
_SETTLE_S = 180.0
_BENCH_LEASE_S = 3.0
"""Short, so that the run is; the default lets notes of a killed server wait for a minute."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a run showed.

    Attributes:
        exactly_once, missing, doubled: tickets by the number of notes that the vendor ended up with.
        resent: deliveries that had to be sent more than once.
        looks: times that a note was looked for before it was written.
        accept_ms: percentiles of the time to the 202, milliseconds.
        note_ms: percentiles of the time from the first sending of a delivery to its note at the vendor.
        states: jobs by state at the end.
    """

    webhooks: int
    kills: int
    seed: int
    took_s: float
    exactly_once: int
    missing: int
    doubled: int
    resent: int
    looks: int
    failures_injected: int
    accept_ms: Mapping[str, float]
    note_ms: Mapping[str, float]
    states: Mapping[str, int]

    @property
    def is_clean(self) -> bool:
        """Whether every note was written exactly once and nothing is left."""
        return self.exactly_once == self.webhooks and self.states == {"done": self.webhooks}


@dataclass(frozen=True, slots=True)
class Load:
    """What to do to the service.

    Attributes:
        rate_per_s: deliveries begun in a second.
        failures: share of the vendor's answers that fail.
        tickets: subject and text of the tickets, used in turn.
    """

    webhooks: int
    kills: int
    rate_per_s: float
    failures: float
    seed: int
    tickets: Sequence[tuple[str, str]]


class _Server:
    """The server under test, killed and started again on the same port and database."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], port: int, log: Path) -> None:
        self._command = command
        self._environment = environment
        self._port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command
                self._command, env=dict(self._environment), stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        import httpx

        ends = time.monotonic() + _START_S
        while time.monotonic() < ends:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self._port}/v1/ready", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise KBError(f"the server did not start; its log ends with: {self._log.read_text()[-500:]}")

    def kill(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self.kill()


def run_load(
    load: Load,
    command: Callable[[int], Sequence[str]],
    environment: Mapping[str, str],
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> LoadReport:
    """Run `load` against the server that `command` starts on a port; KB_* settings are added to `environment`.

    Raises:
        KBError: the server does not start.
    """
    from eval.intake_vendor import vendor, write_connectors
    from service.database import Database
    from service.intake.queue import Queue

    chance = random.Random(load.seed)  # noqa: S311 -- repeatable, not secret
    with tempfile.TemporaryDirectory(prefix="kb-intake-") as scratch, vendor() as state:
        folder = Path(scratch)
        state.choose = _failing(chance, load.failures)
        url = f"sqlite:///{folder / 'state.sqlite'}"
        port = _free_port()
        settings = {
            "KB_CONNECTORS_FILE": str(write_connectors(folder / "connectors.yaml", state.url)),
            "KB_DATABASE_URL": url,
            "KB_INTAKE_LEASE_S": str(_BENCH_LEASE_S),
            "KB_INTAKE_MAX_ATTEMPTS": "1000",
            "KB_INTAKE_RATE_LIMIT_PER_MINUTE": "1000000",
        }
        server = _Server(command(port), {**environment, **settings}, port, folder / "server.log")
        server.start()
        server.wait_until_ready()
        started = time.monotonic()
        sending = _Sending(load, f"http://127.0.0.1:{port}/v1/intake/zendesk")
        try:
            with _killing(server, state, load, chance):
                sending.run(progress)
                database = Database(url)
                queue = Queue(database)

                def written() -> int:
                    return len(state.comments)

                _settle(queue, written, load, progress)
            states = queue.counts().get("zendesk", {})
            database.close()
        finally:
            server.stop()
        return _report(load, state, sending, states, time.monotonic() - started)


class _Sending:
    """Sends every delivery until it is accepted."""

    def __init__(self, load: Load, url: str) -> None:
        self._load = load
        self._url = url
        self.first_s: dict[str, float] = {}
        self.accept_s: list[float] = []
        self.resent = 0
        self._lock = threading.Lock()

    def run(self, progress: Callable[[str, int, int], None]) -> None:
        import httpx

        begun = time.monotonic()
        with httpx.Client(timeout=10) as client, ThreadPoolExecutor(_SENDERS) as pool:
            pending = []
            for number in range(self._load.webhooks):
                wait = begun + number / self._load.rate_per_s - time.monotonic()
                time.sleep(max(0.0, wait))
                pending.append(pool.submit(self._deliver, number, client))
                progress("sending", number + 1, self._load.webhooks)
            for future in pending:
                future.result()

    def _deliver(self, number: int, client: httpx.Client) -> None:
        import httpx

        from eval.intake_vendor import zendesk_delivery

        subject, text = self._load.tickets[number % len(self._load.tickets)]
        ticket = str(100_000 + number)
        self.first_s[ticket] = time.time()
        tries = 0
        while True:
            tries += 1
            request = zendesk_delivery(ticket, subject, text)
            started = time.monotonic()
            try:
                response = client.post(self._url, **request)
            except httpx.HTTPError:
                time.sleep(_RESEND_S)
                continue
            if response.status_code == 202:
                break
            time.sleep(_RESEND_S)
        with self._lock:
            self.resent += tries > 1
            if tries == 1:
                self.accept_s.append(time.monotonic() - started)


@contextlib.contextmanager
def _killing(server: _Server, state: Any, load: Load, chance: random.Random) -> Iterator[None]:
    """Kill the server in the background whenever so many notes, drawn by lot, are written; start it at once."""
    at = sorted(chance.sample(range(load.webhooks // 20, load.webhooks * 9 // 10), load.kills)) if load.kills else []
    done = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        for count in at:
            while len(state.comments) < count and not done.wait(0.002):
                pass
            time.sleep(chance.random() * 0.05)
            server.kill()
            server.start()
            try:
                server.wait_until_ready()
            except KBError as error:
                errors.append(error)
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_START_S)
    if errors:
        raise errors[0]


def _settle(queue: Any, written: Callable[[], int], load: Load, progress: Callable[[str, int, int], None]) -> None:
    """Return when nothing waits any more, or when nothing has moved for a long time."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < _SETTLE_S:
        counts = queue.counts().get("zendesk", {})
        now = counts.get("done", 0) + counts.get("dead", 0)
        progress("waiting", now, load.webhooks)
        if now >= load.webhooks and written() >= counts.get("done", 0):
            return
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.2)


def _failing(chance: random.Random, share: float) -> Callable[[Any], Any]:
    from eval.intake_vendor import Answer

    lock = threading.Lock()

    def choose(call: Any) -> Any:
        with lock:
            if chance.random() >= share:
                return None
            return chance.choice(
                (Answer(503), Answer(429, {"Retry-After": "1"}), Answer(drops=True, does_it=True), Answer(drops=True))
            )

    return choose


def _report(load: Load, state: Any, sending: _Sending, states: Mapping[str, int], took_s: float) -> LoadReport:
    counts = [len(state.comments.get(ticket, ())) for ticket in sending.first_s]
    notes = [
        state.first_note_s[ticket] - first for ticket, first in sending.first_s.items() if ticket in state.first_note_s
    ]
    return LoadReport(
        webhooks=load.webhooks,
        kills=load.kills,
        seed=load.seed,
        took_s=round(took_s, 1),
        exactly_once=counts.count(1),
        missing=counts.count(0),
        doubled=sum(count > 1 for count in counts),
        resent=sending.resent,
        looks=sum(call.method == "GET" for call in state.calls),
        failures_injected=state.failed,
        accept_ms=_percentiles(sending.accept_s),
        note_ms=_percentiles(notes),
        states=states,
    )


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) for name, share in at.items()
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def bench(
    *,
    index: Annotated[
        Path | None, typer.Option("--index", help="Directory of the index. Default: KB_INDEX, or var/index.")
    ] = None,
    webhooks: Annotated[int, typer.Option("--webhooks", min=20, help="Deliveries to send.")] = 1000,
    kills: Annotated[int, typer.Option("--kills", min=0, max=50, help="How often to kill the server.")] = 5,
    rate: Annotated[float, typer.Option("--rate", min=0.1, help="Deliveries a second.")] = 10.0,
    failures: Annotated[
        float, typer.Option("--failures", min=0.0, max=0.9, help="Share of the vendor's answers that fail.")
    ] = 0.05,
    seed: Annotated[int, typer.Option("--seed", help="Of the kills' moments and the failures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Load intake with deliveries, kill the server at random, and check that every note is written exactly once.

    Needs an index; everything else is made in a scratch folder. Exit status 1 if any note is missing or doubled.
    For the time from delivery to note alone, use --kills 0 --failures 0.
    """
    import json

    from rich.console import Console

    from indexer.errors import InputError
    from indexer.progress import reporter_for
    from indexer.snapshot import Snapshot
    from service.settings import load_settings

    if kills > webhooks // 2:
        raise InputError(f"--kills {kills} is too many for {webhooks} deliveries; kill at most {webhooks // 2} times")
    settings = load_settings(index=index)
    cards = Snapshot.open(settings.index).store.cards
    tickets = [(card.title, f"{card.summary or card.title} It began this morning. Thanks") for card in cards]
    load = Load(webhooks, kills, rate, failures, seed, tickets)

    def command(port: int) -> list[str]:
        start = "from eval.cli import main; main()"
        return [sys.executable, "-c", start, "serve", "--index", str(settings.index), "--port", str(port)]

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    with reporter_for(Console(stderr=True), quiet=as_json) as progress:
        report = run_load(load, command, os.environ, progress)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "clean": report.is_clean}, indent=2))
    else:
        for name, value in asdict(report).items():
            typer.echo(f"{name:>18}  {value}")
    raise typer.Exit(0 if report.is_clean else 1)
