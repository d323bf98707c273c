"""How many to keep: every policy of dynamic k against fixed k, at the same mean k.

    python benchmarks/dynamic_k.py [--queries N] [--cached-only]
    python benchmarks/dynamic_k.py --prepare [--minutes M]

Writes `results/dynamic_k.md` and `.svg`. Two scorers: the default, which needs no model, and a real cross-encoder, if
its weights or its scores are at hand. Its scores are kept in `$TAMIS_CACHE` (default `.cache/dynamic_k.sqlite`):
`--prepare` makes them, one process a core, also for `abstention.py`; with `--cached-only` a run asks nothing new and
takes the queries whose scores are all there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curves import Curve, drawn
from cutting import CALIBRATED, METHODS, Outcome, Pool, between, f1_of_first, fixed, folds, in_domain, joined
from labelled_sets import CROSS_ENCODER, DEFAULT, DEPTH, HOW_MANY, SEED, dataset, jobs, rankings, scorers
from recorded import CACHE, NAME, Recorded, fill, weights
from report import RESULTS, save, table
from tamis.evaluate.result import Comparison
from tamis.evaluate.statistics import compare

BEST = "in list, expected F1"
SHOWN = ("fixed k, tuned", "largest gap", "softmax mass, fitted", "platt, expected F1", BEST)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--prepare", action="store_true", help="only score with the cross-encoder, one process a core")
    options.add_argument("--minutes", type=float, default=60.0, help="with --prepare: stop after so long")
    options.add_argument("--cached-only", action="store_true", help="ask the cross-encoder nothing new")
    options.add_argument("--queries", type=int, default=0, help="queries a set; 0: all")
    given = options.parse_args()
    if given.prepare:
        fill(Recorded.open(), jobs(), given.minutes)
        return
    measured = [
        board(scorer, pools) for scorer, pools in pools_of(given.queries or None, given.cached_only).items() if pools
    ]
    parts = [INTRODUCTION, "## In a hurry", in_a_hurry(measured), *map(found, measured), WHY]
    for results in measured:
        parts += [f"## {results[0].scorer}: difference in F1 to fixed k of the same mean", MARKS, differences(results)]
        parts += [f"### {results[0].scorer}: fitted to the other sets", TRANSFER, differences(results, transfer=True)]
        parts += [f"### {results[0].scorer}: ramdocs, answers and misinformation", answers(results)]
    parts += ["## In full", FULL]
    parts += [f"### {result.scorer}, {result.name}\n\n{in_full(result)}" for results in measured for result in results]
    (RESULTS / "dynamic_k.svg").write_text(picture(measured[-1]), encoding="utf-8")
    save("dynamic_k", "How many to keep: dynamic k against fixed k", ["numpy", "scikit-learn", "scipy"], *parts)


INTRODUCTION = (
    "F1 of the set that is kept, over queries for which something is relevant; relevant passages that the first stage "
    f"missed count as missed. Candidates: the first {DEPTH} of the first stage. Scorers: `{DEFAULT}` (no model) and "
    f"`{CROSS_ENCODER}` ({NAME}, int8 ONNX). Every policy keeps 1 to 20. What has labels is fitted to four fifths of "
    "a set's queries and judged on the last fifth, in turn (or, under *fitted to the other sets*, to the four other "
    "sets). **Fixed k of the same mean**: a policy that keeps 2.3 on average is compared, query by query, with k = 2 "
    "and k = 3 mixed 7 : 3. **Best fixed k**: the one with the best mean F1 on these same queries, known only with "
    "hindsight. **Oracle**: the best k for each query, by its judgements. P-values: two-sided paired randomisation "
    "test, Holm-corrected over the policies of a set and scorer. ![F1 against mean k](dynamic_k.svg)"
)
WHY = (
    "How to read it. A policy can gain on fixed k in two ways: where queries need different numbers, and where the "
    "ranking itself is worse for some, which their scores betray. On hotpot200 every query has two relevant passages "
    "and on nq_gold300 one, so that only the second is left; on ramdocs there are five candidates, most of them "
    "relevant, and on the best fixed k hardly anything is left to gain. A policy that aims at recall "
    "(`conformal recall`, `softmax mass`) keeps many and beats fixed k of the same, too large, mean; one that aims at "
    "F1 stays near the best fixed k, where fixed k is hardest to beat. What was fitted to other sets carries their "
    "usual number of relevant passages along."
)
MARKS = (
    "▲ better and ▼ worse than fixed k of the same mean (corrected p < 0.05). Fitted in the same set, out of sample. "
    "Fixed k is far from its best at a large mean k, which makes it easy to beat there: see also `best k` in full."
)
TRANSFER = "As above, with everything that needs labels fitted to the four other sets of this scorer."
FULL = (
    "`same k`: F1 and tokens of fixed k at the same mean. `best k`: difference to the best fixed k. `off`: mean "
    "distance of k to the oracle's. `transfer`: fitted to the other sets. –: the policy refuses this scale of scores."
)


@dataclass(frozen=True)
class Result:
    """All policies on one set and scorer. `outcomes` by method; a string where the policy refuses the scores."""

    scorer: str
    pool: Pool
    curve: Sequence[Outcome]
    here: Mapping[str, Outcome | str]
    elsewhere: Mapping[str, Outcome | str]

    @property
    def name(self) -> str:
        return self.pool.dataset.name

    @cached_property
    def best(self) -> int:
        """Place of the best fixed k on the curve."""
        return int(np.argmax([one.f1.mean() for one in self.curve]))

    @cached_property
    def f1s(self) -> list[np.ndarray]:
        return [f1_of_first(ranking, self.pool.dataset, query) for query, ranking in self.pool.rankings.items()]

    @cached_property
    def oracle(self) -> tuple[float, np.ndarray]:
        """Mean F1 and ks of the best k a query."""
        return float(np.mean([f1.max() for f1 in self.f1s])), np.array([int(f1.argmax()) for f1 in self.f1s])

    def outcomes(self, transfer: bool) -> dict[str, Outcome]:
        return {
            name: one for name, one in (self.elsewhere if transfer else self.here).items() if isinstance(one, Outcome)
        }

    def _compared(self, transfer: bool, to_best: bool) -> dict[str, Comparison]:
        found = self.outcomes(transfer)
        rows = {name: _by_query(one.f1) for name, one in found.items()}
        for name, one in found.items():
            base = self.curve[self.best].f1 if to_best else between(self.curve, float(one.k.mean()), "f1")
            rows[f"{name}: fixed"] = _by_query(base)
        made = compare(rows, [(name, f"{name}: fixed") for name in found], "F1", seed=SEED)
        return {pair.system: pair for pair in made}

    @cached_property
    def same_mean(self) -> dict[bool, dict[str, Comparison]]:
        """By whether it is transferred, and method: against fixed k of the same mean."""
        return {transfer: self._compared(transfer, False) for transfer in (False, True)}

    @cached_property
    def best_fixed(self) -> dict[bool, dict[str, Comparison]]:
        return {transfer: self._compared(transfer, True) for transfer in (False, True)}


def _by_query(values: np.ndarray) -> dict[str, float]:
    return {str(number): float(value) for number, value in enumerate(values)}


def pools_of(queries: int | None, cached_only: bool) -> dict[str, list[Pool]]:
    """By scorer, the sets with what it made of them."""
    have = weights() is not None or CACHE.is_file()
    recorded = Recorded.open(ask=not cached_only) if have else None
    found: dict[str, list[Pool]] = {}
    for scorer, stage in scorers(recorded).items():
        for name in HOW_MANY:
            data = dataset(name)
            only = recorded if scorer == CROSS_ENCODER and cached_only else None
            wanted = [query for query in data.sample(None if only else queries, SEED) if data.relevant(query)]
            ranked = {q: r for q, r in rankings(stage, name, wanted, DEPTH, only).items() if r.kept}
            print(f"{scorer}, {name}: {len(ranked)} of {len(wanted)} queries", file=sys.stderr)
            if len(ranked) >= 50:
                found.setdefault(scorer, []).append(Pool(ranked, data, stage))
    return found


def board(scorer: str, pools: Sequence[Pool]) -> list[Result]:
    made = []
    for pool in pools:
        others = joined([other for other in pools if other is not pool])
        here, there = folds(pool), [(others, pool)]
        result = Result(
            scorer,
            pool,
            fixed(pool),
            {method.name: in_domain(method, here, pool) for method in METHODS},
            {method.name: in_domain(method, there, pool) for method in METHODS if method.labels},
        )
        print(f"{scorer}, {pool.dataset.name}: measured", file=sys.stderr)
        made.append(result)
    return made


def in_a_hurry(measured: Sequence[Sequence[Result]]) -> str:
    rows = []
    for results in measured:
        for result in results:
            best = result.curve[result.best]
            rows.append(
                [
                    result.scorer,
                    result.name,
                    len(best.k),
                    f"{best.f1.mean():.3f} (k = {result.best + 1})",
                    f"{result.oracle[0]:.3f}",
                    *(_cell(result, name) for name in SHOWN),
                    _difference(result.best_fixed[False][BEST]),
                ]
            )
    return table(
        ["scorer", "set", "queries", "best fixed k", "oracle", *SHOWN, "the last against best fixed k"], rows
    ) + ("\n\nF1 (mean k), and how much more it is than fixed k of the same mean; ▲ ▼ as below.")


def _cell(result: Result, name: str) -> str:
    one = result.here[name]
    if isinstance(one, str):
        return "–"
    return f"{one.f1.mean():.3f} ({one.k.mean():.1f}) {_difference(result.same_mean[False][name])}"


def _difference(pair: Comparison) -> str:
    mark = {"better": " ▲", "worse": " ▼"}.get(pair.verdict(), "")
    return f"{pair.difference:+.3f}{mark}"


def found(results: Sequence[Result]) -> str:
    """In a sentence a scorer: on how many sets the calibrated policies win."""
    told = []
    for transfer, where in ((False, "fitted in the set"), (True, "fitted to the other sets")):
        wins = {
            name: [result.name for result in results if result.same_mean[transfer][name].verdict() == "better"]
            for name in results[0].outcomes(transfer)
            if name in CALIBRATED
        }
        best = max(wins, key=lambda name: (len(wins[name]), name == BEST))
        losses = sum(result.same_mean[transfer][BEST].verdict() == "worse" for result in results)
        over_best = sum(result.best_fixed[transfer][BEST].verdict() == "better" for result in results)
        under_best = sum(result.best_fixed[transfer][BEST].verdict() == "worse" for result in results)
        told.append(
            f"{where}, `{BEST}` is better than fixed k of the same mean on {len(wins[BEST])} of {len(results)} sets "
            f"and worse on {losses}, and against the best fixed k better on {over_best} and worse on {under_best}; "
            f"the calibrated policy with the most wins is `{best}` ({len(wins[best])})"
        )
    return f"**{results[0].scorer}**: {'; '.join(told)}."


def differences(results: Sequence[Result], *, transfer: bool = False) -> str:
    rows = []
    for method in METHODS:
        if transfer and not method.labels:
            continue
        pairs = [result.same_mean[transfer].get(method.name) for result in results]
        verdicts = [pair.verdict() if pair else "" for pair in pairs]
        known = [pair.difference for pair in pairs if pair]
        rows.append(
            [
                method.name if method.labels else f"{method.name} (no labels)",
                *(_difference(pair) if pair else "–" for pair in pairs),
                f"{np.mean(known):+.3f}" if len(known) == len(pairs) else "–",
                f"{verdicts.count('better')} / {verdicts.count('worse')}",
            ]
        )
    return table(["policy", *(result.name for result in results), "mean", "▲ / ▼"], rows)


def answers(results: Sequence[Result]) -> str:
    result = next((result for result in results if result.name == "ramdocs"), None)
    if result is None:
        return "Not measured."
    rows = []
    for method in METHODS:
        one = result.here[method.name]
        if isinstance(one, Outcome):
            mean = float(one.k.mean())
            pairs = [
                (getattr(one, field), between(result.curve, mean, field)) for field in ("answers", "misinformation")
            ]
            rows.append(
                [
                    method.name,
                    f"{mean:.2f}",
                    *(f"{np.nanmean(own):.3f} ({np.nanmean(base):.3f})" for own, base in pairs),
                    f"{one.f1.mean():.3f}",
                ]
            )
    head = ["policy", "mean k", "share of answers covered (same k)", "share of misinformation (same k)", "F1"]
    return table(head, rows)


def in_full(result: Result) -> str:
    rows = []
    _, ks = result.oracle
    for transfer, outcomes in ((False, result.here), (True, result.elsewhere)):
        for name, one in outcomes.items():
            told = f"{name}, transfer" if transfer else name
            if isinstance(one, str):
                rows.append([told, *["–"] * 11])
                continue
            mean, pair, best = float(one.k.mean()), result.same_mean[transfer][name], result.best_fixed[transfer][name]
            same = {field: float(between(result.curve, mean, field).mean()) for field in ("f1", "tokens")}
            rows.append(
                [
                    told,
                    f"{mean:.2f}",
                    f"{one.tokens.mean():.0f}",
                    f"{one.precision.mean():.3f}",
                    f"{one.recall.mean():.3f}",
                    f"{one.f1.mean():.4f}",
                    f"{same['f1']:.4f}, {same['tokens']:.0f}",
                    f"{pair.difference:+.4f} [{pair.low:+.3f}, {pair.high:+.3f}]",
                    f"{pair.corrected:.2g}",
                    f"{best.difference:+.4f}",
                    f"{best.corrected:.2g}",
                    f"{np.abs(one.k - ks).mean():.2f}",
                ]
            )
    head = [
        "policy",
        "k",
        "tokens",
        "precision",
        "recall",
        "F1",
        "same k",
        "difference [95 %]",
        "p",
        "best k",
        "p",
        "off",
    ]
    top = result.curve[result.best]
    told = (
        f"{len(top.k)} queries. Best fixed k: {result.best + 1}, F1 {top.f1.mean():.4f}, {top.tokens.mean():.0f} "
        f"tokens. Oracle: mean k {ks.mean():.2f}, F1 {result.oracle[0]:.4f}."
    )
    return f"{told}\n\n{table(head, rows)}"


def picture(results: Sequence[Result]) -> str:
    kinds = {method.name: "fitted" if method.labels else "free" for method in METHODS}
    curves = [
        Curve(
            f"{result.name} ({len(result.curve[0].k)} queries)",
            [(float(one.k.mean()), float(one.f1.mean())) for one in result.curve],
            {
                name: ("chosen" if name == BEST else kinds[name], (float(one.k.mean()), float(one.f1.mean())))
                for name, one in result.outcomes(False).items()
                if one.k.mean() <= 1.5 * max(6.0, result.best + 1)
            },
            ("oracle", result.oracle[0]),
        )
        for result in results
    ]
    told = (
        f"Scorer: {results[0].scorer}. Line: fixed k = 1, 2, 3, ...; points: policies (grey: no labels, blue: fitted "
        f"out of sample, red: {BEST}); dotted: the best k for each query."
    )
    return drawn(curves, "mean k", "F1", told)


if __name__ == "__main__":
    main()
