"""Metrics by name: those of ir_measures, and our own."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from tamis.catalog import unknown
from tamis.errors import ConfigError
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.extra import needed
from tamis.evaluate.own_metrics import PLAIN, SHAPES, View, own
from tamis.ranking import Ranking

DEFAULT_METRICS = ("nDCG@10", "RR@10", "AP", "R@100", "P@10", "Judged@10", "kept")
FAMILIAR = ("nDCG@10", "RR@10", "AP", "R@100", "P@10", "Judged@10", "Success@5", "RBP(p=0.8)", "ERR@10", "Bpref")
NEEDS_NO_RELEVANT = ("Judged", "NumRet")

Values = dict[str, dict[str, float]]
"""Query id to metric name to value."""


def check(names: Iterable[str]) -> None:
    """Raise `ConfigError` for a name that is no metric."""
    for name in names:
        if own(name) is None:
            _library(name, 1)


def values(names: Sequence[str], dataset: Dataset, rankings: Mapping[str, Ranking]) -> Values:
    """Every metric of every query, from what each ranking keeps, in its order.

    A passage's id is `str(candidate.id)`; a repeated one counts where it first stands. Metrics that know only yes and
    no count grades from `dataset.relevant_from` on as relevant. A metric that is not defined for a query (nothing
    relevant is known, no answers are given) is left out of its values.
    """
    found: Values = {query: {} for query in rankings}
    ours = {name: metric for name in names if (metric := own(name)) is not None}
    theirs = {name: _library(name, dataset.relevant_from) for name in names if name not in ours}
    views = {query: View.of(dataset, query, ranking) for query, ranking in rankings.items()}
    for query, view in views.items():
        for name, metric in ours.items():
            if (value := metric(view)) is not None:
                found[query][name] = value
    if theirs:
        _calculate(theirs, dataset, views, found)
    return {query: {name: row[name] for name in names if name in row} for query, row in found.items()}


def _calculate(measures: Mapping[str, Any], dataset: Dataset, views: Mapping[str, View], found: Values) -> None:
    with needed():
        import ir_measures

    judged = {query: view for query, view in views.items() if dataset.qrels.get(query)}
    names: dict[Any, list[str]] = defaultdict(list)
    for name, measure in measures.items():
        names[measure].append(name)
    qrels = [
        ir_measures.Qrel(query, passage, grade) for query in judged for passage, grade in dataset.qrels[query].items()
    ]
    run = [
        ir_measures.ScoredDoc(query, passage, -float(rank))
        for query, view in judged.items()
        for rank, passage in enumerate(view.ids)
    ]
    for query, view in judged.items():
        for measure, called in names.items():
            if view.relevant or type(measure).__name__.lstrip("_") in NEEDS_NO_RELEVANT or _without_relevant(measure):
                found[query].update(dict.fromkeys(called, 0.0))
    if not run:
        return
    for value in ir_measures.iter_calc(list(names), qrels, run):
        for name in names[value.measure]:
            if name in found[value.query_id]:
                found[value.query_id][name] = float(value.value)


def _without_relevant(measure: Any) -> bool:
    return str(measure).partition("@")[0] in NEEDS_NO_RELEVANT


def _library(name: str, relevant_from: int) -> Any:
    """ir_measures' object for a name; binary ones with the grade from which a passage is relevant."""
    with needed():
        import ir_measures

    try:
        measure = ir_measures.parse_measure(name)
    except (ValueError, NameError, SyntaxError, KeyError, TypeError):
        known = sorted({*FAMILIAR, *PLAIN, *SHAPES})
        raise ConfigError(unknown("metric", name, known) + " See ir-measur.es for more.") from None
    if relevant_from > 1 and "rel" in measure.SUPPORTED_PARAMS and "rel" not in measure.params:
        measure = measure(rel=relevant_from)
    return measure


def oracle(ranking: Ranking, dataset: Dataset, query: str) -> Ranking:
    """The kept candidates by their grades, best first: the best that reranking can do."""
    grades = dataset.qrels.get(query, {})
    order = sorted(range(len(ranking)), key=lambda index: -grades.get(str(ranking.kept[index].candidate.id), 0))
    return ranking.reorder(order)


def shuffled_values(
    names: Sequence[str], dataset: Dataset, rankings: Mapping[str, Ranking], *, seed: int = 0, repeats: int = 10
) -> Values:
    """Values of random orders, averaged over `repeats` of them."""
    chosen = random.Random(seed)
    drawn = []
    for _ in range(repeats):
        mixed = {query: r.reorder(chosen.sample(range(len(r)), len(r))) for query, r in rankings.items()}
        drawn.append(values(names, dataset, mixed))
    return {
        query: {name: fmean(values[query][name] for values in drawn) for name in drawn[0][query]} for query in rankings
    }
