"""A server under load: start it, let Locust ask, read off what happened."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from eval.peers.environments import PeerError, python_of

_START_S = 300.0
_WARM_UP_S = 1.0
"""Left out of every measurement: users arrive, connections open."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        path, parameter: where a question goes: `GET {address}{path}?{parameter}=...`.
        first_answer_s: start of the process to the first answer.
    """

    address: str
    path: str
    parameter: str
    process: subprocess.Popen[bytes]
    first_answer_s: float

    def resident_mb(self) -> float:
        """Resident memory now, the server's worker processes included."""
        return sum(_resident_mb(pid) for pid in _with_children(self.process.pid))

    def cpu_s(self) -> float:
        """Processor time taken so far, the server's worker processes included."""
        return sum(_cpu_s(pid) for pid in _with_children(self.process.pid))

    def ask(self, text: str, timeout_s: float = 30.0) -> int:
        """The status that a question gets; 0 for no answer."""
        return _status(f"{self.address}{self.path}?{urlencode({self.parameter: text})}", timeout_s)


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What one load came to.

    Attributes:
        clients: users at the same time.
        answers_per_s: answered questions a second.
        p50_ms, p95_ms: of answered questions, as the user sees them.
        cpu_ms: processor time that the server took for one answered question, refusals and idling included.
        refused: 503 with `Retry-After`.
        unclean: any other refusal, any error, and anything that got no answer.
    """

    clients: int
    asked: int
    answers_per_s: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    refused: int
    unclean: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values: null where nothing was answered."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: None if value != value else value for name, value in values.items()}  # noqa: PLR0124 (NaN)


@contextlib.contextmanager
def serving(
    command: Sequence[str], environment: Mapping[str, str], path: str, parameter: str, log: Path, port: int
) -> Iterator[Server]:
    """Start `command`, wait for its first answer, and terminate it at the end.

    Raises:
        PeerError: it ends, or gives no answer in five minutes.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603
            list(command), stdout=output, stderr=subprocess.STDOUT, env=dict(environment)
        ) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            first = f"{address}{path}?{urlencode({parameter: 'is anybody there'})}"
            while _status(first, 60.0) != 200:
                if process.poll() is not None or time.monotonic() - started > _START_S:
                    tail = log.read_text(errors="replace")[-1500:]
                    raise PeerError(f"{' '.join(command[:4])} ... gives no answer; its log {log} ends with:\n{tail}")
                time.sleep(0.01)
            yield Server(address, path, parameter, process, time.monotonic() - started)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def run_load(
    server: Server,
    questions: Sequence[str],
    clients: int,
    seconds: float,
    work_dir: Path,
    peers_dir: Path,
    rate: float | None = None,
) -> LoadFigures:
    """Let `clients` users ask for `seconds`.

    Args:
        rate: questions a second of all users together; by default each asks again as soon as it is answered.
    """
    python = python_of("locust", peers_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    job_file, out = work_dir / "load.json", work_dir / "seen.json"
    job = {
        "host": server.address,
        "path": server.path,
        "parameter": server.parameter,
        "questions": list(questions),
        "out": str(out),
        "rate": rate and rate / clients,
    }
    job_file.write_text(json.dumps(job), encoding="utf-8")
    command = [str(python), "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless"]
    command += ["-u", str(clients), "-r", str(clients), "-t", f"{seconds + _WARM_UP_S:.0f}s"]
    command += ["--only-summary", "--loglevel", "ERROR", "--stop-timeout", "35"]
    environment = {**os.environ, "KB_BENCH_JOB": str(job_file)}
    worked = server.cpu_s()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode or not out.is_file():
        raise PeerError(f"Locust failed:\n{done.stderr[-1500:]}")
    seen = json.loads(out.read_text(encoding="utf-8"))
    out.unlink()
    return summarise_load(seen, clients, seconds, server.cpu_s() - worked)


def summarise_load(seen: Sequence[Sequence[Any]], clients: int, seconds: float, cpu_s: float) -> LoadFigures:
    """Figures of the responses that came after the warm-up; rows as the Locust file writes them."""
    all_answered = sum(status == 200 for _, _, status, _ in seen)
    cpu_ms = 1000 * cpu_s / all_answered if all_answered else float("nan")
    kept = [row for row in seen if _WARM_UP_S <= row[0] < _WARM_UP_S + seconds]
    answered = [took_ms for _, took_ms, status, _ in kept if status == 200]
    # Clean or not is judged over everything, the warm-up and what came late included.
    refused = sum(status == 503 and told_when for _, _, status, told_when in seen)
    unclean = sum(status != 200 and not (status == 503 and told_when) for _, _, status, told_when in seen)
    p50, p95 = np.percentile(answered, [50, 95]) if answered else (float("nan"), float("nan"))
    rate = len(answered) / seconds
    return LoadFigures(clients, len(seen), rate, float(p50), float(p95), cpu_ms, refused, unclean)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _status(url: str, timeout_s: float) -> int:
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310 (loopback)
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _with_children(int(child))
    return found


def _cpu_s(pid: int) -> float:
    """User and system time, fields 14 and 15 of stat; the name before them may hold spaces."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
