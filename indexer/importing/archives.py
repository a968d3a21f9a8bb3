"""An export read where it lies: a folder or a ZIP file, with bounds that a hostile archive cannot exceed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from indexer.errors import PageError, SourceError

MAX_MEMBERS = 200_000
MAX_MEMBER_BYTES = 32 * 1024**2
"""Largest single file that is read whole."""
MAX_TOTAL_BYTES = 8 * 1024**3
"""Most that is unpacked of one archive in one run."""
_PIECE = 256 * 1024

UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
"""What reading a file of an archive may raise: damaged, encrypted (RuntimeError), or packed in an unknown way."""


class Archive(Protocol):
    """Files by POSIX path. Paths that lead out of the archive do not exist in it."""

    def names(self) -> list[str]:
        """All files, sorted."""
        ...

    def size_bytes(self, name: str) -> int:
        """Unpacked size, as the archive says."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """The file for reading. Raises PageError if it cannot be read."""
        ...


def open_archive(path: Path) -> Archive:
    """The export at `path`. Raises SourceError if it is neither a folder nor a ZIP file, or has too many files."""
    if path.is_dir():
        return FolderArchive(path)
    try:
        return ZipArchive(path)
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist") from error
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise SourceError(f"{path} is neither a folder nor a ZIP file that can be read ({error})") from error


def read_member(archive: Archive, name: str, most_bytes: int = MAX_MEMBER_BYTES) -> bytes:
    """The whole file. Raises PageError if it is too large or damaged."""
    return b"".join(stream_member(archive, name, most_bytes))


def stream_member(archive: Archive, name: str, most_bytes: int) -> Iterator[bytes]:
    """The file piece by piece. Raises PageError if it turns out too large or damaged, whatever its header says."""
    size_bytes = 0
    try:
        with archive.open(name) as file:
            while piece := file.read(_PIECE):
                size_bytes += len(piece)
                if size_bytes > most_bytes:
                    raise PageError(f"is larger than {most_bytes // 1024**2} MiB")
                yield piece
    except UNREADABLE as error:
        raise PageError(f"cannot be unpacked ({error})") from error


def is_inside(name: str) -> bool:
    """Whether a member's name is a plain relative path."""
    pure = PurePosixPath(name)
    return not (pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or ":" in name[:2])


class FolderArchive:
    """A folder. Links that lead out of it do not exist in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        root = self._root.resolve()
        found = []
        for path in self._root.rglob("*"):
            if path.is_file() and path.resolve().is_relative_to(root):
                name = path.relative_to(self._root).as_posix()
                if not any("\ud800" <= character <= "\udfff" for character in name):  # not UTF-8
                    found.append(name)
            if len(found) > MAX_MEMBERS:
                raise SourceError(f"{self._root} holds more than {MAX_MEMBERS} files; name the folder of the export")
        return sorted(found)

    def size_bytes(self, name: str) -> int:
        return (self._root / name).stat().st_size

    def open(self, name: str) -> IO[bytes]:
        file = self._root / name
        if not is_inside(name) or not file.resolve().is_relative_to(self._root.resolve()):
            raise PageError("lies outside the folder")
        return file.open("rb")


class ZipArchive:
    """A ZIP file. Nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        if len(infos) > MAX_MEMBERS:
            raise SourceError(f"{path} holds more than {MAX_MEMBERS} files")
        self._infos = {info.filename: info for info in infos if is_inside(info.filename)}
        self._read_bytes = 0

    def names(self) -> list[str]:
        return sorted(self._infos)

    def size_bytes(self, name: str) -> int:
        return self._infos[name].file_size

    def open(self, name: str) -> IO[bytes]:
        info = self._infos.get(name)
        if info is None:
            raise PageError("is not in the archive")
        self._read_bytes += info.file_size
        if self._read_bytes > MAX_TOTAL_BYTES:
            raise SourceError(f"the archive unpacks to more than {MAX_TOTAL_BYTES // 1024**3} GiB; split the export")
        return self._zip.open(info)
