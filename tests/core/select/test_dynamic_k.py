"""Where a ranking is cut: bounds, ties, candidates without a score, and nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.scripted import Chat, order
from tamis import Candidate, CrossEncoder, FirstStage, Listwise, Ranking, load
from tamis.errors import ConfigError, ScaleError
from tamis.models import Function
from tamis.select.budget import TokenBudget
from tamis.select.calibrate.abstain import Abstain
from tamis.select.dynamic_k import DynamicK
from tamis.select.near_duplicates import NearDuplicates
from tamis.select.policies.gaps import LargestGap
from tamis.select.policies.thresholds import AtLeast, Fixed
from tamis.values.answers import Failure
from tamis.values.scale import LOGIT, UNKNOWN, Scale


def ranking(scores: Sequence[float | None], scale: Scale = UNKNOWN) -> Ranking:
    return Ranking.of("q", [Candidate(str(n), score=score) for n, score in enumerate(scores)], scale=scale)


def cut(stage: DynamicK, scores: Sequence[float | None], scale: Scale = UNKNOWN) -> Ranking:
    plan = stage.plan(ranking(scores, scale))
    with pytest.raises(StopIteration) as stop:
        next(plan)
    return stop.value.value


def test_it_reads_as_in_the_design() -> None:
    assert DynamicK("largest_gap", k_max=8) == DynamicK(LargestGap(), k_max=8)
    assert load([{"dynamic_k": {"policy": {"softmax_mass": {"p": 0.8}}, "k_min": 2}}]).to_data() == [
        {"dynamic_k": {"policy": {"softmax_mass": {}}, "k_min": 2}}
    ]
    assert load({"dynamic_k": "knee"}) == DynamicK("knee")


def test_what_is_cut_is_a_policy_cut_and_keeps_its_score() -> None:
    found = cut(DynamicK(AtLeast(0.5)), [0.9, 0.6, 0.4, 0.1])
    assert found.positions == (0, 1)
    assert [(d.position, d.why, d.ranked.score) for d in found.dropped] == [
        (2, "policy_cut", 0.4),
        (3, "policy_cut", 0.1),
    ]
    assert not found.abstained
    assert not found.degraded


def test_nothing_is_kept_only_where_k_min_is_zero_and_that_is_told() -> None:
    nothing = cut(DynamicK(AtLeast(2.0), k_min=0), [0.9, 0.6])
    assert nothing.kept == ()
    assert nothing.abstained
    assert {d.why for d in nothing.dropped} == {"abstained"}
    assert cut(DynamicK(AtLeast(2.0)), [0.9, 0.6]).positions == (0,)


def test_an_empty_ranking_is_no_abstention() -> None:
    assert not cut(DynamicK(AtLeast(2.0), k_min=0), []).abstained


@given(
    scores=st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=12),
    k=st.integers(0, 12),
    k_min=st.integers(0, 6),
    width=st.one_of(st.none(), st.integers(0, 6)),
    ties=st.sampled_from(["in", "out"]),
)
def test_the_bounds_hold_whatever_the_policy_and_the_ties(
    scores: list[Any], k: int, k_min: int, width: int | None, ties: Any
) -> None:
    k_max = None if width is None else max(1, k_min + width)
    for stage in (DynamicK(Fixed(k), k_min=k_min, k_max=k_max), DynamicK(AtLeast(k / 3), k_min, k_max, ties)):
        found = cut(stage, scores)
        assert len(found.kept) >= min(k_min, len(scores))
        assert len(found.kept) <= (len(scores) if k_max is None else k_max)
        assert sorted([*found.positions, *(d.position for d in found.dropped)]) == list(range(len(scores)))


@given(
    scores=st.lists(st.integers(0, 3), min_size=1, max_size=12).map(lambda found: sorted(found, reverse=True)),
    head=st.integers(0, 3),
    k_min=st.integers(0, 3),
    k_max=st.integers(3, 12),
    ties=st.sampled_from(["in", "out"]),
)
def test_a_tie_is_parted_only_where_the_bounds_leave_no_other_way(
    scores: list[int], head: int, k_min: int, k_max: int, ties: Any
) -> None:
    found = cut(DynamicK(LargestGap(guard=0, buffer=head), k_min=k_min, k_max=k_max, ties=ties), scores)
    kept = {ranked.score for ranked in found.kept}
    parted = kept & {d.ranked.score for d in found.dropped}
    whole = [
        k
        for k in range(min(k_min, len(scores)), min(k_max, len(scores)) + 1)
        if k in (0, len(scores)) or scores[k - 1] != scores[k]
    ]
    assert bool(parted) == (not whole)
    assert any("part candidates with equal scores" in str(notice) for notice in found.warnings) == bool(parted)


def test_ties_at_the_cut_are_all_in_or_all_out() -> None:
    tied = [0.9, 0.5, 0.5, 0.5, 0.1]
    gap = LargestGap(guard=0.0, tail=0.0, buffer=1)
    assert gap.count(np.array(tied)) == 2
    assert cut(DynamicK(gap), tied).positions == (0, 1, 2, 3)
    assert cut(DynamicK(gap, ties="out"), tied).positions == (0,)
    assert cut(DynamicK(gap, k_max=3), tied).positions == (0,)
    assert cut(DynamicK(gap, ties="out", k_min=2), tied).positions == (0, 1, 2, 3)
    both = cut(DynamicK(gap, k_min=2, k_max=3), tied)
    assert both.positions == (0, 1)
    assert not both.degraded


def test_a_candidate_without_a_score_shares_the_fate_of_its_place() -> None:
    keep = DynamicK(AtLeast(0.5))
    assert cut(keep, [0.9, None, 0.8, 0.1]).positions == (0, 1, 2)
    assert cut(keep, [0.9, 0.8, None, 0.1, None]).positions == (0, 1, 2)
    assert cut(keep, [0.9, 0.8, 0.1, None, 0.0]).positions == (0, 1)
    assert cut(DynamicK(AtLeast(2.0), k_min=0), [None, 0.1]).positions == (0,)
    assert cut(DynamicK(AtLeast(0.5), k_max=2), [0.9, None, 0.8]).positions == (0, 1)


def test_what_lies_beyond_a_stages_depth_does_not_come_in_by_the_policy() -> None:
    model = Function(lambda call: float(call.text), "classify", scale=LOGIT)
    found = (CrossEncoder(model, depth=3) | DynamicK(AtLeast(0.0))).rerank("q", ["3", "2", "1", "9", "9"])
    assert found.positions == (0, 1, 2)


def test_with_no_score_at_all_only_k_max_holds_and_the_ranking_is_degraded() -> None:
    model = Function(lambda call: Failure("error", "down"), "classify", scale=LOGIT)
    for k_max, kept in ((None, 3), (2, 2)):
        found = (CrossEncoder(model) | DynamicK("largest_gap", k_max=k_max, k_min=0)).rerank("q", ["a", "b", "c"])
        assert len(found.kept) == kept
        assert found.degraded
        assert "no candidate has a score" in str(found.warnings[-1])


def test_the_order_of_what_is_kept_stays_even_where_it_is_not_that_of_the_scores() -> None:
    found = cut(DynamicK(AtLeast(0.5)), [0.1, 0.6, 0.9, 0.2])
    assert found.positions == (1, 2)
    assert cut(DynamicK(Fixed(2)), [0.1, 0.6, 0.9, 0.2]).positions == (1, 2)


def test_ordinal_scores_are_refused_with_what_to_put_in_front() -> None:
    listwise = Listwise(Chat(lambda call: order(call, len)))
    with pytest.raises(ScaleError, match="Put a stage that scores in front"):
        (listwise | DynamicK()).rerank("q", ["a", "bb"])
    assert (listwise | DynamicK(Fixed(1))).rerank("q", ["a", "bb"]).positions == (1,)


def test_bounds_that_cross_are_refused() -> None:
    with pytest.raises(ConfigError, match="k_max 2 is below k_min 3"):
        DynamicK(k_min=3, k_max=2)


def test_stages_compose_in_the_order_abstain_policy_clip_redundancy_budget() -> None:
    texts = ["one two three four five"] * 2 + ["six seven eight nine ten", "eleven", "twelve"]
    scored = [Candidate(text, score=5.0 - place) for place, text in enumerate(texts)]
    whole = FirstStage() | Abstain(threshold=1.0) | DynamicK(Fixed(4), k_max=3) | NearDuplicates() | TokenBudget(8)
    found = whole.rerank("q", scored)
    assert found.positions == (0,)
    assert {d.position: d.why for d in found.dropped} == {1: "duplicate", 2: "budget", 3: "policy_cut", 4: "policy_cut"}
    nothing = (FirstStage() | Abstain(threshold=9.0) | DynamicK(Fixed(4), k_min=2) | TokenBudget(8)).rerank("q", scored)
    assert nothing.abstained
    assert {d.why for d in nothing.dropped} == {"abstained"}
