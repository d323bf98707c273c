"""The fit of strengths against closed forms: where the mode lies, how wide it is, how much the prior weighs."""

from __future__ import annotations

import math
import random
from statistics import NormalDist
from typing import Literal

import pytest

from tamis.aggregation.fit import membership, strengths
from tamis.aggregation.pairs import bradley_terry, thurstone
from tamis.values.scale import sigmoid

Model = Literal["logistic", "normal"]


def below(gap: float) -> float:
    """Thurstone's chance that the first is the better, in the unit of zELO."""
    return 0.5 * (1 + math.erf(gap))


def slope(gap: float) -> float:
    return math.exp(-gap * gap) / math.sqrt(math.pi)


def test_normal_strengths_agree_with_a_general_optimiser() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = random.Random(3)
    compared = [(*rng.sample(range(6), 2), rng.random()) for _ in range(30)]

    def loss(e: list[float]) -> float:
        terms = (p * math.log(below(e[i] - e[j])) + (1 - p) * math.log(below(e[j] - e[i])) for i, j, p in compared)
        return 0.5 * 0.7 * sum(x * x for x in e) - sum(terms)

    found = optimize.minimize(loss, [0.0] * 6, tol=1e-10).x
    assert strengths(6, compared, model="normal", prior=0.7)[0] == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize(("model", "each"), [("logistic", 1 / 4), ("normal", 4 / math.pi)])
@pytest.mark.parametrize("times", [1, 6])
def test_the_spread_of_two_equals_is_that_of_their_information(model: Model, each: float, times: int) -> None:
    """`each`: what one comparison of equals tells, slope^2 / (p (1 - p)). The inverse of a 2 x 2 matrix by hand."""
    values, deviations = strengths(2, [(0, 1, 0.5)] * times, model=model, prior=0.3)
    weight = times * each
    variance = (0.3 + weight) / ((0.3 + weight) ** 2 - weight**2)
    assert values == pytest.approx([0, 0])
    assert deviations == pytest.approx([math.sqrt(variance)] * 2)


def test_the_spread_is_taken_where_the_strengths_are() -> None:
    values, deviations = strengths(2, [(0, 1, 1.0)], prior=0.3)
    chance = sigmoid(values[0] - values[1])
    weight = chance * (1 - chance)
    assert deviations[0] ** 2 == pytest.approx((0.3 + weight) / ((0.3 + weight) ** 2 - weight**2), rel=1e-5)


def test_at_the_mode_one_win_pulls_as_much_as_the_prior_holds() -> None:
    """Both are drawn towards 0 with precision 0.1; the derivative of the log-likelihood is equal to it."""
    strong, weak = bradley_terry(2, [(0, 1, 1.0)])
    assert 1 - sigmoid(strong - weak) == pytest.approx(0.1 * strong)
    strong, weak = thurstone(2, [(0, 1, 1.0)])
    assert slope(strong - weak) / below(strong - weak) == pytest.approx(0.1 * strong)


def test_a_thousand_wins_without_a_prior_stay_finite() -> None:
    for model in ("logistic", "normal"):
        values, deviations = strengths(2, [(0, 1, 1.0)] * 1000, model=model, prior=0)  # type: ignore[arg-type]
        assert values[0] > 2
        assert all(map(math.isfinite, [*values, *deviations]))


@pytest.mark.parametrize("deviation", [0.2, 1.0, 3.0])
def test_of_two_the_chance_to_be_first_is_the_normal_one_over_the_middle(deviation: float) -> None:
    chance = NormalDist(0, deviation).cdf(0.5)
    assert membership([1.0, 0.0], [deviation] * 2, 1) == pytest.approx([chance, 1 - chance], abs=1e-9)


def test_equals_have_one_half_each_and_the_sure_are_certain() -> None:
    """Two equal means: the threshold lies at the mean, so each has one half, whatever its spread."""
    assert membership([1.0, 1.0], [0.01, 5.0], 1) == pytest.approx([0.5, 0.5], abs=1e-9)
    assert membership([2.0, -2.0], [1e-12, 1e-12], 1) == [1.0, 0.0]
