"""From scores to probabilities: the arithmetic, and what conformal thresholds promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, FirstStage, Ranking
from tamis.errors import ConfigError
from tamis.evaluate.reliability import bins, brier, ece
from tamis.select.calibrate.artefact import Artefact
from tamis.select.calibrate.calibration import Calibrate, Calibration, Conformal, Isotonic, Platt, Unit
from tamis.select.calibrate.in_list import InList
from tamis.values.scale import COSINE, LOGIT, PROBABILITY, UNKNOWN

numbers = st.floats(allow_nan=False, allow_infinity=False)
IN_LIST = InList(score=-0.5, rank=-1.0, gap=0.25, level=2.0, intercept=-1.0)
CALIBRATIONS = (Platt(2.0, -1.0), Platt(0.0, 0.5), Isotonic((-1.0, 0.0, 3.0), (0.1, 0.4, 0.9)), Unit(), IN_LIST)


def made(
    fitted: Calibration, scores: list[float | None], scale: object = UNKNOWN, notes: tuple[str, ...] = ()
) -> Ranking:
    artefact = Artefact("incoming", scale.kind, fitted, notes=notes)  # type: ignore[attr-defined]
    given_ = Ranking.of("q", [Candidate("", score=score) for score in scores], scale=scale)  # type: ignore[arg-type]
    with pytest.raises(StopIteration) as stop:
        next(Calibrate(artefact).plan(given_))
    return stop.value.value


def test_platt_and_isotonic_by_hand() -> None:
    assert Platt(2.0, -1.0).probabilities([0.5, 10.0], LOGIT) == [0.5, pytest.approx(1 / (1 + math.exp(-19)))]
    line = Isotonic((0.0, 2.0), (0.2, 0.6))
    assert line.probabilities([-5.0, 0.0, 1.0, 2.0, 9.0], LOGIT) == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.6])
    assert Unit().probabilities([-0.5, 0.7], COSINE) == [0.0, 0.7]


def test_in_list_by_hand() -> None:
    found = InList(0.5, -1.0, 0.25, 2.0, -1.0).probabilities([1.0, 3.0, 1.0], LOGIT)
    level = 1 / math.sqrt(2 / 9)
    first = 0.5 * 3 + 2 * level - 1
    second = 0.5 - math.log(2) + 0.25 * 2 - 1
    assert found == pytest.approx([1 / (1 + math.exp(-x)) for x in (second, first, second)])
    assert InList(1.0, 1.0, 1.0, 1.0, 1.0).probabilities([], LOGIT) == []


@pytest.mark.parametrize("fitted", CALIBRATIONS, ids=repr)
@given(scores=st.lists(st.one_of(st.none(), numbers), max_size=9))
def test_scores_become_probabilities_in_the_same_order_and_none_stays_none(
    fitted: Calibration, scores: list[float | None]
) -> None:
    found = made(fitted, scores)
    assert found.scale == PROBABILITY
    assert found.positions == tuple(range(len(scores)))
    pairs = [(before, r.score) for before, r in zip(scores, found.kept, strict=True)]
    assert all((after is None) == (before is None) for before, after in pairs)
    rising = [after for before, after in sorted((p for p in pairs if p[0] is not None), key=lambda p: p[0])]  # type: ignore[arg-type, return-value]
    assert all(after is not None and 0 <= after <= 1 for after in rising)
    assert rising == sorted(rising)  # type: ignore[type-var]


def test_a_calibration_that_was_not_fitted_says_so_in_every_ranking() -> None:
    found = made(Unit(), [0.3, 0.1], notes=("12 labelled pairs are too few",))
    assert str(found.warnings[0]) == "Calibrate: not fitted (12 labelled pairs are too few)"
    assert not found.degraded
    assert not made(Platt(1.0, 0.0), [0.3]).warnings


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Platt(slope=-1.0, intercept=0.0), "slope"),
        (lambda: Isotonic((), ()), "as many values as scores: 0 and 0"),
        (lambda: Isotonic((1.0, 0.0), (0.1, 0.2)), "rising order"),
        (lambda: Isotonic((0.0, 1.0), (0.3, 0.2)), "rising order"),
        (lambda: Isotonic(scores=(0.0,), values=(1.2,)), "values"),
    ],
)
def test_a_calibration_that_would_turn_the_order_round_is_refused(make: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(("m", "threshold"), [(19, 2.0), (9, 1.0), (8, None), (0, None)])
def test_the_conformal_threshold_of_the_published_counts(m: int, threshold: float | None) -> None:
    assert Conformal(tuple(float(n) for n in range(1, m + 1))).threshold(0.1) == threshold


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("m", [30, 199])
def test_a_relevant_candidate_reaches_the_conformal_threshold_as_often_as_promised(alpha: float, m: int) -> None:
    """Coverage lies in 1 - alpha .. 1 - alpha + 1 / (m + 1), whatever the distribution of scores."""
    draw = np.random.default_rng(1)
    runs = 4_000
    scores = draw.standard_cauchy((runs, m)) + 3
    new = draw.standard_cauchy(runs) + 3
    levels = [Conformal(tuple(np.sort(row).tolist())).threshold(alpha) for row in scores]
    covered = np.mean([level is None or score >= level for level, score in zip(levels, new, strict=True)])
    sampling = 3 * math.sqrt(alpha * (1 - alpha) / runs)
    assert 1 - alpha - sampling <= covered <= 1 - alpha + 1 / (m + 1) + sampling


def test_calibration_error_by_hand() -> None:
    p, y = [0.05, 0.05, 0.95, 0.95], [0, 1, 1, 1]
    assert [(b.low, b.count, b.observed) for b in bins(p, y)] == [(0.0, 2, 0.5), (0.9, 2, 1.0)]
    assert ece(p, y) == pytest.approx((2 * 0.45 + 2 * 0.05) / 4)
    assert brier(p, y) == pytest.approx((0.05**2 + 0.95**2 + 2 * 0.05**2) / 4)
    assert bins([1.0], [1])[0].high == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_bins_hold_every_prediction_once(p: list[float], random: object) -> None:
    y = [random.randint(0, 1) for _ in p]  # type: ignore[attr-defined]
    found = bins(p, y)
    assert sum(b.count for b in found) == len(p)
    assert sum(b.count * b.observed for b in found) == pytest.approx(sum(y))
    assert 0 <= ece(p, y) <= 1


def test_calibrating_needs_no_scorer_in_front() -> None:
    artefact = Artefact("incoming", "unknown", Platt(1.0, 0.0))
    found = Calibrate(artefact).rerank("q", [{"text": "a", "score": 0.0}])
    assert found.kept[0].score == 0.5
    with pytest.raises(ConfigError, match="'incoming' but is used after 'first_stage"):
        FirstStage() | Calibrate(artefact)
