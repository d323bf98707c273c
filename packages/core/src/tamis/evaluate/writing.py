"""An evaluation as files: JSON for programs, CSV with a line per query, TREC runs of every system, and the page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tamis.evaluate.page import Section, render
from tamis.evaluate.result import Evaluation, Result, System


def write(
    result: Result, folder: str | Path, sections: Sequence[Section], *, title: str = "Reranking, measured"
) -> list[Path]:
    """Write `result.json`, `queries.csv`, `report.html` and `runs/` into `folder`; returns the paths."""
    folder = Path(folder)
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    paths = [folder / "result.json", folder / "queries.csv", folder / "report.html"]
    paths[0].write_text(json.dumps(as_data(result), indent=1, allow_nan=False), encoding="utf-8")
    result.frame().to_csv(paths[1], index=False)
    paths[2].write_text(render(sections, title=title), encoding="utf-8")
    return [*paths, folder / "runs"]


def write_runs(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """The order of every pipeline as a TREC run, one file per system: `DATASET.SYSTEM.trec`.

    Blanks separate TREC's columns. Where ids hold some, they are written as in addresses (`my%20id`), in the runs and
    in `DATASET.qrels`, the judgements to use with them; tamis reads such ids as those of the set.
    """
    made = []
    spell = _spelling(evaluation)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for system in evaluation.systems:
        if system.kind != "pipeline":
            continue
        path = Path(folder) / f"{plain(evaluation.dataset.name)}.{plain(system.name)}.trec"
        path.write_text("".join(_lines(system, spell)), encoding="utf-8", errors="replace")
        made.append(path)
    if made and spell is _encoded:
        path = Path(folder) / f"{plain(evaluation.dataset.name)}.qrels"
        judged = evaluation.dataset.qrels
        rows = (f"{spell(q)} 0 {spell(p)} {grade}\n" for q, found in judged.items() for p, grade in found.items())
        path.write_text("".join(rows), encoding="utf-8", errors="replace")
        made.append(path)
    return made


def spelling_notice(evaluation: Evaluation) -> str | None:
    """What to know of the runs of an evaluation whose ids hold blanks."""
    if _spelling(evaluation) is str:
        return None
    name = plain(evaluation.dataset.name)
    return (
        f"ids of {evaluation.dataset.name} hold blanks, which TREC runs cannot: runs/{name}.*.trec have them as in "
        f"addresses ('my%20id'), and runs/{name}.qrels has the judgements under the same ids"
    )


def _spelling(evaluation: Evaluation) -> Callable[[Any], str]:
    """How ids are written: as they are, unless some would fall apart when the columns are read."""
    dataset = evaluation.dataset
    ids = chain(evaluation.query_ids, dataset.corpus, (p for found in dataset.qrels.values() for p in found))
    return _encoded if any(not identity or re.search(r"\s", identity) for identity in map(str, ids)) else str


def _encoded(identity: Any) -> str:
    """An id as in addresses: blanks, control characters and the percent sign.

    >>> _encoded("50% more")
    '50%25%20more'
    """
    return re.sub(r"[\s%\x00-\x1f]", lambda sign: quote(sign[0]), str(identity)) or "%00"


def _lines(system: System, spell: Callable[[Any], str]) -> list[str]:
    tag = plain(system.name)
    return [
        f"{spell(query)} Q0 {spell(ranked.candidate.id)} {place} {1 / place:.6f} {tag}\n"
        for query, row in system.rows.items()
        if row.ranking is not None
        for place, ranked in enumerate(row.ranking.kept, 1)
    ]


def plain(name: str) -> str:
    """A name as part of a file name.

    >>> plain("default (2)")
    'default-2'
    """
    return re.sub(r"[^\w.+-]+", "-", name).strip("-") or "system"


def as_data(result: Result) -> dict[str, Any]:
    """Everything but single queries and rankings, as JSON data; what is not finite becomes null."""
    return _finite(
        {
            "tamis": version("tamis"),
            "settings": dict(result.settings),
            "datasets": [_evaluation(evaluation) for evaluation in result.evaluations],
        }
    )


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    dataset = evaluation.dataset
    return {
        "name": dataset.name,
        "queries": len(evaluation.query_ids),
        "query_ids": list(evaluation.query_ids),
        "passages": len(dataset.corpus),
        "main": evaluation.main,
        "relevant_from": dataset.relevant_from,
        "judged_by_models": dict(dataset.judges),
        "notices": [*dataset.notices, *evaluation.notices],
        "systems": [_system(system) for system in evaluation.systems],
        "comparisons": [{**asdict(pair), "verdict": pair.verdict()} for pair in evaluation.comparisons],
    }


def _system(system: System) -> dict[str, Any]:
    return {
        "name": system.name,
        "kind": system.kind,
        "means": {name: asdict(interval) for name, interval in system.means.items()},
        "summary": dict(system.summary),
        "usage": asdict(system.usage),
        "speed": asdict(system.speed),
        "failed": system.failed,
        "degraded": system.degraded,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
