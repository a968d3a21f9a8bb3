"""A benchmark's figures as JSON and as one Markdown page, with the ratios that count."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.bench.growth import Growth
from eval.bench.scale import LayoutFigures, PostingFigures
from eval.bench.systems import Figures
from eval.peers.sidebyside import OURS, PEERS
from eval.reporting import write_json, write_text

YARDSTICK = "txtai"
"""The peer that targets are measured against."""

_MEMORY_CHUNKS = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """Something that is to hold, and whether it did in this run."""

    what: str
    wanted: str
    measured: str
    met: bool


@dataclass(slots=True)
class Benchmark:
    """Everything one run measured.

    Attributes:
        load_before: the machine's load average when the run began; above 0.5 or so, times are not to be trusted, and
            ratios only roughly.
    """

    passages: int
    load_before: float
    systems: list[Figures] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    layouts: list[LayoutFigures] = field(default_factory=list)
    postings: PostingFigures | None = None

    def system(self, name: str) -> Figures | None:
        """The figures of one system, if it was measured."""
        return next((figures for figures in self.systems if figures.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "load_before": self.load_before,
            "passages": self.passages,
            "systems": {figures.name: figures.as_dict() for figures in self.systems},
            "growth": [growth.as_dict() for growth in self.growth],
            "layouts": [layout.as_dict() for layout in self.layouts],
            "postings": self.postings and self.postings.as_dict(),
            "targets": [
                {"what": target.what, "wanted": target.wanted, "measured": target.measured, "met": target.met}
                for target in targets(self)
            ],
        }


def machine() -> dict[str, Any]:
    """What it ran on."""
    names = ("onnxruntime", "faiss-cpu", "tantivy", "torch")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
    }


def targets(run: Benchmark) -> list[Target]:
    """Which of the promises this run can judge, and which it kept."""
    found: list[Target] = []
    ours, other = run.system(OURS), run.system(YARDSTICK)
    if ours and other:
        found += _ratios(ours, other)
    if ours:
        found.append(_at_most("start to first answer, in process", ours.cold_start_s, 1.5, "s"))
        found.append(_at_most("start of `kb serve` to first answer", ours.http_first_s, 1.5, "s"))
        if ours.overload:
            load, recovery = ours.overload.load, ours.overload.recovery_s
            what = f"unclean refusals at {ours.overload.offered_per_s / ours.overload.sustainable_per_s:.1f}× the load"
            found.append(Target(what, "0", f"{load.unclean} of {load.asked}", load.unclean == 0))
            found.append(_at_most("recovery after the overload", recovery, 2.0, "s"))
    for growth in run.growth:
        if abs(growth.chunks - _MEMORY_CHUNKS) < _MEMORY_CHUNKS / 10:
            found.append(_at_most("resident memory of the service, 10,000 chunks", growth.service_mb, 250.0, "MB"))
    return found


def _ratios(ours: Figures, other: Figures) -> list[Target]:
    indexing = ours.passages_per_s / other.passages_per_s
    short = other.short_ms[0] / ours.short_ms[0]
    found = [
        _at_least(f"indexing rate, times {other.name}'s", indexing, 2.5),
        _at_least(f"{other.name}'s p50 of a short question, times ours", short, 5.0),
        _at_least(f"{other.name}'s p50 of a whole ticket, times ours", other.long_ms[0] / ours.long_ms[0], 5.0),
    ]
    mine, theirs = ours.load(8), other.load(8)
    if mine and theirs and theirs.answers_per_s:
        ratio = mine.answers_per_s / theirs.answers_per_s
        found.append(_at_least(f"HTTP answers a second at 8 clients, times {other.name}'s", ratio, 8.0))
    return found


def _at_least(what: str, value: float, least: float) -> Target:
    return Target(what, f"at least {least:g}", f"{value:.1f}", value >= least)


def _at_most(what: str, value: float, most: float, unit: str) -> Target:
    return Target(
        what, f"at most {most:g} {unit}", f"{value:.2f} {unit}" if most < 10 else f"{value:.0f} {unit}", value <= most
    )


def markdown(run: Benchmark) -> str:
    """The whole run as one page."""
    about = machine()
    lines = [
        "# Benchmark",
        "",
        f"{about['cores']} cores ({about['processor']}), Python {about['python']}, "
        f"load average before the run {run.load_before:.1f}. What each figure means: docs/performance.md. "
        "In brackets: the multiple of ours.",
        "",
    ]
    if run.systems:
        lines += _systems_tables(run)
    if run.growth:
        lines += _growth_table(run.growth)
    if run.layouts:
        lines += _layouts_table(run.layouts, run.postings)
    judged = targets(run)
    if judged:
        lines += ["## Targets", "", "| target | wanted | measured | met |", "|---|---|---|---|"]
        lines += [f"| {t.what} | {t.wanted} | {t.measured} | {'yes' if t.met else '**no**'} |" for t in judged]
        lines.append("")
    return "\n".join(lines)


def write_reports(run: Benchmark, out_dir: Path) -> tuple[Path, Path]:
    """Write `bench.md` and `bench.json` into `out_dir`. Raises OutputError."""
    page, data = out_dir / "bench.md", out_dir / "bench.json"
    write_text(page, markdown(run))
    write_json(data, run.as_dict())
    return page, data


def _systems_tables(run: Benchmark) -> list[str]:
    first = run.systems[0]
    rows: list[tuple[str, str, int, list[float]]] = [
        ("indexing, passages a second", "", 1, [s.passages_per_s for s in run.systems]),
        ("one edit", " s", 2, [s.edit_s for s in run.systems]),
        ("start to first answer", " s", 2, [s.cold_start_s for s in run.systems]),
        ("short question p50", " ms", 1, [s.short_ms[0] for s in run.systems]),
        ("short question p95", " ms", 1, [s.short_ms[1] for s in run.systems]),
        ("whole ticket p50", " ms", 1, [s.long_ms[0] for s in run.systems]),
        ("whole ticket p95", " ms", 1, [s.long_ms[1] for s in run.systems]),
        ("processor time: a passage indexed", " ms", 1, [s.index_cpu_ms for s in run.systems]),
        ("processor time: start to first answer", " s", 2, [s.cold_start_cpu_s for s in run.systems]),
        ("processor time: short question", " ms", 1, [s.short_cpu_ms for s in run.systems]),
        ("processor time: whole ticket", " ms", 1, [s.long_cpu_ms for s in run.systems]),
        ("peak memory, answering", " MB", 0, [s.peak_mb for s in run.systems]),
        ("HTTP: start to first answer", " s", 2, [s.http_first_s for s in run.systems]),
        ("HTTP: memory after the load", " MB", 0, [s.http_mb for s in run.systems]),
    ]
    for load in first.loads:
        same = [system.load(load.clients) for system in run.systems]
        clients = f"{load.clients} client{'s' if load.clients > 1 else ''}"
        rate = [found.answers_per_s if found else float("nan") for found in same]
        rows.append((f"HTTP, {clients}: answers a second", "", 1, rate))
        cpu = [found.cpu_ms if found else float("nan") for found in same]
        rows.append((f"HTTP, {clients}: processor time an answer", " ms", 1, cpu))
        rows.append((f"HTTP, {clients}: p95", " ms", 0, [found.p95_ms if found else float("nan") for found in same]))
    lines = [
        "## Side by side",
        "",
        f"The same {run.passages} passages and embedding weights for all.",
        "",
        f"| | {' | '.join(PEERS[system.name] for system in run.systems)} |",
        f"|---|{'---|' * len(run.systems)}",
    ]
    for name, unit, digits, values in rows:
        cells = [f"{values[0]:.{digits}f}{unit}"]
        cells += [f"{value:.{digits}f}{unit}{_multiple(value, values[0])}" for value in values[1:]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    blank = " |" * (len(run.systems) - 1)
    lines += [
        f"| HTTP, {load.clients} clients, questions repeated: answers a second | {load.answers_per_s:.1f} |{blank}"
        for load in first.cached_loads
    ]
    lines.append("")
    if first.overload:
        over = first.overload
        lines += [
            f"Overload: {over.offered_per_s:.0f} questions a second offered, where {over.sustainable_per_s:.0f} can be "
            f"sustained. {over.load.answers_per_s:.0f} a second were answered (p95 {over.load.p95_ms:.0f} ms), "
            f"{over.load.refused} of {over.load.asked} refused with 503 and `Retry-After`, {over.load.unclean} in any "
            f"other way. Prompt answers again {over.recovery_s:.2f} s after the load ended.",
            "",
        ]
    return lines


def _multiple(value: float, base: float) -> str:
    return f" (×{value / base:.2g})" if base else ""


def _growth_table(growth: Sequence[Growth]) -> list[str]:
    lines = [
        "## Growth of the corpus",
        "",
        "Made-up articles, embedding left out of the build; questions with the real model.",
        "",
        "| chunks | articles | build | build, peak memory | one edit | on disk | start to first answer | short "
        "question p50, p95 | whole ticket p50, p95 | `kb serve` memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {g.chunks:,} | {g.articles:,} | {g.build_s:.1f} s | {g.build_peak_mb:.0f} MB | {g.edit_s:.1f} s | "
        f"{g.disk_mb:.0f} MB | {g.cold_start_s:.2f} s | {g.short_p50_ms:.1f}, {g.short_p95_ms:.1f} ms | "
        f"{g.long_p50_ms:.1f}, {g.long_p95_ms:.1f} ms | {g.service_mb:.0f} MB |"
        for g in growth
    ]
    return [*lines, ""]


def _layouts_table(layouts: Sequence[LayoutFigures], postings: PostingFigures | None) -> list[str]:
    lines = [
        f"## Scale: {layouts[0].count:,} passages",
        "",
        "Made-up clustered vectors of 384 dimensions; recall@10 against the flat layout.",
        "",
        "| layout | build | build, peak memory | on disk | resident | resident for a million | p50 | p95 | p95, half "
        "in scope | recall@10 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {x.layout} | {x.build_s:.0f} s | {x.build_peak_mb:.0f} MB | {x.disk_mb:.0f} MB | {x.resident_mb:.0f} MB | "
        f"{x.resident_mb * 1_000_000 / x.count:.0f} MB | {x.p50_ms:.2f} ms | {x.p95_ms:.2f} ms | "
        f"{x.half_p95_ms:.2f} ms | {x.recall:.3f} |"
        for x in layouts
    ]
    if postings:
        lines += [
            "",
            f"Word index over {postings.count:,} short articles of real words: built in {postings.build_s:.0f} s, "
            f"{postings.disk_mb:.0f} MB on disk, p50 {postings.p50_ms:.2f} ms, p95 {postings.p95_ms:.2f} ms.",
        ]
    return [*lines, ""]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
