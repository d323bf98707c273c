"""How the learned default was made, runnable again.

    python -m tamis.training.default --data DIR --encoder FOLDER --teacher FOLDER [--cache DIR] [--out DIR] [--seed 0]

DIR holds the training sets; the FOLDERs the weights of all-MiniLM-L6-v2 and of ms-marco-MiniLM-L-12-v2 (ONNX). Without
`--teacher` judgements alone are learnt from. Writes `words.npz`, `weights.json` and `CARD.md`.

Word vectors learn from unlabelled texts. So that the weights do not learn to trust vectors more than they deserve on
unseen text, the features of each set are computed with vectors that never saw a text of it (two folds); the shipped
vectors are learned from all. Weights minimise the listwise softmax loss (ListNet, Cao et al., 2007) of all sets alike,
on the judgements and, for a share, on what the teacher says of the best passages of every query. How far to trust the
first stage is chosen afterwards, by `tamis.training.trust`; the trust in the package stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tamis.errors import needed
from tamis.evaluate import Dataset, read
from tamis.rankers.learned.features import Read, spanned
from tamis.rankers.learned.model import EMBEDDING, Combination, Mode, packaged, standard
from tamis.rankers.learned.stage import DIGITS
from tamis.rankers.learned.trust import NEUTRAL
from tamis.text.vectors import WordVectors
from tamis.training import card
from tamis.training.teacher import Teacher
from tamis.training.vectors import Encoder, distil, save

Floats = NDArray[np.float64]

FOLDS = (("cacm", "lihua_world", "musique_train100"), ("npl", "medquad_gov", "hotpot_train100"))
SETS = tuple(name for fold in FOLDS for name in fold)
RUNS = {"medquad_gov": "run.bm25_pool.tsv.gz"}
MODES: tuple[Mode, ...] = ("scores", "order", "texts")
EMBEDDED = f"+{EMBEDDING}"
MOST_QUERIES = 200
"""Of one set."""
DEPTHS = (100, 6)
"""Every query is learned from twice: with its whole pool, and as if the first stage had found but a few."""
DENSE_SHARE = 0.3
"""What a pool counts again with the encoder's cosines in place of the first stage's scores: retrievers differ."""
TAUGHT_SHARE = 0.2
"""What the teacher's lists count, of 1. With sets left out, the mean gain of the three modes without an embedder rises
with it from 7.7 % to 8.0 % (pools of 100 and of 6 alike); at 0.6 and more it falls below what judgements alone give."""
PENALTY = 0.05
SAFETY = 1.5
"""The first stage counts so much more than fitted, for safety on sets unlike these: of 1, 1.5, 2 and 3 this one loses
0.3 points of the mean gain over left-out sets and raises the smallest from 5.5 % to 6.2 %."""
LESS_IS_BETTER = "length"
"""The one feature that may count against a candidate. Each other one means more evidence, and a weight below zero would
only make up for another feature that says the same; without them every left-out set does as well or better."""


@dataclass(frozen=True)
class Example:
    """One query: features of the best n candidates of the first stage by mode, grades, and all positive grades of the
    query. `depth`: how many were asked for."""

    depth: int
    features: Mapping[str, Mapping[str, Floats]]
    grades: Floats
    known: Sequence[float]

    @property
    def target(self) -> Floats:
        return self.grades / self.grades.sum()


def train(data: Path, encoder: Encoder, out: Path, seed: int = 0, teacher: Teacher | None = None) -> dict[str, Any]:
    """Make the three files in `out`; returns what the card tells. The same inputs give the same weights."""
    datasets = {name: read(data / name, run=RUNS.get(name)) for name in SETS}
    examples: dict[str, list[Example]] = {}
    taught: dict[str, list[Example]] = {}
    for fold, other in (FOLDS, FOLDS[::-1]):
        vectors = distil(encoder, [part for name in other for part in texts_of(datasets[name])], seed=seed)
        examples |= {name: examples_of(datasets[name], vectors, encoder, seed) for name in fold}
        if teacher:
            taught |= {name: taught_by(teacher, datasets[name], vectors) for name in fold}
    others = {name: fit(without(name, examples), without(name, taught)) for name in SETS}
    held_out = {
        depth: {name: tested(others[name], [e for e in examples[name] if e.depth == depth]) for name in SETS}
        for depth in DEPTHS
    }
    combination = replace(fit(examples, taught), trust=packaged().trust)
    vectors = distil(encoder, [part for name in SETS for part in texts_of(datasets[name])], seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    save(vectors, out / "words.npz")
    told = {
        "seed": seed,
        "queries": {name: sum(e.depth == DEPTHS[0] for e in found) for name, found in examples.items()},
        "taught": sum(map(len, taught.values())),
        "held_out": held_out,
    }
    card.write(out, combination, told)
    return told


def texts_of(dataset: Dataset) -> tuple[list[str], list[str]]:
    """The passages of all pools, by id, and the queries: two groups, so that their embeddings are kept apart."""
    pooled = sorted({passage for found in dataset.run.values() for passage, _ in found})
    return [dataset.corpus[p].full_text for p in pooled], [q.query.text for q in dataset.questions.values()]


def examples_of(dataset: Dataset, vectors: WordVectors, encoder: Encoder, seed: int) -> list[Example]:
    """Queries with something relevant in the pool and something not."""
    pooled = sorted({passage for found in dataset.run.values() for passage, _ in found})
    passages, queries = (encoder.texts(part) for part in texts_of(dataset))
    passage_row = {passage: row for row, passage in enumerate(pooled)}
    query_row = {query: row for row, query in enumerate(dataset.questions)}
    made = []
    for query, depth in product(dataset.sample(MOST_QUERIES, seed), DEPTHS):
        pool = dataset.pool(query, depth)
        known = dataset.qrels.get(query, {})
        grades = np.array([float(known.get(str(c.id), 0)) for c in pool])
        if grades.size and grades.min() < grades.max():
            cosines = (passages[[passage_row[str(c.id)] for c in pool]] @ queries[query_row[query]]).astype(float)
            text = dataset.questions[query].query.text
            positive = sorted((grade for grade in known.values() if grade > 0), reverse=True)
            made.append(Example(depth, by_mode(Read(text, pool, vectors), pool, cosines), grades, positive))
    return made


def taught_by(teacher: Teacher, dataset: Dataset, vectors: WordVectors) -> list[Example]:
    """Every query of the set with the teacher's shares as grades."""
    return [
        Example(len(lesson.pool), by_mode(Read(lesson.query, lesson.pool, vectors), lesson.pool), lesson.shares, ())
        for lesson in teacher.lessons(dataset)
    ]


