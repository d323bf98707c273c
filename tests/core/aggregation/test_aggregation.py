"""How judgements add up: worked values, and what holds for any input."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.aggregation.fit import Comparison, connected, membership, strengths
from tamis.aggregation.lists import (
    mean,
    min_max,
    points,
    round_robin,
    voted,
)
from tamis.aggregation.pairs import bradley_terry, elo, soft_sum, thurstone, wins
from tamis.errors import InputError
from tamis.schedules import Champion
from tamis.values.scale import sigmoid

CYCLE = [[0, 1.2, -0.3], [-0.8, 0, 0.5], [0.9, -0.1, 0]]
LOGITS = [(i, j, CYCLE[i][j]) for i in range(3) for j in range(3) if i != j]


def test_a_cycle_in_both_orders_gives_two_wins_each() -> None:
    """Published worked values."""
    assert wins(3, [(i, j, sigmoid(logit)) for i, j, logit in LOGITS]) == [2, 2, 2]


@pytest.mark.parametrize(("start", "champion"), [((0, 1, 2), 2), ((2, 1, 0), 0), ((1, 2, 0), 0)])
def test_the_champion_of_a_cycle_depends_on_who_starts(start: tuple[int, ...], champion: int) -> None:
    """The same values for one pass: two comparisons, four calls in both orders."""
    plan = Champion().run(3)
    ((first, second),) = next(plan)
    i, j = start[first], start[second]
    ((first, second),) = plan.send([sigmoid(CYCLE[i][j] - CYCLE[j][i])])
    i, j = start[first], start[second]
    with pytest.raises(StopIteration) as stop:
        plan.send([sigmoid(CYCLE[i][j] - CYCLE[j][i])])
    assert start[stop.value.value.order[0]] == champion


preferences = st.integers(2, 7).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.floats(0, 1)).filter(lambda c: c[0] != c[1]),
            min_size=1,
            max_size=20,
        ),
    )
)


@given(preferences)
def test_turning_every_comparison_round_changes_nothing(case: tuple[int, list[Comparison]]) -> None:
    n, compared = case
    turned = [(j, i, 1.0 - p) for i, j, p in compared]
    for add in (wins, soft_sum, bradley_terry, thurstone, elo):
        assert add(n, compared) == pytest.approx(add(n, turned), abs=1e-6)


@given(preferences)
def test_sums_are_kept(case: tuple[int, list[Comparison]]) -> None:
    n, compared = case
    assert sum(wins(n, compared)) == pytest.approx(len(compared))
    assert sum(soft_sum(n, compared)) == pytest.approx(len(compared))
    for fitted in (bradley_terry, thurstone, elo):
        assert sum(fitted(n, compared)) == pytest.approx(0, abs=1e-6)
        assert all(map(math.isfinite, fitted(n, compared)))


@given(st.permutations(range(8)))
def test_all_pairs_of_an_order_give_the_order_back(order: list[int]) -> None:
    place = {thing: index for index, thing in enumerate(order)}
    compared = [(i, j, float(place[i] < place[j])) for i, j in combinations(range(8), 2)]
    for add in (wins, soft_sum, bradley_terry, thurstone):
        scores = add(8, compared)
        assert sorted(range(8), key=lambda i: -scores[i]) == order


@pytest.mark.parametrize("model", ["logistic", "normal"])
def test_true_strengths_are_found_from_their_own_probabilities(model: str) -> None:
    true = [1.0, 0.3, -0.2, -1.1]
    link = sigmoid if model == "logistic" else (lambda gap: 0.5 * (1 + math.erf(gap)))
    compared = [(i, j, link(true[i] - true[j])) for i, j in combinations(range(4), 2)]
    assert strengths(4, compared, model=model, prior=0)[0] == pytest.approx(true, abs=1e-6)  # type: ignore[arg-type]


def test_three_of_four_is_the_logit_of_three_quarters() -> None:
    assert strengths(2, [(0, 1, 1.0)] * 3 + [(0, 1, 0.0)], prior=0)[0] == pytest.approx(
        [math.log(3) / 2] * 1 + [-math.log(3) / 2]
    )


def test_strengths_agree_with_a_general_optimiser() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = random.Random(3)
    compared = [(*rng.sample(range(6), 2), rng.random()) for _ in range(30)]

    def loss(e: list[float]) -> float:
        terms = (p * math.log(sigmoid(e[i] - e[j])) + (1 - p) * math.log(sigmoid(e[j] - e[i])) for i, j, p in compared)
        return 0.5 * 0.7 * sum(x * x for x in e) - sum(terms)

    found = optimize.minimize(loss, [0.0] * 6, tol=1e-10).x
    assert strengths(6, compared, prior=0.7)[0] == pytest.approx(found, abs=1e-4)


def test_what_is_not_connected_has_no_strengths_without_a_prior() -> None:
    apart = [(0, 1, 1.0), (2, 3, 1.0)]
    assert not connected(4, apart)
    assert connected(4, [*apart, (1, 2, 0.5)])
    assert connected(1, [])
    assert connected(0, [])
    with pytest.raises(InputError, match="connect"):
        strengths(4, apart, prior=0)
    assert strengths(4, apart, prior=1.0)[0][0] > 0
    with pytest.raises(InputError):
        strengths(2, [(1, 1, 0.5)])


def test_more_comparisons_make_surer() -> None:
    once, often = (strengths(2, [(0, 1, 0.6)] * times)[1][0] for times in (1, 50))
    assert often < once


def test_elo_by_hand() -> None:
    """Equals: half of k each way. The winner of a second game was expected to win with 1 / (1 + 10^(-32/400))."""
    assert elo(2, [(0, 1, 1.0)]) == [16, -16]
    second = 16 + 32 * (1 - 1 / (1 + 10 ** (-32 / 400)))
    assert elo(2, [(0, 1, 1.0)] * 2) == pytest.approx([second, -second])
    assert all(map(math.isfinite, elo(2, [(0, 1, 1.0)] * 1000, k=1e9)))


def test_membership_adds_up_to_the_number_that_are_in() -> None:
    found = membership([3.0, 1.0, 0.9, -4.0], [0.5] * 4, 2)
    assert sum(found) == pytest.approx(2, abs=1e-6)
    assert found[0] > 0.95
    assert 0.3 < found[2] < found[1] < 0.7
    assert found[3] < 0.01
    assert membership([1.0], [1.0], 5) == [1.0]


@given(st.lists(st.permutations("abcde"), min_size=1, max_size=6))
def test_a_vote_holds_everyone_once_and_follows_the_agreed(orders: list[list[str]]) -> None:
    found = voted(orders)
    assert sorted(found) == list("abcde")
    assert voted([orders[0]] * 3) == orders[0]


def test_a_vote_with_holes_and_repeats() -> None:
    assert voted([]) == []
    assert voted(["a", "ab", "bab"]) == ["a", "b"]


def test_means_leave_failed_repeats_out() -> None:
    assert mean([[1.0, None, 0.0], [3.0, None, None]]) == [2.0, None, 0.0]
    assert mean([]) == []


def test_rounds_survived_are_points() -> None:
    assert points(["abc", "ab", "a"]) == {"a": 3, "b": 2, "c": 1}


def test_equal_scores_are_all_the_best() -> None:
    assert min_max([2.0, 2.0, None]) == [1.0, 1.0, None]


def test_three_lists_take_turns() -> None:
    assert round_robin(["abc", "ca", ""]) == ["a", "c", "b"]


@given(st.lists(st.permutations("abcdef"), min_size=1, max_size=5), st.data())
def test_a_vote_is_the_mean_place_and_the_left_out_share_their_last_places(
    orders: list[list[str]], data: st.DataObject
) -> None:
    cut = [order[: data.draw(st.integers(0, 6))] for order in orders]
    things = list(dict.fromkeys(thing for order in cut for thing in order))
    total = dict.fromkeys(things, Fraction(0))
    for order in cut:
        rest = range(len(order), len(things))
        for thing in things:
            total[thing] += order.index(thing) if thing in order else Fraction(sum(rest), len(rest))
    assert voted(cut) == sorted(things, key=total.__getitem__)


@pytest.mark.parametrize(("preference", "won"), [(0.51, 1.0), (0.5, 0.5), (0.49, 0.0)])
def test_only_an_even_preference_is_a_tie(preference: float, won: float) -> None:
    assert wins(2, [(0, 1, preference)]) == [won, 1 - won]
