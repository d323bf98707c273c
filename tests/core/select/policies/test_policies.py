"""Policies: published values, what each does not depend on, where each says nothing, and which scores it refuses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tamis.errors import ConfigError, ScaleError
from tamis.select.calibrate.artefact import Artefact
from tamis.select.calibrate.calibration import Conformal, Temperature
from tamis.select.policies.base import POLICIES, Policy
from tamis.select.policies.gaps import LargestGap, Spike
from tamis.select.policies.mass import SoftmaxMass, softmax
from tamis.select.policies.shapes import Knee, TailTest
from tamis.select.policies.thresholds import AtLeast, Calibrated, ConformalRecall, Fixed, NearBest, RatioToBest, ZScore
from tamis.select.policies.utility import ExpectedF, ExpectedUtility, expected_f
from tamis.values.scale import COSINE, FUSION, LEXICAL, LOGIT, ORDINAL, PROBABILITY, UNKNOWN

PUBLISHED = np.array([0.92, 0.90, 0.88, 0.61, 0.60, 0.58, 0.57, 0.30, 0.29, 0.28])
ARTEFACT = Artefact("lexical #0", "unknown", Conformal(tuple(float(n) for n in range(1, 20))))

POLICIES_MADE: tuple[Policy, ...] = (
    Fixed(3),
    LargestGap(),
    LargestGap(tail=0.0, head=0.1, guard=0.0, buffer=2, window=3),
    Spike(),
    SoftmaxMass(),
    SoftmaxMass(0.5, temperature=2.0),
    AtLeast(0.3),
    Calibrated(),
    ConformalRecall(ARTEFACT, 0.2),
    ExpectedUtility(),
    ExpectedF(beta=2.0),
    RatioToBest(),
    NearBest(0.5),
    ZScore(),
    Knee(),
    TailTest(),
)
policies = pytest.mark.parametrize("policy", POLICIES_MADE, ids=repr)
NEITHER = {"LargestGap", "Spike", "ZScore", "Knee", "TailTest", "Fixed"}
"""Depend on neither shift nor scale. So does SoftmaxMass without a temperature."""

scores = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60).map(
    lambda found: np.array(sorted(found, reverse=True))
)
levels = st.lists(st.integers(-200, 200), min_size=1, max_size=60).map(lambda found: np.array(sorted(found, reverse=True)) / 16)  # fmt: skip
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=9).map(
    lambda found: np.array(sorted(found, reverse=True))
)


def test_every_policy_of_the_catalog_is_tested() -> None:
    assert {POLICIES.name_of(type(policy)) for policy in POLICIES_MADE} == set(POLICIES.members)


@policies
@given(found=scores)
def test_a_policy_keeps_between_none_and_all_of_any_finite_scores(policy: Policy, found: np.ndarray) -> None:
    with np.errstate(all="raise", under="ignore"):
        count = policy.count(np.clip(found, 0, 1) if "logit" not in policy.accepts else found)
    assert isinstance(count, int)
    assert 0 <= count <= len(found)


@policies
@given(found=levels, shift=st.integers(-64, 64), power=st.integers(-20, 20))
def test_what_a_policy_does_not_depend_on(policy: Policy, found: np.ndarray, shift: int, power: int) -> None:
    if type(policy).__name__ in NEITHER or policy == SoftmaxMass():
        assert policy.count(found * 2.0**power) == policy.count(found)
        assert policy.count(found + shift) == policy.count(found)
    if isinstance(policy, RatioToBest):
        assert policy.count(found * 2.0**power) == policy.count(found)
    if isinstance(policy, NearBest) or (isinstance(policy, SoftmaxMass) and policy.temperature):
        assert policy.count(found + shift) == policy.count(found)


def test_a_ratio_depends_on_shift_and_a_distance_on_scale() -> None:
    found = np.array([1.0, 0.5])
    assert (RatioToBest().count(found), RatioToBest().count(found + 10)) == (1, 2)
    assert (NearBest(0.5).count(found), NearBest(0.5).count(found * 10)) == (2, 1)
    assert (AtLeast(0.6).count(found), AtLeast(0.6).count(found + 10), AtLeast(0.6).count(found * 10)) == (1, 2, 2)


@policies
@pytest.mark.parametrize("scale", [UNKNOWN, ORDINAL, FUSION, LEXICAL, PROBABILITY, LOGIT, COSINE], ids=lambda s: s.kind)
def test_a_policy_reads_the_scales_it_declares_and_refuses_the_others_with_a_remedy(
    policy: Policy, scale: object
) -> None:
    if scale.kind in policy.reads:  # type: ignore[attr-defined]
        policy.check(scale)  # type: ignore[arg-type]
    else:
        with pytest.raises(ScaleError, match=rf"it gets {scale.kind} scores\. (Put|They|Its artefact)"):  # type: ignore[attr-defined]
            policy.check(scale)  # type: ignore[arg-type]


@policies
def test_only_a_fixed_number_takes_ordinal_scores(policy: Policy) -> None:
    assert ("ordinal" in policy.accepts) == isinstance(policy, Fixed)


def test_an_ordinal_ranking_is_told_what_to_put_in_front() -> None:
    with pytest.raises(ScaleError, match="policy largest_gap needs scores of any scale but ordinal; it gets ordinal scores. Put a stage that scores in front, such as CrossEncoder"):  # fmt: skip
        LargestGap().check(ORDINAL)
    with pytest.raises(ScaleError, match="policy expected_f needs probability scores; it gets logit scores. Put Calibrate in front"):  # fmt: skip
        ExpectedF().check(LOGIT)
    with pytest.raises(ScaleError, match="compare only within one query: put Calibrate in front, or use 'largest_gap'"):
        AtLeast(0.5).check(LEXICAL)


# Largest gap


@pytest.mark.parametrize("tail", [0.0, 0.5])
def test_of_two_gaps_equal_up_to_rounding_the_first_counts(tail: float) -> None:
    gaps = -np.diff(PUBLISHED)
    assert gaps[2] == pytest.approx(gaps[6])
    assert LargestGap(tail=tail).count(PUBLISHED) == 3
    later = PUBLISHED.copy()
    later[7:] -= 1e-4
    assert LargestGap(tail=0.0).count(later) == 7


def test_head_and_tail_are_not_looked_at() -> None:
    assert LargestGap(tail=0.0, head=0.4).count(PUBLISHED) == 7
    low = np.array([1.0, 0.99, 0.98, 0.97, 0.96, 0.0])
    assert LargestGap(tail=0.0).count(low) == 5
    assert LargestGap(tail=0.5, guard=0.0, fallback=6).count(low) <= 3
    with pytest.raises(ConfigError, match=r"head 0\.5 and tail 0\.5 leave no gap"):
        LargestGap(head=0.5, tail=0.5)


@pytest.mark.parametrize("found", [np.linspace(1, 0, 12), np.full(12, 0.4)], ids=["linear", "flat"])
def test_a_flat_or_linear_list_has_no_gap_and_falls_back(found: np.ndarray) -> None:
    assert LargestGap(fallback=4).count(found) == 4
    assert LargestGap(fallback=40).count(found) == 12


def test_the_buffer_is_kept_behind_the_gap() -> None:
    assert LargestGap(buffer=5).count(PUBLISHED) == 8
    assert LargestGap(buffer=50).count(PUBLISHED) == 10


@pytest.mark.parametrize("k", range(3, 12))
def test_a_moving_average_finds_the_same_clean_step(k: int) -> None:
    step = np.array([1.0] * k + [0.0] * (14 - k))
    assert LargestGap(tail=0.0).count(step) == k
    assert LargestGap(tail=0.0, window=3).count(step) == k


def test_a_moving_average_overlooks_one_outlier_at_the_top() -> None:
    outlier = np.array([2.0, 1.02, 1.01, 1.0, 0.99, 0.98, 0.35, 0.33, 0.32, 0.30, 0.28, 0.27, 0.26])
    assert LargestGap(tail=0.0).count(outlier) == 1
    assert LargestGap(tail=0.0, head=0.1, window=3).count(outlier) == 6


def test_a_spike_is_a_drop_larger_than_both_neighbours() -> None:
    assert Spike().count(PUBLISHED) == 3
    assert Spike().count(np.array([1.0, 0.9, 0.6, 0.55, 0.1, 0.0])) == 2
    convex = np.array([1.0, 0.4, 0.2, 0.1, 0.05])
    assert Spike().count(convex) == LargestGap().count(convex)


@pytest.mark.parametrize("policy", [LargestGap(), Spike(), SoftmaxMass(), ZScore(), Knee(), TailTest()], ids=repr)
def test_one_score_is_kept(policy: Policy) -> None:
    assert policy.count(np.array([3.0])) == 1


# Softmax mass


@pytest.mark.parametrize(("temperature", "k"), [(1.0, 8), (0.1, 3), (0.05, 3)])
def test_softmax_mass_of_the_published_list(temperature: float, k: int) -> None:
    assert SoftmaxMass(0.8, temperature=temperature).count(PUBLISHED) == k


@given(n=st.integers(1, 200), p=st.floats(0.01, 1))
def test_a_hot_softmax_keeps_the_share_of_the_list(n: int, p: float) -> None:
    found = np.linspace(1, 0, n)
    assume(abs(p * n - round(p * n)) > 1e-6 or p == 1)
    assert SoftmaxMass(p, temperature=1e12).count(found) == math.ceil(p * n - 1e-9)


def test_the_share_of_a_hot_softmax_is_exact_where_it_divides_evenly() -> None:
    assert SoftmaxMass(0.8, temperature=1e12).count(PUBLISHED) == 8


@given(found=levels)
def test_a_higher_temperature_never_keeps_less(found: np.ndarray) -> None:
    counts = [SoftmaxMass(0.8, temperature=t).count(found) for t in (0.01, 0.1, 1.0, 10.0, 1000.0)]
    assert counts == sorted(counts)


def test_without_a_temperature_the_spread_of_the_list_is_used() -> None:
    assert softmax(PUBLISHED, None) == pytest.approx(softmax(PUBLISHED, float(PUBLISHED.std())))
    fitted = Artefact("x", "unknown", Temperature(0.1))
    assert SoftmaxMass(0.8, fitted=fitted).count(PUBLISHED) == 3
    with pytest.raises(ConfigError, match="not both"):
        SoftmaxMass(temperature=1.0, fitted=fitted)


# Thresholds


def test_thresholds_are_inclusive() -> None:
    assert AtLeast(0.58).count(PUBLISHED) == 6
    assert NearBest(0.25).count(np.array([1.0, 0.75, 0.5])) == 2
    assert RatioToBest(0.5).count(np.array([1.0, 0.5, 0.25])) == 2


def test_a_calibrated_threshold_follows_the_costs() -> None:
    assert Calibrated().count(PUBLISHED) == 7
    assert Calibrated(noise=1.0, miss=4.0).count(np.array([0.5, 0.2, 0.19])) == 2
    assert Calibrated(0.9).count(PUBLISHED) == 2


@given(found=probabilities, noise=st.integers(1, 9), miss=st.integers(1, 9))
def test_a_calibrated_threshold_has_the_least_expected_cost(found: np.ndarray, noise: int, miss: int) -> None:
    def cost(k: int) -> float:
        return float(noise * (1 - found[:k]).sum() + miss * found[k:].sum())

    best = min(map(cost, range(len(found) + 1)))
    assert cost(Calibrated(noise=noise, miss=miss).count(found)) == pytest.approx(best, abs=1e-9)


def test_a_conformal_threshold_keeps_what_reaches_it_and_all_where_labels_are_too_few() -> None:
    assert ConformalRecall(ARTEFACT, 0.1).count(np.array([9.0, 2.0, 1.9])) == 2
    few = Artefact("x", "unknown", Conformal(tuple(float(n) for n in range(8))))
    assert ConformalRecall(few, 0.1).count(np.array([9.0, -5.0])) == 2


def test_a_ratio_keeps_nothing_where_nothing_is_above_zero() -> None:
    assert RatioToBest().count(np.array([0.0, 0.0])) == 0
    assert RatioToBest().count(np.array([-1.0, -2.0])) == 0


def test_outliers_are_kept_and_short_or_flat_lists_whole() -> None:
    assert ZScore().count(np.array([9.0, 8.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])) == 2
    assert ZScore().count(np.array([9.0, 1.0, 1.0, 1.0])) == 4
    assert ZScore().count(np.full(9, 2.0)) == 9


# Utility


@given(found=probabilities, cost=st.floats(0, 1))
def test_the_expected_utility_is_maximal(found: np.ndarray, cost: float) -> None:
    utilities = [float((found[:k] - cost).sum()) for k in range(len(found) + 1)]
    assert utilities[ExpectedUtility(cost).count(found)] == pytest.approx(max(utilities), abs=1e-12)


def by_enumeration(found: np.ndarray, beta: float) -> list[float]:
    means = [0.0] * (len(found) + 1)
    for truth in itertools.product((0, 1), repeat=len(found)):
        likely = math.prod(p if relevant else 1 - p for p, relevant in zip(found, truth, strict=True))
        for k in range(len(found) + 1):
            hits, relevant = sum(truth[:k]), sum(truth)
            if not k:
                means[k] += likely * (not relevant)
            else:
                means[k] += likely * (1 + beta**2) * hits / (k + beta**2 * relevant)
    return means


@given(found=probabilities, beta=st.sampled_from([0.5, 1.0, 2.0]))
def test_the_expected_f_is_that_of_all_outcomes(found: np.ndarray, beta: float) -> None:
    assert expected_f(found, beta) == pytest.approx(by_enumeration(found, beta), abs=1e-9)


def test_the_expected_f_of_sure_and_of_unlikely_candidates() -> None:
    assert ExpectedF().count(np.array([1.0, 1.0, 0.0, 0.0])) == 2
    assert ExpectedF().count(np.array([0.01, 0.01, 0.01])) == 0
    assert ExpectedF(beta=3.0).count(PUBLISHED) > ExpectedF(beta=0.3).count(PUBLISHED)


@pytest.mark.parametrize("n", [1_000, 10_000])
def test_the_expected_f_of_many_is_near_the_ratio_of_means(n: int) -> None:
    found = np.linspace(1, 0, n) ** 4
    ratio = 2 * np.cumsum(found) / (np.arange(1, n + 1) + found.sum())
    assert expected_f(found)[1:] == pytest.approx(ratio, abs=0.005)


# Shapes


@pytest.mark.parametrize("k", range(1, 9))
def test_the_knee_of_a_step_is_where_it_falls(k: int) -> None:
    assert Knee().count(np.array([1.0] * k + [0.0] * (10 - k))) == k


def test_a_straight_curve_has_no_knee() -> None:
    assert Knee().count(np.linspace(5, 1, 9)) == 9
    assert Knee().count(np.full(9, 2.0)) == 9


def tail_counts(relevant: int, n: int = 100, runs: int = 200) -> list[int]:
    draw = np.random.default_rng(5)
    found = []
    for _ in range(runs):
        values = draw.normal(size=n)
        values[:relevant] += 8
        found.append(TailTest().count(np.sort(values)[::-1]))
    return found


def test_a_tail_test_finds_what_stands_out_and_seldom_anything_where_nothing_does() -> None:
    assert np.mean([count > 0 for count in tail_counts(0)]) <= 0.06
    assert np.mean([abs(count - 5) <= 1 for count in tail_counts(5)]) >= 0.95


def test_a_tail_test_says_nothing_of_short_or_flat_lists() -> None:
    assert TailTest().count(np.array([99.0] + [0.0] * 28)) == 29
    assert TailTest().count(np.array([99.0] + [0.0] * 60)) == 61
