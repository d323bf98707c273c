"""Sets, not lists: near duplicates, variety, coverage."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.scripted import Chat, passages
from tamis import DPP, MMR, Candidate, Cover, CrossEncoder, FirstStage, Listwise, NearDuplicates, Ranking
from tamis.errors import CapabilityError, ConfigError, ScaleError
from tamis.models import CostOnly, Function
from tamis.pool.similar import Rows
from tamis.select.cover import most_covering, normalised
from tamis.text.terms import terms
from tamis.values.answers import Failure
from tamis.values.scale import PROBABILITY


def shingles(text: str, words: int) -> set[tuple[str, ...]]:
    """Every run of `words` words; the whole text where it has fewer."""
    found = terms(text)
    return {tuple(found[start : start + words]) for start in range(max(1, len(found) - words + 1))} if found else set()


LONG = "the bridge over the river was built in 1890 by two brothers who lived nearby"


def scored(*texts: str, **fields: Any) -> list[Candidate]:
    return [Candidate(text, score=1.0 - place / 10, **fields) for place, text in enumerate(texts)]


# Near duplicates


def test_a_text_in_nearly_the_same_words_is_dropped_and_the_better_one_stays() -> None:
    found = NearDuplicates().rerank("q", [LONG, "a recipe", LONG.upper() + "!", LONG + " then"])
    assert found.positions == (0, 1)
    assert {d.why for d in found.dropped} == {"duplicate"}


def test_the_share_is_jaccards_over_runs_of_words() -> None:
    a, b = shingles("one two three four five", 2), shingles("one two three four six", 2)
    share = len(a & b) / len(a | b)
    assert share == pytest.approx(3 / 5)
    texts = ["one two three four five", "one two three four six"]
    assert len(NearDuplicates(share, words=2).rerank("q", texts)) == 1
    assert len(NearDuplicates(share + 0.01, words=2).rerank("q", texts)) == 2


def test_texts_without_words_are_no_duplicates_and_short_ones_are_compared_whole() -> None:
    assert len(NearDuplicates().rerank("q", ["", "", "...", "!"])) == 4
    assert NearDuplicates().rerank("q", ["cat", "Cats", "cat dog"]).positions == (0, 2)


def test_only_what_is_kept_makes_others_duplicates() -> None:
    """The third is near the second, which is gone, but not near the first."""
    texts = ["a b c d e f", "b c d e f g", "c d e f g h"]
    assert NearDuplicates(0.6, words=1).rerank("q", texts).positions == (0, 2)


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), max_size=8), st.sampled_from([0.3, 0.6, 1.0])
)
def test_no_two_kept_are_near_and_every_dropped_one_is_near_a_kept_one(texts: list[str], similarity: float) -> None:
    found = NearDuplicates(similarity, words=2).rerank("q", texts)
    kept = [shingles(text, 2) for text in (r.text for r in found.kept)]

    def near(a: Any, b: Any) -> bool:
        return bool(a and b) and len(a & b) >= similarity * len(a | b) - 1e-9

    assert not any(near(a, b) for a, b in itertools.combinations(kept, 2))
    assert all(any(near(shingles(d.candidate.text, 2), one) for one in kept) for d in found.dropped)


# Variety


def test_variety_moves_what_repeats_the_best_down_and_leaves_scores_alone() -> None:
    given_ = scored("apple pie recipe", "apple pie recipe baked", "tall mountains in Asia")
    for stage in (MMR(0.5), DPP(0.5)):
        found = (FirstStage() | stage).rerank("q", given_)
        assert found.positions == (0, 2, 1)
        assert [r.score for r in found.kept] == pytest.approx([1.0, 0.8, 0.9])
        assert not found.dropped


def test_mmr_by_hand() -> None:
    vectors = {"a": (1.0, 0.0), "b": (0.8, 0.6), "c": (0.0, 1.0)}
    model = Function(lambda call: vectors[call.text], "embed")
    given_ = [Candidate(t, score=s) for t, s in (("a", 0.9), ("b", 0.8), ("c", 0.5))]
    scores = CrossEncoder(
        Function(lambda call: {"a": 0.9, "b": 0.8, "c": 0.5}[call.text], "classify", scale=PROBABILITY)
    )
    # b: .6 * .8 - .4 * .8 = .16; c: .6 * .5 - .4 * 0 = .30; then b against c: .48 - .4 * max(.8, .6)
    assert (scores | MMR(0.6, model=model)).rerank("q", given_).positions == (0, 2, 1)
    assert (scores | MMR(0.9, model=model)).rerank("q", given_).positions == (0, 1, 2)


def test_greedy_dpp_picks_the_largest_determinants() -> None:
    draw = np.random.default_rng(2)
    for _ in range(20):
        vectors = draw.normal(size=(6, 4))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        relevance = draw.uniform(size=6)
        weight = np.exp(0.7 / (2 * (1 - 0.7)) * (relevance - relevance.max()))
        kernel = weight[:, None] * (vectors @ vectors.T) * weight
        picked = DPP(0.7).pick(relevance, Rows(vectors))
        assert len(picked) == len(set(picked)) == 4
        chosen: list[int] = []
        for index in picked:
            options = {
                i: float(np.linalg.det(kernel[np.ix_([*chosen, i], [*chosen, i])])) for i in range(6) if i not in chosen
            }
            assert options[index] == pytest.approx(max(options.values()), rel=1e-6)
            chosen.append(index)


@pytest.mark.parametrize("make", [MMR, DPP])
def test_at_full_trade_off_the_order_is_that_of_relevance(make: Any) -> None:
    texts = scored(*(["same text"] * 4 + ["other"]))
    assert (FirstStage() | make(1.0)).rerank("q", texts).positions == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("make", [MMR, DPP])
def test_variety_looks_at_the_head_only_and_leaves_the_unjudged_in_place(make: Any) -> None:
    texts = ["pie pie", "pie pie", "hill", "lake", "sea"]
    found = (FirstStage() | make(0.3, depth=3)).rerank("q", scored(*texts))
    assert found.positions == (0, 2, 1, 3, 4)
    none = [Candidate(t, score=s) for t, s in (("pie", 0.9), ("x", None), ("pie", 0.8), ("hill", 0.1))]
    found = (FirstStage() | make(0.3)).rerank("q", none)
    assert found.positions == (0, 1, 3, 2)


@pytest.mark.parametrize("make", [MMR, DPP])
def test_after_a_thousand_picks_the_rest_keeps_its_order_and_a_notice_says_so(make: Any) -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in draw.integers(0, 5_000, size=8)) for _ in range(1_020)]
    given_ = [Candidate(text, score=share) for text, share in zip(texts, draw.uniform(size=1_020), strict=True)]
    found = (FirstStage() | make(depth=None)).rerank("q", given_)
    (notice,) = found.warnings
    assert str(notice) == (
        f"{make.__name__}: the first 1,000 of 1,020 candidates were picked one by one; the rest keeps its order"
    )
    assert not found.degraded
    before = FirstStage().rerank("q", given_).positions
    assert list(found.positions[1_000:]) == [position for position in before if position in notice.positions]
    assert not (FirstStage() | make(depth=1_000)).rerank("q", given_).warnings
    assert not (FirstStage() | make(1.0, depth=None)).rerank("q", given_).warnings


def test_candidates_whose_vector_is_missing_or_odd_keep_their_place_and_are_named() -> None:
    def embed(call: Any) -> Any:
        return {"a": (1.0, 0.0), "b": Failure("error", "down"), "c": (1.0, 0.0), "d": (0.0, 1.0), "e": (1.0,)}[
            call.text
        ]

    found = (FirstStage() | MMR(0.3, model=Function(embed, "embed"))).rerank("q", scored("a", "b", "c", "d", "e"))
    assert found.positions == (0, 1, 3, 2, 4)
    assert {p for notice in found.warnings for p in notice.positions} == {1, 4}
    assert found.degraded


def test_given_vectors_are_used_and_the_rest_embedded() -> None:
    asked: list[str] = []

    def embed(call: Any) -> tuple[float, ...]:
        asked.append(call.text)
        return (0.0, 1.0)

    given_ = [Candidate("a", score=3.0, vector=(1.0, 0.0)), Candidate("b", score=2.0, vector=(1.0, 0.0)), Candidate("c", score=1.0)]  # fmt: skip
    found = (FirstStage() | MMR(0.3, model=Function(embed, "embed"), given_vectors=True)).rerank("q", given_)
    assert (found.positions, asked) == ((0, 2, 1), ["c"])
    alone = (FirstStage() | MMR(0.3, given_vectors=True)).rerank("q", given_)
    assert alone.positions == (0, 1, 2)
    assert alone.warnings[0].positions == (2,)


def test_what_cannot_be_diversified_is_refused() -> None:
    with pytest.raises(
        ScaleError, match="MMR needs .* it gets ordinal scores from Listwise. Put a stage that scores in front"
    ):
        (Listwise(CostOnly()) | MMR()).rerank("q", ["a", "b"])
    with pytest.raises(CapabilityError, match="DPP needs a model that can `embed`"):
        DPP(model=object())


# Coverage


def test_the_fewest_that_cover_the_question_are_kept_and_what_is_missing_is_told() -> None:
    texts = ["the tower of the city", "a tower", "height of a tower", "year it opened", "zebra"]
    found = Cover().rerank("tower height year weight", texts)
    assert found.positions == (2, 3)
    assert {d.why for d in found.dropped} == {"policy_cut"}
    assert str(found.warnings[0]) == "Cover: no candidate holds weight"
    assert not found.degraded


def test_no_stop_word_is_an_aspect_whatever_its_stem() -> None:
    found = Cover().rerank("does this tower", ["a tower"])
    assert not found.warnings


def test_each_aspect_can_be_asked_for_more_than_once() -> None:
    texts = ["tower", "tower", "tower"]
    assert Cover().rerank("tower", texts).positions == (0,)
    assert Cover(times=2).rerank("tower", texts).positions == (0, 1)


def test_the_values_of_a_field_are_covered() -> None:
    def answer(*values: str) -> Candidate:
        return Candidate("", metadata={"answers": list(values)})

    found = Cover(field="answers").rerank("q", [answer("1984"), answer("1984", "1985"), answer("1985"), answer()])
    assert found.positions == (1,)
    assert Cover(field="nothing").rerank("q", ["a", "b"]).positions == (0, 1)


ANSWERS = {"a": ["Rome"], "b": ["the  Rome"], "c": ["Milan", "rome"], "d": []}


def read_out(call: Any) -> str:
    import json

    return json.dumps({"passages": [{"passage": n, "answers": ANSWERS[t]} for n, t in enumerate(passages(call), 1) if t in ANSWERS]})  # fmt: skip


def test_one_candidate_for_each_different_answer_that_a_model_reads_out() -> None:
    model = Chat(read_out)
    found = Cover(model).rerank("q", ["a", "b", "c", "d"])
    assert found.positions == (2,)
    assert found.usage.calls == 1
    assert Cover(model, batch_size=1).rerank("q", ["a", "b", "d"]).positions == (0,)
    assert (normalised("the Rome"), normalised("The")) == ("rome", "the")


def test_what_a_model_did_not_read_keeps_its_place_and_is_named() -> None:
    found = Cover(Chat(read_out)).rerank("q", ["a", "unread", "b", "c"])
    assert found.positions == (3, 1)
    assert found.warnings[0].positions == (1,)
    assert "the answer left them out" in str(found.warnings[0])
    down = Cover(Chat(lambda call: "no idea")).rerank("q", ["a", "b"])
    assert (down.positions, down.degraded) == ((0, 1), True)


def test_a_depth_leaves_the_tail_as_it_is() -> None:
    assert Cover(depth=2).rerank("tower", ["tower", "tower", "x", "tower"]).positions == (0, 2, 3)


@given(st.lists(st.frozensets(st.sampled_from("abcdef")), max_size=7), st.integers(1, 2))
def test_a_greedy_cover_covers_all_it_can_without_a_useless_pick(covers: list[frozenset[str]], times: int) -> None:
    picked = most_covering(covers, times)
    assert len(set(picked)) == len(picked)
    for aspect in frozenset().union(*covers):
        there = sum(aspect in own for own in covers)
        assert sum(aspect in covers[i] for i in picked) >= min(times, there)
    for place, index in enumerate(picked):
        before = [covers[i] for i in picked[:place]]
        assert any(sum(aspect in own for own in before) < times for aspect in covers[index])


@given(st.lists(st.frozensets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=6))
def test_a_greedy_cover_reaches_the_known_share_of_the_best_at_every_size(covers: list[frozenset[str]]) -> None:
    spread = {a: sum(a in own for own in covers) for a in frozenset().union(*covers)}

    def worth(chosen: Any) -> float:
        held = frozenset().union(*(covers[i] for i in chosen))
        return sum(math.log1p(len(covers) / spread[aspect]) for aspect in held)

    picked = most_covering(covers)
    for size in range(1, len(picked) + 1):
        best = max(worth(chosen) for chosen in itertools.combinations(range(len(covers)), size))
        assert worth(picked[:size]) >= (1 - 1 / math.e) * best - 1e-9


def test_a_model_and_a_field_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="by a model or values of a field, not both"):
        Cover(CostOnly(), field="x")
    with pytest.raises(CapabilityError, match="Cover needs a model that can `generate`"):
        Cover(object())


def test_an_empty_ranking_passes() -> None:
    for stage in (NearDuplicates(), MMR(), DPP(), Cover(), Cover(CostOnly())):
        assert stage.rerank("q", []).kept == ()
        assert isinstance(stage.rerank("q", ["a"]), Ranking)