def without(name: str, examples: Mapping[str, list[Example]]) -> dict[str, list[Example]]:
    return {other: found for other, found in examples.items() if other != name}


def by_mode(found: Read, pool: Sequence[Any], cosines: Floats | None = None) -> dict[str, dict[str, Floats]]:
    """The features in every mode; with cosines also `"scores+embedding"` and its like, those with an embedder, and
    `"dense"`, the mode `"scores"` with cosines as the first stage's scores."""
    priors: dict[str, Floats | None] = {
        "scores": spanned(np.array([c.score for c in pool])),
        "order": 1.0 / np.log2(2.0 + np.arange(len(pool))),
        "texts": None,
    }
    made = {name: {**found.plain, **found.guided(prior, None)} for name, prior in priors.items()}
    if cosines is None:
        return made
    made |= {name + EMBEDDED: {**found.plain, **found.guided(prior, cosines)} for name, prior in priors.items()}
    made["dense"] = {**found.plain, **found.guided(spanned(cosines), None)}
    return made


def fit(
    examples: Mapping[str, Sequence[Example]], taught: Mapping[str, Sequence[Example]] | None = None
) -> Combination:
    """Weights of every mode. Every set counts the same, whatever its number of queries."""
    spreads = usual_spreads(examples)
    weights: dict[Mode, dict[str, float]] = {}
    lessons = taught or {}
    for mode in MODES:
        names = [name for name in spreads if name in next(iter(examples.values()))[0].features[mode]]
        judged = 1.0 - TAUGHT_SHARE if lessons else 1.0
        weighted = [
            (share / len(found), matrix(example.features[view], names, spreads), example.target)
            for shown, views in (
                (examples, ((mode, judged), *((("dense", DENSE_SHARE),) if mode == "scores" else ()))),
                (lessons, ((mode, TAUGHT_SHARE),)),
            )
            for found in shown.values()
            for example in found
            for view, share in views
        ]
        positive = [name != LESS_IS_BETTER for name in names]
        fitted = dict(zip(names, minimised(weighted, len(examples), positive), strict=True))
        weights[mode] = {name: round(w * SAFETY, 4) if name == "prior" else w for name, w in fitted.items()}
    return Combination(weights, spreads, NEUTRAL)


