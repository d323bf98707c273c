"""What every schedule owes, whoever judges: exact under a perfect judge, whole under any, and as costly as it says."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from tamis.errors import ConfigError
from tamis.schedules import (
    Adaptive,
    AllPairs,
    Bubble,
    Champion,
    Heap,
    Knockout,
    Map,
    Partition,
    Placed,
    SampledPairs,
    Schedule,
    SingleShot,
    Sliding,
    Staged,
    TopDown,
    TournamentGraph,
    UntilSettled,
)
from tamis.schedules.base import SCHEDULES

PUBLISHED = ((5, 0.5), (5, 0.4), (1, 0.5), (1, 0.5), (1, 0.4))
SCHEDULES_MADE: tuple[Schedule, ...] = (
    Map(),
    SingleShot(),
    SingleShot(20),
    Partition(20, 3),
    Partition(7),
    Sliding(),
    Sliding(20, 10, 3),
    Sliding(4, 2),
    Sliding(5, 5),
    Heap(1),
    Heap(2),
    Heap(3),
    Heap(9),
    Heap(19),
    Bubble(1),
    Bubble(2),
    Bubble(3),
    Bubble(9),
    Bubble(19),
    Knockout(5, 1),
    Knockout(5, 2),
    Knockout(2, 1),
    Knockout(20, 3),
    Staged(),
    Staged(repeats=3),
    Staged(size=4),
    Staged(size=2),
    Staged(stages=PUBLISHED, repeats=2),
    TournamentGraph(),
    TournamentGraph(2),
    TournamentGraph(5),
    TopDown(),
    TopDown(5, 2),
    TopDown(10, 9),
    Adaptive(),
    Adaptive(5),
    AllPairs(),
    AllPairs("soft"),
    AllPairs("bradley_terry"),
    AllPairs("thurstone"),
    AllPairs("elo"),
    SampledPairs(),
    SampledPairs(1),
    Champion(),
    UntilSettled(Sliding(10, 5)),
)
every = pytest.mark.parametrize("schedule", SCHEDULES_MADE, ids=repr)
Judge = Callable[[Schedule, tuple[int, ...]], Any]


def perfect(quality: Sequence[float]) -> Judge:
    """Knows how good each place is (all different), and says so in the form the schedule wants."""

    def judge(schedule: Schedule, shown: tuple[int, ...]) -> Any:
        if schedule.answers == "scores":
            return [quality[place] for place in shown]
        if schedule.answers == "preferences":
            return float(quality[shown[0]] > quality[shown[1]])
        return sorted(shown, key=lambda place: -quality[place])

    return judge


def played(
    schedule: Schedule, n: int, judge: Judge, top: int | None = None, stop_after: int | None = None
) -> tuple[Placed, list[tuple[int, ...]], int]:
    """What comes out, all that was asked, and the number of rounds. After `stop_after` answers there are none."""
    plan, asked, rounds = schedule.run(n, top), [], 0
    try:
        batch = next(plan)
        while True:
            rounds += 1
            assert batch, "a round without a question"
            answers = []
            for shown in batch:
                assert isinstance(shown, tuple)
                assert shown
                assert len(set(shown)) == len(shown)
                assert all(0 <= place < n for place in shown)
                assert schedule.width is None or len(shown) <= schedule.width
                assert schedule.answers == "scores" or len(shown) > 1
                answers.append(None if stop_after is not None and len(asked) >= stop_after else judge(schedule, shown))
                asked.append(shown)
            batch = plan.send(answers)
    except StopIteration as stop:
        return stop.value, asked, rounds


def sizes(schedule: Schedule) -> list[int]:
    width = schedule.width or 20
    return sorted({1, 2, max(1, width - 1), width, width + 1, 25, 95, 100})


def qualities(n: int, seed: int, noise: float | None = None) -> list[float]:
    """All different. `noise`: a first stage of some worth, else none at all."""
    rng = random.Random(seed)
    if noise is None:
        return [float(q) for q in rng.sample(range(10 * n), n)]
    return [-place + rng.gauss(0, noise * n) for place in range(n)]


def test_every_schedule_of_the_catalog_is_among_these() -> None:
    assert {SCHEDULES.name_of(type(schedule)) for schedule in SCHEDULES_MADE} == set(SCHEDULES.members)


@every
@pytest.mark.parametrize("top", [None, 1, 10])
def test_a_perfect_judge_gives_the_places_that_are_said_to_be_exact(schedule: Schedule, top: int | None) -> None:
    for n in sizes(schedule):
        if top is None and isinstance(schedule, TournamentGraph) and n > 50:
            continue
        for seed, noise in ((0, None), (1, None), (2, 0.3)):
            quality = qualities(n, seed, noise)
            placed, _, _ = played(schedule, n, perfect(quality), top)
            best = sorted(range(n), key=lambda place: -quality[place])
            exact = schedule.exact(n, top)
            assert list(placed.order[:exact]) == best[:exact], (n, seed)


@every
def test_one_or_all_in_one_window_is_exact(schedule: Schedule) -> None:
    """What a schedule may not lose: a list it sees at once. Sums over few pairs or points may tie."""
    if schedule.points or isinstance(schedule, Champion):
        assert schedule.exact(1) in (0, 1)
    else:
        n = schedule.width or 20
        assert schedule.exact(n) == n


@every
@pytest.mark.parametrize("top", [None, 1, 10])
def test_the_number_of_questions_is_the_formula_or_below(schedule: Schedule, top: int | None) -> None:
    exactly = (Map, SingleShot, Partition, Sliding, Bubble, Staged, AllPairs, SampledPairs, Champion)
    for n in (0, *sizes(schedule)):
        _, asked, _ = played(schedule, n, perfect(qualities(n, 5)), top)
        if isinstance(schedule, exactly):
            assert len(asked) == schedule.calls(n, top), n
        assert len(asked) <= schedule.calls(n, top), n


@every
def test_every_place_is_shown_at_least_once(schedule: Schedule) -> None:
    if schedule == SingleShot(20):
        return
    for n in sizes(schedule):
        _, asked, _ = played(schedule, n, perfect(qualities(n, 3)), 10)
        assert n == 1 or {place for shown in asked for place in shown} == set(range(n)), n


@every
def test_shuffling_the_input_does_not_change_the_exact_places(schedule: Schedule) -> None:
    n, top = 45, 5
    quality = qualities(n, 11)
    found = set()
    for seed in range(4):
        order = random.Random(seed).sample(range(n), n)
        placed, _, _ = played(schedule, n, perfect([quality[thing] for thing in order]), top)
        found.add(tuple(order[place] for place in placed.order[: schedule.exact(n, top)]))
    assert len(found) == 1


@every
def test_a_judge_that_never_answers_leaves_the_incoming_order(schedule: Schedule) -> None:
    for n in (0, 1, 2, 30, 95):
        placed, _, _ = played(schedule, n, lambda schedule, shown: None, 10)
        assert list(placed.order) == list(range(n))


@every
@examples(10)
@given(n=st.integers(2, 45), seed=st.integers(0, 99), share=st.floats(0, 1))
def test_ending_the_answers_midway_gives_the_best_order_so_far(
    schedule: Schedule, n: int, seed: int, share: float
) -> None:
    quality = qualities(n, seed)
    _, asked, _ = played(schedule, n, perfect(quality), 5)
    placed, _, _ = played(schedule, n, perfect(quality), 5, stop_after=int(share * len(asked)))
    assert sorted(placed.order) == list(range(n))


@pytest.mark.parametrize("schedule", [Heap(2), Bubble(1), Knockout(5)], ids=repr)
def test_what_a_sort_has_found_stays_found_when_the_answers_end(schedule: Schedule) -> None:
    quality = qualities(60, 1)
    best = sorted(range(60), key=lambda place: -quality[place])
    _, three, _ = played(schedule, 60, perfect(quality), 3)
    placed, _, _ = played(schedule, 60, perfect(quality), 10, stop_after=len(three))
    assert list(placed.order[:3]) == best[:3]


stray = st.one_of(
    st.none(),
    st.lists(st.integers(-3, 50) | st.text(max_size=2) | st.none(), max_size=30),
    st.floats() | st.integers(-5, 5),
    st.lists(st.floats() | st.none() | st.text(max_size=1), max_size=25),
)


@every
@examples(25)
@given(
    n=st.integers(0, 30), top=st.one_of(st.none(), st.integers(1, 12)), garbage=st.lists(stray, min_size=1, max_size=9)
)
def test_whatever_the_judge_says_the_result_is_a_permutation(
    schedule: Schedule, n: int, top: int | None, garbage: list[Any]
) -> None:
    fitting = {"order": list, "scores": list, "preferences": (int, float, list)}[schedule.answers]
    asked = 0

    def judge(schedule: Schedule, shown: tuple[int, ...]) -> Any:
        nonlocal asked
        asked += 1
        said = garbage[asked % len(garbage)]
        return said if isinstance(said, fitting) else None

    placed, questions, _ = played(schedule, n, judge, top)
    assert sorted(placed.order) == list(range(n))
    assert len(questions) <= schedule.calls(n, top)
    assert placed.scores is None or len(placed.scores) == n


@every
@examples(10)
@given(n=st.integers(2, 40), seed=st.integers(0, 999))
def test_a_judge_that_contradicts_itself_comes_to_an_end(schedule: Schedule, n: int, seed: int) -> None:
    rng = random.Random(seed)

    def fickle(schedule: Schedule, shown: tuple[int, ...]) -> Any:
        return perfect([rng.random() for _ in range(n)])(schedule, shown)

    placed, questions, _ = played(schedule, n, fickle, 10)
    assert sorted(placed.order) == list(range(n))
    assert len(questions) <= schedule.calls(n, 10)


@pytest.mark.parametrize(
    ("schedule", "published", "tolerance"),
    [
        (Sliding(20, 10), 9, 0),
        (Sliding(4, 2), 49, 0),
        (AllPairs(), 4950, 0),
        (Bubble(1), 945, 0),
        (Heap(2), 140, 4),
        (Heap(3), 82, 4),
        (Heap(9), 31, 2),
        (Heap(19), 23, 2),
        (Bubble(3), 307, 16),
        (Knockout(5, 1), 52, 0),
        (Knockout(5, 2), 82, 6),
        (Staged(stages=PUBLISHED), 13, 0),
        (Staged(stages=PUBLISHED, repeats=10), 130, 0),
        (Partition(20, 6), 30, 0),
        (Map(), 100, 0),
    ],
    ids=repr,
)
def test_questions_for_ten_of_a_hundred_in_no_order_are_as_measured_elsewhere(
    schedule: Schedule, published: int, tolerance: int
) -> None:
    counts = [len(played(schedule, 100, perfect(qualities(100, seed)), 10)[1]) for seed in range(20)]
    assert abs(sum(counts) / len(counts) - published) <= tolerance


def test_rounds_are_what_can_be_asked_at_the_same_time() -> None:
    def rounds(schedule: Schedule) -> int:
        return played(schedule, 100, perfect(qualities(100, 7)), 10)[2]

    assert [rounds(s) for s in (Map(), AllPairs(), SampledPairs(), Partition(20, 6))] == [1, 1, 1, 1]
    assert rounds(Staged(stages=PUBLISHED, repeats=10)) == 5
    assert rounds(Sliding()) == 9


def test_the_published_stages_of_a_hundred() -> None:
    sizes_ = [len(shown) for shown in played(Staged(stages=PUBLISHED), 100, perfect(qualities(100, 7)))[1]]
    assert sizes_ == [20] * 5 + [10] * 5 + [20, 10, 5]
    placed = played(Staged(stages=PUBLISHED), 100, perfect(qualities(100, 7)))[0]
    assert sorted(placed.scores or (), reverse=True)[:20] == [5.0] * 2 + [4.0] * 3 + [3.0] * 5 + [2.0] * 10


def test_a_slid_window_lifts_no_more_than_size_minus_stride_good_ones_through_each_window() -> None:
    quality = [float(place >= 80) * 1000 - place for place in range(100)]
    one, two = (played(Sliding(20, 10, passes), 100, perfect(quality))[0].order for passes in (1, 2))
    assert [place >= 80 for place in one[:20]] == [True] * 10 + [False] * 10
    assert all(place >= 80 for place in two[:20])


def test_a_graph_asks_less_than_a_window_that_slides_often_enough() -> None:
    counts = [len(played(TournamentGraph(20), 100, perfect(qualities(100, s)), 10)[1]) for s in range(20)]
    assert sum(counts) / len(counts) <= 9


def test_twenty_five_horses_race_seven_times() -> None:
    """Five tracks, who are the three fastest: the classic answer is seven."""
    for seed in range(30):
        assert len(played(TournamentGraph(5), 25, perfect(qualities(25, seed)), 3)[1]) <= 7


def test_the_pivot_of_a_good_first_stage_leaves_little_to_ask() -> None:
    placed, asked, rounds = played(TopDown(), 100, perfect([-float(place) for place in range(100)]))
    assert len(asked) == TopDown().calls(20) + 5
    assert rounds == 2
    assert list(placed.order[:10]) == list(range(10))


def test_uncertain_ones_are_asked_again_and_the_top_is_found() -> None:
    found = []
    for seed in range(10):
        quality = qualities(100, seed)
        placed, asked, _ = played(Adaptive(20), 100, perfect(quality), 10)
        found.append(len(set(placed.order[:10]) & set(sorted(range(100), key=lambda p: -quality[p])[:10])))
        assert len(asked) <= 20
    assert sum(found) / len(found) > 9


def test_four_tours_order_nearly_as_well_as_all_pairs() -> None:
    quality = qualities(60, 4)
    order = played(SampledPairs(4), 60, perfect(quality))[0].order
    pairs = [(quality[a] > quality[b]) for i, a in enumerate(order) for b in order[i + 1 :]]
    assert sum(pairs) / len(pairs) > 0.9


@given(n=st.integers(2, 60), cycles=st.integers(1, 5), seed=st.integers(0, 50))
def test_sampled_pairs_connect_all(n: int, cycles: int, seed: int) -> None:
    from tamis.aggregation.fit import connected

    pairs = SampledPairs(cycles, seed=seed).pairs(n)
    assert connected(n, [(i, j, 0.5) for i, j in pairs])
    assert len(pairs) <= cycles * n


@given(n=st.integers(1, 80), size=st.integers(1, 20), epochs=st.integers(1, 4), seed=st.integers(0, 9))
def test_every_epoch_scores_each_place_once_in_mixed_groups(n: int, size: int, epochs: int, seed: int) -> None:
    schedule = Partition(size, epochs, seed if epochs > 1 else None)
    _, asked, rounds = played(schedule, n, perfect(qualities(n, 1)))
    assert rounds == 1
    assert sorted(place for shown in asked for place in shown) == sorted(list(range(n)) * epochs)
    groups = asked[: -(-n // size)]
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    assert all(shown[0] < -(-n // size) for shown in groups)


def test_a_few_random_tours_need_to_know_by_how_much_a_place_is_better() -> None:
    """Of a hundred, so many of the ten best are found: nearly all by graded preferences, far fewer by bare wins."""

    def found(steepness: float, aggregate: Any) -> float:
        hits = 0
        for seed in range(5):
            rng = random.Random(seed)
            quality = [rng.gauss(0, 1) for _ in range(100)]

            def graded(schedule: Schedule, shown: tuple[int, ...], quality: list[float] = quality) -> float:
                return 1 / (1 + math.exp(-steepness * (quality[shown[0]] - quality[shown[1]])))

            best = sorted(range(100), key=lambda place: -quality[place])[:10]
            placed, _, _ = played(SampledPairs(4, aggregate), 100, graded)
            hits += len(set(best) & set(placed.order[:10]))
        return hits / 50

    assert found(1, "bradley_terry") > 0.9 > 0.8 > found(100, "bradley_terry")
    assert found(1, "thurstone") > 0.9 > 0.8 > found(100, "thurstone")


def test_the_same_seed_asks_the_same() -> None:
    for schedule in (Partition(5, 3, seed=1), Staged(repeats=3, seed=1), SampledPairs(seed=1)):
        runs = [played(schedule, 40, perfect(qualities(40, 1)))[1] for _ in range(2)]
        assert runs[0] == runs[1]
    assert SampledPairs(seed=1).pairs(20) != SampledPairs(seed=2).pairs(20)


def test_a_settled_top_ends_the_passes() -> None:
    quality = [-float(place) for place in range(60)]
    _, asked, _ = played(UntilSettled(Sliding(10, 5), times=5), 60, perfect(quality), 10)
    assert len(asked) == Sliding(10, 5).calls(60)
    quality = qualities(60, 2)
    placed, asked, _ = played(UntilSettled(Sliding(10, 5), times=9), 60, perfect(quality), 10)
    assert list(placed.order[:10]) == sorted(range(60), key=lambda place: -quality[place])[:10]
    assert len(asked) < 9 * Sliding(10, 5).calls(60)


def test_a_champion_is_the_best_and_the_rest_stays() -> None:
    placed, asked, _ = played(Champion(), 4, perfect([1.0, 4.0, 2.0, 3.0]))
    assert list(placed.order) == [1, 0, 2, 3]
    assert asked == [(0, 1), (1, 2), (1, 3)]


def test_a_failed_epoch_is_left_out_of_the_mean_not_counted_as_zero() -> None:
    def half(schedule: Schedule, shown: tuple[int, ...]) -> Any:
        return None if shown == (0, 2, 4) else [4.0] * len(shown)

    assert played(Partition(3), 6, half)[0].scores == [None, 4.0, None, 4.0, None, 4.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sliding(4, 5),
        lambda: Knockout(5, 3),
        lambda: TopDown(5, 5),
        lambda: UntilSettled(AllPairs()),
        lambda: Heap(0),
        lambda: Partition(0),
        lambda: Staged(stages=((1, 1.0),)),
        lambda: Adaptive(doubt=0.5),
    ],
)
def test_impossible_settings_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_adaptive_looks_for_the_first_ten_where_nobody_says_how_many() -> None:
    judge = perfect(qualities(60, 0, 0.3))
    of_none, of_ten, of_nine = (played(Adaptive(5), 60, judge, top)[1] for top in (None, 10, 9))
    assert of_none == of_ten
    assert of_none != of_nine


def test_until_settled_runs_three_times_at_most_by_default() -> None:
    assert UntilSettled(Sliding(10, 5)).calls(60) == 3 * Sliding(10, 5).calls(60)
    rng = random.Random(0)
    _, asked, _ = played(UntilSettled(Sliding(10, 5)), 60, lambda _, shown: rng.sample(shown, len(shown)))
    assert len(asked) == 3 * Sliding(10, 5).calls(60)


@pytest.mark.parametrize("schedule", [Adaptive(), Adaptive(5), TournamentGraph(), TournamentGraph(2)], ids=repr)
def test_where_no_answer_comes_nothing_more_is_asked_than_once(schedule: Schedule) -> None:
    _, asked, rounds = played(schedule, 60, lambda *_: None)
    assert rounds == 1
    assert len(set(asked)) == len(asked)
