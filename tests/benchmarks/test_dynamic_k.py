"""What the comparison with fixed k rests on: fair means, folds that do not leak, scores that are found again."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from support.labelled import labelled
from support.places import ROOT
from tamis import CrossEncoder, FirstStage
from tamis.models import CostOnly
from tamis.values.calls import Classify
from tamis.values.scale import LOGIT

pytest.importorskip("sklearn")
sys.path.insert(0, str(ROOT / "benchmarks"))

from curves import Curve, drawn
from cutting import METHODS, Pool, at_equal_mean, between, f1_of_first, fixed, folds, in_domain
from recorded import Recorded


@pytest.fixture(scope="module")
def pool() -> Pool:
    draw = np.random.default_rng(0)
    lists = []
    for _ in range(60):
        count = int(draw.integers(1, 5))
        scores = np.sort(draw.normal(size=12) + 3 * (np.arange(12) < count))[::-1]
        lists.append([(float(score), place < count) for place, score in enumerate(scores)])
    rankings, dataset = labelled(lists, LOGIT)
    return Pool(rankings, dataset, FirstStage())


def test_the_fixed_k_compared_with_keeps_as_many_as_the_policy(pool: Pool) -> None:
    curve = fixed(pool)
    assert [one.k.mean() for one in curve[:3]] == [1.0, 2.0, 3.0]
    assert at_equal_mean(curve, 2.25) == (1, 0.25)
    assert between(curve, 2.25, "k").mean() == pytest.approx(2.25)
    assert at_equal_mean(curve, 99.0) == (11, 0.0)


def test_no_query_is_judged_by_a_fit_that_has_seen_it(pool: Pool) -> None:
    judged: list[str] = []
    for fitted_to, held_out in folds(pool):
        assert not set(fitted_to.rankings) & set(held_out.rankings)
        judged += held_out.rankings
    assert sorted(judged) == sorted(pool.rankings)


def test_a_calibrated_policy_finds_what_stands_out_and_no_policy_beats_the_oracle(pool: Pool) -> None:
    oracle = np.array([f1_of_first(ranking, pool.dataset, query).max() for query, ranking in pool.rankings.items()])
    curve, parts = fixed(pool), folds(pool)
    found = {method.name: in_domain(method, parts, pool) for method in METHODS}
    for name, one in found.items():
        if "ratio" in name:
            assert isinstance(one, str)
        elif "knapsack" not in name:
            assert not isinstance(one, str)
            assert (one.f1 <= oracle + 1e-12).all()
    best = found["in list, expected F1"]
    assert not isinstance(best, str)
    assert best.f1.mean() > between(curve, float(best.k.mean()), "f1").mean() + 0.05


def test_scores_on_disk_are_found_again_by_what_was_asked(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path / "scores.sqlite", None, "00c0ffee")
    recorded.keep([("q", "a"), ("q", "b")], [1.23456, -2.0])
    again = Recorded(tmp_path / "scores.sqlite", None, "00c0ffee")
    assert again.known("q", ["b", "c", "a"]) == [-2.0, None, 1.2346]
    assert Recorded(tmp_path / "scores.sqlite", None, "00000000").known("q", ["a"]) == [None]
    ranking = CrossEncoder(again).rerank("q", ["a", "b"])
    assert [ranked.score for ranked in ranking.kept] == [1.2346, -2.0]
    with pytest.raises(LookupError, match="1 of 1 pairs"):
        again.classify([Classify(CostOnly("other"), "q", "c")])


def test_the_picture_is_well_formed_and_names_what_was_chosen() -> None:
    curve = Curve("a & b", [(1.0, 0.5), (2.0, 0.6)], {"<best>": ("chosen", (1.5, 0.7))}, ("oracle", 0.8))
    root = ElementTree.fromstring(drawn([curve, curve, curve], "mean k", "F1", "how"))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("<best>") == 3
    assert "a & b" in texts