def usual_spreads(examples: Mapping[str, Sequence[Example]]) -> dict[str, float]:
    """The median standard deviation of each feature within a pool, where it varies at all."""
    found: dict[str, list[float]] = {}
    for example in (example for each in examples.values() for example in each):
        for name, values in example.features["scores"].items():
            found.setdefault(name, []).append(float(values.std()))
    return {name: round(float(np.median([v for v in values if v > 0])), 6) for name, values in found.items()}


def matrix(features: Mapping[str, Floats], names: Sequence[str], spreads: Mapping[str, float]) -> Floats:
    return np.stack([standard(features[name], spreads[name]) for name in names], axis=1)


def minimised(weighted: Sequence[tuple[float, Floats, Floats]], sets: int, positive: Sequence[bool]) -> list[float]:
    """Weights, not below 0 where `positive`, of least cross-entropy between softmax of the scores and the share of each
    grade, with an L2 penalty."""
    minimize = needed("scipy.optimize", "Training the default ranker", "train").minimize

    def loss(weights: Floats) -> tuple[float, Floats]:
        total, slope = PENALTY * float(weights @ weights), 2 * PENALTY * weights
        for share, rows, target in weighted:
            scores = rows @ weights
            scores = scores - scores.max()
            log_total = np.log(np.exp(scores).sum())
            total -= share / sets * float(target @ (scores - log_total))
            slope = slope + share / sets * (rows.T @ (np.exp(scores - log_total) - target))
        return total, slope

    bounds = [(0.0 if above else None, None) for above in positive]
    found = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds)
    return [round(float(weight), 4) for weight in found.x]


def tested(combination: Combination, examples: Sequence[Example]) -> dict[str, float]:
    """Mean nDCG@10 of the first stage and of every mode, without an embedder and with."""
    means = {"first stage": float(np.mean([ndcg(np.arange(len(e.grades)), e) for e in examples]))}
    for embedded, mode in product(("", EMBEDDED), MODES):
        parts = [combination.contributions(example.features[mode + embedded], mode) for example in examples]
        orders = [np.argsort(-np.sum(list(p.values()), axis=0).round(DIGITS), kind="stable") for p in parts]
        means[mode + embedded] = float(np.mean([ndcg(order, e) for order, e in zip(orders, examples, strict=True)]))
    return {name: round(mean, 4) for name, mean in means.items()}


class Graded(Protocol):
    """Grades of a pool, and all positive grades of the query, best first."""

    @property
    def grades(self) -> Floats: ...
    @property
    def known(self) -> Sequence[float]: ...


def ndcg(order: Any, example: Graded, depth: int = 10) -> float:
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    gained = example.grades[order][:depth]
    best = np.array(example.known[:depth], dtype=float)
    return float(gained @ discounts[: len(gained)] / (best @ discounts[: len(best)]))


def main() -> None:
    options = argparse.ArgumentParser(description="Train the learned default.")
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--encoder", type=Path, required=True, help="folder with the weights of all-MiniLM-L6-v2")
    options.add_argument("--teacher", type=Path, help="folder with model.onnx and tokenizer.json of a cross-encoder")
    options.add_argument("--cache", type=Path, default=Path(".cache/default"))
    options.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "learned")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    teacher = Teacher(given.teacher, given.cache) if given.teacher else None
    train(given.data, Encoder(given.encoder, given.cache), given.out, given.seed, teacher)


if __name__ == "__main__":
    main()
