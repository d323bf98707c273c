"""Methods on vectors: published and worked values, and what holds for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.pools import candidates, pool, pools, shuffled
from tamis import Candidate, Embedding, Query, Ranking, Refinement, load
from tamis.errors import CapabilityError, ConfigError
from tamis.graph import AlphaQE, Rocchio, Smoothing, Structure, SuperGlobal
from tamis.graph.methods.expansion import expanded
from tamis.graph.methods.refiner import Refiner
from tamis.graph.methods.smoothing import smoothed
from tamis.models import Function
from tamis.pool.sparse import Adjacency
from tamis.values.answers import Failure
from tamis.values.scale import COSINE, FUSION

LETTERS = Function(lambda call: [call.text.count(letter) + 0.0 for letter in "abc"], "embed")
METHODS: list[Refiner] = [
    SuperGlobal(),
    SuperGlobal(2, 0.5, "mean"),
    AlphaQE(),
    Rocchio(),
    Rocchio(2, 1.0, 0.3),
    Smoothing(),
]
every = pytest.mark.parametrize("method", METHODS, ids=repr)
AXES = np.array([[1, 0, 0], [0.8, 0.6, 0], [0.6, 0.8, 0], [0, 1, 0], [0, 0, 1.0]])
LEANING = np.array([0.96, 0.28, 0.0])
CLUSTER = np.array(
    [[0.80, 0.60, 0, 0], [0.78, 0, 0.6258, 0], [0.77, 0, 0.6380, 0], [0.76, 0, 0.6499, 0], [0.10, 0, 0, 0.995]]
)


def scores(method: Refiner, query: Any, rows: Any, unit: Any = None) -> Any:
    rows = np.asarray(rows, dtype=float)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    so_far = np.linspace(1, 0, len(rows)) if unit is None else np.asarray(unit)
    return method.scores(np.asarray(query, dtype=float), rows, so_far, pool(["x"] * len(rows)))


def order(found: Any) -> list[int]:
    return np.argsort(-found, kind="stable").tolist()


class TestSuperGlobal:
    def test_worked_values(self) -> None:
        found = scores(SuperGlobal(neighbours=2), LEANING, AXES)
        assert found == pytest.approx([0.9719, 1.0650, 0.9689, 0.6251, 0.0], abs=5e-5)
        assert order(found) == [1, 0, 2, 3, 4]
        assert scores(SuperGlobal(neighbours=1), LEANING, AXES) == pytest.approx(
            [0.9776, 1.0340, 0.9566, 0.5052, 0.0], abs=5e-5
        )

    def test_what_is_beyond_the_depth_stays_behind_untouched(self) -> None:
        found = [Candidate(f"{place}", vector=tuple(row)) for place, row in enumerate(AXES)]
        ranking = Refinement(method=SuperGlobal(2), depth=4).rerank(Query("q", vector=tuple(LEANING)), found)
        assert ranking.positions == (1, 0, 2, 3, 4)
        assert [ranked.score for ranked in ranking.kept][-1] is None
        assert ranking.kept[0].score == pytest.approx(1.0650, abs=5e-5)

    def test_a_cluster_beats_a_lone_look_alike(self) -> None:
        found = scores(SuperGlobal(neighbours=2), [1.0, 0, 0, 0], CLUSTER)
        assert found == pytest.approx([0.8745, 0.8983, 0.8950, 0.8916, 0.1082], abs=2e-4)
        assert order(found) == [1, 2, 3, 0, 4]

    def test_exact_duplicates_do_not_crowd_each_other_out(self) -> None:
        found = scores(SuperGlobal(neighbours=1), [1.0, 0.0], [[1, 0], [1, 0], [1, 0], [0.6, 0.8]])
        assert found[0] == pytest.approx(found[1]) == pytest.approx(found[2])
        assert found[0] > found[3]


class TestExpansion:
    def test_alpha_query_expansion_of_three(self) -> None:
        assert expanded(LEANING, AXES, 3, 3.0) == pytest.approx([0.9217, 0.3879, 0.0], abs=5e-5)
        assert scores(AlphaQE(), LEANING, AXES) == pytest.approx(AXES @ expanded(LEANING, AXES, 3, 3.0))

    def test_feedback_that_weighs_nothing_is_the_plain_cosine(self) -> None:
        assert scores(Rocchio(beta=0.0), LEANING, AXES) == pytest.approx(AXES @ LEANING)

    def test_feedback_comes_from_the_best_so_far_by_softmax(self) -> None:
        unit = np.array([0.0, 0.5, 1.0, 0.9, 0.2])
        weights = np.exp(unit[[2, 3]] / 0.5)
        moved = LEANING + 2.0 * (weights / weights.sum()) @ AXES[[2, 3]]
        expected = AXES @ (moved / np.linalg.norm(moved))
        assert scores(Rocchio(2, 2.0, 0.5), LEANING, AXES, unit) == pytest.approx(expected)


class TestSmoothing:
    def test_neighbours_vectors_are_taken_in(self) -> None:
        walk = Adjacency.of(3, [0, 1, 2], [1, 0, 2], [1.0, 1.0, 1.0], loops=True)
        found = smoothed(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), walk, 0.25, 1)
        assert found[0] == pytest.approx(np.array([0.75, 0.25]) / np.hypot(0.75, 0.25))
        assert found[2].tolist() == [0.0, 1.0]

    def test_without_edges_it_is_the_plain_cosine(self) -> None:
        assert scores(Smoothing(edges=()), LEANING, AXES) == pytest.approx(AXES @ LEANING)

    def test_one_step_over_chunks_of_one_document_adds_the_mean_of_the_others(self) -> None:
        vectors = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, -0.6]])
        found = [
            Candidate(f"{n}", vector=tuple(v), metadata={"source": s})
            for n, (v, s) in enumerate(zip(vectors, "aaab", strict=True))
        ]
        weight = 0.5
        stage = Refinement(method=Smoothing((Structure(chunk=None, links=None),), weight / (1 + weight), steps=1))
        ranking = stage.rerank(Query("q", vector=(1.0, 0.0)), found)
        for ranked in ranking.kept:
            own = vectors[ranked.position]
            others = [v for n, v in enumerate(vectors) if n != ranked.position and ranked.position < 3 and n < 3]
            moved = own + weight * np.mean(others, axis=0) if others else own
            assert ranked.score == pytest.approx(moved[0] / np.linalg.norm(moved))


@every
@examples(80)
@given(found=pools, seed=st.integers(0, 99))
def test_shuffled_candidates_get_the_same_scores(method: Refiner, found: list[Candidate], seed: int) -> None:
    some = [c for c in found if c.vector is not None and any(c.vector)]
    order_ = np.random.default_rng(seed).permutation(len(some))
    query = Query("q", vector=(0.6, 0.0, 0.8))
    rank = Refinement(method=method)
    first, second = (by_position(rank.rerank(query, of, scores="similarity")) for of in (some, shuffled(some, order_)))
    assert [first[place] for place in order_] == pytest.approx([second[place] for place in range(len(some))], abs=1e-9)


@every
@given(found=st.lists(candidates, min_size=1, max_size=6))
def test_scores_are_finite_and_cosines_are_cosines(method: Refiner, found: list[Candidate]) -> None:
    ranking = Refinement(method=method).rerank(Query("q", vector=(1.0, 0.0, 0.0)), found)
    assert ranking.scale == (FUSION if isinstance(method, SuperGlobal) else COSINE)
    unjudged = {ranked.position for ranked in ranking.kept if ranked.score is None}
    assert unjudged == {place for place, c in enumerate(found) if c.vector is None or not any(c.vector)}
    assert unjudged == {position for notice in ranking.warnings for position in notice.positions}
    if method.scale == COSINE:
        assert all(-1 - 1e-9 <= ranked.score <= 1 + 1e-9 for ranked in ranking.kept if ranked.score is not None)


@every
def test_duplicates_score_alike(method: Refiner) -> None:
    found = scores(method, [1.0, 0.0], [[0.6, 0.8], [1, 0.1], [0.6, 0.8], [0, 1]], [0.5, 1.0, 0.5, 0.0])
    assert found[0] == pytest.approx(found[2], abs=1e-12)


def test_a_model_embeds_query_and_candidates_in_one_round() -> None:
    plan = Refinement(LETTERS).plan(Ranking.of("a", ["ab", "b", "c"]))
    assert [(call.text, call.role) for call in next(plan)] == [
        ("a", "query"),
        ("ab", "passage"),
        ("b", "passage"),
        ("c", "passage"),
    ]
    ranking = Refinement(LETTERS).rerank("a", ["b", "ab", "c"])
    assert ranking.positions[0] == 1
    assert ranking.usage.calls == 4


def test_vectors_that_are_brought_are_used_when_allowed() -> None:
    found = [Candidate("b", vector=(1.0, 0.0, 0.0)), Candidate("a")]
    assert Refinement(LETTERS).rerank("a", found).positions == (1, 0)
    ranking = Refinement(LETTERS, given_vectors=True, method=Rocchio(beta=0)).rerank("a", found)
    assert [ranked.score for ranked in ranking.kept] == pytest.approx([1.0, 1.0])
    assert ranking.usage.calls == 2


@pytest.mark.parametrize("odd", [(), (1.0,), (float("nan"), 1.0, 1.0), (0.0, 0.0, 0.0), Failure("error", "no")])
def test_what_cannot_be_compared_stays_where_it_is_and_is_told_of(odd: Any) -> None:
    model = Function(lambda call: odd if call.text == "odd" else (1.0, 2.0, 3.0), "embed")
    ranking = Refinement(model).rerank("q", ["odd", "fine"])
    assert ranking.kept[0].text == "odd"
    assert [ranked.score is None for ranked in ranking.kept] == [True, False]
    assert ranking.warnings[0].positions == (0,)
    nothing = Refinement(model).rerank("odd", ["a", "b"])
    assert nothing.positions == (0, 1)
    assert {position for notice in nothing.warnings for position in notice.positions} == {0, 1}


def test_without_model_and_vectors_nothing_is_judged() -> None:
    ranking = Refinement().rerank("q", ["a", "b"])
    assert ranking.positions == (0, 1)
    assert "no model was given" in str(ranking.warnings[0])
    assert Refinement().rerank("q", []).positions == ()


def test_feedback_from_the_stage_before() -> None:
    after = Embedding(LETTERS) | Refinement(LETTERS, "rocchio")
    assert after.rerank("ab", ["ab", "abb", "c"]).positions[-1] == 2


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"method": "superglobel"}, "unknown refinement of vectors 'superglobel'. Did you mean 'superglobal'"),
        ({"method": {"rocchio": {"temperature": 0}}}, r"temperature.*\(got 0\)"),
        ({"method": {"smoothing": {"alpha": 2}}}, r"alpha.*\(got 2\)"),
    ],
)
def test_what_cannot_be_built_is_named(written: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load([{"refinement": written}])
    with pytest.raises(CapabilityError, match="Refinement needs a model that can `embed`"):
        Refinement(Function(len, "classify"))


def by_position(ranking: Ranking) -> dict[int, Any]:
    return {ranked.position: ranked.score for ranked in ranking.kept}
