"""Metrics by name: the library's, and our own with their worked values."""

from __future__ import annotations

import math
import random
import shutil
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.evaluations import kitchen
from tamis import Candidate, Query, Ranking
from tamis.errors import ConfigError
from tamis.evaluate import ties
from tamis.evaluate.dataset import Dataset, Question
from tamis.evaluate.metrics import DEFAULT_METRICS, check, oracle, shuffled_values, values
from tamis.evaluate.own_metrics import normalised
from tamis.values.ranking import Ranked
from tamis.values.scale import PROBABILITY


def ranked(ids: str | list[str], scores: list[float | None] | None = None, **more: Any) -> Ranking:
    candidates = [Candidate(f"text of {i}", i) for i in ids]
    ranking = Ranking.of("a query", candidates, scale=PROBABILITY)
    given = scores or [None] * len(candidates)
    kept = tuple(replace(r, score=s) for r, s in zip(ranking.kept, given, strict=True))
    return replace(ranking, kept=kept, **more)


def judged(grades: dict[str, int], relevant_from: int = 1, **fields: Any) -> Dataset:
    corpus = {i: Candidate(f"text of {i}", i) for i in grades}
    return Dataset("d", {"q": Question("q", Query("a query"), fields)}, corpus, {"q": grades}, {}, relevant_from)


def value(name: str, dataset: Dataset, ranking: Ranking) -> float | None:
    return values([name], dataset, {"q": ranking})["q"].get(name)


def test_ndcg_is_the_library_s() -> None:
    dataset = judged({"a": 2, "b": 0, "c": 1})
    assert value("nDCG@10", dataset, ranked("bca")) == pytest.approx(
        (1 / math.log2(3) + 2 / 2) / (2 + 1 / math.log2(3))
    )
    assert value("RR@10", dataset, ranked("bca")) == 0.5
    assert value("R@2", dataset, ranked("bca")) == 0.5


@given(st.permutations("abcdefgh"))
def test_the_order_is_the_ranking_s_whatever_the_ids(order: list[str]) -> None:
    dataset = judged({"a": 1})
    assert value("RR", dataset, ranked(order)) == pytest.approx(1 / (order.index("a") + 1))


def test_equal_scores_do_not_let_the_library_choose() -> None:
    assert value("RR", judged({"z": 1}), ranked("az", [0.5, 0.5])) == 0.5
    assert value("RR", judged({"a": 1}), ranked("za", [0.5, 0.5])) == 0.5


def test_a_grade_below_the_relevant_one_is_not_relevant_where_only_yes_and_no_count() -> None:
    dataset = judged({"a": 1, "b": 2}, relevant_from=2)
    assert value("RR", dataset, ranked("ab")) == 0.5
    assert value("RR(rel=1)", dataset, ranked("ab")) == 1.0
    assert value("nDCG", dataset, ranked("ab")) < 1.0


def test_a_query_counts_for_a_metric_when_it_has_a_passage_of_the_grade_that_the_metric_needs() -> None:
    dataset = judged({"a": 1}, relevant_from=2)
    found = values(["nDCG@10", "RR", "RR(rel=1)", "kept_R"], dataset, {"q": ranked("ba")})["q"]
    assert found == {"nDCG@10": pytest.approx(1 / math.log2(3)), "RR(rel=1)": 0.5}
    assert value("RR(rel=3)", judged({"a": 2}), ranked("a")) is None


def test_counts_of_what_was_found_ask_for_no_relevance_unless_their_name_does() -> None:
    dataset = judged({"a": 1, "b": 2}, relevant_from=2)
    assert value("NumRet", dataset, ranked("abc")) == 3.0
    assert value("NumRelRet", dataset, ranked("abc")) == 1.0


