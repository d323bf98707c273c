"""What a fit recovers from labels made by arithmetic, how good it is on others, and what it does with too few."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from support.labelled import labelled
from tamis import CrossEncoder, DynamicK, Lexical, Listwise, Stage, TopN
from tamis.errors import ConfigError
from tamis.evaluate.abstention import auroc, nauc
from tamis.models import CostOnly
from tamis.select import scorer_id
from tamis.select.calibrate.abstain import Abstention
from tamis.select.calibrate.artefact import Artefact
from tamis.select.calibrate.calibration import Calibrate, Conformal, Isotonic, Platt, Temperature, Unit
from tamis.select.calibrate.confidence import Gap, Linear, Max, Shrunk
from tamis.select.calibrate.in_list import InList
from tamis.select.policies.mass import SoftmaxMass
from tamis.training.calibration import fit
from tamis.values.scale import FUSION, LOGIT, ORDINAL, PROBABILITY, UNKNOWN, Scale

SCORER = CrossEncoder(CostOnly("cross", scale=LOGIT))
pytest.importorskip("sklearn")
pytest.importorskip("ir_measures")


def logits(queries: int, n: int = 20, slope: float = 1.5, intercept: float = -2.0, seed: int = 0) -> Any:
    """Scores whose relevance is drawn with probability 1 / (1 + exp(-(slope x score + intercept)))."""
    draw = np.random.default_rng(seed)
    lists = []
    for _ in range(queries):
        scores = np.sort(draw.normal(size=n))[::-1]
        relevant = draw.random(n) < 1 / (1 + np.exp(-(slope * scores + intercept)))
        lists.append(list(zip(scores.tolist(), relevant.tolist(), strict=True)))
    return lists


def made(lists: Any, method: str = "platt", scale: Scale = LOGIT, scorer: Stage = SCORER, **options: Any) -> Artefact:
    rankings, dataset = labelled(lists, scale)
    return fit(rankings, dataset, method, scorer=scorer, **options)


# Probabilities


def test_platt_recovers_the_line_labels_were_drawn_from() -> None:
    artefact = made(logits(400), "platt")
    assert isinstance(artefact.fitted, Platt)
    assert artefact.fitted.slope == pytest.approx(1.5, abs=0.1)
    assert artefact.fitted.intercept == pytest.approx(-2.0, abs=0.1)
    assert (artefact.queries, artefact.pairs, artefact.scale, artefact.notes) == (400, 8000, "logit", ())
    assert artefact.scorer == scorer_id(SCORER)


@pytest.mark.parametrize("method", ["platt", "isotonic", "in_list"])
def test_probabilities_of_queries_held_out_can_be_taken_at_their_word(method: str) -> None:
    artefact = made(logits(200), method)
    assert artefact.report["ece"] < 0.02
    assert artefact.report["ece"] < artefact.report["ece_unfitted"] / 5
    fresh, truth = labelled(logits(200, seed=9))
    predicted = [r.score for ranking in fresh.values() for r in run(Calibrate(artefact), ranking).kept]
    relevant = [grade for grades in truth.qrels.values() for grade in grades.values()]
    high = [y for p, y in zip(predicted, relevant, strict=True) if p is not None and p > 0.5]
    assert fmean(predicted) == pytest.approx(fmean(relevant), abs=0.02)
    assert fmean(high) == pytest.approx(fmean(p for p in predicted if p is not None and p > 0.5), abs=0.06)


def run(stage: Any, ranking: Any) -> Any:
    with pytest.raises(StopIteration) as stop:
        next(stage.plan(ranking))
    return stop.value.value


def test_isotonic_follows_a_curve_that_no_logistic_line_can() -> None:
    draw = np.random.default_rng(3)
    lists = []
    for _ in range(300):
        scores = np.sort(draw.uniform(0, 1, 20))[::-1]
        relevant = draw.random(20) < np.where(scores > 0.6, 0.5, 0.1)
        lists.append(list(zip(scores.tolist(), relevant.tolist(), strict=True)))
    step = made(lists, "isotonic", PROBABILITY)
    assert isinstance(step.fitted, Isotonic)
    assert step.fitted.probabilities([0.3, 0.8], PROBABILITY) == pytest.approx([0.1, 0.5], abs=0.06)
    line = made(lists, "platt", PROBABILITY)
    assert step.report["brier"] < line.report["brier"]


def test_what_stands_first_counts_where_scores_of_different_queries_do_not_compare() -> None:
    draw = np.random.default_rng(5)
    lists = []
    for _ in range(300):
        scores = np.sort(draw.normal(draw.normal(scale=20), 1.0, 20))[::-1]
        lists.append([(score, place < 2) for place, score in enumerate(scores.tolist())])
    placed, line = made(lists, "in_list", FUSION), made(lists, "platt", FUSION)
    assert isinstance(placed.fitted, InList)
    assert placed.report["brier"] < line.report["brier"] / 5
    assert DynamicK("calibrated").policy.count(np.array(placed.fitted.probabilities(scores.tolist(), FUSION))) == 2


def test_isotonic_never_says_never() -> None:
    fitted = made(logits(100, slope=40.0, intercept=0.0), "isotonic").fitted
    assert 0 < fitted.probabilities([-99.0], LOGIT)[0] < fitted.probabilities([99.0], LOGIT)[0] < 1


@pytest.mark.parametrize(("queries", "n"), [(9, 21), (19, 50)])
def test_too_few_labels_are_said_and_the_scale_is_used_instead(queries: int, n: int) -> None:
    artefact = made(logits(queries, n), "platt")
    assert artefact.fitted == Unit()
    assert artefact.notes == (
        f"{queries * n} labelled pairs of {queries} queries are too few (200 of 20): "
        "scores are mapped to 0..1 by their scale instead",
    )


def test_isotonic_with_few_pairs_becomes_platt() -> None:
    artefact = made(logits(30), "isotonic")
    assert isinstance(artefact.fitted, Platt)
    assert artefact.notes == ("600 labelled pairs are too few for isotonic (1000): platt is used instead",)


def test_labels_that_teach_nothing_are_said() -> None:
    upside_down = [[(-score, relevant) for score, relevant in found] for found in logits(50)]
    assert "scores do not rise with relevance" in made(upside_down, "platt").notes[0]
    none = [[(score, False) for score, _ in found] for found in logits(50)]
    for method in ("platt", "isotonic"):
        artefact = made(none, method)
        assert artefact.fitted == Unit()
        assert "0 of 1000 pairs are relevant" in artefact.notes[0]


def test_candidates_without_a_score_and_queries_without_a_judgement_are_left_out() -> None:
    lists = logits(50)
    lists[0] = [(None, True), *lists[0]]
    rankings, dataset = labelled(lists)
    del dataset.qrels["q1"]  # type: ignore[attr-defined]
    artefact = fit(rankings, dataset, scorer=SCORER)
    assert (artefact.queries, artefact.pairs) == (49, 980)


# Temperature and conformal thresholds


def test_the_temperature_recovers_the_one_labels_were_drawn_with() -> None:
    draw = np.random.default_rng(4)
    lists = []
    for _ in range(2_000):
        scores = np.sort(draw.normal(size=10))[::-1]
        odds = np.exp(scores / 0.4)
        drawn = draw.choice(10, p=odds / odds.sum())
        lists.append([(score, place == drawn) for place, score in enumerate(scores.tolist())])
    artefact = made(lists, "temperature", UNKNOWN)
    assert isinstance(artefact.fitted, Temperature)
    assert artefact.fitted.temperature == pytest.approx(0.4, rel=0.12)
    assert artefact.report["ece"] < artefact.report["ece_unfitted"]
    assert SoftmaxMass(fitted=artefact).count(np.array([1.0, 0.0])) == 1


def test_a_temperature_from_few_queries_is_the_spread_of_each_list() -> None:
    artefact = made(logits(10), "temperature")
    assert artefact.fitted == Temperature(None)
    assert "are too few (20): the spread of each list is used instead" in artefact.notes[0]


def test_conformal_thresholds_are_the_relevant_scores_and_cover_new_queries() -> None:
    rankings, dataset = labelled(logits(300))
    artefact = fit(rankings, dataset, "conformal", scorer=SCORER)
    assert isinstance(artefact.fitted, Conformal)
    assert len(artefact.fitted.scores) == artefact.relevant
    level = artefact.fitted.threshold(0.1)
    assert level is not None
    fresh = [pair for found in logits(300, seed=8) for pair in found]
    kept = fmean(score >= level for score, relevant in fresh if relevant)
    m, new = artefact.relevant, sum(relevant for _, relevant in fresh)
    assert kept == pytest.approx(0.9, abs=3 * math.sqrt(0.09 / m + 0.09 / new))


# Abstention


def queries(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Score vectors of 10 with 1 to 5 relevant ones, which stand out more the easier the query; and their AP."""
    draw = np.random.default_rng(seed)
    vectors, qualities = [], []
    for _ in range(count):
        easy = draw.uniform(0, 2.5)
        relevant = np.arange(10) < draw.integers(1, 6)
        scores = draw.normal(size=10) + easy * relevant
        order = np.argsort(-scores)
        hits = relevant[order]
        qualities.append(float((np.cumsum(hits) / np.arange(1, 11))[hits].mean()))
        vectors.append(scores[order])
    return vectors, np.array(qualities)


