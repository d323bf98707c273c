"""How far the default trusts the first stage: further the less words explain it, and never an order made by chance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.places import DATA
from tamis import Candidate, Engine, Learned
from tamis.evaluate import read
from tamis.rankers.learned.model import packaged
from tamis.rankers.learned.trust import CHANCE, UNKNOWN, Trust, agreement, explained
from tamis.training.default import ndcg
from tamis.training.trust import GRID, Case, choose, gains

TRUST = packaged().trust
SHARES = st.floats(0.0, 1.0)


@given(SHARES, SHARES, st.none() | SHARES, st.none() | st.floats(-5.0, 10.0))
def test_the_more_words_explain_the_less_the_first_stage_is_trusted(
    one: float, other: float, span: float | None, agreed: float | None
) -> None:
    low, high = sorted((one, other))
    assert 1.0 <= TRUST.times(high, span, agreed) <= TRUST.times(low, span, agreed) <= TRUST.most


@given(SHARES, SHARES, SHARES)
def test_the_further_scores_fall_the_less_they_are_trusted(share: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert TRUST.times(share, high) <= TRUST.times(share, low) <= TRUST.times(share)


def test_an_order_that_has_nothing_to_do_with_words_is_trusted_once() -> None:
    assert TRUST.times(0.0, None, 0.0) == 1.0
    assert TRUST.times(0.0, None, CHANCE) == TRUST.most


@given(st.integers(0, 50), st.floats(0.1, 100.0), st.floats(-10.0, 10.0))
def test_what_is_explained_knows_no_units(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    scores, evidence = rng.standard_normal(40), rng.random((40, 3))
    share = explained(scores, evidence)
    assert 0.0 <= share <= 1.0
    assert explained(scale * scores + shift, scale * evidence) == pytest.approx(share, abs=1e-6)
    assert agreement(scale * scores + shift, evidence[:, 0]) == pytest.approx(
        agreement(scores, evidence[:, 0]), abs=1e-6
    )


def test_few_candidates_tell_nothing() -> None:
    for size in (1, 2, 3):
        assert explained(np.arange(float(size)), np.random.default_rng(0).random((size, 4))) == UNKNOWN
    assert explained(np.ones(50), np.random.default_rng(0).random((50, 2))) == UNKNOWN
    assert explained(np.arange(50.0), np.zeros((50, 0))) < UNKNOWN


def test_a_good_order_that_words_do_not_explain_stays_and_a_shuffled_one_does_not() -> None:
    """Relevant passages are first, and a third of them share no word with the query."""
    rng = random.Random(0)
    filler = [f"word{number}" for number in range(400)]

    def text(*words: str) -> str:
        return " ".join([*words, *rng.choices(filler, k=20)])

    relevant = [text(*(["zeppelin"] if place % 3 else [])) for place in range(30)]
    pool = [*relevant, *(text(*(["zeppelin"] if place % 3 == 0 else [])) for place in range(70))]

    def hits(given: list[Candidate]) -> int:
        return sum(int(str(c.id)) < 30 for c in Learned().rerank("zeppelin", given).candidates[:30])

    good = [Candidate(text, id=str(place)) for place, text in enumerate(pool)]
    assert hits(good) > hits(rng.sample(good, 100))
    assert hits([replace(c, score=0.9 - 0.001 * place) for place, c in enumerate(good)]) >= 28


def test_the_trust_is_chosen_that_gives_most() -> None:
    """Where the first stage is right and the rest is wrong, one of the most trusting."""
    grades = np.array([1.0, 0.0, 0.0, 0.0])
    case = Case(np.array([-4.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0, -1.0]), (0.0, None, None), grades, (1.0,))
    assert choose(gains({("one", "strong"): [case]})).most > 2.0 == min(trust.most for trust in GRID)
    assert case.ndcg(Trust(0.3, 0.6, 1.0, 0.4, 0.6)) < case.first() == ndcg(np.arange(4), case)


@pytest.mark.data
def test_it_does_not_harm_a_strong_first_stage() -> None:
    """Two seconds: every query of the set, since so few vary much."""
    if not (DATA / "dl19").is_dir():
        pytest.skip("needs the test set dl19: set TAMIS_DATA to the folder of test sets")
    dataset, engine = read(DATA / "dl19", run="run.repllama.tsv.gz"), Engine()
    first, scored, ordered = [], [], []
    for query, question in dataset.questions.items():
        pool = dataset.pool(query, 100)
        unscored = [replace(candidate, score=None) for candidate in pool]
        first.append(ndcg_at_10(pool, dataset.qrels[query]))
        scored.append(ndcg_at_10(engine.rerank(Learned(), question.query, pool).candidates, dataset.qrels[query]))
        ordered.append(ndcg_at_10(engine.rerank(Learned(), question.query, unscored).candidates, dataset.qrels[query]))
    assert np.mean(scored) > np.mean(first) - 0.01
    assert np.mean(ordered) > np.mean(first) - 0.025


def ndcg_at_10(found: Sequence[Candidate], grades: Mapping[str, float]) -> float:
    """nDCG@10."""
    discounts = 1 / np.log2(np.arange(2, 12))
    best = np.array(sorted(grades.values(), reverse=True)[:10])
    gained = np.array([grades.get(str(candidate.id), 0) for candidate in found[:10]])
    return float(gained @ discounts / (best @ discounts))
