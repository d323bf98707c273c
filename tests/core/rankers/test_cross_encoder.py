"""Long documents by passages, and leaving the tail unread."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import CrossEncoder, Engine, load
from tamis.errors import ConfigError, ScaleError
from tamis.models import Function
from tamis.parts.dump import dump
from tamis.rankers.early_exit import EarlyExit
from tamis.rankers.passages import Passages
from tamis.stage.base import flattened
from tamis.text.terms import passages
from tamis.values.answers import Failure
from tamis.values.ranking import Candidate, Ranking
from tamis.values.scale import LOGIT, PROBABILITY, UNKNOWN, graded

words = st.lists(st.sampled_from(["one", "two.", "three", "four!)", "五。", "six"]), max_size=80)


@given(words, st.integers(1, 30), st.integers(0, 14))
def test_passages_cover_the_text_in_order_and_overlap(tokens, width, overlap):
    overlap = min(overlap, (width - 1) // 2)
    if not tokens:
        assert passages("  \n", width, overlap, 9) == ["  \n"]
        return
    numbered = [f"{index}:{token}" for index, token in enumerate(tokens)]
    found = [passage.split() for passage in passages("  \n".join(numbered), width, overlap, 1000)]
    assert [
        word for words, rest in zip(found, [0] + [overlap] * len(found), strict=False) for word in words[rest:]
    ] == numbered
    assert all(0 < len(words) <= width for words in found)
    for words in found[:-1]:
        ends = [
            index
            for index in range(len(words) - max(0, len(words) + overlap - width), len(words))
            if words[index][-1] in ".)。"
        ]
        assert len(words) == width or words[-1][-1] in ".)。"
        assert len(words) > width - max(1, overlap)
        assert not ends or words[-1][-1] in ".)。"


def test_the_first_and_the_last_passage_are_always_read():
    text = " ".join(map(str, range(100)))
    found = Passages(words=10, overlap=0, at_most=4).texts(Candidate(text, title="Numbers"))
    assert [passage.split()[:2] for passage in found] == [
        ["Numbers", "0"],
        ["Numbers", "30"],
        ["Numbers", "60"],
        ["Numbers", "90"],
    ]
    assert Passages(words=10, overlap=0, at_most=1).texts(Candidate(text)) == ["0 1 2 3 4 5 6 7 8 9"]
    assert Passages().texts(Candidate("")) == [""]


@pytest.mark.parametrize(
    ("aggregate", "expected", "scale"),
    [
        ("max", 2.0, LOGIT),
        ("first", 0.0, LOGIT),
        ("mean", -0.5, LOGIT),
        ("best", 1.0, LOGIT),
        ("sum", 0.5 + 1 / (1 + math.exp(-2)) + 2 / (1 + math.exp(2)), graded(0, 16)),
    ],
)
def test_aggregates(aggregate, expected, scale):
    made = Passages(aggregate=aggregate, count=2 if aggregate == "best" else None)
    assert made.score([0.0, 2.0, -2.0, -2.0], LOGIT) == pytest.approx(expected)
    assert made.scale(LOGIT) == scale


def test_a_sum_is_of_probabilities():
    assert Passages(aggregate="sum").score([0.25, 0.5], PROBABILITY) == 0.75
    with pytest.raises(ScaleError, match="adds probabilities"):
        Passages(aggregate="sum").scale(UNKNOWN)
    with pytest.raises(ConfigError, match="less than half"):
        Passages(words=100, overlap=50)


def matches(call):
    """How often the query stands in the text, of which the model reads five words."""
    return float(call.text.split()[:5].count(call.query))


def test_what_stands_deep_in_a_document_is_found():
    texts = ["needle in front", "hay " * 30 + "needle needle needle " + "hay " * 30, "hay"]
    model = Function(matches, "classify")
    assert CrossEncoder(model).rerank("needle", texts).positions == (0, 1, 2)
    ranking = CrossEncoder(model, passages=Passages(words=5, overlap=2, at_most=100)).rerank("needle", texts)
    assert ranking.positions == (1, 0, 2)
    assert [ranked.score for ranked in ranking.kept] == [3.0, 1.0, 0.0]
    assert ranking.usage.calls > 20


def test_a_document_is_judged_if_all_its_passages_were():
    def failing(call):
        return Failure("error", "no") if "bad" in call.text else 1.0

    texts = ["one two three bad five six", "one two three four five six"]
    ranking = CrossEncoder(Function(failing, "classify"), passages=Passages(words=3, overlap=1)).rerank("q", texts)
    assert {ranked.position: ranked.score for ranked in ranking.kept} == {0: None, 1: 1.0}
    assert "1 of 2 candidates were not judged" in str(ranking.warnings[0])


def test_one_passage_is_the_document():
    texts = ["needle hay", "hay", "needle needle"]
    model = Function(matches, "classify")
    whole, cut = (CrossEncoder(model, passages=by).rerank("needle", texts) for by in (None, Passages()))
    assert [ranked.score for ranked in cut.kept] == [ranked.score for ranked in whole.kept]


scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=120)


@given(scores, st.integers(1, 12), st.integers(1, 30), st.integers(1, 30))
def test_of_what_was_read_the_top_is_exact(values, top, patience, block):
    model = Function(lambda call: values[int(call.text)], "classify")
    stage = CrossEncoder(model, early_exit=EarlyExit(top=top, patience=patience, block=block))
    ranking = Engine(cache=None).rerank(stage, "q", list(map(str, range(len(values)))))
    read = ranking.usage.calls
    assert read == len(values) or read % block == 0
    assert ranking.positions[:read] == tuple(sorted(range(read), key=lambda index: -values[index]))
    assert ranking.positions[read:] == tuple(range(read, len(values)))
    assert not ranking.degraded
    assert bool(ranking.warnings) == (read < len(values))
    if read < len(values):
        assert read >= top + patience
        assert set(ranking.positions[:top]) <= set(range(read - patience))


def test_it_stops_once_the_top_has_settled():
    stage = CrossEncoder(
        Function(lambda call: -float(call.text), "classify"), early_exit=EarlyExit(top=5, patience=10, block=10)
    )
    ranking = stage.rerank("q", list(map(str, range(100))))
    assert ranking.usage.calls == 20
    assert "80 of 100 candidates unread, the top 5 had settled" in str(ranking.warnings[0])


def test_a_first_stage_that_hides_the_best_is_read_to_the_end():
    stage = CrossEncoder(Function(lambda call: float(call.text), "classify"), early_exit=EarlyExit())
    assert stage.rerank("q", list(map(str, range(100)))).usage.calls == 100


def test_as_data():
    model = Function(matches, "classify")
    data = {"cross_encoder": {"model": "ce", "passages": {"aggregate": "best"}, "early_exit": {"top": 5}}}
    expected = CrossEncoder(model, passages=Passages(aggregate="best"), early_exit=EarlyExit(top=5))
    assert list(flattened(load([data], models={"ce": model}))) == [expected]
    assert dump(Passages(aggregate="best")) == {"aggregate": "best"}


def test_a_plan_with_nothing_to_do():
    assert CrossEncoder(Function(matches, "classify")).rerank("q", []).kept == ()
    assert isinstance(CrossEncoder(Function(matches, "classify"), early_exit=EarlyExit()).rerank("q", []), Ranking)
