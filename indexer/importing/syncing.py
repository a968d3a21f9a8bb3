"""A target folder brought in line with a source: new, changed, moved and deleted pages, visibility first.

The order is part of the contract. Before any page is fetched, every file that the source restricts now is made
internal, so a page whose text cannot be fetched or converted is never left public.

A file is written only after the state file says what it will hold, so a run that is killed at any moment leaves nothing
behind that the next run would take for somebody's edit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.errors import PageError, SourceError
from indexer.importing.attachments import Attachments
from indexer.importing.files import (
    SCRATCH_PATTERN,
    article_path,
    is_open,
    make_internal,
    page_path,
    remove_file,
    target_file,
    unique_path,
    write_file,
)
from indexer.importing.pages import LeftOut, Page, PageRef, PageUnavailable, Source
from indexer.importing.rendering import Draft, EmptyPage, render_draft, resolve_link
from indexer.importing.reporting import Report, Trouble
from indexer.importing.state import CONVERTER, Record, State, load_state, lock_folder
from indexer.metadata import Audience

BATCH = 50
"""Pages written between two saves of the state."""

MAX_UNAVAILABLE = 3
"""Pages in a row that the server does not answer for, before the run ends."""

ProgressFn = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What an operator may choose.

    Attributes:
        dry_run: say what would be done; write nothing.
        force: overwrite files that were edited after they were imported.
        full: fetch and convert every page again, changed or not.
        mass_delete: go on even if more than half of the imported pages are gone from the source.
        attachments: download attachments into a folder beside the article.
        all_internal: mark every article internal, whatever the source says.
        products: product names given to every article that names none.
    """

    dry_run: bool = False
    force: bool = False
    full: bool = False
    mass_delete: bool = False
    attachments: bool = False
    all_internal: bool = False
    products: tuple[str, ...] = ()


def sync_pages(source: Source, folder: Path, options: SyncOptions, progress: ProgressFn) -> Report:
    """Bring `folder` in line with `source`.

    Raises:
        SourceError: the source or the folder's state cannot be read; no page was taken over. If that happens later, the
            report says so in `stopped`.
    """
    if folder.exists() and not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; name another one with --to")
    if options.dry_run:
        return _Run(source, folder, options, progress).run()
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        for left_over in folder.rglob(SCRATCH_PATTERN):  # of a run that was killed
            left_over.unlink()
        return _Run(source, folder, options, progress).run()


@dataclass(frozen=True, slots=True)
class _Change:
    """A file to write, and the record that is true once it is written. `leaves` is the path the page moved from."""

    page_id: str
    data: bytes
    record: Record
    leaves: str = ""


