"""Whatever a model writes, parsers give valid indices and finite grades, fast, and never raise."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.criteria import RELEVANCE, STANDARD, Criterion
from tamis.criteria.infer import parse_criteria
from tamis.judges.questions.rubric import keys, parse_rubric
from tamis.prompts.orders import permutation
from tamis.prompts.parsing import index, json_objects, nested, number, relevance_lines

TWO = (RELEVANCE, STANDARD["depth"])

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["passages", "passage", "relevance", "depth", "scores", "reason", "criteria", "name", "weight"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
fragments = st.sampled_from(
    ["{", "}", "[", "]", '"', ":", ",", '"passage"', '"relevance"', "1", "2", "7.5", "NaN", "-1", "<think>", "</think>",
     "```json", "\\", "\n", "Doc: 2, Relevance: 9", "[2] > [1]", "null", "\x00", "\ud800"]
)  # fmt: skip
answers = st.one_of(
    st.text(),
    st.lists(fragments, max_size=40).map("".join),
    json_values.map(json.dumps),
    st.tuples(json_values.map(json.dumps), st.integers(0, 60)).map(lambda pair: pair[0][: pair[1]]),
)


@given(text=answers, count=st.integers(0, 6))
def test_no_answer_makes_a_rubric_parser_raise_and_every_index_and_grade_is_valid(text: str, count: int) -> None:
    for place, (grades, reason) in parse_rubric(text, TWO, count).items():
        assert 0 <= place < count
        assert grades
        assert set(grades) <= {"relevance", "depth"}
        assert all(0 <= grade <= (10 if name == "relevance" else 5) for name, grade in grades.items())
        assert reason is None or reason.strip()


@given(text=answers, count=st.integers(0, 6))
def test_no_answer_makes_a_permutation_parser_raise_and_each_index_comes_once(text: str, count: int) -> None:
    named = permutation(text, count)
    assert len(set(named)) == len(named)
    assert all(0 <= place < count for place in named)


@given(text=answers, count=st.integers(0, 6))
def test_no_answer_makes_a_line_parser_raise(text: str, count: int) -> None:
    found = relevance_lines(text, count)
    assert all(1 <= place <= count and math.isfinite(score) for place, score in found)
    assert len({place for place, _ in found}) == len(found)


@given(text=answers)
def test_no_answer_makes_the_criteria_parser_raise_and_it_gives_none_or_two_to_five(text: str) -> None:
    criteria = parse_criteria(text)
    assert len(criteria) in (0, 2, 3, 4, 5)
    assert len({c.name for c in criteria}) == len(criteria)
    assert all(0 <= c.weight <= 1 and c.name != "relevance" for c in criteria)


@given(order=st.permutations(range(7)))
def test_a_written_permutation_is_read_back(order: list[int]) -> None:
    assert permutation(" > ".join(f"[{place + 1}]" for place in order), 7) == order
    assert permutation(json.dumps([place + 1 for place in order]), 7) == order


@given(grades=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 5)), min_size=1, max_size=8))
def test_written_grades_are_read_back(grades: list[tuple[int, int]]) -> None:
    entries = [{"passage": n, "relevance": r, "depth": d} for n, (r, d) in enumerate(grades, 1)]
    found = parse_rubric(json.dumps({"passages": entries}), TWO, len(grades))
    assert found == {n: ({"relevance": r, "depth": d}, None) for n, (r, d) in enumerate(grades)}


HOSTILE: dict[str, str] = {
    "open braces": "{" * 200_000,
    "open keys": '{"' * 200_000,
    "open objects": '{"a":' * 200_000,
    "open objects and lists": '{"a":[' * 200_000,
    "open lists": "[" * 200_000,
    "a deep list in an object": '{"a":' + "[" * 200_000,
    "a deep closed object": '{"a":' * 200_000 + "1" + "}" * 200_000,
    "a long list under many open objects": '{"a":[' * 400 + "1," * 500_000,
    "a deep end under many open objects": '{"a":[' * 400 + "1," * 300_000 + "[" * 5_000,
    "numbers without end": '{"passage":' + "1" * 1_000_000 + "}",
    "many unread objects": '{"a" 1}' * 100_000,
    "spaces": "{" + " " * 1_000_000,
    "an open string": '{"passage": "' + "x" * 1_000_000,
    "line breaks": "\n" * 1_000_000,
    "open thoughts": "<think>" * 150_000,
    "closed thoughts": "</think>" * 150_000,
    "docs": "doc " * 250_000,
    "doc numbers": "doc 1" + " " * 1_000_000 + "relevance",
    "brackets": "[1" + " " * 1_000_000,
    "digits": "1" * 1_000_000,
    "dots": "1" + "." * 1_000_000,
    "prose": "The quick brown fox. " * 50_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize(
    "parse",
    [lambda text: parse_rubric(text, TWO, 10), lambda text: permutation(text, 10), parse_criteria],
    ids=["rubric", "permutation", "criteria"],
)
def test_a_megabyte_of_garbage_is_read_in_less_than_two_seconds(text: str, parse: Callable[[str], Any]) -> None:
    started = time.process_time()
    parse(text)
    assert time.process_time() - started < 2


def test_an_object_that_nests_as_deep_as_the_decoder_goes_is_walked() -> None:
    """Python's decoder stops at the recursion limit; what it has let through must not exhaust the stack behind it."""
    found = {}
    for depth in range(0, 1_200, 20):
        text = '{"a":' * depth + '{"passage": 1, "relevance": 4}' + "}" * depth
        found[depth] = parse_rubric(text, TWO, 1)
        assert found[depth] in ({}, {0: ({"relevance": 4.0}, None)})
    assert all(found[depth] for depth in range(0, 600, 20))


