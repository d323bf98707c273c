"""How the trust of the learned default in the first stage was chosen, runnable again.

    python -m tamis.training.trust --data DIR --embedder FOLDER [--cache DIR] [--out DIR]

DIR holds the training sets; FOLDER an embedding model as an ONNX file (bge-small-en-v1.5). Writes the trust into
`weights.json` and what it is worth into `CARD.md`.

First stages of several strengths are made on every training set: BM25 with its whole pool and with a few passages, the
embedder over all passages, and the embedder with a share of the judgements and noise, which is as good as a very good
retriever. Of a grid of trusts the one is taken that gives most, where a loss against the first stage counts
`AVERSION` times as much again as a gain. Word vectors are those of the package, which have seen the training texts:
words look a little better here than on unseen ones, so the trust is rather too low than too high.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from tamis.evaluate import Dataset, read
from tamis.models import OnnxEmbedder
from tamis.rankers.learned import first_stage
from tamis.rankers.learned.features import Read
from tamis.rankers.learned.match import Floats
from tamis.rankers.learned.model import PRIOR, Combination, packaged
from tamis.rankers.learned.stage import DIGITS
from tamis.rankers.learned.trust import NEUTRAL, UNKNOWN, Trust
from tamis.text import vectors as words
from tamis.training import card
from tamis.training.default import RUNS, SETS, ndcg, texts_of
from tamis.values.calls import Embed
from tamis.values.ranking import Candidate

QUERIES = 30
"""Of one set."""
DEPTH, FEW = 100, 8
STRENGTHS = (1.0, 2.0)
"""What a relevant passage gains over another, in standard deviations of the best cosines; half of one is noise."""
AVERSION = 4.0
GRID = tuple(
    Trust(low, UNKNOWN, most, narrow, wide)
    for low, most, (narrow, wide) in product(
        (0.3, 0.4, 0.5), (2.0, 3.0, 4.0, 6.0), ((0.3, 0.6), (0.4, 0.6), (0.4, 0.7))
    )
)
"""None trusts more where nothing is known."""
Group = tuple[str, str]
"""A set and a first stage."""


@dataclass(frozen=True)
class Case:
    """One query behind one first stage, in one mode. `rest`: all of the learned sum but the first stage's part."""

    rest: Floats
    prior: Floats
    signs: tuple[float, float | None, float | None]
    grades: Floats
    known: Sequence[float]

    def ndcg(self, trust: Trust) -> float:
        scores = (self.rest + trust.times(*self.signs) * self.prior).round(DIGITS)
        return ndcg(np.argsort(-scores, kind="stable"), self)

    def first(self) -> float:
        return ndcg(np.arange(len(self.grades)), self)


def gains(cases: Mapping[Group, Sequence[Case]]) -> dict[Group, Floats]:
    """What each trust of the grid adds to the first stage's mean nDCG@10."""
    return {
        group: np.array([np.mean([case.ndcg(trust) for case in found]) for trust in GRID])
        - np.mean([case.first() for case in found])
        for group, found in cases.items()
    }


def choose(found: Mapping[Group, Floats]) -> Trust:
    """The trust of the grid with the best mean gain, losses counted more."""
    rows = np.stack(list(found.values()))
    return GRID[int(np.argmax(np.mean(rows + AVERSION * np.minimum(rows, 0.0), axis=0)))]


def cases_of(name: str, dataset: Dataset, vectors: tuple[Floats, Floats]) -> dict[Group, list[Case]]:
    """By first stage and mode, of at most `QUERIES` queries with something relevant in the pool of BM25."""
    found: dict[Group, list[Case]] = {}
    chosen = [query for query in dataset.sample(None, 1) if _judged(dataset, query)]
    rows = {query: row for row, query in enumerate(dataset.questions)}
    rng = np.random.default_rng(0)
    for query in sorted(rng.permutation(chosen)[:QUERIES].tolist()):
        text, grades = dataset.questions[query].query.text, dataset.qrels[query]
        for kind, pool in first_stages(dataset, query, vectors[0] @ vectors[1][rows[query]], rng):
            read_ = Read(text, pool, words.packaged())
            gained = np.array([float(grades.get(str(c.id), 0)) for c in pool])
            positive = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
            for said in (first_stage.of_scores([c.score for c in pool]), first_stage.of_order(len(pool))):
                parts = packaged().contributions({**read_.plain, **read_.guided(said.prior, None)}, said.mode)
                signs = first_stage.signs(said, read_, parts)
                prior = parts.pop(PRIOR)
                rest = np.sum(list(parts.values()), axis=0)
                case = Case(rest, prior, signs, gained, positive)
                found.setdefault((name, f"{kind}, {said.mode}"), []).append(case)
    return found