class _Run:
    """One run over one folder."""

    def __init__(self, source: Source, folder: Path, options: SyncOptions, progress: ProgressFn) -> None:
        self._source, self._folder, self._options, self._progress = source, folder, options, progress
        self._state: State = load_state(folder, source.kind, source.place)
        self._report = Report(dry_run=options.dry_run)
        self._paths: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._moved_from: dict[str, tuple[str, bytes | None]] = {}
        self._outcome: dict[str, tuple[str, str]] = {}
        self._late: list[tuple[PageRef, Draft]] = []
        self._attachments = Attachments(source, folder, self._report)
        self._pending: list[_Change] = []
        self._unavailable = 0

    def run(self) -> Report:
        """Do all of it. The state is saved whatever happens."""
        refs = self._list_refs()
        gone = self._follow_moves(refs)
        self._tighten([ref.id for ref in refs if ref.audience is Audience.INTERNAL])
        if self._is_mass_deletion(gone):
            self._count()
            return self._report
        self._choose_paths(refs)
        self._ids = {record.article_id: id_ for id_, record in self._state.pages.items() if id_ not in gone}
        try:
            self._delete(gone)
            for number, ref in enumerate(refs):
                self._progress("pages", number, len(refs))
                self._take_over(ref)
            self._finish_links(refs)
            self._progress("pages", len(refs), len(refs))
            self._state.cursor, self._state.converter = self._source.cursor, CONVERTER
        except SourceError as error:
            self._report.stopped = f"stopped before the end: {error}. What was done until then stays"
        finally:
            self._flush()
        self._count()
        return self._report

    def _list_refs(self) -> list[PageRef]:
        listed: dict[str, PageRef] = {}
        for ref in self._source.list_pages():
            seen = listed.get(ref.id, ref)
            restricted = self._options.all_internal or seen.audience is not ref.audience
            listed[ref.id] = replace(ref, audience=Audience.INTERNAL) if restricted else ref
        self._report.pages = len(listed)
        self._report.left_out = list(self._source.left_out)
        if not listed and not self._state.pages:
            raise SourceError(
                f"{self._source.place} lists no page to import; check the address and what the account may read"
            )
        self._state.empty = {id_: v for id_, v in self._state.empty.items() if id_ in listed}
        return list(listed.values())

    def _follow_moves(self, refs: list[PageRef]) -> list[str]:
        """Ids that are gone. A moved page's record is kept under its new id, so its article keeps its own."""
        now = {ref.id for ref in refs}
        gone = [id_ for id_ in self._state.pages if id_ not in now]
        fresh = [ref for ref in refs if ref.id not in self._state.pages]
        told = self._source.find_renames(self._state.cursor) if gone and fresh and self._state.cursor else {}
        by_content = {key: id_ for id_ in gone if (key := self._state.pages[id_].content_key)}
        for ref in fresh:
            old = told.get(ref.id) or by_content.get(ref.content_key, "")
            if old in gone:
                gone.remove(old)
                self._state.pages[ref.id] = replace(self._state.pages.pop(old), version="")
        for ref in refs:
            record = self._state.pages.get(ref.id)
            if record and not record.version and ref.path and record.path != article_path(ref.path):
                self._moved_from[ref.id] = (record.path, _read(self._file(record.path)))
        return gone

    def _tighten(self, page_ids: list[str]) -> None:
        """Make the pages' files internal where they are not. A file whose front matter cannot be edited is removed."""
        changes = []
        for page_id in page_ids:
            record = self._state.pages.get(page_id)
            if record is None:
                continue
            record = self._state.pages[page_id] = replace(record, audience=Audience.INTERNAL)
            data = _read(self._file(record.path))
            if data is None or not is_open(data):
                continue
            changed = make_internal(data)
            if record.is_ours(data) and changed is not None:
                self._state.pages[page_id] = replace(record, next_sha256=sha256_of(changed))
            changes.append((page_id, record.path, changed))
            if record.path not in self._report.tightened:
                self._report.tightened.append(record.path)
        if not changes or self._options.dry_run:
            return
        self._flush()  # or the state would speak of files that are not written yet
        for page_id, path, changed in changes:
            if changed is None:
                remove_file(self._folder, self._file(path))
            else:
                write_file(self._file(path), changed)
            record = self._state.pages[page_id]
            if page_id in self._moved_from:
                self._moved_from[page_id] = (path, changed)
            if record.next_sha256:
                self._state.pages[page_id] = replace(record, file_sha256=record.next_sha256, next_sha256="")
        self._state.save(self._folder)

    def _is_mass_deletion(self, gone: list[str]) -> bool:
        known = len(self._state.pages)
        if self._options.mass_delete or 2 * len(gone) <= known:
            return False
        self._report.stopped = (
            f"{len(gone)} of {known} imported pages are gone from {self._source.place}; nothing was deleted. "
            "If that is right, run again with --allow-mass-delete; if not, check what the account may read"
        )
        return True

    def _choose_paths(self, refs: list[PageRef]) -> None:
        """A known page keeps its file, unless the source names files itself and has moved it."""
        taken = {record.path.casefold() for id_, record in self._state.pages.items() if id_ not in self._moved_from}
        fresh = []
        for ref in refs:
            if self._is_known_empty(ref):
                continue
            record = self._state.pages.get(ref.id)
            if record is not None and not (ref.path and ref.id in self._moved_from):
                self._paths[ref.id] = record.path
            else:
                fresh.append(ref)
        for ref in fresh:
            path = unique_path(article_path(ref.path or page_path(ref.title, ref.id)), taken)
            while self._is_foreign(path):
                taken.add(path.casefold())
                path = unique_path(path, taken)
            taken.add(path.casefold())
            self._paths[ref.id] = path

    def _is_foreign(self, path: str) -> bool:
        """Whether a file lies there that no import wrote."""
        if any(path == old for old, _ in self._moved_from.values()):
            return False
        data = _read(self._file(path))
        return data is not None and sha256_of(data) not in {r.next_sha256 for r in self._state.pages.values()}

    def _is_known_empty(self, ref: PageRef) -> bool:
        return self._state.empty.get(ref.id) == ref.version and not self._options.full

    def _delete(self, gone: list[str]) -> None:
        for page_id in gone:
            record = self._state.pages[page_id]
            data = _read(self._file(record.path))
            if data is not None and not record.is_ours(data) and not self._options.force:
                self._tighten([page_id])
                self._conflict(page_id, "is gone from the source, but was edited here; kept, as internal")
                continue
            del self._state.pages[page_id]
            self._outcome[page_id] = ("removed", record.path)
            if not self._options.dry_run:
                for path in (record.path, *record.stored):
                    remove_file(self._folder, self._file(path))

    def _take_over(self, ref: PageRef) -> None:
        if self._is_known_empty(ref):
            self._report.left_out.append(LeftOut(ref.id, ref.title, "has no text of its own"))
            return
        record = self._state.pages.get(ref.id)
        if record is not None and self._is_current(ref, record):
            self._outcome[ref.id] = ("unchanged", record.path)
            if record.audience is Audience.INTERNAL:
                self._tighten([ref.id])
            return
        audience = ref.audience
        try:
            page = self._restrict(ref, self._source.fetch_page(ref))
            audience = page.audience
            if audience is Audience.INTERNAL:
                self._tighten([ref.id])
            self._write(ref, Draft.of(page), may_wait=True)
            self._unavailable = 0
        except EmptyPage as error:
            self._report.left_out.append(LeftOut(ref.id, ref.title, str(error)))
            self._state.empty[ref.id] = ref.version
            if record is not None:
                self._delete([ref.id])
        except PageError as error:
            self._report.failed.append(Trouble(ref.id, ref.title, str(error)))
            if record is not None:
                self._paths[ref.id] = record.path
            if audience is not Audience.PUBLIC:
                self._tighten([ref.id])
            self._unavailable = self._unavailable + 1 if isinstance(error, PageUnavailable) else 0
            if self._unavailable >= MAX_UNAVAILABLE:
                raise SourceError(f"{MAX_UNAVAILABLE} pages in a row could not be had: {error}") from error

    def _restrict(self, ref: PageRef, page: Page) -> Page:
        internal = self._options.all_internal or ref.audience is Audience.INTERNAL
        return replace(
            page,
            audience=Audience.INTERNAL if internal else page.audience,
            products=page.products or self._options.products,
        )

    def _is_current(self, ref: PageRef, record: Record) -> bool:
        if self._options.full or self._state.converter != CONVERTER or ref.version != record.version:
            return False
        if ref.audience not in {None, record.audience} or self._paths[ref.id] != record.path:
            return False
        data = _read(self._file(record.path))
        if data is None or (self._options.force and not record.is_ours(data)):
            return False
        if self._options.attachments and (record.missing or len(record.stored) != len(record.attachments)):
            return False
        return all(self._address(href, ref.id, record.path) == address for href, address in record.links.items())

    def _address(self, href: str, page_id: str, path: str) -> str:
        link = self._source.find_link(href, page_id)
        return resolve_link(link, path, self._paths, self._anchors_of) if link else ""

    def _anchors_of(self, page_id: str) -> Mapping[str, str]:
        record = self._state.pages.get(page_id)
        return record.anchors if record else {}

    def _write(self, ref: PageRef, draft: Draft, may_wait: bool = False) -> None:
        """Queue the page's file for writing. Raises PageError."""
        page, path, record = draft.page, self._paths[ref.id], self._state.pages.get(ref.id)
        article_id = page.article_id or (record.article_id if record else f"{self._source.prefix}-{_id_part(ref.id)}")
        if self._ids.setdefault(article_id, ref.id) != ref.id:
            raise PageError(f"has the article id {article_id!r} of another page; give it one of its own")
        rendered = render_draft(
            draft, path, article_id, lambda href: self._source.find_link(href, ref.id), self._paths, self._anchors_of
        )
        if may_wait and draft.document is not None and self._needs_anchors(ref, rendered.links):
            self._late.append((ref, draft))
        leaves, old = self._moved_from.get(ref.id) or ("", _read(self._file(path)) if record else None)
        leaves = "" if leaves == path else leaves
        edited = record is not None and old is not None and not record.is_ours(old) and old != rendered.data
        if edited and not self._options.force:
            self._conflict(ref.id, "changed at the source, but was edited here too; kept as it is here")
            if leaves:
                self._paths[ref.id] = leaves
            return
        if self._attachments.has(ref.id) and record:
            stored, missing = record.stored, record.missing
        elif self._options.attachments and not self._options.dry_run:
            stored, missing = self._attachments.download(ref.id, page, path, record.stored if record else ())
        else:
            stored, missing = record.stored if record else [], [item.name for item in page.attachments]
        if ref.id not in self._outcome:
            kind = "added" if record is None else "moved" if leaves else "updated"
            self._outcome[ref.id] = ("unchanged" if old == rendered.data and not leaves else kind, path)
            for warning in page.warnings:
                self._report.warnings.append(Trouble(ref.id, page.title, warning))
        fresh = Record(
            path=path,
            title=page.title,
            article_id=article_id,
            version=ref.version,
            content_key=ref.content_key,
            audience=page.audience,
            file_sha256=sha256_of(rendered.data),
            links=rendered.links,
            anchors=draft.anchors,
            attachments=[item.name for item in page.attachments],
            stored=stored,
            missing=missing,
        )
        self._state.pages[ref.id] = fresh
        self._state.empty.pop(ref.id, None)
        before = replace(record, version="") if record else replace(fresh, version="", file_sha256="")
        self._pending.append(_Change(ref.id, rendered.data, replace(before, next_sha256=fresh.file_sha256), leaves))
        if len(self._pending) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        """Say what will be written, write it, and leave the state as it is then."""
        pending, self._pending = self._pending, []
        if self._options.dry_run:
            return
        final = {change.page_id: self._state.pages[change.page_id] for change in pending}
        if pending:
            for change in pending:
                self._state.pages[change.page_id] = change.record
            self._state.save(self._folder)
            for change in pending:
                write_file(self._file(self._paths[change.page_id]), change.data)
        self._state.pages.update(final)
        self._state.save(self._folder)
        used = {record.path for record in self._state.pages.values()}
        for change in pending:
            self._moved_from.pop(change.page_id, None)
            if change.leaves and change.leaves not in used:
                remove_file(self._folder, self._file(change.leaves))

    def _needs_anchors(self, ref: PageRef, links: Mapping[str, str]) -> bool:
        """Whether a link leads to a place in a page that this run has yet to convert."""
        targets = (self._source.find_link(href, ref.id) for href in links)
        return any(
            link.fragment and link.page_id != ref.id and link.fragment not in self._anchors_of(link.page_id)
            for link in targets
            if link is not None and link.page_id in self._paths
        )

    def _finish_links(self, refs: list[PageRef]) -> None:
        """Write once more the pages that link to a place not known in time, or to a page that turned out to be none."""
        if self._options.dry_run:
            return
        self._flush()
        for ref, draft in self._late:
            self._write(ref, draft)
        self._flush()
        missing = {id_ for id_ in self._paths if id_ not in self._state.pages}
        for id_ in missing:
            del self._paths[id_]
        for ref in refs:
            record = self._state.pages.get(ref.id)
            links = (
                [self._source.find_link(href, ref.id) for href, address in record.links.items() if address]
                if record
                else []
            )
            if any(link is not None and link.page_id in missing for link in links):
                try:
                    self._write(ref, Draft.of(self._restrict(ref, self._source.fetch_page(ref))))
                except PageError as error:
                    self._report.failed.append(Trouble(ref.id, ref.title, str(error)))

    def _count(self) -> None:
        for kind, path in self._outcome.values():
            if kind == "unchanged":
                self._report.unchanged += 1
            else:
                getattr(self._report, kind).append(path)
        audiences = [record.audience for record in self._state.pages.values()]
        self._report.public = audiences.count(Audience.PUBLIC)
        self._report.internal = audiences.count(Audience.INTERNAL)

    def _conflict(self, page_id: str, reason: str) -> None:
        self._report.conflicts.append(Trouble(page_id, self._state.pages[page_id].path, reason))

    def _file(self, path: str) -> Path:
        return target_file(self._folder, path)


def sha256_of(data: bytes) -> str:
    """Hex SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _id_part(page_id: str) -> str:
    """A short id-safe form of a page id: itself if it is one, else the beginning of its hash."""
    if page_id.isascii() and page_id.isalnum() and len(page_id) <= 40:
        return page_id
    return hashlib.sha256(page_id.encode()).hexdigest()[:10]
