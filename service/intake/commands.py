"""`kb intake`: what waits, what is dead, replaying it, a worker of its own. Heavy imports are inside the commands."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.errors import SettingsError

if TYPE_CHECKING:
    from service.database import Database
    from service.intake.audit import Entry
    from service.intake.jobs import Job
    from service.intake.runtime import Intake, IntakeStores
    from service.settings import Settings

app = typer.Typer(no_args_is_help=True)

IndexOption = Annotated[
    Path | None, typer.Option("--index", help="Directory of the index. Default: KB_INDEX, or var/index.")
]
SettingsOption = Annotated[
    Path | None, typer.Option("--settings", help="File of KB_NAME=value lines; see docs/settings.md.")
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")]
ConnectorOption = Annotated[str | None, typer.Option("--connector", help="Only of this connector.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_jobs(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="waiting, working, done or dead; may repeat. Default: all but done."),
    ] = None,
    connector: ConnectorOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """List notes that wait, are being written or are dead letters, newest first."""
    from service.intake.jobs import JobState

    try:
        states = [JobState(name) for name in state or ("waiting", "working", "dead")]
    except ValueError as error:
        raise SettingsError(f"--state takes {', '.join(JobState)}") from error
    with _stored(index, settings_file) as stores:
        jobs = stores.queue.jobs(states, connector, limit)
    if as_json:
        _print_json([_described(job) for job in jobs])
    elif not jobs:
        typer.echo("nothing waits and nothing is dead" if not state else f"no job is {' or '.join(states)}")
    else:
        _print_jobs(jobs)


@app.command("show")
def show_job(
    job_id: Annotated[int, typer.Argument(help="The number that `kb intake list` shows.")],
    *,
    text: Annotated[
        bool, typer.Option("--text", help="Also print the ticket's words, while they are still kept.")
    ] = False,
    as_json: JsonOption = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Show one note's state and its audit trail."""
    with _stored(index, settings_file) as stores:
        job = stores.queue.find(job_id)
        trail = stores.audit.of_job(job_id, job.received_s)
    values = _described(job)
    if text and job.event is not None:
        values["title"], values["text"] = job.event.title, job.event.text
    entries = [
        {"at": _time(entry.at_s), "action": entry.action, "detail": entry.detail, "request_id": entry.request_id}
        for entry in trail
    ]
    if as_json:
        _print_json({**values, "audit": entries})
        return
    for name, value in values.items():
        if value not in (None, ""):
            typer.echo(f"{name:>13}  {value}")
    typer.echo("")
    for entry in entries:
        typer.echo(f"{entry['at']}  {entry['action']}  {entry['detail']}".rstrip())