def fitted(method: str, vectors: list[np.ndarray], values: np.ndarray, **options: Any) -> Artefact:
    rankings, dataset = labelled([[(float(s), False) for s in vector] for vector in vectors])
    quality = dict(zip(rankings, values.tolist(), strict=True))
    return fit(rankings, dataset, method, scorer=SCORER, quality=quality, **options)


@pytest.fixture(scope="module")
def simulated() -> dict[str, float]:
    """nAUC on 300 queries of each confidence fitted on 1200 others, mean of 4 draws."""
    found: dict[str, list[float]] = {}
    for seed in range(4):
        reference, (vectors, values) = queries(1200, 10 + seed), queries(300, 50 + seed)
        for method in ("max", "std", "gap", "stacked", "linear", "logistic", "mahalanobis"):
            confidence = fitted(method, *reference).fitted.confidence
            found.setdefault(method, []).append(nauc([confidence.of(v) for v in vectors], values.tolist()))
    return {method: fmean(values) for method, values in found.items()}


def test_a_regression_on_the_scores_is_at_least_as_good_as_the_best_simple_confidence(
    simulated: dict[str, float],
) -> None:
    assert simulated["linear"] >= max(simulated[method] for method in ("max", "std", "gap"))
    assert simulated["stacked"] >= max(simulated[method] for method in ("max", "std", "gap"))
    assert min(simulated[method] for method in ("max", "std", "logistic", "mahalanobis")) > 0.2


