"""On real questions: a number of candidates read from calibrated scores beats a fixed one of the same mean."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest

from support.places import DATA
from tamis import DynamicK, Engine, FirstStage, Ranking, Stage
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.reading import read
from tamis.select import Fixed, SoftmaxMass
from tamis.training.calibration import fit

FOLDS = 5
pytestmark = pytest.mark.data


def f1(dataset: Dataset, query: str, ranking: Ranking) -> float:
    relevant = dataset.relevant(query)
    hits = sum(str(candidate.id) in relevant for candidate in ranking.candidates)
    return 2 * hits / (len(ranking) + len(relevant)) if hits else 0.0


@pytest.mark.parametrize("name", ["hotpot_train100", "musique_train100"])
def test_a_fitted_softmax_mass_beats_a_fixed_number_of_the_same_mean(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the test set {name}: set TAMIS_DATA to the folder of test sets")
    dataset, engine, first = read(DATA / name), Engine(), FirstStage()
    names = [query for query in dataset.run if dataset.relevant(query)]
    pools = [Ranking.of(dataset.questions[query].query, dataset.pool(query, 20)) for query in names]
    ranked = dict(zip(names, engine.rerank_many(first, pools), strict=True))

    def kept(stage: Stage, queries: list[str]) -> dict[str, Ranking]:
        return dict(zip(queries, engine.rerank_many(stage, [ranked[query] for query in queries]), strict=True))

    dynamic: dict[str, Ranking] = {}
    for fold in range(FOLDS):
        held_out = names[fold::FOLDS]
        others: dict[str, Any] = {query: ranked[query] for query in names if query not in held_out}
        artefact = fit(others, dataset, "temperature", scorer=first)
        dynamic |= kept(DynamicK(SoftmaxMass(fitted=artefact), k_max=10), held_out)
    mean = fmean(map(len, dynamic.values()))
    fewer = int(mean)
    fixed = [fmean(f1(dataset, q, r) for q, r in kept(DynamicK(Fixed(k)), names).items()) for k in (fewer, fewer + 1)]
    at_the_same_mean = fixed[0] + (mean - fewer) * (fixed[1] - fixed[0])
    assert fmean(f1(dataset, query, ranking) for query, ranking in dynamic.items()) > at_the_same_mean + 0.02
