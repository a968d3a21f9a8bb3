"""A virtual environment for each peer, made on demand, so that none has to fit into ours."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from indexer.errors import KBError

_HERE = Path(__file__).parent
_TORCH = "torch=="
_LOG_LINES = 15

_NEEDED_GB = 3.0
"""Free space asked for before an environment is made: 1.5 GB stay, the rest is what pip unpacks on the way."""

_UNREACHABLE = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Connection refused",
    "NewConnectionError",
    "ConnectTimeoutError",
    "Max retries exceeded",
    "(from versions: none)",
)
"""What pip writes where it cannot reach its package index; the last is all that is left of it with few retries."""

Stage = Callable[[str], None]
"""Called with what begins now, as `installing`."""


class PeerError(KBError):
    """A peer cannot be installed or fails; the message names its log."""


def python_of(name: str, peers_dir: Path, stage: Stage = lambda what: None) -> Path:
    """The Python that has the peer installed, made first if its pinned requirements have changed or never were there.

    torch is installed before the rest and alone: resolved together with packages that ask for it, another and far
    larger build of it could be chosen.

    Raises:
        PeerError: too little disk space, no venv module, no package index, or pip fails otherwise.
    """
    requirements = _HERE / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = peers_dir / name / "venv"
    stamp = folder / ".requirements"
    python = folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == digest and python.exists():
        return python
    stage("installing")
    shutil.rmtree(folder, ignore_errors=True)
    log = peers_dir / name / "install.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    _check_space(name, log.parent)
    torch = [line for line in requirements.read_text().splitlines() if line.startswith(_TORCH)]
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    _run([sys.executable, "-m", "venv", str(folder)], log, dict(os.environ))
    if torch:
        _run([*pip, *torch], log, dict(os.environ))
    _run([*pip, "-r", str(requirements)], log, dict(os.environ))
    stamp.write_text(digest)
    return python


def run_peer(
    name: str,
    job_file: Path,
    peers_dir: Path,
    modes: Sequence[str] = ("build", "serve"),
    stage: Stage = lambda what: None,
) -> None:
    """Run `name` in a process for each of `modes`; their results lie beside `job_file` afterwards. Raises PeerError."""
    command, environment = peer_command(name, peers_dir, stage)
    log = job_file.parent / "run.log"
    log.unlink(missing_ok=True)
    for mode in modes:
        stage(_DOING[mode])
        _run([*command, mode, str(job_file), repr(time.time())], log, environment)


_DOING = {"build": "indexing", "serve": "asking", "edit": "editing"}


def peer_command(name: str, peers_dir: Path, stage: Stage = lambda what: None) -> tuple[list[str], dict[str, str]]:
    """What starts `name`'s side of the harness, without its arguments, and in which environment. Raises PeerError."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    if name == "ours":
        python = Path(sys.executable)
        environment["PYTHONPATH"] = str(_HERE.parents[1])
    else:
        python = python_of(name, peers_dir, stage)
        environment["PYTHONPATH"] = str(_copy_harness(peers_dir / name / "code"))
    return [str(python), "-m", f"eval.peers.run_{name}"], environment


def _copy_harness(folder: Path) -> Path:
    """The harness alone in a folder of its own: with all of ours on its path, a peer would import our packages."""
    package = folder / "eval" / "peers"
    package.mkdir(parents=True, exist_ok=True)
    (folder / "eval" / "__init__.py").touch()
    for file in [_HERE / "__init__.py", _HERE / "harness.py", *_HERE.glob("run_*.py")]:
        shutil.copy(file, package / file.name)
    return folder.resolve()


def _check_space(name: str, folder: Path) -> None:
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < _NEEDED_GB:
        raise PeerError(
            f"{name} needs {_NEEDED_GB:.0f} GB below {folder} while it is installed and {free_gb:.1f} GB are free; "
            f"make room, or leave it out"
        )


def _run(command: list[str], log: Path, environment: dict[str, str]) -> None:
    with log.open("ab") as output:
        try:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)  # noqa: S603
        except OSError as error:
            raise PeerError(
                f"{command[0]} cannot be started ({error.strerror}); delete its folder and run again"
            ) from error
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()
        tail = "\n".join(lines[-_LOG_LINES:])
        hint = _hint(command, "\n".join(lines), done.returncode)
        raise PeerError(f"{' '.join(command[:4])} ... failed{hint}; its log {log} ends with:\n{tail}")


def _hint(command: Sequence[str], output: str, status: int) -> str:
    """What a failure that people meet calls for; empty for any other."""
    if "venv" in command[:3] and "ensurepip" in output:
        return ": this Python cannot make environments, on Debian and Ubuntu install python3-venv"
    if any(sign in output for sign in _UNREACHABLE):
        return ": pip cannot reach its package index, check the network or PIP_INDEX_URL"
    if "No space left on device" in output:
        return ": the disk is full"
    if status in (-9, 137):
        return ": it was killed, most likely for want of memory"
    return ""
