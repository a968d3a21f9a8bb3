"""Labelled tickets in the three layouts that `kb eval` reads, as one frozen shape.

folder    articles/, queries.jsonl, qrels.tsv, optionally no_answer.jsonl
tickets   dataset.json naming the articles, queries.jsonl, qrels/<split>.tsv, no_answer.jsonl, snippets.jsonl
BEIR      corpus.jsonl, queries.jsonl, qrels/<split>.tsv
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eval.beir import document_of_path, path_of_document, write_corpus
from eval.labels import Label, read_labels
from indexer.articles import find_articles
from indexer.errors import DatasetError
from indexer.metadata import Audience
from service.json_lines import Record, read_records, read_text

_LISTED = 5
"""Ids that a report of trouble names before it says how many more there are."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One question of the data set.

    Attributes:
        audience: what the asker may see.
        labels: grade of each judged article by path, above 0 for one that answers; empty where nothing answers.
        kind: the sort of unanswerable ticket; None for an answerable one.
        created: ISO date, empty if unknown.
    """

    query_id: str
    title: str
    text: str
    audience: Audience = Audience.INTERNAL
    labels: Mapping[str, int] = field(default_factory=dict)
    kind: str | None = None
    created: str = ""

    @property
    def answerable(self) -> bool:
        return self.kind is None

    @property
    def relevant(self) -> frozenset[str]:
        """Paths of the articles that answer."""
        return frozenset(path for path, grade in self.labels.items() if grade > 0)


@dataclass(frozen=True, slots=True)
class AnswerLines:
    """Lines of an article (1-based, inclusive) that answer a ticket, marked by a person."""

    query_id: str
    article: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """What one evaluation needs.

    Attributes:
        split: name of the chosen split; empty where the data set has none.
        tickets: those of the split that can be scored, answerable ones first, in file order.
        every_ticket: all tickets of all splits, none of which a history may teach.
        from_corpus: the articles were made from a BEIR corpus, whose ids are reported in place of paths.
        problems: what is odd but does not stop an evaluation, for a person to read.
    """

    name: str
    folder: Path
    articles_dir: Path
    split: str
    tickets: tuple[Ticket, ...]
    answer_lines: tuple[AnswerLines, ...] = ()
    every_ticket: tuple[Ticket, ...] = ()
    from_corpus: bool = False
    problems: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name and split, for a person."""
        return f"{self.name}, split {self.split}" if self.split else self.name

    def document_id(self, path: str) -> str:
        """What reports call the article at `path`: the path below articles/, or the BEIR document id."""
        return document_of_path(path) if self.from_corpus else path

    def first(self, count: int) -> Dataset:
        """The same with at most `count` answerable and `count` unanswerable tickets, the first of each."""
        chosen = [
            ticket
            for answerable in (True, False)
            for ticket in [ticket for ticket in self.tickets if ticket.answerable is answerable][:count]
        ]
        return replace(self, tickets=tuple(chosen))


