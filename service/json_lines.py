"""Files of one JSON object a line (JSON Lines), each error with file, line and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Record:
    """One line: an object, and where it stands."""

    values: dict[str, Any]
    where: str

    def text(self, field: str, default: str | None = None) -> str:
        """The string at `field`, half surrogates replaced; `default` if absent or null. Raises DatasetError."""
        value = self.values.get(field)
        if value is None:
            if default is None:
                raise DatasetError(f'{self.where}: has no "{field}"; every line needs one')
            return default
        if not isinstance(value, str):
            raise DatasetError(f'{self.where}: "{field}" must be a string in quotes, not {type(value).__name__}')
        return value.encode("utf-8", "replace").decode()

    def name(self, field: str, default: str | None = None) -> str:
        """The non-empty identifier at `field`, a whole number as its digits; `default` if absent, null or empty.

        Raises:
            DatasetError: it is something else, or absent without a default.
        """
        value = self.values.get(field)
        if default is not None and value in (None, ""):
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise DatasetError(f'{self.where}: needs a non-empty "{field}"')
        return value.encode("utf-8", "replace").decode()

    def line_number(self, field: str) -> int:
        """The 1-based line number at `field`. Raises DatasetError."""
        value = self.values.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise DatasetError(f'{self.where}: "{field}" must be a line number, counted from 1')
        return value

    def title_and_text(self) -> tuple[str, str]:
        """What a ticket says: `title` and `text`, either of which may be missing. Raises DatasetError if both are."""
        title, text = self.text("title", ""), self.text("text", "")
        if not (title.strip() or text.strip()):
            raise DatasetError(f'{self.where}: has neither "title" nor "text"; write the question or remove the line')
        return title, text


def read_text(file: Path) -> str:
    """The file's text, a byte-order mark passed over. Raises DatasetError."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise DatasetError(f"{file}:{line}: is not UTF-8; save the file as UTF-8") from error


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """1-based numbers and texts of the lines that are not blank. Raises DatasetError.

    Only a line feed ends a line: JSON may hold the other characters that Python takes for line ends as they are.
    """
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")


def read_records(file: Path) -> Iterator[Record]:
    """One record a line; blank lines are passed over. Raises DatasetError."""
    for number, line in read_lines(file):
        where = f"{file}:{number}"
        try:
            values = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{where}: is not JSON ({error}); every line must be one JSON object") from error
        if not isinstance(values, dict):
            raise DatasetError(f'{where}: must be one JSON object, such as {{"_id": "t1", "text": "..."}}')
        yield Record(values, where)