def test_a_stacked_confidence_learns_which_of_the_simple_ones_counts() -> None:
    vectors, _ = queries(400, 7)
    gaps = np.array([vector[0] - vector[1] for vector in vectors])
    by_gap = fitted("stacked", vectors, (gaps > np.median(gaps)).astype(float)).fitted.confidence
    fresh, _ = queries(200, 8)
    sure = [by_gap.of(vector) for vector in fresh]
    assert all(0 < one < 1 for one in sure)
    assert auroc(sure, [bool(vector[0] - vector[1] > np.median(gaps)) for vector in fresh]) > 0.97


def test_a_confidence_that_is_the_quality_is_perfect_and_a_constant_one_useless() -> None:
    _, values = queries(300, 1)
    assert nauc(values.tolist(), values.tolist()) == pytest.approx(1.0, abs=0.02)
    assert nauc([0.5] * 300, values.tolist()) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(nauc([0.1, 0.2, 0.3], [1.0, 1.0, 1.0]))


@pytest.mark.parametrize("method", ["max", "linear"])
@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_the_rate_asked_for_is_met_on_new_queries(method: str, rate: float) -> None:
    artefact = fitted(method, *queries(1000, 2), rate=rate)
    vectors, _ = queries(1000, 3)
    assert artefact.fitted.threshold is not None
    silent = fmean(artefact.fitted.confidence.of(v) < artefact.fitted.threshold for v in vectors)
    assert silent == pytest.approx(rate, abs=0.04)
    assert artefact.report["rate"] == pytest.approx(rate, abs=0.002)