def load_dataset(folder: Path, cache_dir: Path, split: str | None = None, articles_dir: Path | None = None) -> Dataset:
    """Read the data set in `folder`.

    Args:
        cache_dir: where the articles made from a BEIR corpus are kept.
        split: which `qrels/<split>.tsv` to use; by default `test`, or the only one there is.
        articles_dir: articles to use in place of the data set's own.

    Raises:
        DatasetError: a file is missing or malformed, named with its line.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; name one that holds queries.jsonl and qrels")
    labels_file, split_name = _labels_file(folder, split)
    name = folder.resolve().name
    from_corpus = articles_dir is None and (folder / "corpus.jsonl").is_file() and not (folder / "articles").is_dir()
    if from_corpus:
        articles_dir = cache_dir / f"{name}-{short_hash(str(folder.resolve()))}-articles"
        write_corpus(folder / "corpus.jsonl", articles_dir)
    articles_dir = articles_dir or _own_articles(folder)
    if not articles_dir.is_dir():
        raise DatasetError(f"there is no folder of articles at {articles_dir}; name it with --articles DIR")
    queries = _read_tickets(folder / "queries.jsonl")
    unanswerable = _read_no_answer(folder / "no_answer.jsonl", queries)
    labels = read_labels(labels_file)
    paths = {file.relative_to(articles_dir).as_posix() for file in find_articles(articles_dir)}
    labelled, problems = _join(queries, labels, paths, labels_file, from_corpus)
    problems += _without_label(folder, queries, labelled)
    problems += _of_no_split(folder, unanswerable)
    return Dataset(
        name=name,
        folder=folder,
        articles_dir=articles_dir,
        split=split_name,
        tickets=(*labelled, *(ticket for ticket, its in unanswerable if its in ("", split_name) or not split_name)),
        answer_lines=_read_answer_lines(folder / "snippets.jsonl", queries, articles_dir, paths),
        every_ticket=(*queries.values(), *(ticket for ticket, _ in unanswerable)),
        from_corpus=from_corpus,
        problems=tuple(problems),
    )


def has_split(folder: Path, split: str) -> bool:
    """Whether the data set in `folder` has labels for `split`."""
    return (folder / "qrels" / f"{split}.tsv").is_file()


def short_hash(text: str) -> str:
    """Twelve hex digits that tell folders of the same name apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _labels_file(folder: Path, split: str | None) -> tuple[Path, str]:
    single = folder / "qrels.tsv"
    splits = {file.stem: file for file in sorted((folder / "qrels").glob("*.tsv"))}
    if split is not None:
        if split not in splits:
            known = f"it has {', '.join(splits)}" if splits else "it has no splits, so leave --split out"
            raise DatasetError(f"{folder} has no labels for split {split!r}; {known}")
        return splits[split], split
    if single.is_file():
        return single, ""
    if "test" in splits or len(splits) == 1:
        chosen = "test" if "test" in splits else next(iter(splits))
        return splits[chosen], chosen
    if splits:
        raise DatasetError(f"{folder} has the splits {', '.join(splits)}; choose one with --split")
    raise DatasetError(f"{folder} has no labels; write qrels.tsv or qrels/test.tsv: query, article path and grade")


def _own_articles(folder: Path) -> Path:
    file = folder / "dataset.json"
    if not file.is_file():
        return folder / "articles"
    try:
        named = Path(json.loads(read_text(file))["articles"])
        return (folder / named).resolve()
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f'{file}:1: must be {{"articles": "FOLDER"}} with a path relative to the file') from error


def _read_tickets(file: Path) -> dict[str, Ticket]:
    tickets: dict[str, Ticket] = {}
    for record in read_records(file):
        ticket = _ticket(record)
        if ticket.query_id in tickets:
            raise DatasetError(f"{record.where}: id {ticket.query_id!r} comes twice; ids must be unique")
        tickets[ticket.query_id] = ticket
    if not tickets:
        raise DatasetError(f"{file} holds no query")
    return tickets


def _read_no_answer(file: Path, queries: Mapping[str, Ticket]) -> list[tuple[Ticket, str]]:
    """Unanswerable tickets, each with the split it belongs to; an empty one belongs to all."""
    found: dict[str, tuple[Ticket, str]] = {}
    for record in read_records(file) if file.is_file() else ():
        ticket = replace(_ticket(record), kind=record.text("kind", "") or "unanswerable")
        if ticket.query_id in queries or ticket.query_id in found:
            raise DatasetError(f"{record.where}: id {ticket.query_id!r} comes twice; ids must be unique")
        found[ticket.query_id] = (ticket, record.text("split", ""))
    return list(found.values())


