"""What every method on scores owes, whatever the graph, and what each does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pools import made, squares
from tamis.graph import Channel, spread
from tamis.graph.channels import strengths, walk
from tamis.graph.methods.lift import lift
from tamis.graph.methods.propagation import propagation
from tamis.graph.spread import ALPHA, Method
from tamis.pool.sparse import Adjacency

METHODS: list[Method] = ["lift", "propagation", "pagerank", "anchors"]
every = pytest.mark.parametrize("method", METHODS)
alphas = st.sampled_from([0.1, 0.5, 0.9, 1.0])
scores = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 1.0, 1.0, -2.5]))


@st.composite
def scored(draw: st.DrawFn) -> tuple[Any, list[Channel]]:
    """Scores and a graph of up to two channels."""
    full = draw(squares)
    found = np.array(draw(st.lists(scores, min_size=len(full), max_size=len(full))))
    channels = [Channel("one", draw(st.sampled_from([0.5, 1.0])), made(full))]
    if draw(st.booleans()):
        channels.append(Channel("other", 1.0, made(np.minimum(full + full.T, 1.0))))
    return found, channels


def star(size: int, weight: float = 1.0) -> list[Channel]:
    """Everybody joined to document 0."""
    full = np.zeros((size, size))
    full[0, 1:] = full[1:, 0] = weight
    return [Channel("star", 1.0, made(full))]


def complete(size: int, weight: float = 1.0) -> list[Channel]:
    full = np.full((size, size), weight)
    np.fill_diagonal(full, 0.0)
    return [Channel("complete", 1.0, made(full))]


@every
@given(case=scored(), alpha=alphas)
def test_scores_stay_within_those_that_came_in(method: Method, case: Any, alpha: float) -> None:
    old, graph = case
    new = spread(old, graph, method, alpha).scores
    assert new.shape == old.shape
    if len(old):
        assert np.all(new >= old.min())
        assert np.all(new <= old.max())


@every
@given(case=scored())
def test_alpha_zero_changes_nothing(method: Method, case: Any) -> None:
    old, graph = case
    assert spread(old, graph, method, 0.0).scores.tolist() == old.tolist()


@every
@given(case=scored(), alpha=alphas)
def test_documents_without_edges_keep_their_scores_exactly(method: Method, case: Any, alpha: float) -> None:
    old, graph = case
    alone = np.ones(len(old), dtype=bool)
    for channel in graph:
        alone[channel.edges.rows] = False
    assert spread(old, graph, method, alpha).scores[alone].tolist() == old[alone].tolist()
    nothing = [Channel("none", 1.0, Adjacency.empty(len(old)))]
    for empty in (nothing, []):
        found = spread(old, empty, method, alpha)
        assert found.scores.tolist() == old.tolist()
        assert not len(found.shares)


@every
@given(case=scored(), alpha=alphas, seeds=st.one_of(st.none(), st.integers(1, 4)), seed=st.integers(0, 99))
def test_shuffled_documents_get_the_same_scores(method: Method, case: Any, alpha: float, seeds: Any, seed: int) -> None:
    old, graph = case
    order = np.random.default_rng(seed).permutation(len(old))
    other = [Channel(c.name, c.weight, made(c.edges.dense()[order][:, order])) for c in graph]
    span = max(1.0, float(np.ptp(old)) if len(old) else 1.0)
    first, second = (spread(*of, method, alpha, seeds).scores for of in ((old, graph), (old[order], other)))
    assert first[order] == pytest.approx(second, abs=1e-9 * span)


@every
@given(case=scored(), alpha=alphas, times=st.sampled_from([1e-6, 3.0, 1e6]), plus=st.sampled_from([0.0, -7.0, 100.0]))
def test_the_unit_of_the_scores_does_not_matter(
    method: Method, case: Any, alpha: float, times: float, plus: float
) -> None:
    old, graph = case
    span = float(np.ptp(old)) if len(old) else 0.0
    if span and span < 1e-3:
        return
    new = spread(old * times + plus, graph, method, alpha).scores
    assert new == pytest.approx(spread(old, graph, method, alpha).scores * times + plus, abs=1e-6 * times * (span + 1))


@every
@given(
    old=st.lists(scores, min_size=2, max_size=8),
    weight=st.sampled_from([0.3, 1.0, 5.0]),
    alpha=st.sampled_from([0.1, 0.5, 0.9]),
)
def test_in_a_complete_graph_of_equal_edges_the_order_stays(
    method: Method, old: Any, weight: float, alpha: float
) -> None:
    found = spread(old, complete(len(old), weight), method, alpha).scores
    for a in range(len(old)):
        for b in range(len(old)):
            if old[a] >= old[b]:
                assert found[a] >= found[b] - 1e-9 * (abs(old[a]) + abs(old[b]) + 1)
            if method != "pagerank" and old[a] > old[b] + 1e-6 * (max(old) - min(old)):
                assert found[a] > found[b]


@every
def test_duplicates_that_nobody_joins_to_one_another_get_equal_scores(method: Method) -> None:
    full = np.zeros((4, 4))
    full[0, 1] = full[1, 0] = full[0, 2] = full[2, 0] = 0.5
    found = spread([3.0, 1.0, 1.0, 0.0], [Channel("x", 1.0, made(full))], method).scores
    assert found[1] == pytest.approx(found[2], abs=1e-12)
    assert found[1] > 1.0


@every
@pytest.mark.parametrize(
    "old", [[], [5.0], [2.0, 2.0, 2.0], [0.0, 5e-324], [-1e308, 1e308, 0.0], [1e-300, 2e-300, 3e-300]]
)
def test_scores_at_the_edge_of_numbers(method: Method, old: list[float]) -> None:
    found = spread(old, complete(len(old)), method)
    assert np.all(np.isfinite(found.scores))
    if len(set(old)) < 2:
        assert found.scores.tolist() == old
    assert np.all(np.isfinite(found.shares.weights))


@every
@given(case=scored(), alpha=alphas)
def test_shares_are_positive_and_come_from_neighbours(method: Method, case: Any, alpha: float) -> None:
    old, graph = case
    shares = spread(old, graph, method, alpha).shares
    edges = sum((channel.edges.dense() for channel in graph), np.zeros((len(old), len(old))))
    assert np.all(shares.weights > 0)
    assert np.all(edges[shares.rows, shares.cols] > 0)


@given(case=scored(), alpha=alphas)
def test_what_lifted_a_document_explains_its_new_score(case: Any, alpha: float) -> None:
    old, graph = case
    found = spread(old, graph, "lift", alpha)
    span = float(np.ptp(old)) if len(old) else 0.0
    assert found.scores - old == pytest.approx(found.shares.largest_weights, abs=1e-9 * (span + 1))


def test_only_the_seeds_speak() -> None:
    full = np.zeros((4, 4))
    full[2, 0] = full[3, 1] = 1.0
    graph = [Channel("x", 1.0, made(full))]
    for method in METHODS:
        both = spread([4.0, 3.0, 1.0, 1.0], graph, method).scores
        first = spread([4.0, 3.0, 1.0, 1.0], graph, method, seeds=1).scores
        assert both[2] > 1.0
        assert both[3] > 1.0 or method == "pagerank"
        assert first[2] > 1.0
        assert first[3] == 1.0


class TestLift:
    def test_a_document_comes_closer_to_its_best_neighbour_and_nobody_loses(self) -> None:
        edges = Adjacency.of(4, [1, 2, 2, 0], [0, 0, 1, 3], [0.5, 0.25, 1.0, 1.0])
        assert lift(np.array([8.0, 4.0, 0.0, 2.0]), edges, 1.0).scores.tolist() == [8.0, 6.0, 4.0, 2.0]

    def test_channels_meet_in_the_strongest_not_in_their_sum(self) -> None:
        one = Channel("one", 1.0, Adjacency.of(2, [1], [0], [0.25]))
        other = Channel("other", 0.8, Adjacency.of(2, [1], [0], [1.0]))
        assert strengths([one, other], 2).dense().tolist() == [[0.0, 0.0], [0.8, 0.0]]

    def test_channels_in_other_units_are_divided_by_their_heaviest(self) -> None:
        counts = Channel("counts", 1.0, Adjacency.of(3, [1, 2], [0, 0], [16.0, 4.0]))
        assert strengths([counts], 3).dense()[:, 0].tolist() == [0.0, 1.0, 0.5]

    def test_a_hub_lifts_each_of_many_less_than_one_of_few(self) -> None:
        few, some, many = (spread([5.0, *[1.0] * n, 0.0], star(n + 2)).scores[1] for n in (1, 3, 30))
        assert few == some == pytest.approx(1.0 + 0.9 * 4.0)
        assert 1.0 < many < some

    @given(case=scored(), alpha=alphas)
    def test_nobody_loses(self, case: Any, alpha: float) -> None:
        old, graph = case
        assert np.all(spread(old, graph, "lift", alpha).scores >= old)


class TestPropagation:
    @given(case=scored())
    def test_the_walk_is_row_stochastic_and_no_hub_speaks_too_loud(self, case: Any) -> None:
        old, graph = case
        matrix = walk(graph, len(old))
        assert matrix.strengths == pytest.approx(np.ones(len(old)))
        assert np.all(matrix.weights > 0)
        full = matrix.dense()
        np.fill_diagonal(full, 0.0)
        assert np.all(full.sum(axis=0) <= 1.0 + 1e-9)

    def test_it_is_the_fixed_point(self) -> None:
        matrix = Adjacency.of(3, [0, 1, 1, 2], [1, 0, 2, 2], [1.0, 0.5, 0.5, 1.0], loops=True)
        old = np.array([1.0, 0.5, 0.0])
        exact = np.linalg.solve(np.eye(3) - 0.4 * matrix.dense(), 0.6 * old)
        assert propagation(old, matrix, 0.4).scores == pytest.approx(exact, abs=1e-8)

    def test_a_hub_lifts_each_of_many_less_than_one_alone(self) -> None:
        alone, many = (spread([5.0, *[1.0] * n, 0.0], star(n + 2), "propagation").scores[1] for n in (1, 30))
        assert 1.0 < many < alone

    def test_bad_neighbours_pull_down(self) -> None:
        assert spread([5.0, 4.0, 0.0], star(3), "propagation").scores[0] < 5.0


class TestPageRank:
    def test_what_several_good_documents_point_to_rises_most(self) -> None:
        full = np.zeros((5, 5))
        for good, poor in ((0, 3), (1, 3), (0, 4)):
            full[good, poor] = full[poor, good] = 1.0
        found = spread([3.0, 2.5, 1.0, 0.5, 0.5], [Channel("x", 1.0, made(full))], "pagerank").scores
        assert found[3] > found[4] > 0.5
        assert found[2] == 1.0


class TestAnchors:
    def test_what_is_like_the_same_documents_as_the_query_rises(self) -> None:
        full = np.zeros((4, 4))
        full[2, 0] = full[2, 1] = full[0, 2] = full[1, 2] = 1.0
        full[3, 0] = full[0, 3] = 0.1
        found = spread([3.0, 3.0, 1.0, 1.0], [Channel("x", 1.0, made(full))], "anchors").scores
        assert found[2] > found[3] > 1.0


def test_every_method_has_its_own_alpha() -> None:
    assert ALPHA.keys() == set(METHODS)