def test_the_quality_asked_for_is_met_on_new_queries_at_the_least_abstention() -> None:
    artefact = fitted("linear", *queries(1000, 4), target=0.8)
    vectors, values = queries(1000, 5)
    assert artefact.fitted.threshold is not None
    kept = np.array([artefact.fitted.confidence.of(v) >= artefact.fitted.threshold for v in vectors])
    assert values.mean() < 0.76
    assert values[kept].mean() == pytest.approx(0.8, abs=0.03)
    assert kept.mean() > 0.5
    assert artefact.report["quality_answered"] >= 0.8


def test_a_quality_that_is_met_without_abstaining_or_never_met_is_said() -> None:
    assert fitted("linear", *queries(100, 6), target=0.1).fitted.threshold is None
    never = fitted("linear", *queries(100, 6), target=1.5)
    assert "no threshold reaches a mean of 1.5: that of the best" in never.notes[0]


def test_few_queries_fall_back_to_a_confidence_that_needs_no_labels() -> None:
    vectors, values = queries(19, 7)
    artefact = fitted("linear", vectors, values)
    assert artefact.fitted.confidence == Max()
    assert artefact.notes == ("19 queries are too few for linear (20): max is used instead",)
    rankings, dataset = labelled([[(float(s), False) for s in v] for v in vectors], replace(LOGIT, kind="fusion"))
    quality = dict(zip(rankings, values.tolist(), strict=True))
    assert fit(rankings, dataset, "linear", scorer=SCORER, quality=quality).fitted.confidence == Gap()


def test_queries_all_of_one_quality_never_abstain() -> None:
    vectors, _ = queries(50, 8)
    artefact = fitted("linear", vectors, np.ones(50))
    assert artefact.fitted == Abstention(Max(), None)
    assert "same quality" in artefact.notes[0]


@pytest.mark.parametrize("method", ["linear", "logistic", "mahalanobis"])
def test_odd_qualities_and_scores_can_be_fitted(method: str) -> None:
    vectors, _ = queries(30, 9)
    one_bad = np.array([0.0] + [1.0] * 29)
    assert np.isfinite(fitted(method, vectors, one_bad).fitted.confidence.of(vectors[0]))
    constant = [np.full(10, 2.0)] * 15 + vectors[:15]
    assert np.isfinite(fitted(method, constant, np.arange(30) / 30).fitted.confidence.of(vectors[0]))
    short = [v[: 1 + i % 4] for i, v in enumerate(vectors)]
    confidence = fitted(method, short, np.arange(30) / 30, k=10).fitted.confidence
    assert len((confidence.fitted if isinstance(confidence, Shrunk) else confidence).centre) == 4


@pytest.mark.parametrize("method", ["linear", "logistic"])
def test_a_regression_gives_way_to_a_simple_confidence_as_far_as_that_costs_nothing(method: str) -> None:
    """Labels that are noise, and labels that only the third score tells."""
    vectors, _ = queries(120, 12)
    noise = fitted(method, vectors, np.random.default_rng(0).random(120)).fitted.confidence
    assert isinstance(noise, Shrunk)
    assert noise.share >= 0.5
    third = fitted(method, vectors, np.array([-vector[2] for vector in vectors])).fitted.confidence
    assert isinstance(third, Shrunk)
    assert third.share <= 0.25