@app.command("audit")
def show_audit(
    *,
    connector: ConnectorOption = None,
    action: Annotated[
        str | None,
        typer.Option(
            "--action",
            help="Only what was decided so: accepted, duplicate, ignored, rejected, rejected:bad-signature, delivered, "
            "dead …",
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="Only of this ticket or alert, by its id as `kb intake list` shows it."),
    ] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Show what was decided about deliveries and why, newest first, those that were ignored or refused included."""
    _check_action(action)
    with _stored(index, settings_file) as stores:
        entries = stores.audit.latest(limit, connector, action, subject)
    if as_json:
        _print_json([{**asdict(entry), "at": _time(entry.at_s)} for entry in entries])
    elif entries:
        _print_entries(entries)
    else:
        asked = " of this kind" if connector or action or subject else ""
        typer.echo(f"nothing{asked} is in the audit trail, which is kept for KB_INTAKE_KEEP_DAYS")


@app.command("replay")
def replay_jobs(
    job_ids: Annotated[list[int] | None, typer.Argument(help="Numbers of dead letters.")] = None,
    *,
    all_of_them: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    connector: ConnectorOption = None,
    as_json: JsonOption = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Let dead letters be tried anew, after what stopped them was mended. What was written is not written again."""
    if not (job_ids or all_of_them or connector):
        raise SettingsError(
            "name the dead letters to replay, or use --all or --connector; `kb intake list --state dead` shows them"
        )
    with _stored(index, settings_file) as stores:
        replayed = stores.queue.replay(job_ids or (), connector)
    missing = sorted(set(job_ids or ()) - set(replayed))
    if as_json:
        _print_json({"replayed": replayed, "not_dead": missing})
    else:
        typer.echo(f"{len(replayed)} replayed{': ' + ' '.join(map(str, replayed)) if replayed else ''}")
        if missing:
            typer.echo(f"not dead letters, left alone: {' '.join(map(str, missing))}", err=True)
    raise typer.Exit(1 if missing else 0)


@app.command("purge")
def purge_jobs(
    *,
    dead: Annotated[
        bool, typer.Option("--dead", help="Delete dead letters, whatever their age. They are lost.")
    ] = False,
    connector: ConnectorOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Delete what is older than KB_INTAKE_KEEP_DAYS and KB_INTAKE_RECENT_DAYS; with --dead, dead letters of any age."""
    from service.intake.jobs import JobState

    with _stored(index, settings_file) as stores:
        if not dead:
            if connector:
                raise SettingsError("--connector goes with --dead; what is old is deleted for all connectors")
            purged = asdict(stores.purge())
        else:
            count = len(stores.queue.jobs([JobState.DEAD], connector))
            if count and not yes:
                typer.confirm(f"Delete {count} dead letters? Their notes will never be written", abort=True)
            purged = {"dead": stores.queue.purge(JobState.DEAD, connector=connector)}
    if as_json:
        _print_json(purged)
    else:
        typer.echo("deleted " + ", ".join(f"{count} {name}" for name, count in purged.items()))


@app.command("status")
def show_status(
    *, as_json: JsonOption = False, index: IndexOption = None, settings_file: SettingsOption = None
) -> None:
    """Show how many notes wait, are done or are dead, for each connector; also checks the connectors file."""
    with _opened(index, settings_file) as intake:
        counts = intake.queue.counts()
        oldest_s = intake.queue.oldest_waiting_s()
        configured = intake.connectors
    names = sorted({*counts, *configured})
    rows = [
        {
            "connector": name,
            "configured": name in configured,
            "public_replies": name in configured and configured[name].config.public_replies,
            **{state: counts.get(name, {}).get(state, 0) for state in ("waiting", "working", "done", "dead")},
        }
        for name in names
    ]
    if as_json:
        _print_json({"connectors": rows, "oldest_waiting_s": oldest_s})
        return
    if not rows:
        typer.echo("no connector is configured; see docs/intake.md, and set KB_CONNECTORS_FILE")
        return
    from rich.console import Console
    from rich.table import Table

    from service.terminal import print_table

    table = Table("connector", "waiting", "working", "done", "dead", "", box=None, header_style="bold")
    for row in rows:
        remark = "" if row["configured"] else "not configured: its notes wait"
        remark = "answers customers in public" if row["public_replies"] else remark
        table.add_row(*(str(row[name]) for name in ("connector", "waiting", "working", "done", "dead")), remark)
    print_table(Console(), table)
    if oldest_s is not None:
        typer.echo(f"the oldest has waited for {oldest_s:.0f} s")


@app.command("work")
def work(
    *,
    once: Annotated[bool, typer.Option("--once", help="Write what is due now, then end.")] = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Write notes until interrupted, apart from `kb serve` (KB_INTAKE_WORKER=false); any number may run."""
    import asyncio

    from service.http.server import set_up_logs

    set_up_logs()
    with _opened(index, settings_file) as intake:
        if not intake.connectors:
            raise SettingsError("no connector is configured; see docs/intake.md, and set KB_CONNECTORS_FILE")
        with contextlib.suppress(KeyboardInterrupt):
            taken = asyncio.run(_work(intake, once=once))
            if once:
                typer.echo(f"{taken} taken")


async def _work(intake: Intake, *, once: bool) -> int:
    import asyncio
    import signal

    from service.http.metrics import Metrics
    from service.http.reloading import Library
    from service.http.routes_service import software_version
    from service.opening import open_assistant

    settings = intake.settings
    assistant = await asyncio.to_thread(open_assistant, settings)
    worker = intake.worker(intake.composer(lambda: assistant), software_version())
    if once:
        return await worker.drain()
    library = Library(settings.index, lambda: assistant, Metrics(), settings.reload_interval_s)
    tasks = [asyncio.create_task(work) for work in (library.run(), intake.keep_tidy(), worker.run())]
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, lambda: [task.cancel() for task in tasks])
    await asyncio.gather(*tasks, return_exceptions=True)
    return 0


@contextlib.contextmanager
def _stored(index: Path | None, settings_file: Path | None) -> Iterator[IntakeStores]:
    """What intake keeps, without the connectors and their secrets."""
    from service.intake.runtime import IntakeStores

    with _connected(index, settings_file) as (settings, database):
        yield IntakeStores(settings, database)


@contextlib.contextmanager
def _opened(index: Path | None, settings_file: Path | None) -> Iterator[Intake]:
    """All of intake; the connectors file and every secret that it names must be right."""
    from service.intake.runtime import Intake

    with _connected(index, settings_file) as (settings, database):
        yield Intake(settings, database, os.environ)


@contextlib.contextmanager
def _connected(index: Path | None, settings_file: Path | None) -> Iterator[tuple[Settings, Database]]:
    from service.database import Database
    from service.settings import load_settings

    settings = load_settings(settings_file, index=index)
    database = Database(settings.state_url)
    try:
        yield settings, database
    finally:
        database.close()


def _described(job: Job) -> dict[str, Any]:
    """A job for people and programs; the ticket's words and the note stay out."""
    return {
        "id": job.id,
        "connector": job.connector,
        "state": job.state.value,
        "kind": job.kind,
        "subject": job.subject_id,
        "delivery": job.delivery_id,
        "public": job.is_public,
        "received": _time(job.received_s),
        "due": _time(job.due_s) if job.state.value == "waiting" else None,
        "finished": _time(job.finished_s) if job.finished_s else None,
        "attempts": job.attempts,
        "uncertain": job.uncertain,
        "reason": job.reason,
    }


def _print_jobs(jobs: list[Job]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from service.terminal import print_table

    table = Table("id", "connector", "state", "subject", "age", "tries", "reason", box=None, header_style="bold")
    for job in jobs:
        age = _age(time.time() - job.received_s)
        values = (job.id, job.connector, job.state.value, job.subject_id, age, job.attempts, job.reason)
        table.add_row(*(Text(str(value)) for value in values))
    print_table(Console(), table)


def _print_entries(entries: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from service.terminal import print_table

    table = Table("at", "connector", "subject", "action", "note", "why", box=None, header_style="bold")
    for entry in entries:
        values = (_time(entry.at_s), entry.connector, entry.subject_id, entry.action, entry.job_id or "", entry.detail)
        table.add_row(*(Text(str(value)) for value in values))
    print_table(Console(), table)


def _check_action(action: str | None) -> None:
    """Raises SettingsError unless there is such an action."""
    from service.connectors.contract import RejectedReason
    from service.intake.audit import REJECTED, Action

    rejections = [f"{REJECTED}:{reason}" for reason in RejectedReason]
    if action and action not in {*Action, REJECTED, *rejections}:
        raise SettingsError(f"--action takes {', '.join([*Action, REJECTED, *rejections])}")


def _print_json(values: Any) -> None:
    typer.echo(json.dumps(values, ensure_ascii=False, indent=2))


def _time(at_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
