from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis import Candidate, Notice, Query, Ranking
from tamis.errors import InputError
from tamis.values.scale import LOGIT, ORDINAL, PROBABILITY, UNKNOWN, graded


def ranking(*scores: float | None) -> Ranking:
    return Ranking.of("q", [Candidate(str(n), score=score) for n, score in enumerate(scores)])


def test_candidates_come_from_strings_mappings_and_candidates() -> None:
    made = Ranking.of("q", ["a", {"text": "b", "id": 7, "score": 0.5}, Candidate("c")])
    assert [c.text for c in made.candidates] == ["a", "b", "c"]
    assert made.kept[1].candidate.id == 7
    assert made.kept[1].score == 0.5
    assert made.positions == (0, 1, 2)


@pytest.mark.parametrize("query", ["", "   ", "\n", None, 3])
def test_a_blank_or_missing_query_is_refused_with_its_value(query: object) -> None:
    with pytest.raises(InputError, match="contains text"):
        Query(query)  # type: ignore[arg-type]


@pytest.mark.parametrize("candidates", ["one text", {"text": "one"}, b"bytes"])
def test_one_text_instead_of_a_sequence_is_refused(candidates: object) -> None:
    with pytest.raises(InputError, match="sequence of texts"):
        Ranking.of("q", candidates)  # type: ignore[arg-type]


def test_a_mapping_with_unknown_keys_says_where_they_belong() -> None:
    with pytest.raises(InputError, match="metadata"):
        Ranking.of("q", [{"text": "a", "source": "x"}])


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_scores_that_are_no_numbers_become_none(score: float | None) -> None:
    assert Candidate("a", score=score).score is None


def test_scores_that_are_not_finite_are_reported_with_their_positions() -> None:
    given = [{"text": "a", "score": 0.9}, Candidate("b", score=math.nan), {"text": "c", "score": math.inf}, "d"]
    ranking = Ranking.of("q", given)
    (notice,) = ranking.warnings
    assert notice == Notice(
        "2 of 4 scores are not finite (NaN or infinity): they count as missing", (1, 2), degraded=False
    )
    assert not Ranking.of("q", given, scores="ignore").warnings
    assert not Ranking.of("q", [given[0], {"text": "b", "score": None}, "d"]).warnings
    assert any(one.positions == (1, 2) for one in tamis.rerank("q", given).warnings)
    assert pickle.loads(pickle.dumps(given[1])) == given[1] == Candidate("b")
    with pytest.raises(InputError, match="may have .*'text'") as refused:
        Ranking.of("q", [{"text": "a", "_unread": True}])
    assert "may have ['id'" in str(refused.value)


@pytest.mark.parametrize(("id", "named"), [(None, False), (math.nan, False), ("d7", True), (0, True)])
def test_an_error_names_the_id_where_there_is_one(id: Any, named: bool) -> None:
    with pytest.raises(InputError, match=r"candidates\[1\]: a title must be") as refused:
        Ranking.of("q", ["a", {"text": "b", "title": True, "id": id}])
    assert str(refused.value).endswith(f"(the candidate with the id {id!r})" if named else "got bool True")


def test_numpy_scores_become_python_floats() -> None:
    np = pytest.importorskip("numpy")
    assert type(Candidate("a", score=np.float32(0.5)).score) is float


def test_losing_or_doubling_a_candidate_is_impossible() -> None:
    full = ranking(1, 2, 3)
    with pytest.raises(AssertionError):
        replace(full, kept=full.kept[:1] + full.kept[2:])
    with pytest.raises(AssertionError):
        replace(full, kept=full.kept + full.kept[:1])


def test_unjudged_candidates_keep_their_place_and_ties_their_order() -> None:
    before = ranking(None, 1.0, None, 3.0, 3.0)
    assert before.scored(before.kept, UNKNOWN).positions == (0, 3, 2, 4, 1)


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), max_size=30))
def test_sorting_by_scores_is_a_permutation_and_sorted(scores: list[float | None]) -> None:
    before = ranking(*scores)
    after = before.scored(before.kept, LOGIT)
    assert sorted(after.positions) == list(range(len(scores)))
    known = [r.score for r in after.kept if r.score is not None]
    assert known == sorted(known, reverse=True)
    assert [n for n, r in enumerate(after.kept) if r.score is None] == [n for n, s in enumerate(scores) if s is None]


def test_dropping_keeps_the_reason_and_the_score() -> None:
    after = ranking(1, 2, 3).drop("policy_cut", lambda index, ranked: ranked.position == 1)
    assert after.positions == (0, 2)
    assert [(d.position, d.why, d.ranked.score) for d in after.dropped] == [(1, "policy_cut", 2)]


def test_an_order_without_scores_takes_the_old_scores_away() -> None:
    after = ranking(1, 2).ordered([1, 0], ORDINAL)
    assert [(r.position, r.score) for r in after.kept] == [(1, None), (0, None)]


def test_scales_map_to_the_unit_interval() -> None:
    assert PROBABILITY.normalised([0.2, None]) == [0.2, None]
    assert graded(0, 10).normalised([5, 12]) == [0.5, 1.0]
    assert LOGIT.normalised([0.0]) == [0.5]
    assert UNKNOWN.normalised([2.0, 4.0, 3.0]) == [0.0, 1.0, 0.5]
    assert UNKNOWN.normalised([2.0, 2.0]) == [1.0, 1.0]
    with pytest.raises(ValueError, match="ordinal"):
        ORDINAL.normalised([1.0])


def test_rankings_survive_pickling() -> None:
    import pickle

    made = Ranking.of("q", ["a", {"text": "b", "metadata": {"k": 1}}])
    assert pickle.loads(pickle.dumps(made)) == made


def test_a_ranking_prints_short_whatever_it_holds() -> None:
    many = Ranking.of("a question " * 40, [{"text": "x" * 9_000, "score": n / 3} for n in range(200)])
    assert len(repr(many)) < 250
    assert "kept=200 [0: 0, 1: 0.3333" in repr(many)
    small = Ranking.of("q", ["a", {"text": "b", "id": "doc-2", "score": 1.25}])
    assert repr(small) == "Ranking('q', kept=2 [0: no score, doc-2: 1.25], scale=unknown)"
    cut = small.drop("top_n", lambda index, ranked: index > 0).warn(Notice("odd"))
    assert repr(cut) == "Ranking('q', kept=1 [0: no score], scale=unknown, dropped=1, warnings=1, degraded)"