def test_unanswerable_queries_count_as_quality_zero() -> None:
    lists = [[(3.0, True), (0.0, False)]] * 30 + [[(0.5, False), (0.0, False)]] * 30
    artefact = made(lists, "linear", quality="nDCG@10", rate=0.5)
    confidence = artefact.fitted.confidence
    assert isinstance(confidence, Shrunk)
    assert isinstance(confidence.fitted, Linear)
    assert artefact.report["quality"] == pytest.approx(0.5)
    assert artefact.report["quality_answered"] == pytest.approx(1.0)
    assert artefact.report["nauc"] > 0.85


def test_the_artefact_survives_its_file_and_abstains_as_fitted(tmp_path: Any) -> None:
    from tamis import Abstain

    for method in ("linear", "logistic", "mahalanobis"):
        artefact = fitted(method, *queries(60, 11), rate=0.2)
        artefact.write(tmp_path / "fit.json")
        assert Artefact.read(tmp_path / "fit.json") == artefact
        assert SCORER | Abstain(tmp_path / "fit.json")


# Refusals


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "plat"}, "unknown calibration method 'plat'. Did you mean 'platt'"),
        ({"method": "linear", "rate": 0.1, "target": 0.5}, "a rate or a target, not both"),
        ({"method": "linear", "rate": 5}, "rate is a share of queries, 0 to 1, got 5"),
        ({"method": "linear", "quality": {"q0": 1.0}}, "quality has no number for 29 queries, such as 'q1'"),
        ({"method": "linear", "quality": "ndgc"}, "unknown metric 'ndgc'"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        made(logits(30), **options)


def test_a_pipeline_that_ends_with_a_cut_is_told_that_the_fit_saw_only_what_it_kept() -> None:
    artefact = made(logits(50), scorer=SCORER | TopN(20) | DynamicK())
    assert artefact.notes == ("only what TopN and DynamicK kept was seen: fit to rankings of the stages in front",)
    assert artefact.scorer == scorer_id(SCORER)


def test_rankings_without_scores_or_of_two_scales_are_refused() -> None:
    ordinal, dataset = labelled(logits(30), ORDINAL)
    with pytest.raises(ConfigError, match="scores of one scale, got ordinal"):
        fit(ordinal, dataset, scorer=Listwise(CostOnly()))
    rankings, dataset = labelled(logits(30))
    mixed = {**rankings, "q0": replace(rankings["q0"], scale=UNKNOWN)}
    with pytest.raises(ConfigError, match="one scale, got logit, unknown"):
        fit(mixed, dataset, scorer=Lexical() | TopN(3))
    with pytest.raises(ConfigError, match="got no candidates"):
        fit({}, dataset, scorer=SCORER)


def test_applying_what_was_fitted_needs_no_scikit_learn(tmp_path: Any) -> None:
    made(logits(60), "isotonic", scorer=Lexical()).write(tmp_path / "platt.json")
    fitted("linear", *queries(60, 11)).write(tmp_path / "linear.json")
    code = f"""
import sys
for name in ("sklearn", "scipy", "ir_measures", "pandas"): sys.modules[name] = None
from tamis import Abstain, Calibrate, DynamicK
from tamis.values.scale import LOGIT
from tamis.values.ranking import Ranking
stage = Calibrate("{tmp_path}/platt.json") | DynamicK("expected_f", k_min=0)
ranking = Ranking.of("q", [{{"text": "a", "score": 2.5}}, {{"text": "b", "score": -3.0}}], scale=LOGIT)
from tamis import Engine
print(Engine().rerank_many(stage, [ranking])[0].positions)
print(Engine().rerank_many(Abstain("{tmp_path}/linear.json"), [ranking])[0].confidence is not None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["(0,)", "True"]
