"""What the page shows of one query: how passages moved and the picture of each ranking, packed until asked for."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Sequence
from typing import Any

from tamis.evaluate.result import Evaluation, System
from tamis.values.ranking import Ranked
from tamis.view.picture import fragment

KEPT = 10
"""How many kept passages of a ranking (and dropped ones, for each reason) the page holds, besides the relevant ones."""

DRAWN = 20
"""Passages below this place in both orders are not drawn as moving, unless they are relevant."""


def pictures(evaluation: Evaluation, room: int) -> list[str | None]:
    """One packed picture per query, `None` where `room` (in bytes) was used up.

    First come the queries on which the systems differ most.
    """
    packed: dict[str, str] = {}
    for query in sorted(evaluation.query_ids, key=lambda query: -_spread(evaluation, query)):
        made = picture(evaluation, query)
        room -= len(made)
        if room < 0:
            break
        packed[query] = made
    return [packed.get(query) for query in evaluation.query_ids]


def _spread(evaluation: Evaluation, query: str) -> float:
    values = [
        system.rows[query].values.get(evaluation.main, 0.0)
        for system in evaluation.systems
        if system.kind != "bound" and query in system.rows
    ]
    return max(values) - min(values) if values else 0.0


def picture(evaluation: Evaluation, query: str) -> str:
    """One query through all systems: gzipped JSON, in base64.

    `pool`: [id, label, grade] by place in the first stage, then what only other runs found (the label is empty where
    nothing is drawn of a passage); `first`: how many the first stage found; `relevant`: which are relevant. `systems`:
    one per system, with `values`, `error`, `html`, `kept` and `dropped`. Passages are indices into the pool.
    """
    grades = evaluation.dataset.qrels.get(query, {})
    pool = _Pool(_first_stage(evaluation, query))
    count = len(pool.rows)
    systems = [_seen(evaluation, system, query, pool, count) for system in evaluation.systems]
    ids = [str(ranked.candidate.id) for ranked in pool.rows]
    wanted = evaluation.dataset.relevant(query)
    relevant = [index for index, identity in enumerate(ids) if identity in wanted]
    drawn = {*range(min(DRAWN, count)), *relevant}
    for seen in systems:
        if seen is not None and "kept" in seen:
            drawn.update(seen["kept"][:DRAWN])
    rows = [
        [identity, _label(ranked) if index in drawn else "", grades.get(identity)]
        for index, (identity, ranked) in enumerate(zip(ids, pool.rows, strict=True))
    ]
    shown = {"pool": rows, "first": count, "relevant": relevant, "systems": systems}
    text = json.dumps(shown, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("ascii"), mtime=0)).decode("ascii")


def _first_stage(evaluation: Evaluation, query: str) -> list[Ranked]:
    """What the first stage found, in its order, read off any ranking of it: a position is the place in the pool."""
    for system in evaluation.systems:
        row = system.rows.get(query)
        if row is not None and row.ranking is not None and system.kind != "run":
            found = [*row.ranking.kept, *(dropped.ranked for dropped in row.ranking.dropped)]
            return sorted(found, key=lambda ranked: ranked.position)
    return []


class _Pool:
    """The passages any system ranked for a query, those of the first stage first."""

    def __init__(self, rows: Sequence[Ranked]) -> None:
        self.rows = list(rows)
        self.index = {ranked.candidate.id: index for index, ranked in enumerate(self.rows)}

    def place(self, ranked: Ranked) -> int:
        if ranked.candidate.id not in self.index:
            self.index[ranked.candidate.id] = len(self.rows)
            self.rows.append(ranked)
        return self.index[ranked.candidate.id]


def _seen(evaluation: Evaluation, system: System, query: str, pool: _Pool, first: int) -> dict[str, Any] | None:
    row = system.rows.get(query)
    if row is None:
        return None
    shown: dict[str, Any] = {
        "values": {name: round(value, 5) for name, value in row.values.items() if math.isfinite(value)}
    }
    if row.error is not None:
        shown["error"] = row.error[:2000]
    ranking = row.ranking
    if ranking is not None:
        dropped = [item.ranked for item in ranking.dropped]
        came_in = None
        if system.kind == "run":
            places = {ranked.position: pool.place(ranked) + 1 for ranked in (*ranking.kept, *dropped)}
            came_in = {position: place if place <= first else None for position, place in places.items()}
        shown["html"] = fragment(
            ranking,
            grades=evaluation.dataset.qrels.get(query, {}),
            relevant_from=evaluation.dataset.relevant_from,
            came_in=came_in,
            limit=KEPT,
            style=False,
        )
        shown["kept"] = [pool.place(ranked) for ranked in ranking.kept]
        shown["dropped"] = [pool.place(ranked) for ranked in dropped]
    return shown


def _label(ranked: Ranked) -> str:
    text = " ".join((ranked.candidate.title or ranked.candidate.text).split())
    return text if len(text) <= 60 else text[:59] + "…"
