"""Lines of data-set files, each error with file, line and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a JSON Lines file: an object, and where it stands."""

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

    def name(self, field: str) -> str:
        """The non-empty identifier at `field`. Raises DatasetError."""
        value = self.values.get(field)
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


@dataclass(frozen=True, slots=True)
class Label:
    """One relevance judgement: how well `target` (article path or document id) answers `query_id`; 0 is not at all."""

    query_id: str
    target: str
    grade: int
    where: str


def read_text(file: Path) -> str:
    """The file's text, a byte-order mark passed over. Raises DatasetError."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise DatasetError(f"{file}:{line}: is not UTF-8; save the file as UTF-8") from error


def read_jsonl(file: Path) -> Iterator[Record]:
    """One record a line; empty lines are passed over. Raises DatasetError."""
    for number, line in _lines(file):
        where = f"{file}:{number}"
        try:
            values = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"{where}: is not JSON ({error}); every line must be one JSON object") from error
        if not isinstance(values, dict):
            raise DatasetError(f'{where}: must be one JSON object, such as {{"_id": "t1", "text": "..."}}')
        yield Record(values, where)


def read_labels(file: Path) -> list[Label]:
    """Judgements of a three-column TSV file, with or without a header row.

    Raises:
        DatasetError: a line that is not `query<TAB>article<TAB>grade`, or a pair judged twice with different grades.
    """
    labels: dict[tuple[str, str], Label] = {}
    first = True
    for number, line in _lines(file):
        where = f"{file}:{number}"
        cells = line.split("\t")
        if len(cells) != 3 or not cells[0].strip() or not cells[1].strip():
            raise DatasetError(f"{where}: must be query, article and grade with two tabs between, not {line[:80]!r}")
        query_id, target, grade_text = (cell.strip() for cell in cells)
        header, first = first, False
        try:
            grade = int(grade_text)
        except ValueError:
            if header and not grade_text[:1].isdigit():
                continue
            raise DatasetError(f"{where}: grade must be a whole number such as 1, not {grade_text!r}") from None
        known = labels.setdefault((query_id, target), Label(query_id, target, grade, where))
        if known.grade != grade:
            raise DatasetError(f"{where}: grades {query_id} {target} as {grade}, but {known.where} as {known.grade}")
    return list(labels.values())


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """1-based numbers and texts of the lines that are not blank."""
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")
