"""Relevance judgements of a data set, each error with file, line and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from indexer.errors import DatasetError
from service.json_lines import read_lines


@dataclass(frozen=True, slots=True)
class Label:
    """One relevance judgement: how well `target` (article path or document id) answers `query_id`; 0 is not at all."""

    query_id: str
    target: str
    grade: int
    where: str


def read_labels(file: Path) -> list[Label]:
    """Judgements of a three-column TSV file, with or without a header row.

    Raises:
        DatasetError: a line that is not `query<TAB>article<TAB>grade`, or a pair judged twice with different grades.
    """
    labels: dict[tuple[str, str], Label] = {}
    first = True
    for number, line in read_lines(file):
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
