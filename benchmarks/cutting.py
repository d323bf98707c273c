"""Every policy of dynamic k on one set, each fitted to queries it does not judge; and what its choice is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis import DynamicK, Engine, Stage
from tamis.errors import ScaleError
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.metrics import values
from tamis.select import (
    Artefact,
    AtLeast,
    Calibrate,
    Calibrated,
    ConformalRecall,
    ExpectedF,
    ExpectedUtility,
    Fixed,
    Knapsack,
    Knee,
    LargestGap,
    NearBest,
    Policy,
    RatioToBest,
    SoftmaxMass,
    Spike,
    TailTest,
    TokenBudget,
    ZScore,
)
from tamis.select.calibrate.scorer import scorer_id
from tamis.text.tokens import estimate_tokens
from tamis.training.calibration import fit, in_list, isotonic, platt
from tamis.training.labels import Labels
from tamis.values.ranking import Ranking

K_MAX, FOLDS, SEED = 20, 5, 1
ANSWERS = ("answers", "metadata:type=misinfo")
FITS = {"platt": platt, "isotonic": isotonic, "in_list": in_list}
OTHER_FITS = ("temperature", "conformal")
Rankings = Mapping[str, Ranking]


@dataclass(frozen=True)
class Method:
    """A policy as it is measured. `made` takes what was fitted and the labelled queries it was fitted to."""

    name: str
    made: Callable[[Mapping[str, Artefact], Pool], Stage]
    labels: bool = True


@dataclass(frozen=True)
class Pool:
    """Rankings of one scorer by query id, and the judgements of these queries."""

    rankings: Rankings
    dataset: Dataset
    scorer: Stage

    def part(self, queries: Sequence[str]) -> Pool:
        return replace(self, rankings={query: self.rankings[query] for query in queries})

    @cached_property
    def artefacts(self) -> dict[str, Artefact]:
        """What was fitted, without the report for which `tamis.select.fit` fits five times more."""
        labels = Labels.of(self.rankings, self.dataset)
        name, kind = scorer_id(self.scorer), labels.scale.kind
        made = {method: Artefact(name, kind, found(labels)) for method, found in FITS.items()}
        others = {method: fit(self.rankings, self.dataset, method, scorer=self.scorer) for method in OTHER_FITS}
        return {**made, **others}

    @cached_property
    def lists(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Of each query the scores, and F1 of its first 0..n."""
        return [
            (np.array([ranked.score for ranked in ranking.kept], float), f1_of_first(ranking, self.dataset, query))
            for query, ranking in self.rankings.items()
        ]


def f1_of_first(ranking: Ranking, dataset: Dataset, query: str) -> NDArray[np.float64]:
    """F1 of keeping the first k, for k = 0..n; relevant passages that are not in the ranking count as missed."""
    relevant = dataset.relevant(query)
    hits = np.cumsum([0] + [str(candidate.id) in relevant for candidate in ranking.candidates])
    return np.asarray(2 * hits / (np.arange(len(hits)) + len(relevant)))


def tuned(policy: Callable[[float], Policy], grid: Callable[[Pool], Sequence[float]]) -> Any:
    """The value of `grid` with the best mean F1 on the labelled queries."""

    def made(_: Mapping[str, Artefact], pool: Pool) -> Stage:
        def worth(value: float) -> float:
            rule = policy(value)
            return fmean(float(f1[min(K_MAX, max(1, rule.count(s)))]) for s, f1 in pool.lists if len(s) > 0)

        return DynamicK(policy(max(grid(pool), key=worth)), k_max=K_MAX)

    return made


def plain(policy: Policy) -> Any:
    return lambda fitted, pool: DynamicK(policy, k_max=K_MAX)


def calibrated(method: str, policy: Policy) -> Any:
    return lambda fitted, pool: Calibrate(fitted[method]) | DynamicK(policy, k_max=K_MAX)


def _fixed(value: float) -> Policy:
    return Fixed(round(value))


def _levels(pool: Pool) -> list[float]:
    """Quantiles of the best scores."""
    best = np.concatenate([scores[:K_MAX] for scores, _ in pool.lists])
    return [float(level) for level in np.quantile(best, np.linspace(0.02, 0.98, 25))]


def _distances(pool: Pool) -> list[float]:
    spread = float(np.median([scores.std() for scores, _ in pool.lists]))
    return [spread * step for step in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)]


def _shares(pool: Pool) -> list[float]:
    return [step / 20 for step in range(4, 20)]


