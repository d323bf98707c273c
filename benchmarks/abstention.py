"""When to keep nothing: how well each confidence tells queries that can be answered from those that cannot.

    python benchmarks/abstention.py [--queries N] [--cached-only]

Scores of the cross-encoder are those `dynamic_k.py --prepare` keeps. Writes `results/abstention.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labelled_sets import ABSTENTION_DEPTH, CROSS_ENCODER, DEFAULT, SEED, UNANSWERABLE, dataset, rankings, scorers
from recorded import CACHE, NAME, Recorded, weights
from report import save, table
from tamis import Stage
from tamis.evaluate import Dataset
from tamis.evaluate.abstention import nauc
from tamis.evaluate.metrics import values
from tamis.evaluate.statistics import holm
from tamis.select import Artefact
from tamis.training.calibration import fit
from tamis.values.ranking import Ranking

FREE, FITTED = ("max", "std", "gap"), ("stacked", "linear", "logistic", "mahalanobis")
METHODS = (*FREE, *FITTED)
ROUNDS, FOLDS, RESAMPLES = 3, 5, 2000
Numbers = NDArray[np.float64]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--cached-only", action="store_true", help="ask the cross-encoder nothing new")
    options.add_argument("--queries", type=int, default=0, help="queries a set; 0: all")
    given = options.parse_args()
    measured = [
        [_told(Result.of(one)) for one in sets] for sets in sets_of(given.queries or None, given.cached_only) if sets
    ]
    parts = [INTRODUCTION, "## In a hurry", in_a_hurry(measured), WHY]
    parts += ["## Fitted in the same set", SAME, *(in_full(result) for results in measured for result in results)]
    parts += ["## Across sets", ACROSS, *(across([result.data for result in results]) for results in measured)]
    save("abstention", "When to keep nothing", ["numpy", "scikit-learn", "scipy"], *parts)


INTRODUCTION = (
    f"Candidates: the first {ABSTENTION_DEPTH} of the first stage, scored by `{DEFAULT}` (no model; it was tuned on "
    f"lihua_world, among others) or `{CROSS_ENCODER}` ({NAME}, int8 ONNX). A confidence reads the scores of one query. "
    "`max`, `std` and `gap` need no labels; the others are fitted. **AUROC**: the chance that a query with an answer "
    "has more confidence than one without. **nAUC**: how much of what perfect abstention would add to nDCG@10 (0 for "
    "queries without an answer) the confidence adds, over all rates; 0 is useless. The fitted ones are fitted to what "
    f"they are judged by. {FOLDS} folds, {ROUNDS} times; every value is of a fold that the fit has not seen, and all "
    "confidences are judged on the same folds."
)
WHY = (
    "▲ ▼: AUROC against the best label-free confidence, as below. `stacked` is a logistic line through the three "
    "label-free confidences: three slopes can be learned from a few hundred queries. The regressions on the ten best "
    "scores of the paper (`linear`, `logistic`) have ten slopes on inputs that rise and fall together and lose to it "
    "in AUROC. "
    "Where no confidence is far from chance (squad2_500: an unanswerable question there was written against a "
    "paragraph about the very thing, which scores as high as if it held the answer) there is nothing to learn, and a "
    "fit on few queries adds noise to the best of the three. The cross-encoder's sets are smaller: the queries that "
    "were scored."
)
SAME = (
    "`against`: AUROC less that of the label-free confidence that is best on this very set, with the 95 % interval and "
    "p of a bootstrap over queries, Holm-corrected over the fitted ones; that choice needs labels too, so that the "
    "comparison leans against the fitted ones. ▲ better, ▼ worse (p < 0.05)."
)
ACROSS = (
    "AUROC where the confidence was fitted to the set named first and judged on the one behind the arrow; for "
    "label-free ones both are the same. `abstains`: the share the fitted threshold abstains on there, where the aim "
    "was the share of unanswerable queries in the set it was fitted to."
)


@dataclass(frozen=True)
class Data:
    """One set as one scorer ranked it."""

    scorer: str
    stage: Stage
    dataset: Dataset
    rankings: Mapping[str, Ranking]

    @cached_property
    def queries(self) -> list[str]:
        return list(self.rankings)

    @cached_property
    def answerable(self) -> Numbers:
        return np.array([float(bool(self.dataset.relevant(query))) for query in self.queries])

    @cached_property
    def ndcg(self) -> Numbers:
        found = values(["nDCG@10"], self.dataset, self.rankings)
        return np.array([found[query].get("nDCG@10", 0.0) for query in self.queries])

    def artefact(self, method: str, rows: Sequence[int], quality: Numbers) -> Artefact:
        chosen = [self.queries[row] for row in rows]
        ranked = {query: self.rankings[query] for query in chosen}
        wanted = dict(zip(chosen, quality[list(rows)].tolist(), strict=True))
        rate = float(1 - self.answerable[list(rows)].mean())
        return fit(ranked, self.dataset, method, scorer=self.stage, quality=wanted, rate=rate)

    def confidences(self, artefact: Artefact, rows: Sequence[int]) -> Numbers:
        read = artefact.fitted.confidence.of
        lists = [self.rankings[self.queries[row]].kept for row in rows]
        return np.array([read(np.array([ranked.score for ranked in kept], float)) for kept in lists])


@dataclass(frozen=True)
class Fold:
    """Rows held out, and the confidence in each by method: fitted to answerability, and to nDCG@10."""

    rows: NDArray[np.int64]
    sure: Mapping[str, Numbers]
    sure_of_ndcg: Mapping[str, Numbers]
    silent: Mapping[str, NDArray[np.bool_]]
    """Whether the fitted threshold abstains."""


@dataclass(frozen=True)
class Result:
    data: Data
    folds: Sequence[Fold]

    @classmethod
    def of(cls, data: Data) -> Result:
        made = []
        for number in range(ROUNDS):
            place = np.random.default_rng(SEED + number).permutation(len(data.queries)) % FOLDS
            for fold in range(FOLDS):
                inside, outside = np.flatnonzero(place == fold), np.flatnonzero(place != fold)
                sure, of_ndcg, silent = {}, {}, {}
                for method in METHODS:
                    artefact = data.artefact(method, outside.tolist(), data.answerable)
                    sure[method] = data.confidences(artefact, inside.tolist())
                    threshold = artefact.fitted.threshold
                    silent[method] = sure[method] < (-np.inf if threshold is None else threshold)
                    if method in FITTED:
                        artefact = data.artefact(method, outside.tolist(), data.ndcg)
                    of_ndcg[method] = data.confidences(artefact, inside.tolist())
                made.append(Fold(inside, sure, of_ndcg, silent))
        return cls(data, made)

    def nauc(self, method: str) -> float:
        found = [nauc(f.sure_of_ndcg[method].tolist(), self.data.ndcg[f.rows].tolist()) for f in self.folds]
        return float(np.nanmean(found))

    @cached_property
    def auroc(self) -> dict[str, Numbers]:
        """By method: the AUROC, and that of `RESAMPLES` bootstrap samples of the queries."""
        n = len(self.data.queries)
        draw = np.random.default_rng(SEED)
        weights = np.vstack([np.ones(n), draw.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)])
        return {method: self._auroc(method, weights) for method in METHODS}

    def _auroc(self, method: str, weights: Numbers) -> Numbers:
        parts = []
        for fold in self.folds:
            good = self.data.answerable[fold.rows] > 0
            sure, weight = fold.sure[method], weights[:, fold.rows]
            above = np.sign(sure[good][:, None] - sure[~good][None, :]) / 2 + 0.5
            pairs = weight[:, good].sum(axis=1) * weight[:, ~good].sum(axis=1)
            won = ((weight[:, good] @ above) * weight[:, ~good]).sum(axis=1)
            parts.append(np.where(pairs > 0, won / np.maximum(pairs, 1e-9), np.nan))
        return np.asarray(np.nanmean(parts, axis=0))

    @cached_property
    def best_free(self) -> str:
        return max(FREE, key=lambda method: self.auroc[method][0])

    @cached_property
    def against(self) -> dict[str, tuple[float, float, float, float]]:
        """By fitted method: difference to the best label-free one, its interval, and the corrected p."""
        rows = {method: self.auroc[method] - self.auroc[self.best_free] for method in FITTED}
        ps = [2 * (1 + min((row[1:] <= 0).sum(), (row[1:] >= 0).sum())) / (1 + RESAMPLES) for row in rows.values()]
        corrected = holm([min(1.0, float(p)) for p in ps])
        return {
            method: (float(row[0]), float(np.quantile(row[1:], 0.025)), float(np.quantile(row[1:], 0.975)), p)
            for (method, row), p in zip(rows.items(), corrected, strict=True)
        }

    def silent(self, method: str) -> tuple[float, float]:
        """Share abstained on of the queries without and with an answer."""
        good = np.concatenate([self.data.answerable[fold.rows] > 0 for fold in self.folds])
        silent = np.concatenate([fold.silent[method] for fold in self.folds])
        return float(silent[~good].mean()), float(silent[good].mean())


def _told(result: Result) -> Result:
    print(f"{result.data.scorer}, {result.data.dataset.name}: {len(result.data.queries)} queries", file=sys.stderr)
    return result


def sets_of(queries: int | None, cached_only: bool) -> list[list[Data]]:
    have = weights() is not None or CACHE.is_file()
    recorded = Recorded.open(ask=not cached_only) if have else None
    made = []
    for scorer, stage in scorers(recorded).items():
        found = []
        for name in UNANSWERABLE:
            data = dataset(name)
            only = recorded if scorer == CROSS_ENCODER and cached_only else None
            drawn = data.sample(None if only else queries, SEED)
            ranked = rankings(stage, name, drawn, ABSTENTION_DEPTH, only)
            ranked = {query: ranking for query, ranking in ranked.items() if ranking.kept}
            if len(ranked) >= 100:
                found.append(Data(scorer, stage, data, ranked))
        made.append(found)
    return made


def in_a_hurry(measured: Sequence[Sequence[Result]]) -> str:
    rows = []
    for results in measured:
        for result in results:
            best, (missed, lost) = result.best_free, result.silent("stacked")
            difference, _, _, p = result.against["stacked"]
            rows.append(
                [
                    result.data.scorer,
                    result.data.dataset.name,
                    f"{len(result.data.queries)} ({1 - result.data.answerable.mean():.0%})",
                    f"{result.auroc[best][0]:.3f} ({best})",
                    f"{result.auroc['stacked'][0]:.3f}{_mark(difference, p)}",
                    f"{result.nauc(max(FREE, key=result.nauc)):.3f}",
                    f"{result.nauc('stacked'):.3f}",
                    f"{missed:.0%} / {lost:.0%}",
                ]
            )
    head = [
        "scorer",
        "set",
        "queries (without answer)",
        "AUROC, best label-free",
        "AUROC, stacked",
        "nAUC, best label-free",
        "nAUC, stacked",
        "stacked abstains on: without / with answer",
    ]
    return table(head, rows)


def _mark(difference: float, p: float) -> str:
    return "" if p >= 0.05 else " ▲" if difference > 0 else " ▼"


def in_full(result: Result) -> str:
    rows = []
    for method in METHODS:
        told = ["", ""]
        if method in FITTED:
            difference, low, high, p = result.against[method]
            told = [f"{difference:+.4f} [{low:+.3f}, {high:+.3f}]{_mark(difference, p)}", f"{p:.2g}"]
        missed, lost = result.silent(method)
        rows.append(
            [
                method,
                f"{result.auroc[method][0]:.4f}",
                *told,
                f"{result.nauc(method):.4f}",
                f"{missed:.0%} / {lost:.0%}",
            ]
        )
    head = [
        "confidence",
        "AUROC",
        f"against `{result.best_free}` [95 %]",
        "p",
        "nAUC",
        "abstains: without / with answer",
    ]
    return f"### {result.data.scorer}, {result.data.dataset.name}\n\n{table(head, rows)}"


def across(sets: Sequence[Data]) -> str:
    """Every confidence fitted to all of one set, on all of another."""
    pairs = [(a, b) for a in sets for b in sets if a is not b]
    rows = []
    for method in METHODS:
        cells = []
        for a, b in pairs:
            artefact = a.artefact(method, range(len(a.queries)), a.answerable)
            sure = b.confidences(artefact, range(len(b.queries)))
            good = b.answerable > 0
            above = float((np.sign(sure[good][:, None] - sure[~good][None, :]) / 2 + 0.5).mean())
            threshold = artefact.fitted.threshold
            cells.append(f"{above:.3f}, {0.0 if threshold is None else (sure < threshold).mean():.0%}")
        rows.append([method, *cells])
    head = [f"{a.dataset.name} → {b.dataset.name}" for a, b in pairs]
    told = f"### {sets[0].scorer}: AUROC, abstains\n\n"
    return told + table(["confidence", *head], rows)


if __name__ == "__main__":
    main()
