"""The default against BM25 on real test sets: those it was trained on and those it never saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.places import DATA
from tamis import Engine, Learned
from tamis.evaluate import Dataset, read
from tamis.training.default import RUNS

QUERIES = 60
"""Of each set, the same on every machine."""
TRAINED = ("cacm", "npl", "medquad_gov", "lihua_world", "hotpot_train100", "musique_train100")
LEAST = {
    "nfcorpus": 0.0,
    "scifact": 0.0,
    "hotpot200": 0.08,
    "twowiki101_fullcorpus": 0.02,
    "squad2_500": -0.02,
    "nq_gold300": 0.0,
    "ramdocs": -0.02,
    "multihop_rag_facts": -0.06,
}
"""Relative gains on sets it never saw that must not be lost. On squad2 no difference is seen. The last two are where it is known to be worse: pools of
five with wrong answers worded like right ones, and long questions that name sources rather than content."""


def gain(name: str, with_scores: bool = True) -> float:
    """Relative gain in nDCG@10 over BM25's order."""
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the test set {name}: set TAMIS_DATA to the folder of test sets")
    dataset, engine = read(DATA / name, run=RUNS.get(name)), Engine()
    before, after = [], []
    for query in dataset.sample(QUERIES):
        if any(grade > 0 for grade in dataset.qrels.get(query, {}).values()):
            pool = dataset.pool(query, 100)
            given = pool if with_scores else [replace(candidate, score=None) for candidate in pool]
            ranked = engine.rerank(Learned(), dataset.questions[query].query, given).candidates
            before.append(ndcg(dataset, query, [str(c.id) for c in pool]))
            after.append(ndcg(dataset, query, [str(c.id) for c in ranked]))
    return float(np.mean(after) / np.mean(before) - 1)


def ndcg(dataset: Dataset, query: str, ids: list[str]) -> float:
    grades = dataset.qrels[query]
    discounts = 1 / np.log2(np.arange(2, 12))
    gained = np.array([grades.get(i, 0) for i in ids[:10]])
    best = np.array(sorted(grades.values(), reverse=True)[:10])
    return float(gained @ discounts[: len(gained)] / (best @ discounts[: len(best)]))


@pytest.mark.data
@pytest.mark.parametrize("name", TRAINED)
def test_it_is_better_than_bm25_where_it_was_trained(name: str) -> None:
    assert gain(name) > 0


@pytest.mark.data
@pytest.mark.parametrize("name", LEAST)
def test_it_keeps_its_measured_gain_where_it_was_not(name: str) -> None:
    assert gain(name) > LEAST[name]


@pytest.mark.data
def test_an_order_without_scores_is_enough_to_help() -> None:
    assert gain("hotpot200", with_scores=False) > 0.05
