"""An evaluation as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tamis.errors import installed
from tamis.evaluate.result import Comparison, Evaluation, Interval, System
from tamis.view.picture import large, number

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {"better": "green", "worse": "red"}


def quality(evaluation: Evaluation) -> Table:
    """One row per system: the main metric with its interval, the difference from the first stage, the other metrics."""
    with installed("Evaluation", "eval"):
        from rich import box
        from rich.markup import escape
        from rich.table import Table

    main = evaluation.main
    others = [name for name in evaluation.metrics if name != main and _any(evaluation.systems, name)]
    title = f"{evaluation.dataset.name}: {len(evaluation.query_ids)} queries"
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("system", overflow="fold")
    for head in (main, "95 %", "difference", "better/worse", *others):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("against the first stage")
    for system in evaluation.systems:
        pair = evaluation.comparison(system.name)
        verdict = pair.verdict() if pair else ""
        table.add_row(
            escape(system.name),
            _mean(system.means.get(main)),
            _span(system.means.get(main)),
            f"{pair.difference:+.4f}" if pair else "",
            f"{pair.better}/{pair.worse}" if pair else "",
            *(_mean(system.means.get(name)) for name in others),
            _verdict(pair, verdict),
            style="dim" if system.kind == "bound" else None,
        )
    return table


def cost(evaluation: Evaluation) -> Table:
    """One row per system: what a query costs. Columns without any value are left out."""
    with installed("Evaluation", "eval"):
        from rich import box
        from rich.markup import escape
        from rich.table import Table

    systems = [system for system in evaluation.systems if system.kind == "pipeline"]
    shown = [column for column in COSTS if any(column[1](system) for system in systems)]
    table = Table(title="Cost, a query", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("system", overflow="fold")
    for head, _, _ in shown:
        table.add_column(head, justify="right")
    for system in systems:
        cells = [read(system) for _, read, _ in shown]
        texts = ["–" if value is None else write(value) for value, (_, _, write) in zip(cells, shown, strict=True)]
        table.add_row(escape(system.name), *texts)
    return table


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


def _verdict(pair: Comparison | None, verdict: str) -> str:
    if pair is None:
        return ""
    colour = COLOURS.get(verdict)
    text = f"{verdict} (p {pair.corrected:.2g})"
    return f"[{colour}]{text}[/]" if colour else text
