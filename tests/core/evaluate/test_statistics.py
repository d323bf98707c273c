"""Intervals and tests: known examples, and what they must do whatever the numbers."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tamis.evaluate.statistics import compare, holm, interval


def test_an_interval_holds_the_mean_and_narrows_with_more_queries() -> None:
    chosen = random.Random(1)
    values = [chosen.random() for _ in range(400)]
    few, many = interval(values[:40]), interval(values)
    assert many.low < many.mean < many.high
    assert many.high - many.low < few.high - few.low
    assert many.high - many.low == pytest.approx(2 * 1.96 * math.sqrt(1 / 12 / 400), rel=0.15)
    assert interval(values) == many


def test_an_interval_of_nothing_or_of_equal_values_is_plain() -> None:
    assert math.isnan(interval([]).mean)
    assert interval([0.25]) == interval([0.25] * 1)
    assert (interval([0.5] * 9).low, interval([0.5] * 9).high) == (0.5, 0.5)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    chosen = random.Random(3)
    inside = 0
    for trial in range(60):
        found = interval([chosen.gauss(0.4, 0.2) for _ in range(60)], seed=trial)
        inside += found.low <= 0.4 <= found.high
    assert inside >= 50


def test_holm_has_its_known_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_corrected_p_is_never_smaller_and_keeps_the_order(ps: list[float]) -> None:
    corrected = holm(ps)
    assert all(p <= c <= 1 for p, c in zip(ps, corrected, strict=True))
    by_p = [c for _, c in sorted(zip(ps, corrected, strict=True))]
    assert by_p == sorted(by_p)


def queries(values: list[float]) -> dict[str, float]:
    return {f"q{index}": value for index, value in enumerate(values)}


def test_a_clear_gain_is_seen_and_noise_is_not() -> None:
    chosen = random.Random(2)
    base = [chosen.random() for _ in range(100)]
    better = [b + 0.1 + chosen.gauss(0, 0.1) for b in base]
    noise = [b + chosen.gauss(0, 0.1) for b in base]
    values = {"base": queries(base), "better": queries(better), "noise": queries(noise)}
    one, two = compare(values, [("better", "base"), ("noise", "base")], "m")
    assert one.verdict() == "better"
    assert one.low > 0
    assert two.verdict() == "no difference seen"
    assert one.corrected == pytest.approx(2 * one.p)
    assert one.turned().verdict() == "worse"


def test_a_system_compared_with_itself_shows_nothing() -> None:
    values = {"a": queries([0.1, 0.2, 0.9]), "b": queries([0.1, 0.2, 0.9])}
    (pair,) = compare(values, [("a", "b")], "m")
    assert (pair.p, pair.difference, pair.same) == (1.0, 0.0, 3)


def test_only_queries_that_both_have_are_compared() -> None:
    values = {"a": {"q1": 1.0, "q2": 0.0, "q3": 0.5}, "b": {"q1": 0.0, "q4": 1.0}}
    (pair,) = compare(values, [("a", "b")], "m")
    assert (pair.n, pair.better, pair.p) == (1, 1, 1.0)


def flipped(tenths: list[int]) -> float:
    """The exact two-sided p of all sign flips, in whole numbers."""
    sums = [sum(s * t for s, t in zip(signs, tenths, strict=True)) for signs in product((1, -1), repeat=len(tenths))]
    tails = sum(s >= sum(tenths) for s in sums), sum(s <= sum(tenths) for s in sums)
    return min(1.0, 2 * min(tails) / len(sums))


@given(st.lists(st.tuples(st.sampled_from([-3, -2, -1, 1, 2, 3, 4]), st.integers(0, 3)), min_size=2, max_size=10))
@example([(-3, 3), (-1, 3), (1, 1), (3, 2)])
def test_sums_that_tie_but_for_rounding_count_as_ties(drawn: list[tuple[int, int]]) -> None:
    base = [start / 10 for _, start in drawn]
    values = {"a": queries([b + tenths / 10 for b, (tenths, _) in zip(base, drawn, strict=True)]), "b": queries(base)}
    (pair,) = compare(values, [("a", "b")], "m")
    assert pair.p == pytest.approx(flipped([tenths for tenths, _ in drawn]))


def test_many_pairs_at_once_get_what_each_gets_alone() -> None:
    chosen = random.Random(4)
    values = {name: queries([chosen.random() + shift for _ in range(60)]) for name, shift in (("a", 0.2), ("b", 0.1), ("c", 0.0))}  # fmt: skip
    pairs = [("a", "c"), ("b", "c"), ("a", "b")]
    together = [pair.p for pair in compare(values, pairs, "m")]
    assert together == [compare(values, [pair], "m")[0].p for pair in pairs]


def test_a_large_sample_agrees_with_the_normal_approximation() -> None:
    chosen = random.Random(6)
    differences = [chosen.gauss(0.02, 0.3) for _ in range(400)]
    z = abs(sum(differences)) / math.sqrt(sum(d * d for d in differences))
    (pair,) = compare({"a": queries(differences), "b": queries([0.0] * 400)}, [("a", "b")], "m")
    assert pair.p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.03)


def test_small_samples_get_the_exact_p() -> None:
    values = {"a": queries([1.0, 2.0, 3.0]), "b": queries([0.0, 0.0, 0.0])}
    (pair,) = compare(values, [("a", "b")], "m")
    assert pair.p == pytest.approx(2 / 8)


@pytest.mark.parametrize("count", [1, 2, 3, 11, 12])
def test_up_to_twelve_changed_queries_get_the_exact_p_beside_a_long_row(count: int) -> None:
    """A row this short is never joined with longer ones, whose signs are drawn at random."""
    tenths = ([3, 1, -2, 4, 2, -1, 3, 2, 1, -3, 2, 1] * 2)[:count]
    short = {**queries([change / 10 for change in tenths]), **{f"equal{n}": 0.0 for n in range(9)}}
    chosen = random.Random(5)
    long = queries([chosen.gauss(0.1, 0.3) for _ in range(40)])
    values = {"short": short, "long": long, "base": dict.fromkeys([*short, *long], 0.0)}
    one, two = compare(values, [("short", "base"), ("long", "base")], "m")
    assert one.p == flipped(tenths)
    assert 0.0004 <= two.p < 1


def test_the_smallest_p_of_a_long_row_is_two_of_five_thousand() -> None:
    """4999 draws and the one observed, on two sides."""
    values = {"a": queries([0.1 + n / 1000 for n in range(40)]), "b": queries([0.0] * 40)}
    (pair,) = compare(values, [("a", "b")], "m")
    assert pair.p == pytest.approx(2 / 5000, rel=1e-12)


@pytest.mark.parametrize(("change", "counted"), [(2e-9, (1, 0)), (-2e-9, (0, 1)), (5e-10, (0, 0)), (-5e-10, (0, 0))])
def test_what_is_below_a_billionth_is_rounding(change: float, counted: tuple[int, int]) -> None:
    values = {"a": queries([change, 0.0, 0.0]), "b": queries([0.0] * 3)}
    (pair,) = compare(values, [("a", "b")], "m")
    assert (pair.better, pair.worse, pair.same) == (*counted, 3 - sum(counted))