TOKENS = 400
METHODS = (
    Method("fixed k, tuned", tuned(_fixed, lambda pool: range(1, K_MAX + 1))),
    Method("largest gap", plain(LargestGap()), labels=False),
    Method("moving-average gap", plain(LargestGap(window=3)), labels=False),
    Method("spike", plain(Spike()), labels=False),
    Method("knee", plain(Knee()), labels=False),
    Method("z-score 1", plain(ZScore()), labels=False),
    Method("tail test", plain(TailTest()), labels=False),
    Method("softmax mass", plain(SoftmaxMass()), labels=False),
    Method("ratio to best .6", plain(RatioToBest()), labels=False),
    Method(f"token budget {TOKENS}", lambda fitted, pool: TokenBudget(TOKENS), labels=False),
    Method("ratio to best, tuned", tuned(RatioToBest, _shares)),
    Method("near best, tuned", tuned(NearBest, _distances)),
    Method("z-score, tuned", tuned(ZScore, lambda pool: [step / 4 for step in range(1, 25)])),
    Method("absolute level, tuned", tuned(AtLeast, _levels)),
    Method(
        "softmax mass, fitted", lambda fitted, pool: DynamicK(SoftmaxMass(fitted=fitted["temperature"]), k_max=K_MAX)
    ),
    Method("conformal recall .9", lambda fitted, pool: DynamicK(ConformalRecall(fitted["conformal"]), k_max=K_MAX)),
    Method("platt ≥ .5", calibrated("platt", Calibrated())),
    Method("isotonic ≥ .5", calibrated("isotonic", Calibrated())),
    Method("in list ≥ .5", calibrated("in_list", Calibrated())),
    Method("in list, utility at cost .2", calibrated("in_list", ExpectedUtility())),
    Method("platt, expected F1", calibrated("platt", ExpectedF())),
    Method("isotonic, expected F1", calibrated("isotonic", ExpectedF())),
    Method("in list, expected F1", calibrated("in_list", ExpectedF())),
    Method(f"in list, knapsack {TOKENS}", lambda fitted, pool: Calibrate(fitted["in_list"]) | Knapsack(TOKENS)),
)
CALIBRATED = frozenset(
    method.name for method in METHODS if method.name.startswith(("platt", "isotonic", "in list", "conformal"))
)
"""Those whose artefact `tamis calibrate` makes from relevance labels."""


@dataclass(frozen=True)
class Outcome:
    """What a method kept, one number a query."""

    k: NDArray[np.float64]
    tokens: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    answers: NDArray[np.float64]
    """Share of the question's answers that is in what is kept."""
    misinformation: NDArray[np.float64]
    """Share of what is kept that was planted as misinformation."""

    @classmethod
    def of(cls, kept: Rankings, dataset: Dataset) -> Outcome:
        relevant = {query: dataset.relevant(query) for query in kept}
        hits = np.array([sum(str(c.id) in relevant[q] for c in r.candidates) for q, r in kept.items()], float)
        k = np.array([len(ranking) for ranking in kept.values()], float)
        wanted = np.array([len(relevant[query]) for query in kept], float)
        tokens = [sum(size(c.full_text) for c in ranking.candidates) for ranking in kept.values()]
        found = values(ANSWERS, dataset, kept) if dataset.name == "ramdocs" else {query: {} for query in kept}
        return cls(
            k,
            np.array(tokens, float),
            hits / np.maximum(k, 1),
            hits / wanted,
            2 * hits / (k + wanted),
            *(np.array([found[query].get(name, np.nan) for query in kept]) for name in ANSWERS),
        )


_sizes: dict[str, int] = {}


def size(text: str) -> int:
    if text not in _sizes:
        _sizes[text] = estimate_tokens(text)
    return _sizes[text]


def cut(stage: Stage, rankings: Rankings) -> dict[str, Ranking]:
    """The stage on rankings."""
    return dict(zip(rankings, Engine().rerank_many(stage, list(rankings.values())), strict=True))


def in_domain(method: Method, parts: Sequence[tuple[Pool, Pool]], pool: Pool) -> Outcome | str:
    """Fitted to four fifths of a set's queries, applied to the last fifth; in turn. A string: why not."""
    kept: dict[str, Ranking] = {}
    try:
        for fitted_to, held_out in parts if method.labels else [(pool, pool)]:
            kept |= cut(method.made(fitted_to.artefacts if method.labels else {}, fitted_to), held_out.rankings)
    except ScaleError as error:
        return str(error)
    return Outcome.of({query: kept[query] for query in pool.rankings}, pool.dataset)


def folds(pool: Pool) -> list[tuple[Pool, Pool]]:
    queries = list(pool.rankings)
    place = np.random.default_rng(SEED).permutation(len(queries)) % FOLDS
    return [
        (
            pool.part([query for query, at in zip(queries, place, strict=True) if at != fold]),
            pool.part([query for query, at in zip(queries, place, strict=True) if at == fold]),
        )
        for fold in range(FOLDS)
    ]


def joined(pools: Sequence[Pool]) -> Pool:
    """All queries of several sets as one pool."""
    rankings, questions, qrels = {}, {}, {}
    for pool in pools:
        for query, ranking in pool.rankings.items():
            name = f"{pool.dataset.name} {query}"
            rankings[name] = ranking
            questions[name] = pool.dataset.questions[query]
            qrels[name] = pool.dataset.qrels[query]
    name = " + ".join(pool.dataset.name for pool in pools)
    return Pool(rankings, Dataset(name, questions, {}, qrels, {}), pools[0].scorer)


def fixed(pool: Pool) -> list[Outcome]:
    """Outcomes of keeping 1, 2, ... of every query, up to somewhat more than a policy may."""
    most = min(K_MAX + 4, max(map(len, pool.rankings.values())))
    return [Outcome.of(cut(DynamicK(Fixed(k)), pool.rankings), pool.dataset) for k in range(1, most + 1)]


def at_equal_mean(curve: Sequence[Outcome], mean: float) -> tuple[int, float]:
    """Where on the curve of fixed ks the mean number kept is `mean`: the place below, and how far on to the next."""
    means = [float(one.k.mean()) for one in curve]
    place = int(np.searchsorted(means, mean, side="right")) - 1
    if place < 0:
        return 0, 0.0
    if place >= len(means) - 1:
        return len(means) - 1, 0.0
    return place, (mean - means[place]) / (means[place + 1] - means[place])


def between(curve: Sequence[Outcome], mean: float, field: str) -> NDArray[np.float64]:
    """A measure of every query at the fixed k of this mean, between its two neighbours."""
    place, share = at_equal_mean(curve, mean)
    lower = getattr(curve[place], field)
    return np.asarray(lower if not share else (1 - share) * lower + share * getattr(curve[place + 1], field))
