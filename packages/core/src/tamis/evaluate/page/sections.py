"""What the page needs of one evaluation, so that its rankings can be let go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tamis.evaluate.page.figures import histogram
from tamis.evaluate.page.head import head
from tamis.evaluate.page.overview import Standing, standings
from tamis.evaluate.page.pictures import pictures
from tamis.evaluate.page.reliability import reliability
from tamis.evaluate.page.tradeoff import tradeoff, undrawn
from tamis.evaluate.result import Evaluation, System
from tamis.view.wording import WHY, scale_words


@dataclass(frozen=True, slots=True)
class Section:
    """One data set of the page.

    `head` is finished HTML, `data` what the script draws from, `pictures` one packed picture per query (`None` where
    none is kept), `standings` the main metric of each system.
    """

    name: str
    main: str
    head: str
    data: Mapping[str, Any]
    pictures: Sequence[str | None]
    standings: Sequence[Standing]
    judged_by_model: bool = False


def section(evaluation: Evaluation, *, room: int = 4_000_000) -> Section:
    """The part of the page about one data set. Nothing of the rankings themselves stays alive in it.

    Single rankings take some kB each. Where all of them are more than `room` bytes, the page holds those of the
    queries on which the systems differ most; numbers and charts are always about all queries.
    """
    questions = evaluation.dataset.questions
    data = {
        "main": evaluation.main,
        "metrics": list(evaluation.metrics),
        "queries": [[query, questions[query].query.text[:400]] for query in evaluation.query_ids],
        "systems": [_system(evaluation, system) for system in evaluation.systems],
        "tradeoff": tradeoff(evaluation),
        "undrawn": undrawn(evaluation),
        "uncounted": {
            str(index): why
            for index, query in enumerate(evaluation.query_ids)
            if (why := uncounted(evaluation, query)) is not None
        },
        "verdicts": {
            f"{pair.system}\n{pair.baseline}": pair.verdict()
            for pair in evaluation.comparisons
            if pair.metric == evaluation.main
        },
    }
    return Section(
        name=evaluation.dataset.name,
        main=evaluation.main,
        head=head(evaluation),
        data=data,
        pictures=pictures(evaluation, room),
        standings=standings(evaluation),
        judged_by_model=bool(evaluation.dataset.judges),
    )


def _system(evaluation: Evaluation, system: System) -> dict[str, Any]:
    figure, note = _scores(evaluation, system)
    trust, trust_note = _reliability(evaluation, system)
    return {
        "name": system.name,
        "kind": system.kind,
        "values": [_value(system, query, evaluation.main) for query in evaluation.query_ids],
        "mean": _finite(system.means[evaluation.main].mean) if evaluation.main in system.means else None,
        "scores": figure,
        "note": note,
        "reliability": trust,
        "trust": trust_note,
        "dropped": _dropped(evaluation, system),
    }


def uncounted(evaluation: Evaluation, query: str) -> str | None:
    """Why a query has no value in the main metric for any system and is not in its means; `None` for one that is."""
    rows = [system.rows[query] for system in evaluation.systems if query in system.rows]
    if any(evaluation.main in row.values for row in rows):
        return None
    dataset = evaluation.dataset
    if not dataset.qrels.get(query):
        return "no passage is judged for it"
    if not dataset.relevant(query):
        return f"no passage judged for it has a grade of {dataset.relevant_from:g} or more"
    if all(row.error for row in rows):
        return "every system failed on it"
    return f"{evaluation.main} is not defined for it"


def _value(system: System, query: str, metric: str) -> float | None:
    row = system.rows.get(query)
    value = None if row is None else _finite(row.values.get(metric))
    return None if value is None else round(value, 5)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _scores(evaluation: Evaluation, system: System) -> tuple[dict[str, Any] | None, str]:
    """The histogram of a system's scores and a sentence on how to read it."""
    groups: dict[str, list[float]] = {"relevant": [], "not relevant": [], "not judged": []}
    scale = None
    for query, row in system.rows.items():
        if row.ranking is None:
            continue
        scale = row.ranking.scale
        grades = evaluation.dataset.qrels.get(query, {})
        for ranked in (*row.ranking.kept, *(dropped.ranked for dropped in row.ranking.dropped)):
            if ranked.score is not None:
                grade = grades.get(str(ranked.candidate.id))
                judged = (
                    "relevant" if grade is not None and grade >= evaluation.dataset.relevant_from else "not relevant"
                )
                groups["not judged" if grade is None else judged].append(ranked.score)
    if scale is None:
        return None, "There are no rankings of this system to draw scores from."
    if scale.kind == "ordinal":
        return None, "This system only orders; it gives no scores that a threshold could use."
    figure = histogram(groups, f"score ({scale_words(scale)})")
    if figure is None:
        return None, "This system gave no scores."
    if scale.kind in ("unknown", "lexical", "fusion"):
        return (
            figure,
            "These scores are comparable within one query only, so one threshold for all queries is a rough tool.",
        )
    return figure, "The less the two groups overlap, the better one threshold can tell them apart."


def _reliability(evaluation: Evaluation, system: System) -> tuple[dict[str, Any] | None, str]:
    """For systems whose scores are probabilities: the chart and how to read it."""
    pairs = [
        (ranked.score, str(ranked.candidate.id) in relevant)
        for query, row in system.rows.items()
        if row.ranking is not None and row.ranking.scale.kind == "probability" and query in evaluation.dataset.qrels
        for relevant in [evaluation.dataset.relevant(query)]
        for ranked in (*row.ranking.kept, *(dropped.ranked for dropped in row.ranking.dropped))
        if ranked.score is not None and 0 <= ranked.score <= 1
    ]
    return reliability(*zip(*pairs, strict=True)) if pairs else (None, "")


def _dropped(evaluation: Evaluation, system: System) -> list[list[Any]]:
    """For each reason: in words, how many passages, how many of them relevant, in how many queries."""
    counts: dict[str, list[int]] = {}
    for query, row in system.rows.items():
        relevant = evaluation.dataset.relevant(query)
        seen = set()
        for item in row.ranking.dropped if row.ranking else ():
            count = counts.setdefault(item.why, [0, 0, 0])
            count[0] += 1
            count[1] += str(item.candidate.id) in relevant
            count[2] += item.why not in seen
            seen.add(item.why)
    return [[WHY.get(why, why), *count] for why, count in sorted(counts.items(), key=lambda pair: -pair[1][0])]
