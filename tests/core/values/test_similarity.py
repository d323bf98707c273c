"""Scores of a first stage that are distances: no stage takes the farthest for the best."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis import DynamicK, FirstStage, Fuse, Lexical, MultiCriteria, Reranker, Stage, Threshold, default
from tamis.criteria import Coverage
from tamis.engine.engine import Engine
from tamis.errors import ConfigError, InputError
from tamis.values.ranking import Candidate, Ranking
from tamis.values.similarity import rise

TEXTS = (
    "a ridge walk in the alps",
    "walking boots",
    "alpine huts on the walk",
    "tomato soup",
    "bicycle repair",
    "tax law",
)
STAGES: dict[str, Callable[[], Stage]] = {
    "default": default,
    "first stage": FirstStage,
    "fused by score": lambda: Fuse((FirstStage(), Lexical()), method="weighted"),
    "fused by rank": lambda: FirstStage() & Lexical(),
    "gap": lambda: FirstStage() | DynamicK("largest_gap"),
    "gap in what came": lambda: DynamicK("largest_gap"),
    "criteria": lambda: MultiCriteria(criteria=[Coverage()]),
    "graph": lambda: tamis.load("graph"),
}
scores = st.lists(st.none() | st.sampled_from([0.1, 0.25, 0.5, 1.5, 80.0, -0.5, float("nan")]), min_size=2, max_size=6)
similar = st.lists(st.floats(-5, 5, width=16), min_size=2, max_size=6, unique=True).map(
    lambda s: sorted(s, reverse=True)
)


def found(given: list[float | None]) -> list[Candidate]:
    return [Candidate(text, score=score) for text, score in zip(TEXTS, given, strict=False)]


def about(ranking: Ranking) -> list[str]:
    return [notice.message for notice in ranking.warnings if "distance" in notice.message]


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
@given(falling=similar)
def test_distances_in_order_count_as_the_similarities_they_stand_for(
    stage: Callable[[], Stage], falling: list[float]
) -> None:
    as_similarities = stage().rerank("alpine walk", found(list(falling)))
    as_distances = stage().rerank("alpine walk", found([0.0 - score for score in falling]))
    assert as_distances.positions == as_similarities.positions
    assert [d.position for d in as_distances.dropped] == [d.position for d in as_similarities.dropped]
    assert not about(as_similarities)
    (notice,) = about(as_distances)  # once, however many stages read them
    assert "scores='distance'" in notice


@given(scores)
def test_an_order_that_rises_is_kept_by_what_goes_by_scores(given: list[float | None]) -> None:
    candidates = found(given)
    read = Reranker(FirstStage()).rerank("q", candidates)
    if rise([candidate.score for candidate in candidates]):
        judged = [p for p in read.positions if candidates[p].score is not None]
        assert judged == sorted(judged)
        assert about(read)
    else:
        assert not about(read)


@given(scores)
def test_what_is_declared_is_not_guessed(given: list[float | None]) -> None:
    candidates = found(given)
    stage = FirstStage(unscored="unknown")
    near = Reranker(stage, scores="distance").rerank("q", candidates)
    far = Reranker(stage, scores="similarity").rerank("q", candidates)
    known = [ranked.score for ranked in near.kept if ranked.score is not None]
    assert known == sorted(known, reverse=True)
    assert [-(r.score or 0) for r in near.kept] == [candidates[r.position].score or 0 for r in near.kept]
    assert [r.score for r in far.kept if r.score is not None] == sorted((-s for s in known), reverse=True)
    assert not about(near) + about(far)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_ignored_scores_are_as_if_there_were_none(stage: Callable[[], Stage]) -> None:
    given = found([0.2, 0.9, 0.1, 0.5, 0.8, 0.3])
    ignored = Reranker(stage(), scores="ignore").rerank("alpine walk", given)
    assert ignored == Reranker(stage()).rerank("alpine walk", found([None] * 6)) or ignored.positions


@pytest.mark.parametrize(
    "given",
    [[0.4], [0.5, 0.5, 0.5], [0.9, 0.8], [-0.1, -0.4], [None, None], [0.3, None], [float("nan"), 0.2], [0.2, 0.7, 0.6]],
    ids=str,
)
def test_these_are_not_taken_for_distances(given: list[float | None]) -> None:
    assert not about(tamis.rerank("alpine walk", found(given)))


@pytest.mark.parametrize(
    "given",
    [[0.1, 0.4], [0.0, 0.0, 1.2], [None, 0.1, float("nan"), 0.2], [-0.9, -0.2, 0.1], [-1.2e-7, 0.3], [3, 10**30]],
    ids=str,
)
def test_these_are(given: list[float | None]) -> None:
    ranking = FirstStage().rerank("alpine walk", found(given))
    assert about(ranking)
    judged = [p for p in ranking.positions if found(given)[p].score is not None]
    assert judged == sorted(judged)


FAR = [0.1 * n for n in range(12)]


@pytest.mark.parametrize("wrong", range(11))
def test_distances_with_one_wrong_neighbour_stay_similarities_and_are_asked_about(wrong: int) -> None:
    given: list[float | None] = list(FAR)
    given[wrong], given[wrong + 1] = given[wrong + 1], given[wrong]
    for scores in (given, [None, *given], [given[0], *given]):  # neither a missing score nor a tie is a step
        ranking = Reranker(FirstStage(unscored="unknown")).rerank("q", [Candidate("t", score=s) for s in scores])
        known = [ranked.score for ranked in ranking.kept if ranked.score is not None]
        assert known == sorted(known, reverse=True)
        (notice,) = about(ranking)
        assert "rise almost everywhere" in notice
        assert "scores='distance'" in notice
    candidates = [Candidate("t", score=s) for s in given]
    for said in ("distance", "similarity", "ignore"):
        assert not about(Reranker(FirstStage(), scores=said).rerank("q", candidates))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [[0.2, 0.1, *FAR[3:9]], FAR[::-1], [*FAR[6:], *FAR[:6]][::-1], [0.5] * 12, FAR[:3] * 4],
    ids=["too few", "falling", "falling but for one", "equal", "a quarter falls"],
)
def test_other_orders_are_not_asked_about(given: list[float]) -> None:
    assert not about(tamis.rerank("q", [Candidate("t", score=score) for score in given]))


def test_a_list_without_an_order_has_no_distances() -> None:
    assert not about(tamis.rerank("alpine walk", found([0.1, 0.4]), ordered=False))


def test_thresholds_are_on_negated_distances() -> None:
    reranker = Reranker(FirstStage(), scores="distance", threshold=-0.5)
    assert reranker.rerank("q", found([0.2, 0.5, 0.7])).positions == (0, 1)
    assert (FirstStage() | Threshold(-0.5)).rerank("q", found([0.2, 0.5, 0.7])).positions == (0, 1)


def test_scores_of_a_known_scale_are_never_distances() -> None:
    ranking = Ranking.of("q", found([0.1, 0.2]), scale=tamis.values.scale.PROBABILITY, scores="detect")
    assert [ranked.score for ranked in ranking.kept] == [0.1, 0.2]


async def test_the_engine_reads_them_alike_in_sync_and_async() -> None:
    given, engine = found([0.2, 0.5, 0.7]), Engine()
    assert (await engine.arerank(FirstStage(), "q", given)).kept == engine.rerank(FirstStage(), "q", given).kept
    told = await tamis.arerank("q", given, FirstStage(), scores="distance")
    assert told.kept == tamis.rerank("q", given, FirstStage(), scores="distance").kept


@pytest.mark.parametrize("wrong", ["distances", None, 1, ["distance"]])
def test_an_unknown_meaning_is_refused_with_those_that_are_known(wrong: object) -> None:
    with pytest.raises(ConfigError, match="'similarity', 'distance', 'ignore'"):
        Reranker(scores=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scores must be one of"):
        Ranking.of("q", [], scores=wrong)  # type: ignore[arg-type]
