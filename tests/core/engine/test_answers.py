"""Whatever a model returns is one sound answer or one `Failure` per call, and costs the other queries nothing."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.stages import STAGES_MADE
from support.watch import within
from tamis import Engine, Listwise, Pointwise
from tamis.engine.answers import counted, listed, sound
from tamis.errors import ModelError, TamisError
from tamis.judges import Permutation, Thinking
from tamis.values.answers import Answer, Failure, Generated, Logprobs, Score, Scores, TokenVectors, Vector
from tamis.values.calls import (
    CALLS,
    Call,
    ChoiceLogprobs,
    Classify,
    ClassifyVectors,
    Embed,
    EmbedTokens,
    Generate,
    Message,
    Plan,
    PromptLogprobs,
    ScoreList,
)
from tamis.values.ranking import Ranking

TALK = (Message("user", "which?"),)
MODEL: Any = None
EACH: dict[type[Call], Callable[[Any], Call]] = {
    Generate: lambda model: Generate(model, TALK),
    ChoiceLogprobs: lambda model: ChoiceLogprobs(model, TALK, ("a", "b")),
    PromptLogprobs: lambda model: PromptLogprobs(model, "before", "after"),
    Classify: lambda model: Classify(model, "q", "text"),
    ClassifyVectors: lambda model: ClassifyVectors(model, "q", np.zeros((2, 3), np.float32)),
    ScoreList: lambda model: ScoreList(model, "q", ("text", "more")),
    Embed: lambda model: Embed(model, "text"),
    EmbedTokens: lambda model: EmbedTokens(model, "text"),
}
GOOD: tuple[Answer, ...] = (
    Generated("text"),
    Logprobs((-1.0, -2.0)),
    Score(0.5),
    Scores((0.5, math.nan)),
    Vector((1.0, 2.0)),
    TokenVectors(np.ones((2, 3), np.float32)),
)


def test_every_kind_of_call_is_asked_here() -> None:
    assert set(EACH) == set(CALLS)


class Unreadable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Raises:
    """Fails whatever one does with it."""

    def __float__(self) -> float:
        raise Unreadable

    def __iter__(self) -> Iterator[Any]:
        raise Unreadable

    def __len__(self) -> int:
        raise Unreadable


def lazily(answers: Sequence[Any]) -> Iterator[Any]:
    yield from answers[:-1]
    raise RuntimeError("a lazy error")


async def later(answers: Any) -> Any:
    return answers


async def one_by_one(answers: Sequence[Any]) -> Any:
    for answer in answers:
        yield answer


plain: Any = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9)
    | st.complex_numbers()
)
parts: Any = st.recursive(
    plain | st.builds(Raises) | st.builds(object),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
arrays: Any = st.sampled_from(
    [
        np.zeros(0),
        np.zeros(3),
        np.zeros((2, 3)),
        np.zeros((2, 3, 4)),
        np.array(["a", "b"]),
        np.array([None, 1.0]),
        np.full((2, 2), np.nan),
        np.array([[1, 2]], np.int64),
        np.array([1 + 2j]),
        np.float32(1),
        np.array(0.5),
    ]
)
holding = parts | arrays | st.lists(st.floats(), max_size=4).map(tuple)
malformed_answers = st.one_of(
    st.builds(Generated, holding, holding, tokens_in=holding, tokens_out=holding),
    st.builds(Score, holding, holding, tokens_in=holding),
    st.builds(Logprobs, holding, tokens_out=holding),
    st.builds(Scores, holding),
    st.builds(Vector, holding),
    st.builds(TokenVectors, holding),
    st.builds(Failure, holding, holding),
    st.builds(Answer),
    st.sampled_from(GOOD),
    st.just(Generated),
    holding,
)


def is_sound(call: Call, answer: Any) -> bool:
    """Whether `answer` is what a plan may rely on."""
    if isinstance(answer, Failure):
        return isinstance(answer.message, str) and answer.why in (
            "error",
            "deadline",
            "budget",
            "cancelled",
            "malformed",
        )
    counts = (answer.tokens_in, answer.tokens_out)
    if not all(count is None or (type(count) is int and count >= 0) for count in counts):
        return False
    match answer:
        case Generated():
            return call.answer is Generated and isinstance(answer.text, str) and isinstance(answer.complete, bool)
        case Score():
            units = answer.search_units
            return call.answer is Score and type(answer.value) is float and type(units) is int and units >= 0
        case TokenVectors():
            return call.answer is TokenVectors and answer.values.ndim == 2 and answer.values.dtype.kind in "fiu"
        case Logprobs() | Scores() | Vector():
            held = answer.values
            return (
                type(answer) is call.answer and type(held) is tuple and all(isinstance(v, (float, int)) for v in held)
            )
    return False


@examples(400)
@given(kind=st.sampled_from(list(EACH)), answer=malformed_answers)
def test_any_answer_becomes_a_sound_one_or_a_failure_that_says_what_came(kind: type[Call], answer: Any) -> None:
    call = EACH[kind](MODEL)
    came = sound(call, answer)
    assert is_sound(call, came), came
    if isinstance(came, Failure) and not isinstance(answer, Failure):
        assert came.why == "malformed"
        assert came.message


@examples(200)
@given(reported=holding)
def test_a_token_report_is_a_count_or_nothing(reported: Any) -> None:
    count = counted(reported)
    assert count is None or (type(count) is int and count >= 0)


class Asks:
    """One call per candidate; the answers stay in `answers`."""

    def __init__(self, model: Any, kind: type[Call]) -> None:
        self.model, self.kind, self.answers = model, kind, list[Any]()

    def plan(self, ranking: Ranking) -> Plan:
        call = EACH[self.kind](self.model)
        self.answers += yield [call for _ in ranking.candidates]
        return ranking


def model_of(kind: type[Call], returned: Callable[[Sequence[Call]], Any], *, asynchronous: bool, batch: int = 4) -> Any:
    """A model with one method, sync or async."""
    capability = kind.capability

    class Model(SimpleNamespace):
        name, max_batch, max_concurrency = "odd", batch, 4

    def ask(self: Any, calls: Sequence[Call]) -> Any:
        return returned(calls)

    async def aask(self: Any, calls: Sequence[Call]) -> Any:
        return returned(calls)

    setattr(Model, ("a" if asynchronous else "") + capability, aask if asynchronous else ask)
    return Model()


RETURNED: dict[str, Callable[[list[Any]], Any]] = {
    "a list": list,
    "a tuple": tuple,
    "a deque": deque,
    "a generator": iter,
    "too few": lambda answers: answers[:-1],
    "too many": lambda answers: [*answers, answers[0]],
    "nothing": lambda answers: None,
    "a number": lambda answers: 5,
    "a text": lambda answers: "x" * len(answers),
    "a dict": lambda answers: dict(enumerate(answers)),
    "an array": lambda answers: np.zeros(len(answers)),
    "an array of no dimension": lambda answers: np.array(0.5),
    "a coroutine": later,
    "an async generator": one_by_one,
    "an error half way": lazily,
    "a class": lambda answers: list,
    "what fails when read": lambda answers: Raises(),
    "for ever": lambda answers: iter(lambda: answers[0], None),
}
WHOLE = {"a list", "a tuple", "a deque", "a generator"}


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("driver", ["sync", "async of a sync model", "async", "many", "deadline"])
@pytest.mark.parametrize("returned", RETURNED)
@pytest.mark.parametrize("kind", EACH, ids=lambda kind: kind.capability)
def test_a_return_value_of_any_shape_is_read_or_named(kind: type[Call], returned: str, driver: str) -> None:
    good = next(answer for answer in GOOD if isinstance(answer, kind.answer))
    model = model_of(kind, lambda calls: RETURNED[returned]([good] * len(calls)), asynchronous=driver == "async")
    asks, texts = Asks(model, kind), ["a", "b", "c"]
    engine = Engine(retries=0, cache=None, deadline=20.0 if driver == "deadline" else None)

    def run() -> Any:
        if "async" in driver:
            return asyncio.run(engine.arerank(asks, "q", texts))
        if driver == "many":
            return engine.rerank_many(asks, [Ranking.of("q", texts[:2]), Ranking.of("r", texts[:1])])
        return engine.rerank(asks, "q", texts)

    within(20, run)
    assert len(asks.answers) == 3
    if returned in WHOLE:
        assert all(answer is good or answer == good for answer in asks.answers)
    else:
        assert all(isinstance(answer, Failure) and answer.message for answer in asks.answers)


@examples(60)
@given(
    answers=st.lists(malformed_answers, min_size=6, max_size=6),
    kind=st.sampled_from(list(EACH)),
    batch=st.integers(1, 6),
    bad=st.sets(st.integers(0, 5)),
)
def test_malformed_answers_cost_only_the_calls_they_were_for(
    answers: list[Any], kind: type[Call], batch: int, bad: set[int]
) -> None:
    good = next(answer for answer in GOOD if isinstance(answer, kind.answer))
    script = [answers[place] if place in bad else good for place in range(6)]

    class Numbered(Asks):
        def plan(self, ranking: Ranking) -> Plan:
            calls = [Numbered_call(self.model, int(c.text)) for c in ranking.candidates]
            came = yield [call.call for call in calls]
            self.answers += zip([int(c.text) for c in ranking.candidates], came, strict=True)
            return ranking

    numbers: dict[int, int] = {}

    class Numbered_call:
        def __init__(self, model: Any, number: int) -> None:
            self.call = EACH[kind](model)
            numbers[id(self.call)] = number

    model = model_of(kind, lambda calls: [script[numbers[id(c)]] for c in calls], asynchronous=False, batch=batch)
    asks = Numbered(model, kind)
    rankings = [Ranking.of(f"q{place}", [str(place)]) for place in range(6)]
    outcomes = within(20, lambda: Engine(retries=0, cache=None).outcomes(asks, rankings))
    assert all(isinstance(outcome, Ranking) for outcome in outcomes)
    call = EACH[kind](model)
    assert len(asks.answers) == 6
    for place, answer in asks.answers:
        assert is_sound(call, answer)
        if place not in bad:
            assert answer is good or answer == good


# --- what cannot be read is not kept ----------------------------------------------------------------------------------


class Improving:
    """Writes nonsense the first time it is asked, then good answers."""

    name, cache_key, max_concurrency = "improving", "improving:1", 2

    def __init__(self, bad: Any, good: Callable[[Any], Any], nonsense: int = 1) -> None:
        self.bad, self.good, self.left, self.asked = bad, good, nonsense, 0

    def generate(self, calls: Sequence[Any]) -> list[Any]:
        self.asked += len(calls)
        self.left -= 1
        return [self.bad if self.left >= 0 else self.good(call) for call in calls]

    choice_logprobs = prompt_logprobs = classify = score_list = generate


ORDER = Generated("[3] > [2] > [1]")
FIRST = {
    "listwise": (lambda m: Listwise(m, judge=Permutation()), Generated("I cannot say."), lambda c: ORDER),
    "thinking": (
        lambda m: Listwise(m, judge=Thinking(Permutation())),
        Generated("<think>hm</think>\n\nI cannot say."),
        lambda c: Generated("<think>hm</think>\n\n[3] > [2] > [1]"),
    ),
    "labels": (Pointwise, Logprobs((math.nan, math.nan)), lambda c: Logprobs((-0.1, -3.0))),
    "head": (lambda m: Pointwise(m, judge="head"), Score(math.nan), lambda c: Score(len(c.text))),
}


@pytest.mark.parametrize("how", FIRST)
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_an_answer_that_cannot_be_read_is_asked_for_again(how: str, where: str, tmp_path: Path) -> None:
    make, bad, good = FIRST[how]
    model = Improving(bad, good, nonsense=Permutation.attempts if how in ("listwise", "thinking") else 3)
    engine = Engine(cache="memory" if where == "memory" else tmp_path / "answers.sqlite")
    texts = ["a", "bb", "ccc"]
    assert engine.rerank(make(model), "q", texts).degraded
    again = engine.rerank(make(model), "q", texts)
    assert not again.degraded
    asked = model.asked
    third = engine.rerank(make(model), "q", texts)
    assert third.positions == again.positions
    assert model.asked == asked, "a good answer is kept"


def test_a_kept_answer_that_the_judge_of_today_cannot_read_is_a_miss(tmp_path: Path) -> None:
    class Loose(Permutation):
        def read(self, answer: Any, count: int) -> Any:
            return super().read(ORDER, count)

    path, texts = tmp_path / "answers.sqlite", ["a", "b", "c"]
    model = Improving(Generated("third, second, first"), lambda call: ORDER)
    assert not Engine(cache=path).rerank(Listwise(model, judge=Loose()), "q", texts).degraded
    assert not Engine(cache=path).rerank(Listwise(model, judge=Permutation()), "q", texts).degraded
    assert model.asked == 2


def test_every_text_a_judge_asks_for_comes_with_its_reader() -> None:
    """No `Generate` or `ChoiceLogprobs` leaves a judge without a way to tell a good answer from nonsense."""
    seen: list[Call] = []

    class Watching(SimpleNamespace):
        name, max_concurrency = "watching", 1

        def generate(self, calls: Sequence[Any]) -> list[Any]:
            seen.extend(calls)
            return [Generated("I cannot say.")] * len(calls)

        def choice_logprobs(self, calls: Sequence[Any]) -> list[Any]:
            seen.extend(calls)
            return [Logprobs((math.nan,) * len(call.choices)) for call in calls]

    for stage in STAGES_MADE:
        if not is_dataclass(stage) or not hasattr(stage, "model") or "text" in type(stage).__name__.lower():
            continue
        try:
            other = replace(stage, model=Watching())
            Engine(cache=None, retries=0).rerank(other, "q", ["a b", "c d", "e f"])
        except TamisError:
            continue
    nonsense = [call for call in seen if call.usable is None or (call.usable(nothing(call)) and not thinks(call))]
    assert len(seen) > 50
    assert not nonsense, {type(call).__name__ + str(getattr(call, "messages", ""))[:300] for call in nonsense}


def thinks(call: Call) -> bool:
    """Whether a call asks for a thought, which may say anything."""
    return isinstance(call, Generate) and "<think>" in call.expect


def nothing(call: Call) -> Answer:
    if isinstance(call, Generate):
        return Generated("I cannot say.")
    return Logprobs((math.nan,) * len(getattr(call, "choices", ())))


def test_what_came_is_named() -> None:
    with pytest.raises(ModelError, match="must return 1 answers, one per call; it returned a int"):
        listed(5, 1, "m.generate")
