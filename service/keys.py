"""API keys: who may see what. Only the SHA-256 of a key is stored; the key itself is shown once, when it is made.

A key is 256 random bits, so one plain hash is enough: there is nothing to guess and nothing to stretch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from indexer.errors import NotFound, SettingsError
from indexer.metadata import Audience


class KeyKind(StrEnum):
    """`secret` keys stay on servers and in an engineer's hands; `publishable` ones stand in a web page."""

    SECRET = "secret"  # noqa: S105 -- the name of a kind
    PUBLISHABLE = "publishable"


_PREFIXES = {KeyKind.SECRET: "kbs_", KeyKind.PUBLISHABLE: "kbp_"}


@dataclass(frozen=True, slots=True)
class Key:
    """What is stored of a key.

    Attributes:
        id: short public name, used in logs and to revoke.
        name: the owner's words for it.
        origins: web origins that a publishable key may be used from; empty for a secret key.
        sha256: hex digest of the whole key.
        created: ISO time, UTC.
    """

    id: str
    name: str
    kind: KeyKind
    audience: Audience
    origins: tuple[str, ...]
    sha256: str
    created: str


def make_key(name: str, kind: KeyKind, audience: Audience, origins: Iterable[str] = ()) -> tuple[Key, str]:
    """A new key's record and the key itself.

    Raises:
        SettingsError: a publishable key that is not public or has no origin, a secret key with one, a bad origin.
    """
    wanted = tuple(dict.fromkeys(check_origin(origin) for origin in origins))
    if not name.strip():
        raise SettingsError("a key needs a name that tells who uses it")
    if kind is KeyKind.PUBLISHABLE and audience is not Audience.PUBLIC:
        raise SettingsError("a publishable key stands in a web page, so its audience can only be public")
    if kind is KeyKind.PUBLISHABLE and not wanted:
        raise SettingsError("a publishable key needs at least one --origin, such as https://help.example.com")
    if kind is KeyKind.SECRET and wanted:
        raise SettingsError("--origin is for publishable keys; a secret key must not stand in a web page")
    token = _PREFIXES[kind] + secrets.token_urlsafe(32)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Key(secrets.token_hex(4), name.strip(), kind, audience, wanted, hash_token(token), created), token


def hash_token(token: str) -> str:
    """The stored form of a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def check_origin(origin: str) -> str:
    """`origin` in the form that browsers send, so without the port that its scheme has anyway.

    Raises:
        SettingsError: it is not scheme, host and at most a port.
    """
    plain = origin.strip().rstrip("/").lower()
    for scheme, port in (("http://", ":80"), ("https://", ":443")):
        if plain.startswith(scheme):
            plain = plain.removesuffix(port)
    if not re.fullmatch(r"https?://([a-z0-9.\-]+|\[[0-9a-f:]+\])(:\d{1,5})?", plain, re.ASCII):
        raise SettingsError(f"{origin!r} is not a web origin; write it like https://help.example.com")
    return plain


class KeyFile:
    """The keys in one JSON file. Reads it anew when it changes, so a revoked key stops at once. Thread-safe.

    Attributes:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Key] = {}
        self._lent: dict[str, Key] = {}

    def all(self) -> list[Key]:
        """All keys, oldest first. Raises SettingsError if the file cannot be read."""
        return list(self._current().values())

    def find(self, token: str) -> Key | None:
        """The key whose text is `token`. The look-up is by hash, so its timing tells nothing about a key."""
        sha256 = hash_token(token)
        return self._current().get(sha256) or self._lent.get(sha256)

    def allows_origin(self, origin: str) -> bool:
        """Whether any publishable key may be used from `origin`."""
        return any(origin in key.origins for key in (*self._current().values(), *self._lent.values()))

    def lend(self, key: Key) -> None:
        """Honour a key in this process only: it is never written, and ends with the process."""
        self._lent = {**self._lent, key.sha256: key}

    def add(self, key: Key) -> None:
        """Store a new key. Raises SettingsError if the file cannot be read."""
        with self._changing():
            self._write([*self.all(), key])

    def revoke(self, key_id: str) -> Key:
        """Remove a key and return its record. Raises NotFound, and SettingsError if the file cannot be read."""
        with self._changing():
            keys = self.all()
            for key in keys:
                if key.id == key_id:
                    self._write([other for other in keys if other.id != key_id])
                    return key
        raise NotFound(f"no key {key_id!r}; `kb keys list` shows them")

    def _current(self) -> dict[str, Key]:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._seen, self._by_hash = None, {}
            return self._by_hash
        except OSError as error:
            raise SettingsError(
                f"key file {self.path} cannot be read ({error.strerror}); let this account read it"
            ) from error
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            self._by_hash = {key.sha256: key for key in self._read()}
            self._seen = seen
        return self._by_hash

    def _read(self) -> list[Key]:
        try:
            values = json.loads(self.path.read_bytes())
            return [_key_of(record) for record in values["keys"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"key file {self.path} cannot be read ({error}); restore it or remove it") from error

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Held by one process at a time, or a key that another one has just revoked would be written again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY)  # the file itself is replaced by each change
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, keys: list[Key]) -> None:
        """Replace the file at one stroke, readable by its owner only."""
        handle, scratch = tempfile.mkstemp(dir=self.path.parent, prefix=".keys-")
        with os.fdopen(handle, "w") as file:
            json.dump({"keys": [asdict(key) for key in keys]}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).replace(self.path)


def _key_of(record: dict[str, Any]) -> Key:
    return Key(
        **{
            **record,
            "kind": KeyKind(record["kind"]),
            "audience": Audience(record["audience"]),
            "origins": tuple(record["origins"]),
        }
    )