def test_nested_gives_the_outermost_first_in_reading_order() -> None:
    value = {"a": {"n": 1, "b": [{"n": 2}]}, "c": {"n": 3}}
    assert [item.get("n") for item in nested(value)] == [None, 1, 2, 3]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("{}", []),
        ('{"a": 1}', [{"a": 1}]),
        ('Sure! {"a": 1} and then {"b": 2}.', [{"a": 1}, {"b": 2}]),
        ('```json\n{"a": 1}\n```', [{"a": 1}]),
        ('{"outer": [{"a": 1}, {"b": 2}, {"c":', [{"a": 1}, {"b": 2}]),
        ('a set {x, y} and f{"a" then {"b": 2}', [{"b": 2}]),
        ('{"note": "broken, {"a": 1}}', [{"a": 1}]),
        (r"\frac{a}{b} \text{x} " * 2_000 + '{"a": 1}', [{"a": 1}]),
        ('{"reason": "two\nlines"}', [{"reason": "two\nlines"}]),
    ],
)
def test_objects_are_found_whatever_stands_around_them(text: str, found: list[Any]) -> None:
    assert list(json_objects(text)) == found


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (7, 7.0),
        (7.5, 7.5),
        ("8/10", 8.0),
        ("about 7", 7.0),
        ("-2", -2.0),
        ("", None),
        ("none", None),
        (None, None),
        (True, None),
        ([7], None),
        ({"n": 7}, None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        ("9" * 1_000, None),
    ],
)
def test_numbers_are_read_from_what_json_holds(value: Any, read: float | None) -> None:
    assert number(value) == read


@pytest.mark.parametrize(
    ("value", "place"),
    [(1, 0), (3, 2), ("2", 1), ("passage 2", 1), (2.0, 1), (0, None), (-1, None), (4, None), (1.5, None), (True, None)],
)
def test_passage_numbers_outside_the_batch_are_none(value: Any, place: int | None) -> None:
    assert index(value, 3) == place