@pytest.mark.skipif(shutil.which("perl") is None, reason="ERR is computed by a perl script")
def test_err_is_computed_whatever_the_query_ids() -> None:
    # Two grades of at most 4: (2^2 - 1) / 16 at rank 1, then (2^1 - 1) / 16 at rank 2 of who goes on.
    assert value("ERR@10", judged({"a": 2, "b": 1}), ranked("ab")) == pytest.approx(3 / 16 + 13 / 16 / 16 / 2, abs=1e-5)


def test_without_anything_relevant_only_what_needs_none_has_a_value() -> None:
    found = values([*DEFAULT_METRICS, "kept_P", "kept_R", "kept_F1"], judged({"a": 0}), {"q": ranked("ab")})["q"]
    assert found == {"Judged@10": 0.5, "kept": 2.0, "kept_P": 0.0, "kept_F1": 0.0}


def test_nothing_kept_scores_zero_and_is_right_where_nothing_is_relevant() -> None:
    empty = ranked("")
    assert value("nDCG@10", judged({"a": 1}), empty) == 0.0
    assert value("kept_F1", judged({"a": 1}), empty) == 0.0
    assert value("kept_F1", judged({"a": 0}), empty) == 1.0
    assert value("kept_P", judged({"a": 0}), empty) == 1.0


def test_a_repeated_id_counts_where_it_first_stands() -> None:
    dataset = judged({"a": 1, "b": 1})
    assert value("R@100", dataset, ranked(["a", "a", "b"])) == 1.0
    assert value("MRR_all", dataset, ranked(["a", "a", "b"])) == pytest.approx((1 + 1 / 2) / 2)
    assert value("kept_P", dataset, ranked(["a", "a"])) == 1.0


def test_g_rag_s_metrics_are_over_all_relevant_passages() -> None:
    dataset = judged({"a": 1, "b": 1, "x": 1})
    order = ranked([*"ca", *map(str, range(9)), "b"])
    assert value("MRR_all", dataset, order) == pytest.approx((1 / 2 + 1 / 12 + 0) / 3)
    assert value("MHits@10", dataset, order) == pytest.approx(1 / 3)


def test_ties_have_their_worked_values() -> None:
    scores = [0.9, 0.8, 0.8, 0.8, 0.5]
    found = [ties.places(scores, index) for index in range(5)]
    assert [ties.mtrr(*t) for t in found] == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0.2])
    assert [round(ties.expected_rr(*t), 4) for t in found] == [1, 0.3611, 0.3611, 0.3611, 0.2]
    scores = [9.0] * 4 + [5.0] * 12 + [1.0] * 4
    assert [ties.tied_hits(*ties.places(scores, index), 10) for index in (0, 4, 16)] == [1.0, 0.5, 0.0]
    assert ties.tied_hits(0, 20, 10) == 0.5
    assert round(ties.mtrr(0, 20), 5) == 0.09524


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 12), st.data())
def test_tied_hits_are_the_share_of_random_tie_breaks_that_hit(levels: list[int], k: int, data: Any) -> None:
    scores = sorted(map(float, levels), reverse=True)
    index = data.draw(st.integers(0, len(scores) - 1))
    above, tied = ties.places(scores, index)
    assert ties.tied_hits(above, tied, k) == pytest.approx(
        sum(above + place <= k for place in range(1, tied + 1)) / tied
    )
    assert ties.mtrr(above, tied) <= ties.expected_rr(above, tied) + 1e-12


def test_without_scores_nothing_ties() -> None:
    dataset = judged({"b": 1})
    assert value("MTRR", dataset, ranked("abc")) == value("MRR_all", dataset, ranked("abc")) == 0.5
    assert value("MTRR", dataset, ranked("abc", [1.0, 1.0, 1.0])) == 0.5
    assert value("ERR_ties", dataset, ranked("abc", [1.0, 1.0, 1.0])) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert value("TMHits@1", dataset, ranked("abc", [1.0, 1.0, 1.0])) == pytest.approx(1 / 3)