def _ticket(record: Record) -> Ticket:
    title, text = record.title_and_text()
    audience = record.text("audience", Audience.INTERNAL)
    if audience not in set(Audience):
        raise DatasetError(f'{record.where}: "audience" must be "internal" or "public", not {audience!r}')
    return Ticket(record.name("_id"), title, text, Audience(audience), created=record.text("created", ""))


def _join(
    queries: Mapping[str, Ticket], labels: list[Label], paths: set[str], file: Path, from_corpus: bool
) -> tuple[list[Ticket], list[str]]:
    """Tickets with at least one article that answers, and what is odd about the labels."""
    by_query: dict[str, dict[str, int]] = {}
    strangers: list[str] = []
    missing: list[str] = []
    for label in labels:
        if label.query_id not in queries:
            strangers.append(f"{label.query_id} (line {label.where.rsplit(':', 1)[1]})")
            continue
        path = path_of_document(label.target) if from_corpus else label.target
        if path not in paths:
            missing.append(f"{label.target} (line {label.where.rsplit(':', 1)[1]})")
        by_query.setdefault(label.query_id, {})[path] = label.grade
    problems = listed(f"{file.name}: labels of queries that queries.jsonl does not hold, passed over", strangers)
    problems += listed(f"{file.name}: labelled articles that do not exist, counted as not found", missing)
    tickets = [replace(ticket, labels=by_query[name]) for name, ticket in queries.items() if name in by_query]
    useless = [ticket.query_id for ticket in tickets if not ticket.relevant]
    problems += listed(f"{file.name}: queries whose labels are all 0, not scored", useless)
    return [ticket for ticket in tickets if ticket.relevant], problems


def _without_label(folder: Path, queries: Mapping[str, Ticket], labelled: list[Ticket]) -> list[str]:
    """Queries that no split labels: they would silently be missing from every figure."""
    known = {ticket.query_id for ticket in labelled}
    for file in sorted((folder / "qrels").glob("*.tsv")):
        known.update(label.query_id for label in read_labels(file))
    if (folder / "qrels.tsv").is_file():
        known.update(label.query_id for label in read_labels(folder / "qrels.tsv"))
    return listed("queries.jsonl: queries without a label, not scored", [name for name in queries if name not in known])


def _of_no_split(folder: Path, unanswerable: Sequence[tuple[Ticket, str]]) -> list[str]:
    """Unanswerable tickets of a split that has no labels: a mistyped one would silently be missing."""
    known = {"", *(file.stem for file in (folder / "qrels").glob("*.tsv"))}
    if known == {""}:
        return []
    lost = [f"{ticket.query_id} ({its})" for ticket, its in unanswerable if its not in known]
    return listed("no_answer.jsonl: tickets of a split that has no labels, in no figure", lost)


def listed(what: str, ids: Sequence[str]) -> list[str]:
    """One line that says `what` and names the first few of `ids`; none where there are none."""
    if not ids:
        return []
    more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
    return [f"{what}: {', '.join(ids[:_LISTED])}{more}"]


def _read_answer_lines(
    file: Path, queries: Mapping[str, Ticket], articles_dir: Path, paths: set[str]
) -> tuple[AnswerLines, ...]:
    found = []
    lengths: dict[str, int] = {}
    for record in read_records(file) if file.is_file() else ():
        query_id, article = record.name("query_id"), record.name("article")
        first, last = record.line_number("start_line"), record.line_number("end_line")
        if query_id not in queries:
            raise DatasetError(f"{record.where}: query {query_id!r} is not in queries.jsonl")
        if article not in paths:
            raise DatasetError(f"{record.where}: there is no article {article!r} in {articles_dir}")
        if article not in lengths:
            lengths[article] = len(re.split(r"\r\n|\r|\n", read_text(articles_dir / article)))
        if not first <= last <= lengths[article]:
            raise DatasetError(
                f"{record.where}: lines {first} to {last} are not in {article} ({lengths[article]} lines)"
            )
        found.append(AnswerLines(query_id, article, first, last))
    return tuple(found)
