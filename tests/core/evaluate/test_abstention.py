"""Confidence against quality: worked values, and the limits."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from support.evaluations import kitchen
from tamis import Candidate, FirstStage, Lexical, Ranking, Threshold
from tamis.evaluate import evaluate
from tamis.evaluate.abstention import auroc, confidence_of, nauc, risk_coverage
from tamis.values.ranking import Ranked
from tamis.values.scale import LEXICAL, PROBABILITY

CHOSEN = random.Random(5)
METRIC = [CHOSEN.random() for _ in range(300)]


def test_the_metric_itself_is_the_perfect_confidence() -> None:
    assert nauc(METRIC, METRIC) == pytest.approx(1.0, abs=0.01)
    assert nauc([-value for value in METRIC], METRIC) < -0.5


def test_a_constant_confidence_is_useless() -> None:
    assert nauc([0.3] * len(METRIC), METRIC) == pytest.approx(0.0)
    assert risk_coverage([0.3] * len(METRIC), METRIC)[0] == pytest.approx(sum(METRIC) / len(METRIC))


def test_where_no_confidence_could_help_there_is_no_value() -> None:
    assert math.isnan(nauc(METRIC, [0.5] * len(METRIC)))
    assert math.isnan(nauc([], []))


def test_random_confidences_are_near_zero_and_half() -> None:
    chosen = random.Random(8)
    found = [nauc([chosen.random() for _ in METRIC], METRIC) for _ in range(30)]
    assert abs(sum(found) / 30) < 0.06
    answerable = [value > 0.5 for value in METRIC]
    assert auroc([chosen.random() for _ in METRIC], answerable) == pytest.approx(0.5, abs=0.1)
    assert auroc(METRIC, answerable) == 1.0
    assert math.isnan(auroc(METRIC, [True] * len(METRIC)))


def test_the_confidence_is_the_ranking_s_own_or_its_best_score_where_queries_compare() -> None:
    ranking = Lexical().rerank("bread", ["bread rises", "a knife"])
    assert ranking.scale == LEXICAL
    assert confidence_of(ranking) is None
    assert confidence_of(replace(ranking, scale=PROBABILITY)) == ranking.kept[0].score
    assert confidence_of(replace(ranking, confidence=0.25)) == 0.25
    empty = Ranking.of("q", [])
    assert confidence_of(replace(empty, scale=PROBABILITY)) is None


def test_scores_that_an_earlier_stage_dropped_are_on_another_scale() -> None:
    lexical = Ranking.of("q", [Candidate(text, score=score) for text, score in (("a", 30.0), ("b", 20.0), ("c", 10.0))])
    cut = lexical.drop("top_n", lambda index, r: index == 2)
    judged = cut.scored([replace(r, score=s) for r, s in zip(cut.kept, (0.4, 0.7), strict=True)], PROBABILITY)
    assert confidence_of(judged) == 0.7
    assert confidence_of(judged.drop("below_threshold", lambda index, r: True)) == 0.7


def test_an_evaluation_sums_up_who_kept_nothing() -> None:
    dataset = kitchen()
    nothing = replace(dataset, qrels={**dataset.qrels, "q4": {"p1": 0}})
    (evaluation,) = evaluate({"strict": Lexical() | Threshold(1e9), "first": FirstStage()}, nothing, names=["nDCG@10"]).evaluations  # fmt: skip
    strict = evaluation.system("strict").summary
    assert strict["abstained"] == 1.0
    assert strict["abstention accuracy"] == 0.25
    assert "abstained" not in evaluation.system("first").summary


def test_a_ranking_s_kept_scores_are_read() -> None:
    kept = (Ranked(Ranking.of("q", ["a"]).kept[0].candidate, 0, 0.7),)
    assert confidence_of(replace(Ranking.of("q", ["a"]), kept=kept, scale=PROBABILITY)) == 0.7