def test_the_kept_set_has_precision_recall_and_f1() -> None:
    dataset = judged({"a": 1, "b": 1, "c": 1})
    short = ranked("axb").drop("policy_cut", lambda index, r: index > 1)
    assert value("kept_P", dataset, short) == 0.5
    assert value("kept_R", dataset, short) == pytest.approx(1 / 3)
    assert value("kept_F1", dataset, short) == pytest.approx(2 / 5)
    assert value("k_error", dataset, short) == 1.0
    assert value("kept_tokens", dataset, short) == 6.0


def test_answers_are_found_whatever_their_case_and_punctuation() -> None:
    dataset = judged({"a": 1}, answers=["The U.S.A.", "Moon"], wrong_answers="Mars")
    texts = ["He flew from the USA.", "They saw mars!", "Honeymoon"]
    ranking = Ranking.of("q", [Candidate(text, str(i)) for i, text in enumerate(texts)])
    assert value("answers", dataset, ranking) == 0.5
    assert value("answers@1", dataset, ranking) == 0.5
    assert value("answers", judged({"a": 1}, answer="moon"), ranking) == 0.0
    assert value("answers", judged({"a": 1}), ranking) is None
    assert normalised("An apple,  a day!") == "apple day"


def test_wrong_answers_are_the_share_of_kept_passages_that_carry_one() -> None:
    dataset = judged({"a": 1}, answers=["Rome"], wrong_answers=["Mars", "Venus"])
    texts = ["Rome, not Venus", "They saw mars!", "Marsupials of Rome", "mars and venus"]
    ranking = Ranking.of("q", [Candidate(text, str(i)) for i, text in enumerate(texts)])
    assert value("wrong_answers", dataset, ranking) == 0.75
    assert value("wrong_answers@3", dataset, ranking) == pytest.approx(2 / 3)
    assert value("wrong_answers", dataset, ranked("")) is None
    assert value("wrong_answers", judged({"a": 1}, answers=["Rome"]), ranking) is None


def test_answers_are_whole_words_only_where_words_have_spaces_between_them() -> None:
    found = Ranking.of("q", [Candidate("他住在东京市中心。", "1"), Candidate("The Romans left", "2")])
    assert value("answers", judged({"a": 1}, answers=["东京"]), found) == 1.0
    assert value("answers", judged({"a": 1}, answers=["Roman"]), found) == 0.0
    assert normalised("हिन्दी, 10,000 €") == "हिन्दी 10000"


def test_the_error_of_k_looks_through_what_was_dropped_latest_first() -> None:
    cut = ranked("abcdef").drop("top_n", lambda index, r: index >= 4).drop("policy_cut", lambda index, r: index >= 1)
    assert [d.candidate.id for d in cut.dropped] == ["e", "f", "b", "c", "d"]
    assert value("k_error", judged({"b": 1}), cut) == 1.0
    assert value("k_error", judged({"e": 1}), cut) == 4.0
    assert value("k_error", judged({"a": 1}), ranked(["a", "b", "c", "a"])) == 2.0
    assert value("k_error", judged({"x": 1}), cut) == 1.0