def first_stages(
    dataset: Dataset, query: str, cosines: Floats, rng: np.random.Generator
) -> Iterator[tuple[str, list[Candidate]]]:
    """Pools with scores, best first."""
    pool = dataset.pool(query, DEPTH)
    yield "bm25", pool
    if len(pool) > FEW:
        yield f"bm25 on {FEW}", pool[:FEW]
    ids = _ids(dataset)
    spread = np.sort(cosines)[-DEPTH:].std()
    relevant = np.array([min(dataset.qrels[query].get(passage, 0), 1) for passage in ids], dtype=float)
    stronger = {
        f"embedder + {strength:.0f}": cosines + spread * (strength * relevant + 0.5 * rng.standard_normal(len(ids)))
        for strength in STRENGTHS
    }
    for kind, scores in {"embedder": cosines, **stronger}.items():
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        yield kind, [replace(dataset.corpus[ids[place]], score=float(scores[place])) for place in best.tolist()]


def _judged(dataset: Dataset, query: str) -> bool:
    grades = dataset.qrels.get(query, {})
    gained = [grades.get(str(candidate.id), 0) for candidate in dataset.pool(query, DEPTH)]
    return any(grade > 0 for grade in gained) and len(set(gained)) > 1


def _ids(dataset: Dataset) -> list[str]:
    """As in `texts_of`."""
    return sorted({passage for found in dataset.run.values() for passage, _ in found})


def embedded(model: OnnxEmbedder, name: str, dataset: Dataset, cache: Path) -> tuple[Floats, Floats]:
    """Unit vectors of the passages and of the queries, kept in `cache`."""
    file = cache / f"trust-{name}.npz"
    if not file.exists():
        passages, queries = texts_of(dataset)
        of_passages = [Embed(model, text, "passage") for text in passages]
        of_queries = [Embed(model, text, "query") for text in queries]
        rows = [np.array([v.values for v in model.embed(calls)], np.float16) for calls in (of_passages, of_queries)]
        cache.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, passage=rows[0], query=rows[1])
    with np.load(file) as kept:
        return kept["passage"].astype(float), kept["query"].astype(float)


def table(cases: Mapping[Group, Sequence[Case]], others: Mapping[str, Trust]) -> str:
    """Means over the sets, each with the trust that was chosen on the other sets."""
    rows = []
    for kind in dict.fromkeys(kind for _, kind in cases):
        groups = [group for group in cases if group[1] == kind]
        columns = [
            [case.first() for group in groups for case in cases[group]],
            [case.ndcg(NEUTRAL) for group in groups for case in cases[group]],
            [case.ndcg(others[group[0]]) for group in groups for case in cases[group]],
        ]
        explained = np.mean([case.signs[0] for group in groups for case in cases[group]])
        rows.append([kind, f"{explained:.2f}", *(f"{np.mean(column):.4f}" for column in columns)])
    return card.table(["first stage", "explained", "alone", "trusted once", "trusted as it deserves"], rows)


def main() -> None:
    options = argparse.ArgumentParser(description="Choose how far the learned default trusts the first stage.")
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--embedder", type=Path, required=True, help="folder of bge-small-en-v1.5 as an ONNX file")
    options.add_argument("--cache", type=Path, default=Path(".cache/default"))
    options.add_argument("--out", type=Path, default=Path(card.__file__).parent.parent / "rankers" / "learned")
    given = options.parse_args()
    prefix = "Represent this sentence for searching relevant passages: "
    model = OnnxEmbedder(given.embedder, pooling="cls", query_prefix=prefix, max_length=256, max_batch=32)
    cases: dict[Group, list[Case]] = {}
    for name in SETS:
        dataset = read(given.data / name, run=RUNS.get(name))
        cases |= cases_of(name, dataset, embedded(model, name, dataset, given.cache))
    gained = gains(cases)
    others = {name: choose({group: row for group, row in gained.items() if group[0] != name}) for name in SETS}
    combination: Combination = replace(packaged(), trust=choose(gained))
    card.write_trust(given.out, combination, table(cases, others))


if __name__ == "__main__":
    main()
