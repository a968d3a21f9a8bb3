"""A virtual environment for each peer, made on demand, so that none has to fit into ours."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from indexer.errors import KBError

_HERE = Path(__file__).parent
_TORCH = "torch=="
_LOG_LINES = 15


class PeerError(KBError):
    """A peer cannot be installed or fails; the message names its log."""


def python_of(name: str, peers_dir: Path) -> Path:
    """The Python that has the peer installed, made first if its pinned requirements have changed or never were there.

    torch is installed before the rest and alone: resolved together with packages that ask for it, another and far
    larger build of it could be chosen.

    Raises:
        PeerError: pip fails.
    """
    requirements = _HERE / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = peers_dir / name / "venv"
    stamp = folder / ".requirements"
    python = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        log = peers_dir / name / "install.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        torch = [line for line in requirements.read_text().splitlines() if line.startswith(_TORCH)]
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        _run([sys.executable, "-m", "venv", str(folder)], log, dict(os.environ))
        if torch:
            _run([*pip, *torch], log, dict(os.environ))
        _run([*pip, "-r", str(requirements)], log, dict(os.environ))
        stamp.write_text(digest)
    return python


def run_peer(name: str, job_file: Path, peers_dir: Path, modes: Sequence[str] = ("build", "serve")) -> None:
    """Run `name` in a process for each of `modes`; their results lie beside `job_file` afterwards. Raises PeerError."""
    command, environment = peer_command(name, peers_dir)
    log = job_file.parent / "run.log"
    log.unlink(missing_ok=True)
    for mode in modes:
        _run([*command, mode, str(job_file), repr(time.time())], log, environment)


def peer_command(name: str, peers_dir: Path) -> tuple[list[str], dict[str, str]]:
    """What starts `name`'s side of the harness, without its arguments, and in which environment. Raises PeerError."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    if name == "ours":
        python = Path(sys.executable)
        environment["PYTHONPATH"] = str(_HERE.parents[1])
    else:
        python = python_of(name, peers_dir)
        environment["PYTHONPATH"] = str(_stage(peers_dir / name / "code"))
    return [str(python), "-m", f"eval.peers.run_{name}"], environment


def _stage(folder: Path) -> Path:
    """The harness alone in a folder of its own: with all of ours on its path, a peer would import our packages."""
    package = folder / "eval" / "peers"
    package.mkdir(parents=True, exist_ok=True)
    (folder / "eval" / "__init__.py").touch()
    for file in [_HERE / "__init__.py", _HERE / "harness.py", *_HERE.glob("run_*.py")]:
        shutil.copy(file, package / file.name)
    return folder.resolve()


def _run(command: list[str], log: Path, environment: dict[str, str]) -> None:
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)  # noqa: S603
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        raise PeerError(f"{' '.join(command[:4])} ... failed; its log {log} ends with:\n{tail}")
