"""Keeping nothing: confidences by hand, what they do not depend on, and what is not taken for low confidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, CrossEncoder, DynamicK, FirstStage, Ranking, load
from tamis.errors import ConfigError, ScaleError
from tamis.models import Function
from tamis.select.calibrate.abstain import Abstain, Abstention
from tamis.select.calibrate.artefact import Artefact
from tamis.select.calibrate.confidence import Confidence, Gap, Linear, Logistic, Mahalanobis, Max, Stacked, Std, padded
from tamis.values.answers import Failure
from tamis.values.scale import LOGIT, ORDINAL, UNKNOWN

SHARED: dict[str, Any] = {"centre": (0.0, 0.0, 0.0), "spread": (1.0, 2.0, 1.0), "pad": -1.0}
LINEAR = Linear(**SHARED, weights=(0.0, 1.0, 3.0), intercept=0.5)
LOGISTIC = Logistic(**SHARED, weights=((0.0, 0.0, -1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), intercepts=(0.0, 0.0, 0.0))
EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
MAHALANOBIS = Mahalanobis(**SHARED, bad=(0.0, 0.0, 0.0), good=(1.0, 1.0, 1.0), bad_precision=EYE, good_precision=EYE)
STACKED = Stacked(max=2.0, std=1.0, gap=-1.0, intercept=-1.5)
ALL: tuple[Confidence, ...] = (Max(), Std(), Gap(), STACKED, LINEAR, LOGISTIC, MAHALANOBIS)
Z = np.array([0.2, 0.9, 0.5])


def test_the_published_confidences() -> None:
    assert Max().of(Z) == 0.9
    assert Gap().of(Z) == pytest.approx(0.4)
    assert Std().of(Z) == pytest.approx(0.2867, abs=1e-4)
    assert padded(Z, 3, 0.0).tolist() == [0.2, 0.5, 0.9]


def test_fitted_confidences_by_hand() -> None:
    assert LINEAR.of(Z) == pytest.approx(0.5 + 0.5 / 2 + 3 * 0.9)
    odds = np.exp([-0.9, 0.0, 0.9])
    assert LOGISTIC.of(Z) == pytest.approx((odds[2] - odds[0]) / odds.sum())
    x = np.array([0.2, 0.25, 0.9])
    assert MAHALANOBIS.of(Z) == pytest.approx(np.linalg.norm(x) - np.linalg.norm(x - 1))


@pytest.mark.parametrize("confidence", ALL, ids=lambda c: type(c).__name__)
@given(scores=st.lists(st.integers(-32, 32), min_size=1, max_size=9), random=st.randoms(use_true_random=False))
def test_the_order_of_scores_does_not_matter(confidence: Confidence, scores: list[int], random: Any) -> None:
    mixed = scores[:]
    random.shuffle(mixed)
    assert confidence.of(np.array(mixed) / 8) == pytest.approx(confidence.of(np.array(scores) / 8), abs=1e-12)


@given(
    scores=st.lists(st.integers(-32, 32), min_size=1, max_size=9), shift=st.integers(1, 99), power=st.integers(-9, 9)
)
def test_spread_and_gap_do_not_depend_on_shift_and_all_three_scale_with_the_scores(
    scores: list[int], shift: int, power: int
) -> None:
    z = np.array(scores, dtype=float)
    for confidence in (Std(), Gap()):
        assert confidence.of(z + shift) == pytest.approx(confidence.of(z), abs=1e-9)
    assert Max().of(z + shift) == Max().of(z) + shift
    for scaled in (Max(), Std(), Gap()):
        assert scaled.of(z * 2.0**power) == pytest.approx(scaled.of(z) * 2.0**power)


def test_fewer_scores_are_padded_with_the_least_of_the_reference_and_more_are_cut_to_the_best() -> None:
    assert LINEAR.features(np.array([0.5])).tolist() == [-1.0, -0.5, 0.5]
    assert LINEAR.of(np.array([9.0, 0.9, 8.0, 0.5])) == LINEAR.of(np.array([9.0, 8.0, 0.9]))
    assert padded(np.array([-5.0]), 2, -1.0).tolist() == [-5.0, -5.0]


@given(scores=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_any_finite_scores_give_a_confidence_or_keep_all(scores: list[float]) -> None:
    for confidence in ALL:
        found = abstained(Abstain(confidence=confidence, threshold=0.0), scores)
        assert sorted([*found.positions, *(d.position for d in found.dropped)]) == list(range(len(scores)))
        assert found.confidence is None or np.isfinite(found.confidence)
        assert found.abstained == (found.confidence is not None and found.confidence < 0)


def abstained(stage: Abstain, scores: list[Any], scale: Any = UNKNOWN) -> Ranking:
    given_ = Ranking.of("q", [Candidate("", score=score) for score in scores], scale=scale)
    with pytest.raises(StopIteration) as stop:
        next(stage.plan(given_))
    return stop.value.value


def test_below_the_threshold_all_are_dropped_as_abstained_with_the_confidence_told() -> None:
    low = abstained(Abstain(threshold=0.91), Z.tolist())
    assert (low.kept, low.abstained, low.confidence) == ((), True, 0.9)
    assert [(d.why, d.ranked.score) for d in low.dropped] == [("abstained", s) for s in Z]
    at = abstained(Abstain(threshold=0.9), Z.tolist())
    assert (len(at.kept), at.abstained, at.confidence) == (3, False, 0.9)


def test_with_no_threshold_the_confidence_is_only_told() -> None:
    assert abstained(Abstain(confidence="gap"), Z.tolist()).confidence == pytest.approx(0.4)
    assert len(abstained(Abstain(confidence="gap"), Z.tolist()).kept) == 3


def test_an_artefact_brings_confidence_and_threshold() -> None:
    artefact = Artefact("incoming", "unknown", Abstention(LINEAR, 4.0))
    assert abstained(Abstain(artefact), Z.tolist()).abstained
    assert not abstained(Abstain(Artefact("incoming", "unknown", Abstention(LINEAR, None))), Z.tolist()).abstained
    stage = Abstain(artefact)
    assert load(stage.to_data()) == stage
    with pytest.raises(ConfigError, match="an artefact or a threshold, not both"):
        Abstain(artefact, threshold=0.5)


def test_a_failed_judgement_is_not_low_confidence() -> None:
    def score(call: Any) -> Any:
        return Failure("error", "down") if call.text == "b" else -9.0

    stage = CrossEncoder(Function(score, "classify", scale=LOGIT)) | Abstain(threshold=0.0)
    found = stage.rerank("q", ["a", "b", "c"])
    assert len(found.kept) == 3
    assert not found.abstained
    assert found.confidence is None
    assert "some candidates were not judged" in str(found.warnings[-1])
    assert stage.rerank("q", ["b"]).kept
    assert stage.rerank("q", ["a", "c"]).abstained


def test_what_lies_beyond_a_stages_depth_is_no_failure() -> None:
    model = Function(lambda call: float(call.text), "classify", scale=LOGIT)
    found = (CrossEncoder(model, depth=2) | Abstain(threshold=5.0)).rerank("q", ["1", "2", "9"])
    assert (found.abstained, found.confidence) == (True, 2.0)


def test_nothing_found_is_no_abstention_and_ordinal_scores_are_refused() -> None:
    assert not abstained(Abstain(threshold=1.0), []).abstained
    with pytest.raises(ScaleError, match="Abstain needs .* it gets ordinal scores. Put a stage that scores in front"):
        abstained(Abstain(), [1.0], ORDINAL)


def test_a_policy_behind_an_abstention_brings_nothing_back() -> None:
    found = (FirstStage() | Abstain(threshold=2.0) | DynamicK(k_min=2)).rerank("q", [Candidate("a", score=1.0)])
    assert found.abstained
    assert not found.kept


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Linear(**SHARED, weights=(1.0,), intercept=0.0), "expected 3 numbers, one per score, got 1"),
        (lambda: Linear((0.0,), (1.0, 1.0), 0.0, (1.0,), 0.0), "same length, not 0, got 1 and 2"),
        (
            lambda: Linear(centre=(0.0,), spread=(0.0,), pad=0.0, weights=(1.0,), intercept=0.0),
            "spread.*greater than 0",
        ),
        (lambda: Abstain(confidence="mean"), "unknown confidence 'mean'"),
    ],
)
def test_impossible_confidences_are_refused(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
