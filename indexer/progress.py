"""What a build shows while it runs: bars with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_PLAIN_EVERY_S = 5.0


class Reporter(Protocol):
    """Takes what `indexer.building.build_index` says about its progress."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def reporter_for(console: Console, quiet: bool = False) -> Reporter:
    """Bars if `console` is a terminal, plain lines if not, nothing if `quiet`."""
    if quiet:
        return Silence()
    return Bars(console) if console.is_terminal else PlainLines(console)


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, stage: str, done: int, total: int) -> None:
        pass


class PlainLines(Silence):
    """One line when a stage ends, and one every five seconds in a long one: fit for a log file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage = ""
        self._started = self._said = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._started, self._said = stage, now, now
        if done < total and now - self._said < _PLAIN_EVERY_S:
            return
        self._said = now
        rate = _rate(done, now - self._started)
        self._console.print(f"{stage}: {done}/{total}{f', {rate}' if rate else ''}", soft_wrap=True, highlight=False)


class Bars(Silence):
    """A bar a stage, with the rate and the time left while it runs and the time taken once it is done."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed and task.total and task.total > 1 else "", style="dim")


def _rate(done: int, seconds: float) -> str:
    return f"{done / seconds:,.0f}/s" if seconds >= 0.5 and done > 1 else ""
