"""Token budgets: what fits, what is cut short, and the most valuable set."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, CrossEncoder, FirstStage, Knapsack, Listwise, Ranking, TokenBudget
from tamis.errors import ScaleError
from tamis.models import CostOnly, Function
from tamis.select.budget import pack
from tamis.text.tokens import estimate_tokens, fitting
from tamis.values.scale import PROBABILITY, graded

LETTERS = Function(lambda call: call.text, "generate", name="letters")
LETTERS.count_tokens = len  # type: ignore[attr-defined]


def budget(tokens: int, **options: Any) -> TokenBudget:
    return TokenBudget(tokens, model=LETTERS, **options)


def test_a_candidate_that_does_not_fit_is_passed_over_or_ends_the_walk() -> None:
    texts = ["aaaa", "bbbbbbbb", "cc", "d"]
    found = budget(7).rerank("q", texts)
    assert found.positions == (0, 2, 3)
    assert [(d.position, d.why) for d in found.dropped] == [(1, "budget")]
    assert budget(7, full="stop").rerank("q", texts).positions == (0,)


def test_titles_and_what_a_prompt_adds_count() -> None:
    titled = [Candidate("aaa", title="TT"), Candidate("b")]
    assert budget(6).rerank("q", titled).positions == (0,)
    assert budget(7).rerank("q", titled).positions == (0, 1)
    assert budget(8, overhead=1).rerank("q", titled).positions == (0,)


def test_a_huge_first_text_is_cut_so_that_the_context_is_not_empty() -> None:
    found = budget(5).rerank("q", ["a" * 50, "b"])
    assert [r.text for r in found.kept] == ["aaaaa"]
    assert [d.position for d in found.dropped] == [1]
    assert str(found.warnings[0]) == "TokenBudget: a text was cut to fit into 5 tokens"
    assert found.warnings[0].positions == (0,)
    assert not found.degraded
    assert budget(5, truncate="never").rerank("q", ["a" * 50, "b"]).positions == (1,)


def test_the_last_text_can_be_cut_when_enough_is_left() -> None:
    found = budget(60, truncate="last").rerank("q", ["a" * 20, "b" * 90, "c"])
    assert [len(r.text) for r in found.kept] == [20, 40]
    assert budget(40, truncate="last").rerank("q", ["a" * 20, "b" * 90, "c"]).positions == (0, 2)


def test_a_cut_text_leaves_room_for_its_title() -> None:
    found = budget(10).rerank("q", [Candidate("a" * 50, title="title")])
    assert found.kept[0].candidate.full_text == "title\naaaa"
    assert budget(5).rerank("q", [Candidate("a" * 50, title="title")]).kept == ()


def test_without_a_model_tokens_are_estimated() -> None:
    assert TokenBudget(2).rerank("q", ["four", "five", "six"]).positions == (0, 1)


@given(
    sizes=st.lists(st.integers(0, 60), max_size=9),
    tokens=st.integers(1, 90),
    overhead=st.integers(0, 5),
    full=st.sampled_from(["skip", "stop"]),
    truncate=st.sampled_from(["never", "first", "last"]),
)
def test_the_budget_is_never_exceeded_and_every_candidate_is_there(
    sizes: list[int], tokens: int, overhead: int, full: Any, truncate: Any
) -> None:
    given_ = [Candidate("x" * size, id=n) for n, size in enumerate(sizes)]
    found = budget(tokens, overhead=overhead, full=full, truncate=truncate).rerank("q", given_)
    assert sum(len(r.text) + overhead for r in found.kept) <= tokens
    assert sorted([*found.positions, *(d.position for d in found.dropped)]) == list(range(len(sizes)))
    cut = {p for notice in found.warnings for p in notice.positions}
    for ranked in found.kept:
        assert ranked.candidate.id == ranked.position
        assert given_[ranked.position].text.startswith(ranked.text)
        assert (ranked.text != given_[ranked.position].text) == (ranked.position in cut)
    assert all(d.candidate is given_[d.position] for d in found.dropped)


# Knapsack


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=8),
    st.integers(1, 60),
)
def test_the_set_is_the_most_valuable_that_fits(items: list[tuple[int, int]], capacity: int) -> None:
    values, sizes = [v / 10 for v, _ in items], [s for _, s in items]
    chosen = pack(values, sizes, capacity)
    subsets = (c for n in range(len(items) + 1) for c in itertools.combinations(range(len(items)), n))
    best = max(sum(values[i] for i in c) for c in subsets if sum(sizes[i] for i in c) <= capacity)
    assert sum(sizes[i] for i in chosen) <= capacity
    assert sum(values[i] for i in chosen) == pytest.approx(best)


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=30), st.integers(600, 20_000))
def test_a_large_budget_is_kept_to_and_nearly_filled(sizes: list[int], capacity: int) -> None:
    chosen = pack([1.0] * len(sizes), sizes, capacity)
    assert sum(sizes[i] for i in chosen) <= capacity
    shorter = capacity - len(sizes) * -(-capacity // 512)
    room, most = shorter, 0
    for size in sorted(sizes):
        room -= size
        most += room >= 0
    assert len(chosen) >= most


def judged(scores: dict[str, float | None], scale: Any = PROBABILITY) -> CrossEncoder:
    return CrossEncoder(Function(lambda call: scores[call.text], "classify", scale=scale))


def test_two_short_candidates_beat_a_long_better_one() -> None:
    scores: dict[str, float | None] = {"a" * 8: 0.9, "bbbb": 0.6, "cccc": 0.5}
    found = (judged(scores) | Knapsack(8, model=LETTERS)).rerank("q", list(scores))
    assert found.positions == (1, 2)
    assert [(d.position, d.why) for d in found.dropped] == [(0, "budget")]
    assert (judged(scores) | TokenBudget(8, model=LETTERS)).rerank("q", list(scores)).positions == (0,)


def test_a_candidate_without_a_score_counts_as_the_next_one_behind_it() -> None:
    given_ = [Candidate("aaaa", score=0.9), Candidate("bbbb"), Candidate("cccc", score=0.2), Candidate("dddd")]
    plan = Knapsack(12, model=LETTERS).plan(Ranking.of("q", given_, scale=PROBABILITY))
    with pytest.raises(StopIteration) as stop:
        next(plan)
    assert stop.value.value.positions == (0, 1, 2)


def test_scores_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ScaleError, match="it gets unknown scores. Put Calibrate in front, or use TokenBudget"):
        (FirstStage() | Knapsack(9)).rerank("q", [Candidate("a", score=1.0)])
    with pytest.raises(ScaleError, match="ordinal"):
        (Listwise(CostOnly()) | Knapsack(9)).rerank("q", ["a", "b"])
    assert (judged({"a": 7.0}, graded(0, 10)) | Knapsack(9)).rerank("q", ["a"]).positions == (0,)


def test_of_huge_texts_only_the_beginning_is_counted() -> None:
    huge = ["some words of a text " * 5_000] * 20
    scores = CrossEncoder(Function(lambda call: 1 / len(call.text), "classify", scale=PROBABILITY))
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text.split())

    model = Function(lambda call: call.text, "generate", name="words")
    model.count_tokens = count  # type: ignore[attr-defined]
    for stage in (TokenBudget(50, model=model, truncate="never"), Knapsack(50, model=model)):
        counted.clear()
        assert (scores | stage).rerank("q", [*huge, "a few words that fit", *huge]).positions == (20,)
        assert sum(counted) < 41 * (16 * 50 + 1024)


@given(st.text(max_size=200), st.integers(-2, 60), st.integers(1, 5_000))
def test_a_count_is_that_of_the_whole_text_or_more_than_there_is_room_for(text: str, most: int, times: int) -> None:
    repeated = text * times
    tokens = estimate_tokens(repeated)
    assert fitting(repeated, most) == (tokens if tokens <= most else None)


def test_of_sets_worth_the_same_the_earlier_candidates_are_chosen() -> None:
    assert pack([1.0, 1.0, 1.0], [1, 1, 1], 2) == [0, 1]
    assert pack([2.0, 1.0, 1.0], [2, 1, 1], 2) == [0]
