"""The reward DynamicRAG is trained towards, and the rows a training library reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.training.preferences import Trajectory, preference_rows, to_jsonl
from tamis.training.reward import answer_reward, contains, reward, rouge_l, word_f1
from tamis.values.calls import Message

words = st.lists(st.sampled_from(["a1", "b2", "c3"]), max_size=6).map(" ".join)


def test_the_published_reward() -> None:
    assert reward(exact=1, similarity=0.8, fluency=0.6, selected=3, judge="85") == pytest.approx(0.70)
    assert reward(1, 0.8, 0.6, 3, 85) == pytest.approx(0.70)


def test_the_judge_is_on_a_hundred_and_its_absence_leaves_quarters() -> None:
    assert reward(1, 1, 1, 0, 100) == reward(1, 1, 1, 0) == 1.0
    assert reward(1, 0.8, 0.6, 3) == pytest.approx((1 + 0.8 + 0.6 + 0.25) / 4)
    assert reward(1, 0.8, 0.6, 3, "no verdict") == reward(1, 0.8, 0.6, 3)
    assert reward(0, 0, 0, 0, "Total: 250") == pytest.approx(0.4)


@given(st.integers(0, 20))
def test_a_shorter_choice_is_worth_more(selected: int) -> None:
    assert reward(1, 1, 1, selected) > reward(1, 1, 1, selected + 1)


def test_likenesses_by_hand() -> None:
    assert rouge_l("the cat sat", "the big cat sat down") == pytest.approx(2 * 3 / 8)
    assert rouge_l("sat cat the", "the cat sat") == pytest.approx(2 * 1 / 6)
    assert word_f1("a b b", "b b c") == pytest.approx(2 * 2 / 6)
    assert [contains("It was Rome.", "rome"), contains("Rome", "in  Rome"), contains("", "rome"), contains("x", "")] == [1, 1, 0, 0]  # fmt: skip


@given(words, words)
def test_likenesses_are_symmetric_and_within_the_unit(a: str, b: str) -> None:
    for like in (rouge_l, word_f1):
        assert like(a, b) == like(b, a)
        assert 0 <= like(a, b) <= 1
        assert like(a, a) == (1.0 if a else 0.0)
    assert rouge_l(a, b) <= word_f1(a, b) + 1e-12


def test_an_answer_is_compared_with_each_gold_answer() -> None:
    one = answer_reward("Rome", ["Rome"], 1)
    assert one == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert answer_reward("Rome", ["Rome", "Milan"], 1) == pytest.approx((one + 0.125) / 2)
    assert answer_reward("Rome", ["Milan"], 1, similarity=lambda a, b: -0.2) == pytest.approx((0 - 0.2 + 0 + 0.5) / 4)


PROMPT = (Message("system", "choose"), Message("user", "é?"))


def tried(*values: tuple[str, str, float]) -> list[Trajectory]:
    return [Trajectory(PROMPT, completion, answer, score) for completion, answer, score in values]


def test_the_best_is_preferred_to_the_worst_of_each_query() -> None:
    rows = list(preference_rows([tried(("[1]", "x", 0.2), ("[2]", "y", 0.9), ("[3]", "z", 0.5), ("[4]", "y", 0.9))]))
    assert rows == [
        {
            "prompt": [{"role": "system", "content": "choose"}, {"role": "user", "content": "é?"}],
            "chosen": [{"role": "assistant", "content": "[2]"}],
            "rejected": [{"role": "assistant", "content": "[1]"}],
        }
    ]
    assert [json.loads(line) for line in to_jsonl(rows).splitlines()] == rows


def test_queries_that_teach_nothing_are_left_out() -> None:
    same_answer = tried(("[1]", "x", 0.2), ("[2]", "x", 0.9))
    same_reward = tried(("[1]", "x", 0.5), ("[2]", "y", 0.5))
    same_choice = tried(("[1]", "x", 0.2), ("[1]", "y", 0.9))
    assert list(preference_rows([same_answer, same_reward, same_choice, tried(("[1]", "x", 0.2)), []])) == []