def test_metadata_and_criteria_are_counted_over_what_was_kept() -> None:
    dataset = judged({"a": 1})
    candidates = [Candidate("t", str(i), metadata={"type": kind}) for i, kind in enumerate(("misinfo", "correct"))]
    ranking = Ranking.of("q", candidates)
    scored = replace(ranking, kept=tuple(replace(r, criteria={"recency": s}) for r, s in zip(ranking.kept, (4.0, None), strict=True)))  # fmt: skip
    assert value("metadata:type=misinfo", dataset, scored) == 0.5
    assert value("metadata:type=misinfo@1", dataset, scored) == 1.0
    assert value("criterion:recency@2", dataset, scored) == 4.0
    assert value("criterion:depth", dataset, scored) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("P", "needs a cut-off, such as P@10"),
        ("P()@x", "unknown metric"),
        ("Rprec@10", "missing or wrong"),
        ("P@0", "cutoff must be at least 1"),
        ("RR@0", "cutoff must be at least 1"),
        ("P(rel=0)@5", "rel must be at least 1"),
        ("alpha_nDCG@10", "cannot be computed here"),
    ],
)
def test_what_the_library_reads_but_cannot_compute_is_refused_before_any_work(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check([name])


def test_negative_cutoffs_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown metric"):
        check(["P@-1"])


@pytest.mark.parametrize("name", ["nDGC@10", "MHits", "metadata:type", "criterion:a=b", "kept@3", "os.system('x')", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown metric"):
        check([name])


def test_known_names_are_taken() -> None:
    check([*DEFAULT_METRICS, "MHits@10", "TMHits@5", "answers", "wrong_answers@3", "metadata:a=b", "criterion:depth@5"])


def test_the_oracle_is_the_best_order_and_random_orders_average_out() -> None:
    dataset = kitchen()
    pools = {q: Ranking.of(dataset.questions[q].query, dataset.pool(q)) for q in dataset.questions}
    best = values(["nDCG@10"], dataset, {q: oracle(r, dataset, q) for q, r in pools.items()})
    assert {query: row["nDCG@10"] for query, row in best.items()} == pytest.approx(dict.fromkeys(pools, 1.0))
    one, two = (shuffled_values(["RR"], dataset, pools, seed=seed, repeats=400) for seed in (1, 2))
    assert one["q4"]["RR"] == pytest.approx(sum(1 / place for place in range(1, 11)) / 10, abs=0.05)
    assert one != two
    assert one == shuffled_values(["RR"], dataset, pools, seed=1, repeats=400)


@given(st.integers(0, 10_000))
def test_every_value_lies_between_nothing_and_the_oracle(seed: int) -> None:
    chosen = random.Random(seed)
    grades = {i: chosen.choice([0, 0, 1, 2]) for i in "abcdefgh"}
    dataset = judged(grades)
    order = ranked(chosen.sample("abcdefgh", 8))
    if not dataset.relevant("q"):
        return
    found = value("nDCG@5", dataset, order)
    assert found is not None
    assert 0 <= found <= (value("nDCG@5", dataset, oracle(order, dataset, "q")) or 0) + 1e-12


def test_the_best_order_has_no_ties_of_the_old_order() -> None:
    dataset, scored = judged({"c": 1}), ranked("abc", [3.0, 2.0, 1.0])
    assert value("MTRR", dataset, scored) == pytest.approx(1 / 3)
    assert value("MTRR", dataset, oracle(scored, dataset, "q")) == 1.0


def test_random_orders_have_their_expected_ndcg_and_no_ties_of_the_old_order() -> None:
    grades = {"a": 2, "b": 1, "c": 0, "d": 0, "e": 0, "f": 0}
    dataset, scored = judged(grades), ranked("abcdef", [6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    found = shuffled_values(["nDCG@3", "MTRR", "MRR_all"], dataset, {"q": scored}, repeats=2000)["q"]
    discounts = [1 / math.log2(rank + 1) for rank in (1, 2, 3)]
    assert found["nDCG@3"] == pytest.approx(3 / 6 * sum(discounts) / (2 + discounts[1]), abs=0.03)
    assert found["MTRR"] == found["MRR_all"] == pytest.approx(sum(1 / rank for rank in range(1, 7)) / 6, abs=0.03)


def test_a_ranking_by_hand_keeps_its_scores() -> None:
    assert isinstance(ranked("ab", [1.0, 0.5]).kept[0], Ranked)


@pytest.mark.parametrize(("k", "share"), [(1, 1 / 3), (2, 2 / 3), (3, 2 / 3), (5, 1.0)])
def test_a_passage_at_rank_k_is_among_the_first_k(k: int, share: float) -> None:
    assert ties.mean_hits([1, 2, 5], k) == pytest.approx(share)
