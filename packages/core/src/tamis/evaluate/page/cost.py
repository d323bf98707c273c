"""What each system costs per query."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tamis.compute.flops import qpp, rpp
from tamis.evaluate.page.cells import Cell, Head, Row
from tamis.evaluate.result import Evaluation, System
from tamis.view.wording import large, number

BESIDE = 7
"""Most costs in one table."""
CACHED = "*"
UNCHANGED = ("from the cache", "peak memory, MiB", "failed calls", "failed queries", "degraded queries")
"""Costs that answers from a cache do not lower."""


def costs(system: System, queries: int) -> dict[str, float | None]:
    """What one query costs a system: `seconds`, `calls`, `tokens` and `flops`; `None` where it is not known."""
    usage = system.usage
    spread = queries or 1
    seconds = system.speed.p50 if system.speed.p50 is not None else (usage.seconds / spread or None)
    return {
        "seconds": seconds,
        "calls": usage.calls / spread,
        "tokens": usage.tokens / spread,
        "flops": None if usage.unmetered else usage.flops / spread,
    }


def cost(evaluation: Evaluation) -> dict[str, Any] | None:
    """One row a pipeline, one column for each kind of cost that some of them has; `None` where no cost was measured.

    What other runs cost is not known.
    """
    queries = len(evaluation.query_ids) or 1
    systems = [system for system in evaluation.systems if system.kind == "pipeline"]
    columns: list[tuple[str, Callable[[System], float | None], Callable[[float], str]]] = [
        ("calls per query", lambda s: s.usage.calls / queries, large),
        ("from the cache", lambda s: s.usage.cached / queries, large),
        ("tokens in", lambda s: s.usage.tokens_in / queries, large),
        ("tokens out", lambda s: s.usage.tokens_out / queries, large),
        ("search units", lambda s: s.usage.search_units / queries, number),
        ("seconds, median", lambda s: s.speed.p50, number),
        ("95th percentile", lambda s: s.speed.p95, number),
        ("queries per second", lambda s: s.speed.throughput, large),
        ("peak memory, MiB", lambda s: s.speed.peak_mib, large),
        ("FLOPs a query", lambda s: costs(s, queries)["flops"], large),
        ("FLOPs, paper’s form", lambda s: None if s.usage.unmetered else s.usage.flops_paper / queries, large),
        ("RPP", lambda s: _yield(s, evaluation.main), number),
        ("QPP", lambda s: _throughput(s), number),
        ("failed calls", lambda s: s.usage.failed, large),
        ("failed queries", lambda s: s.failed, large),
        ("degraded queries", lambda s: s.degraded, large),
    ]
    shown = [column for column in columns if any(column[1](system) for system in systems)]
    if not shown:
        return None

    def cell(system: System, name: str, value: float | None, write: Callable[[float], str]) -> Cell:
        mark = CACHED if system.usage.cached and name not in UNCHANGED else ""
        return Cell("–", -1) if value is None else Cell(write(value) + mark, value)

    alone = max((system.speed.alone for system in systems), default=0)
    cached = [system.name for system in systems if system.usage.cached]
    notes = [
        f"{CACHED} A cache answered some calls of {' and '.join(cached)}: a first run costs more." if cached else "",
        f"Seconds are of one query at a time, measured on {alone:,} queries." if alone else "",
        "Calls and tokens include what systems have in common, as if each had run alone.",
        _about_flops(systems, evaluation.main),
    ]
    tables = [
        {
            "heads": [Head("system", numeric=False), *(Head(name) for name, _, _ in part)],
            "rows": [Row(s, [cell(s, name, read(s), write) for name, read, write in part]) for s in systems],
        }
        for part in (shown[start : start + BESIDE] for start in range(0, len(shown), BESIDE))
    ]
    return {"tables": tables, "notes": [note for note in notes if note]}


def _about_flops(systems: Sequence[System], main: str) -> str:
    if not any(s.usage.flops and not s.usage.unmetered for s in systems):
        return ""
    unknown = "; where that is unknown for a model, so are they" if any(s.usage.unmetered for s in systems) else ""
    return (
        f"FLOPs are counted from the shape of the models{unknown}. RPP is {main} and QPP is queries a PetaFLOP: "
        "they reward what is cheap, so see the metric too."
    )


def _yield(system: System, metric: str) -> float | None:
    """The metric a PetaFLOP, over the queries that have both."""
    if system.usage.unmetered:
        return None
    pairs = [
        (row.values[metric], row.ranking.usage.flops)
        for row in system.rows.values()
        if row.ranking is not None and metric in row.values
    ]
    return _known(rpp([value for value, _ in pairs], [spent for _, spent in pairs]))


def _throughput(system: System) -> float | None:
    """Queries a PetaFLOP."""
    if system.usage.unmetered:
        return None
    return _known(qpp([row.ranking.usage.flops for row in system.rows.values() if row.ranking is not None]))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
