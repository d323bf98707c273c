"""Answers that the token limit cut: half a number is no number, and what could not be read is said with its cause."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tamis
from tamis import Cover, DynamicRAG, Facets, Groupwise, Lexical, Listwise, Pairwise, Rebel, Setwise
from tamis.engine import Engine
from tamis.judges import Choice, Grades, Permutation, Preference, Thinking
from tamis.judges.questions.selection import read_selection
from tamis.models import Function
from tamis.stage.base import Stage
from tamis.values.answers import Generated


@pytest.mark.parametrize("said", ["[12] > [7] > [1", "12 > 7 > 1", "[12] > [7] > [", "[12] > [7] > [1 "])
def test_half_an_identifier_at_the_end_is_not_read(said: str) -> None:
    verdict = Permutation().read(Generated(said, complete=False), 12)
    assert verdict.order == (11, 6)
    assert 0 in verdict.missing


def test_a_whole_identifier_at_the_end_is_read() -> None:
    assert Permutation().read(Generated("[12] > [7] > [1]", complete=False), 12).order == (11, 6, 0)
    assert Permutation().read(Generated("12 > 7 > 1"), 12).order == (11, 6, 0)


def test_half_a_grade_at_the_end_is_not_read() -> None:
    said = '{"1": 7, "2": 1'
    assert Grades().read(Generated(said, complete=False), 2).scores == (7.0, None)
    assert Grades().read(Generated(said), 2).scores == (7.0, 1.0)
    assert Grades().read(Generated('{"1": 7, "2": 1}', complete=False), 2).scores == (7.0, 1.0)


def test_half_a_choice_is_none() -> None:
    assert not Choice().read(Generated("[1", complete=False), 12).usable
    assert Choice().read(Generated("[1] because it", complete=False), 12).order == (0,)


def test_half_a_grade_of_a_rubric_is_not_read() -> None:
    answers = iter([Generated("Doc: 1, Relevance: 10\nDoc: 2, Relevance: 1", complete=False), Generated("")])
    stage = Rebel(Function(lambda call: next(answers), "generate"), gate=None)
    first, second = Engine(retries=0).rerank(stage, "q", ["a", "b"]).kept
    assert (first.score is None, second.score) == (False, None)


def test_half_a_choice_of_passages_is_no_choice() -> None:
    assert read_selection(Generated("[3], [1", complete=False), 12) == [2]
    assert read_selection(Generated("3, 1, 1", complete=False), 12) == [2, 0]
    assert read_selection(Generated("None", complete=True), 12) == []
    assert read_selection(Generated("None of", complete=False), 12) is None


def test_a_list_of_passages_that_was_cut_may_have_gone_on() -> None:
    for samples in (1, 2):
        stage = DynamicRAG(written("[2], [1", complete=False, limit=9), samples=samples)
        ranking = Engine(retries=0).rerank(stage, "q", ["a", "b", "c"])
        assert ranking.degraded
        assert all("output limit of 9 tokens" in str(notice) for notice in ranking.warnings)
        whole = Engine(retries=0).rerank(DynamicRAG(written("[2]"), samples=samples), "q", ["a", "b", "c"])
        assert not whole.warnings


# Every reader says why it could read nothing


def written(text: str, **about: Any) -> Function:
    return Function(lambda call: Generated(text, **about), "generate")


READERS: dict[str, Callable[[Any], Stage]] = {
    "judges.permutation": lambda model: Listwise(model),
    "judges.choice": lambda model: Setwise(model),
    "judges.grades": lambda model: Groupwise(model),
    "judges.preference": lambda model: Pairwise(model, judge=Preference(readout="text")),
    "judges.thinking": lambda model: Listwise(model, judge=Thinking(Permutation())),
    "judges.questions.rubric": lambda model: Rebel(model),
    "judges.questions.facets": lambda model: Facets(Lexical(), model=model),
    "judges.questions.answers": lambda model: Cover(model),
    "judges.questions.selection": lambda model: DynamicRAG(model),
    "criteria.infer": lambda model: Rebel(model, criteria="infer"),
}
"""A stage for each module that asks a model to write."""


def test_no_module_that_asks_a_model_to_write_is_left_out() -> None:
    root = Path(tamis.__file__).parent
    asking = {
        path for path in root.rglob("*.py") if re.search(r"^(?!.*>>>).*\bGenerate\((?!Call)", path.read_text(), re.M)
    }
    named = {".".join(path.relative_to(root).with_suffix("").parts) for path in asking}
    assert named == set(READERS)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Generated("Let me think", complete=False, limit=64), "cut at the output limit of 64 tokens"),
        (Generated("", complete=False, limit=64), "cut at the output limit of 64 tokens"),
        (Generated("[", complete=False), "cut at the output limit (max_tokens)"),
        (Generated("", complete=False, stopped_by="content filter"), "stopped by the content filter"),
        (Generated(""), "it is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_not_be_read_is_said_with_its_cause(reader: str, answer: Generated, cause: str) -> None:
    stage = READERS[reader](Function(lambda call: answer, "generate"))
    ranking = Engine(retries=0, cache=None).rerank(stage, "tall mountain", ["a recipe", "a mountain", "a tall one"])
    assert ranking.degraded
    assert sorted(ranking.positions) == [0, 1, 2]
    unread = [str(notice) for notice in ranking.warnings if "malformed" in str(notice) or "inferred" in str(notice)]
    assert unread
    assert all(cause in told for told in unread)


@pytest.mark.parametrize("reader", READERS)
def test_a_whole_answer_without_any_use_is_not_blamed_on_the_limit(reader: str) -> None:
    stage = READERS[reader](written("I cannot say."))
    ranking = Engine(retries=0, cache=None).rerank(stage, "tall mountain", ["a recipe", "a mountain", "a tall one"])
    assert ranking.degraded
    assert not any("limit" in str(notice) or "empty" in str(notice) for notice in ranking.warnings)
