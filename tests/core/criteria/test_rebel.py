"""REBEL as published: defaults, gate, ties, calls; and what it makes of every bad answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from support.scripted import Chat, grades, passages
from tamis import Engine, Ranking, Rebel
from tamis.criteria import RELEVANCE, STANDARD, Criterion
from tamis.values.answers import Failure, Generated
from tamis.values.scale import graded

PERFECT = dict.fromkeys(STANDARD, 5)
NOTHING = dict.fromkeys(STANDARD, 0)


def judged_by(grade: Callable[[str], Any], **options: Any) -> tuple[Rebel, Chat]:
    """REBEL with a model that grades each passage by `grade(text)`."""
    model = Chat(lambda call: grades(call, grade))
    return Rebel(model, **options), model


def answering(*answers: Any, **options: Any) -> tuple[Rebel, Chat]:
    """REBEL with a model that gives these answers, one a call."""
    given = iter(answers)
    model = Chat(lambda call: next(given))
    return Rebel(model, **options), model


def by_text(text: str) -> dict[str, Any]:
    return {"relevance": float(text), **NOTHING}


def test_the_defaults_of_the_paper() -> None:
    stage, _ = judged_by(by_text)
    assert stage.relevance == RELEVANCE
    assert (RELEVANCE.max, RELEVANCE.weight) == (10, 1)
    assert [c.name for c in stage.criteria if isinstance(c, Criterion)] == [
        "depth", "diversity", "clarity", "authoritativeness", "recency",
    ]  # fmt: skip
    assert {(c.max, c.weight) for c in STANDARD.values()} == {(5, 0.5)}
    assert (stage.gate, stage.combine, stage.tie_break, stage.batch_size) == (3, "composite", "authoritativeness", 10)


def test_scores_are_the_composite_and_criteria_and_reasons_come_back() -> None:
    worked = {"relevance": 8, "depth": 4, "diversity": 3, "clarity": 5, "authoritativeness": 4, "recency": 2}
    stage, _ = judged_by(
        lambda text: {**worked, "reason": f"why {text}"} if text == "x" else {"relevance": 10, **NOTHING}
    )
    ranking = stage.rerank("q", ["y", "x"])
    assert [(r.text, r.score) for r in ranking.kept] == [("x", 17.0), ("y", 10.0)]
    assert ranking.kept[0].criteria == worked
    assert ranking.kept[0].reason == "why x"
    assert ranking.kept[1].criteria == {"relevance": 10, **NOTHING}
    assert ranking.scale == graded(0, 22.5)
    assert not ranking.warnings


def test_the_gate_is_on_relevance_not_on_the_composite() -> None:
    """R 2.9 and all 5 is out (15.4 would be high); R 3 and all 5 is in with 15.5 and beats R 10 and nothing."""
    table = {"a": {"relevance": 2.9, **PERFECT}, "b": {"relevance": 10, **NOTHING}, "c": {"relevance": 3, **PERFECT}}
    stage, _ = judged_by(table.__getitem__)
    ranking = stage.rerank("q", list("abc"))
    assert [(r.text, r.score) for r in ranking.kept] == [("c", 15.5), ("b", 10.0)]
    (out,) = ranking.dropped
    assert (out.position, out.why) == (0, "below_relevance_gate")
    assert out.ranked.score == pytest.approx(15.4)
    assert out.ranked.criteria["relevance"] == 2.9


def test_when_all_are_gated_nothing_is_kept_and_that_is_no_failure() -> None:
    stage, _ = judged_by(lambda text: {"relevance": 1, **PERFECT})
    ranking = stage.rerank("q", ["a", "b", "c"])
    assert ranking.kept == ()
    assert {d.position: d.why for d in ranking.dropped} == dict.fromkeys(range(3), "below_relevance_gate")
    assert not ranking.degraded
    (notice,) = ranking.warnings
    assert "kept nothing: all 3 candidates are below the gate of 3" in str(notice)


def test_a_missing_grade_is_none_moves_nobody_and_is_reported() -> None:
    rows = [{"passage": 1, "relevance": 6, **PERFECT}, {"passage": 2, "relevance": 6}, {"passage": 3, "relevance": 10}]
    stage, _ = answering(json.dumps(rows))
    ranking = stage.rerank("q", ["a", "b", "c"])
    by_text = {r.text: r for r in ranking.kept}
    assert by_text["c"].score == 22.5
    assert by_text["b"].score == pytest.approx(22.5 * 0.6)
    assert by_text["b"].criteria["depth"] is None
    (notice,) = ranking.warnings
    assert notice.positions == (1, 2)
    assert "no grade on some of depth" in str(notice)


def test_a_cut_answer_names_the_limit_and_the_remedy() -> None:
    stage, _ = answering(Generated("", complete=False), Generated("", complete=False))
    (notice,) = stage.rerank("q", ["a"]).warnings
    assert "output limit" in str(notice)
    assert "Thinking(budget=" in str(notice)


def test_without_a_gate_all_are_kept() -> None:
    stage, _ = judged_by(by_text, gate=None)
    assert stage.rerank("q", ["0", "2", "1"]).positions == (1, 2, 0)


def test_ties_go_by_authoritativeness_then_relevance_then_incoming_order() -> None:
    table = {
        "plain": {"relevance": 8, **NOTHING},
        "again": {"relevance": 8, **NOTHING},
        "relevant": {"relevance": 7.5, **NOTHING, "depth": 1},
        "trusted": {"relevance": 7, **NOTHING, "authoritativeness": 2},
    }
    stage, _ = judged_by(table.__getitem__)
    ranking = stage.rerank("q", ["relevant", "plain", "again", "trusted"])
    assert {r.score for r in ranking.kept} == {8.0}
    assert [r.text for r in ranking.kept] == ["trusted", "plain", "again", "relevant"]


@pytest.mark.parametrize(("n", "calls"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (25, 3), (50, 5)])
def test_it_costs_one_call_for_each_ten_candidates_in_one_round(n: int, calls: int) -> None:
    stage, model = judged_by(by_text)
    usage = stage.rerank("q", ["5"] * n).usage
    assert (usage.calls, len(model.calls), usage.rounds) == (calls, calls, min(calls, 1))


@pytest.mark.parametrize("n", [1, 10, 25])
def test_a_dry_run_predicts_the_calls_of_both_methods(n: int) -> None:
    texts = ["a passage"] * n
    one, _ = judged_by(by_text)
    two, _ = judged_by(by_text, criteria="infer")
    assert Engine().dry_run(one, "q", texts).calls == -(-n // 10)
    assert Engine().dry_run(two, "q", texts).calls == 1 + -(-n // 10)


def test_numbering_restarts_in_every_batch_and_no_passage_is_shown_twice_without_anchors() -> None:
    stage, model = judged_by(by_text, anchors=0, gate=None)
    texts = [str(n % 11) for n in range(25)]
    ranking = stage.rerank("q", texts)
    prompts = sorted((call.messages[-1].content for call in model.calls), key=len, reverse=True)
    assert [prompt.count("<passage number=") for prompt in prompts] == [10, 10, 5]
    assert all('<passage number="1">' in prompt and '<passage number="11">' not in prompt for prompt in prompts)
    assert [r.score for r in ranking.kept] == sorted(map(float, texts), reverse=True)


def test_depth_grades_the_head_and_leaves_the_tail_behind_it() -> None:
    stage, model = judged_by(by_text, depth=2)
    ranking = stage.rerank("q", ["4", "5", "9", "8"])
    assert ranking.positions == (1, 0, 2, 3)
    assert [r.score for r in ranking.kept] == [5, 4, None, None]
    assert not ranking.degraded
    assert passages(model.calls[0]) == ["4", "5"]


def test_grades_off_their_range_are_clipped() -> None:
    stage, _ = answering(json.dumps({"passages": [{"passage": 1, "relevance": 99, **PERFECT, "depth": -3}]}))
    (only,) = stage.rerank("q", ["a"]).kept
    assert only.criteria == {"relevance": 10, **PERFECT, "depth": 0}


def test_passages_without_a_grade_are_asked_once_more_and_only_they() -> None:
    first = {"passages": [{"passage": 2, "relevance": 6, **NOTHING}]}
    second = {"passages": [{"passage": 1, "relevance": 4, **NOTHING}, {"passage": 2, "relevance": 9, **NOTHING}]}
    stage, model = answering(json.dumps(first), json.dumps(second))
    ranking = stage.rerank("q", ["one", "two", "three"])
    assert [passages(call) for call in model.calls] == [["one", "two", "three"], ["one", "three"]]
    assert [call.attempt for call in model.calls] == [0, 1]
    assert [(r.text, r.score) for r in ranking.kept] == [("three", 9), ("two", 6), ("one", 4)]
    assert not ranking.degraded


def test_what_is_not_graded_twice_keeps_its_place_and_is_marked() -> None:
    only = json.dumps({"passages": [{"passage": 2, "relevance": 6, **NOTHING}]})
    stage, model = answering(only, "no")
    ranking = stage.rerank("q", ["one", "two", "three"])
    assert len(model.calls) == 2
    assert ranking.positions == (0, 1, 2)
    assert [r.score for r in ranking.kept] == [None, 6, None]
    assert ranking.degraded
    (notice,) = ranking.warnings
    assert notice.positions == (0, 2)
    assert "2 of 3" in str(notice)


def test_a_grade_without_relevance_is_no_grade() -> None:
    stage, model = answering('{"passage": 1, "depth": 5}', '{"passage": 1, "relevance": 5}')
    (only,) = stage.rerank("q", ["a"]).kept
    assert len(model.calls) == 2
    assert only.criteria["relevance"] == 5
    assert only.criteria["depth"] is None
    assert only.score == 22.5 * 5 / 10, "what is missing moves nothing: half of relevance is half of all"


def test_a_failed_call_is_not_asked_again_and_its_batch_keeps_its_place() -> None:
    def answer(call: Any) -> Any:
        return Failure("error", "down") if "20" in passages(call) else grades(call, lambda text: {"relevance": 5})

    stage = Rebel(model := Chat(answer))
    ranking = stage.rerank("q", [str(n) for n in range(25)])
    assert len(model.calls) == 3
    assert ranking.positions[20:] == tuple(range(20, 25))
    assert ranking.warnings[0].positions == tuple(range(20, 25))
    assert "down" in str(ranking.warnings[0])


def test_an_answer_cut_at_the_token_limit_counts_as_far_as_it_goes() -> None:
    whole = json.dumps({"passages": [{"passage": n, "relevance": 4 + n, **NOTHING} for n in (1, 2, 3)]})
    cut = whole[: whole.index('"passage": 3') + 20]
    rest = json.dumps({"passages": [{"passage": 1, "relevance": 7, **NOTHING}]})
    stage, model = answering(Generated(cut, complete=False), rest)
    ranking = stage.rerank("q", ["a", "b", "c"])
    assert passages(model.calls[1]) == ["c"]
    assert [(r.text, r.score) for r in ranking.kept] == [("c", 7), ("b", 6), ("a", 5)]


GRADED = [{"passage": 1, "relevance": 4, **NOTHING}, {"passage": 2, "relevance": 8, **NOTHING}]
WHOLE = json.dumps({"passages": GRADED})
READABLE = {
    "plain": WHOLE,
    "prose around": f"Of course! Here you are:\n{WHOLE}\nLet me know {{if}} that helps.",
    "code fences": f"```json\n{WHOLE}\n```",
    "a thought before": f"<think>Passage 1 gets {{'relevance': 9}}, say {WHOLE.replace('8', '1')}</think>{WHOLE}",
    "a list instead of an object": json.dumps(GRADED),
    "objects on lines": "\n".join(map(json.dumps, GRADED)),
    "text as numbers": json.dumps([{**entry, "relevance": f"{entry['relevance']}/10"} for entry in GRADED]),
    "text as passage numbers": json.dumps([{**entry, "passage": f"passage {entry['passage']}"} for entry in GRADED]),
    "another name for the number": json.dumps([{"doc": n, "relevance": r} for n, r in ((1, 4), (2, 8))]),
    "nested under scores": json.dumps([{"passage": n, "scores": {"relevance": r}} for n, r in ((1, 4), (2, 8))]),
    "other letters in keys": json.dumps([{"passage": n, "Relevance ": r} for n, r in ((1, 4), (2, 8))]),
    "unknown passages": json.dumps([*GRADED, {"passage": 3, "relevance": 9}, {"passage": 0, "relevance": 9}]),
    "repeated passages": json.dumps([*GRADED, {"passage": 1, "relevance": 10, **PERFECT}]),
    "line breaks in a reason": WHOLE.replace('"recency": 0}', '"recency": 0, "reason": "one\ntwo"}'),
    "legacy lines": "Doc: 2, Relevance: 8\nDoc: 1, Relevance: 4",
    "a megabyte of prose before": "word " * 200_000 + WHOLE,
    "a megabyte of braces after": WHOLE + "{" * 1_000_000,
    "a byte order mark": "\ufeff" + WHOLE,
}


@pytest.mark.parametrize("answer", READABLE.values(), ids=READABLE.keys())
def test_an_answer_in_any_dress_is_read_at_the_first_call(answer: str) -> None:
    stage, model = answering(answer)
    ranking = stage.rerank("q", ["a", "b"])
    assert len(model.calls) == 1
    assert ranking.positions == (1, 0)
    assert [r.criteria["relevance"] for r in ranking.kept] == [8, 4]
    assert not ranking.degraded


UNREADABLE = {
    "nothing": "",
    "blanks": " \n\t ",
    "a refusal": "I'm sorry, but I cannot grade these passages.",
    "an empty object": "{}",
    "an empty list": '{"passages": []}',
    "null": "null",
    "not a number": '{"passage": 1, "relevance": NaN}',
    "infinite": '{"passage": 1, "relevance": Infinity}, {"passage": 2, "relevance": -Infinity}',
    "too large": '{"passage": 1, "relevance": 1e999}',
    "five thousand digits": '{"passage": 1' + "0" * 5_000 + ', "relevance": 5}',
    "true": '{"passage": 1, "relevance": true}',
    "words": '{"passage": 1, "relevance": "high"}',
    "halves": '{"passage": 1.5, "relevance": 5}',
    "cut before a grade": '{"passages": [{"passage": 1, "relev',
    "only a thought": f"<think>I would say {WHOLE}",
    "a deep list": "[" * 100_000,
    "a deep object": '{"passages":' * 100_000,
    "a deep list in an object": '{"passages": ' + "[" * 100_000,
    "a megabyte of words": "word " * 200_000,
    "a megabyte of quotes": '{"' * 500_000,
    "odd characters": "\x00\ud800\u202e\U0010ffff",
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_answer_without_any_grade_is_asked_for_once_more_then_the_order_is_kept(answer: str) -> None:
    stage, model = answering(answer, answer)
    ranking = stage.rerank("q", ["a", "b"])
    assert len(model.calls) == 2
    assert ranking.positions == (0, 1)
    assert [r.score for r in ranking.kept] == [None, None]
    assert ranking.degraded
    assert ranking.warnings[0].positions == (0, 1)


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_good_second_answer_mends_a_bad_first(answer: str) -> None:
    stage, _ = answering(answer, WHOLE)
    ranking = stage.rerank("q", ["a", "b"])
    assert ranking.positions == (1, 0)
    assert not ranking.degraded


def graded_lower_later(by: float) -> Callable[[Any], str]:
    """A judge that gives every passage its number, but in every batch after the first `by` less."""

    def answer(call: Any) -> str:
        shown = [float(text) for text in passages(call)]
        first = shown[:2] == [9.0, 5.5]
        return json.dumps([{"passage": n, "relevance": r if first else r - by} for n, r in enumerate(shown, 1)])

    return answer


TWO_BATCHES = ["9", "5.5", *["5"] * 8, "8", "7", *["4"] * 8]


@pytest.mark.parametrize("anchors", [1, 3])
def test_a_batch_graded_two_lower_than_the_first_is_shifted_back_by_its_anchors(anchors: int) -> None:
    stage = Rebel(model := Chat(graded_lower_later(2.0)), criteria=(), anchors=anchors)
    ranking = stage.rerank("q", TWO_BATCHES)
    assert {r.position: r.score for r in ranking.kept} == {n: float(text) for n, text in enumerate(TWO_BATCHES)}
    assert len(model.calls) == 2
    assert sorted(len(passages(call)) for call in model.calls) == [10, 10 + anchors]


def test_without_anchors_batches_are_not_shifted() -> None:
    ranking = Rebel(Chat(graded_lower_later(2.0)), criteria=(), anchors=0, gate=None).rerank("q", TWO_BATCHES)
    assert {r.position: r.score for r in ranking.kept}[10] == 6.0


def test_a_shift_stays_within_the_criterions_range() -> None:
    """The anchor got 10, then 6; a passage beside it got 8, and can have no more than 10."""

    def answer(call: Any) -> str:
        first = len(passages(call)) == 10
        return grades(call, lambda text: {"relevance": 8 if text == "last" else 10 if first else 6})

    ranking = Rebel(Chat(answer), criteria=()).rerank("q", [*["x"] * 10, "last"])
    last = next(r for r in ranking.kept if r.text == "last")
    assert (last.score, last.criteria["relevance"]) == (10, 10)


def test_each_criterion_is_shifted_by_its_own_difference() -> None:
    def answer(call: Any) -> str:
        later = passages(call)[-1] == "last"
        return grades(call, lambda text: {"relevance": 5 if later else 6, "depth": 3 if later else 1})

    ranking = Rebel(Chat(answer), criteria=("depth",)).rerank("q", [*["x"] * 10, "last"])
    assert {(r.criteria["relevance"], r.criteria["depth"]) for r in ranking.kept} == {(6, 1)}


def test_an_anchor_the_model_did_not_grade_shifts_nothing() -> None:
    def answer(call: Any) -> str:
        entries = json.loads(graded_lower_later(2.0)(call))
        return json.dumps(entries if len(entries) == 10 else entries[1:])

    ranking = Rebel(Chat(answer), criteria=()).rerank("q", TWO_BATCHES)
    assert {r.position: r.score for r in ranking.kept}[10] == 6.0


def test_calls_stay_one_for_ten_with_anchors() -> None:
    for n in (11, 20, 21, 50):
        stage, model = judged_by(by_text, anchors=2)
        stage.rerank("q", ["5"] * n)
        assert len(model.calls) == math.ceil(n / 10)


def test_sync_and_many_give_the_same() -> None:
    stage, _ = judged_by(by_text)
    texts = [str(n % 11) for n in range(33)]
    many = Engine().rerank_many(stage, [Ranking.of("q", texts)] * 3)
    assert all(ranking.kept == stage.rerank("q", texts).kept for ranking in many)
