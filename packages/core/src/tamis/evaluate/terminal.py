"""An evaluation as tables for a terminal, a pipe or a log."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tamis.evaluate.result import Evaluation, Interval, System
from tamis.view.fitted import Column, fitted
from tamis.view.wording import large, number

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLOURS = {"better": "green", "worse": "red"}
CACHED = "*"
"""Marks a number that a cache made smaller than it would be."""


def quality(evaluation: Evaluation, console: Console) -> list[Table]:
    """One row per system: the main metric with its interval, the difference from the first stage, the other metrics."""
    main, systems = evaluation.main, evaluation.systems
    pairs = [evaluation.comparison(system.name) for system in systems]
    verdicts = [pair.verdict() if pair else "" for pair in pairs]
    columns = [
        Column(main, [_mean(system.means.get(main)) for system in systems]),
        Column("95 %", [_span(system.means.get(main)) for system in systems]),
        Column("difference", [f"{pair.difference:+.4f}" if pair else "" for pair in pairs]),
        Column("against the\nfirst stage", verdicts, [COLOURS.get(verdict, "") for verdict in verdicts], left=True),
        Column("p", [f"{pair.corrected:.2g}" if pair else "" for pair in pairs]),
        Column("better/worse", [f"{pair.better}/{pair.worse}" if pair else "" for pair in pairs]),
        *(
            Column(name, [_mean(system.means.get(name)) for system in systems])
            for name in evaluation.metrics
            if name != main and _any(systems, name)
        ),
    ]
    title = f"{evaluation.dataset.name}: {len(evaluation.query_ids)} queries"
    if by := evaluation.dataset.judged_by:
        title += f", {by}, not by people"
    names = Column("system", [system.name for system in systems])
    return fitted(console, title, names, columns, styles=["dim" if s.kind == "bound" else "" for s in systems])


def cost(evaluation: Evaluation, console: Console) -> list[Table]:
    """One row per system: what a query costs. Columns without any value are left out."""
    systems = [system for system in evaluation.systems if system.kind == "pipeline"]
    some = any(system.usage.cached for system in systems)
    shown = [c for c in COSTS if any(map(c[1], systems)) or (some and c[0] == "calls")]
    columns = [Column(head, [_cost(system, head, read, write) for system in systems]) for head, read, write in shown]
    cached = f"{CACHED} A cache answered some of the calls; a first run costs more."
    names = Column("system", [system.name for system in systems])
    return fitted(console, "Cost, a query", names, columns, caption=cached if some else "")


def _cost(system: System, head: str, read: Callable[[System], float | None], write: Callable[[float], str]) -> str:
    value = read(system)
    if value is None:
        return "–"
    return write(value) + (CACHED if system.usage.cached and head in LESS_FROM_A_CACHE else "")


def _each(read: Callable[[System], float]) -> Callable[[System], float | None]:
    return lambda system: read(system) / len(system.rows) if system.rows else None


COSTS: Sequence[tuple[str, Callable[[System], float | None], Callable[[float], str]]] = (
    ("calls", _each(lambda s: s.usage.calls), large),
    ("cached", _each(lambda s: s.usage.cached), large),
    ("tokens in", _each(lambda s: s.usage.tokens_in), large),
    ("tokens out", _each(lambda s: s.usage.tokens_out), large),
    ("FLOPs", lambda s: None if s.usage.unmetered else _each(lambda t: t.usage.flops)(s), large),
    ("ms p50", lambda s: None if s.speed.p50 is None else 1000 * s.speed.p50, number),
    ("ms p95", lambda s: None if s.speed.p95 is None else 1000 * s.speed.p95, number),
    ("queries/s", lambda s: s.speed.throughput, number),
    ("peak MiB", lambda s: s.speed.peak_mib, large),
    ("failed calls", lambda s: s.usage.failed, large),
    ("failed queries", lambda s: s.failed, large),
    ("degraded queries", lambda s: s.degraded, large),
)


LESS_FROM_A_CACHE = ("calls", "tokens in", "tokens out", "FLOPs", "ms p50", "ms p95", "queries/s")


def _any(systems: Sequence[System], name: str) -> bool:
    return any(_known(system.means.get(name)) for system in systems)


def _known(interval: Interval | None) -> bool:
    return interval is not None and math.isfinite(interval.mean)


def _mean(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.mean):
        return "–"
    return f"{interval.mean:.4f}" if abs(interval.mean) < 2 else number(interval.mean)


def _span(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.low):
        return "–"
    return f"{interval.low:.3f}–{interval.high:.3f}"