def test_the_legacy_lines_of_the_paper_are_read_without_its_parsers_traps() -> None:
    """Half points kept, number 0 not the last passage, repeats ignored, commentary and bullets tolerated."""
    text = "Doc: 2, Relevance: 13.5\nDoc: 0, Relevance: 9\nDoc: 2, Relevance: 4\n- Doc: 1, Relevance: 7, good"
    assert relevance_lines(text, 3) == [(2, 13.5), (1, 7.0)]


@pytest.mark.parametrize(
    "line",
    ["Doc: 2, Relevance: 7", "**Doc 2**, Relevance: 7", "Document 2 - relevance 7", "doc #2, relevance = 7/10"],
)
def test_lines_in_other_dress_are_read(line: str) -> None:
    assert relevance_lines(line, 3) == [(2, 7.0)]


def test_a_line_with_a_number_of_five_thousand_digits_is_ignored() -> None:
    lines = f"Doc: {'1' * 5_000}, Relevance: 3\nDoc: 1, Relevance: {'9' * 5_000}\nDoc: 2, Relevance: 4"
    assert relevance_lines(lines, 3) == [(2, 4.0)]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("[2] > [3] > [1]", [1, 2, 0]),
        ("[2]>[2]>[9]>[0]>[1]", [1, 0]),
        ("2, 1, 3", [1, 0, 2]),
        ("[2, 3, 1]", [1, 2, 0]),
        ("```\n[3]\n```", [2]),
        ("<think>[1] > [2] > [3] it is</think>[3] > [2] > [1]", [2, 1, 0]),
        ("[1] > [2] I think.</think> [3] > [1]", [2, 0]),
        ("<think>[1] is best, so", []),
        ("version 1.2 and 3.1", []),
        ("None of them.", []),
        ("", []),
    ],
)
def test_orders_in_every_dress(text: str, order: list[int]) -> None:
    assert permutation(text, 3) == order


def test_thinking_is_no_answer_but_an_answer_may_speak_of_thinking() -> None:
    answer = '{"passages": [{"passage": 1, "relevance": 4, "reason": "on <think> and </think> tags"}]}'
    for text in (answer, f"```json\n{answer}\n```"):
        assert parse_rubric(text, TWO, 1)[0][0] == {"relevance": 4.0}
    plain = answer.replace("<think> and </think> ", "")
    wrong = answer.replace("4", "9")
    for text in (f"<think>{wrong}</think>{plain}", f"Hm, {wrong}?</think>{plain}", f"<THINK>{wrong}</THINK>{plain}"):
        assert parse_rubric(text, TWO, 1)[0][0] == {"relevance": 4.0}
    assert parse_rubric(f"<think>{wrong}", TWO, 1) == {}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["depth", "recency"], ["depth", "recency"]),
        (["Technical accuracy", "technical-accuracy"], ["technical_accuracy", "technical_accuracy_2"]),
        (["a 2", "a"], ["a_2", "a"]),
        (["a", "a 2", "A"], ["a", "a_2", "a_3"]),
        (["passage", "reason"], ["passage_grade", "reason_grade"]),
        (["!!!", "???"], ["criterion", "criterion_2"]),
        (["日本語", "Größe"], ["日本語", "größe"]),
    ],
)
def test_criteria_have_distinct_json_keys(names: list[str], expected: list[str]) -> None:
    assert keys([Criterion(name) for name in names]) == expected


@given(st.lists(st.text("a_2 -", min_size=1, max_size=5), max_size=6))
def test_json_keys_never_collide(names: list[str]) -> None:
    found = keys([Criterion(name) for name in names])
    assert len(set(found)) == len(names)


def test_grades_of_criteria_with_like_names_are_kept_apart() -> None:
    criteria = [Criterion("fit"), Criterion("fit 2"), Criterion("Fit")]
    entry = dict(zip(keys(criteria), (1, 2, 3), strict=True))
    found = parse_rubric(json.dumps({"passage": 1, **entry}), criteria, 1)
    assert found[0][0] == {"fit": 1, "fit 2": 2, "Fit": 3}
