"""Models, caches and callbacks that fail at random, through every driver: nothing is lost, nothing is raised, nothing
hangs, deadline and budget hold, and in the end the process holds what it held before."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.watch import descriptors, eventually, within
from tamis import (
    MMR,
    Cancellation,
    CrossEncoder,
    Deduplicate,
    Embedding,
    Engine,
    FirstStage,
    Fuse,
    Groupwise,
    LateInteraction,
    Lexical,
    Listwise,
    NearDuplicates,
    Pairwise,
    Pointwise,
    Rebel,
    Setwise,
    TopN,
)
from tamis.engine.limits import limits_of
from tamis.errors import ModelError
from tamis.judges import Preference
from tamis.values.calls import (
    Answer,
    Call,
    ChoiceLogprobs,
    Classify,
    Embed,
    EmbedTokens,
    Failure,
    Generate,
    Generated,
    Logprobs,
    PromptLogprobs,
    Score,
    ScoreList,
    Scores,
    TokenVectors,
    Vector,
)
from tamis.values.ranking import Candidate, Ranking

WATCHDOG, LATE = 30.0, 3.0
"""Seconds after which a rerank counts as hung; seconds after its deadline in which a busy machine is back."""
FAULTS = (
    "no",
    "no",
    "no",
    "raise",
    "exit",
    "cancelled",
    "slow",
    "short",
    "long",
    "odd",
    "nan",
    "failure",
    "lazy",
    "busy",
    "hang",
)


@dataclass(eq=False)
class Chaos:
    """A model of every capability that fails by a seeded plan. `hung`: set in the end, so that no thread stays."""

    seed: int
    faults: Sequence[str]
    max_batch: int
    max_concurrency: int
    asynchronous: bool
    cache_key: str | None = None
    name: str = "chaos"
    requests: int = 0
    hung: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    turn: int = 0

    def next(self) -> tuple[str, random.Random]:
        with self.lock:
            self.turn += 1
            dice = random.Random(self.seed * 1_000_003 + self.turn)
        return dice.choice(self.faults), dice

    def ask(self, calls: Sequence[Call]) -> Any:
        with self.lock:
            self.requests += len(calls)
        fault, dice = self.next()
        answers: list[Any] = [good(call, dice) for call in calls]
        place = dice.randrange(len(answers))
        match fault:
            case "raise":
                raise dice.choice([RuntimeError("x"), KeyError("x"), MemoryError(), OSError("x"), ValueError("x")])
            case "exit":
                raise dice.choice([SystemExit(1), GeneratorExit(), BaseException("x")])
            case "cancelled":
                raise asyncio.CancelledError
            case "busy":
                raise ModelError("busy", retryable=True, retry_after=dice.choice([0.0, -1.0, 0.01, float("nan")]))
            case "slow":
                self.hung.wait(0.02)
            case "hang":
                self.hung.wait(WATCHDOG)
            case "short":
                return answers[:-1]
            case "long":
                return [*answers, answers[0]]
            case "odd":
                answers[place] = dice.choice(
                    [None, 5, "x", Generated(None), Score("x"), Vector(None), Answer(), object()]
                )  # type: ignore[arg-type]
            case "nan":
                answers[place] = nonsense(calls[place])
            case "failure":
                answers[place] = Failure("error", "x")
            case "lazy":
                return (answer for answer in answers)
        return answers


def good(call: Call, dice: random.Random) -> Answer:
    counts: dict[str, Any] = {"tokens_in": dice.choice([None, None, 5, -1]), "tokens_out": dice.choice([None, 2])}
    match call:
        case Generate():
            numbers = [f"[{n}]" for n in range(1, 9)]
            dice.shuffle(numbers)
            return Generated(dice.choice([" > ".join(numbers), "A", "I cannot", call.expect, "", "[1]"]), **counts)
        case ChoiceLogprobs():
            return Logprobs(tuple(-dice.random() * 9 for _ in call.choices), **counts)
        case PromptLogprobs():
            return Logprobs((-dice.random(), -1.0), **counts)
        case Classify():
            return Score(dice.choice([dice.random(), 0.0, 1e308, -1e308]), **counts)
        case ScoreList():
            return Scores(tuple(dice.random() for _ in call.texts))
        case Embed():
            return Vector(tuple(dice.random() for _ in range(4)))
        case EmbedTokens():
            return TokenVectors(np.array([[dice.random(), 1.0], [0.0, dice.random()]], np.float32))
    raise AssertionError(call)


def nonsense(call: Call) -> Answer:
    nan = float("nan")
    match call:
        case Generate():
            return Generated("")
        case ChoiceLogprobs():
            return Logprobs((nan,) * len(call.choices))
        case PromptLogprobs():
            return Logprobs((-1e308, -1e308, 5.0))
        case Classify():
            return Score(nan)
        case ScoreList():
            return Scores((nan,))
        case Embed():
            return Vector((nan, float("inf")))
    return TokenVectors(np.full((0, 3), nan))


CAPABILITIES = ("generate", "choice_logprobs", "prompt_logprobs", "classify", "score_list", "embed", "embed_tokens")
for _name in CAPABILITIES:
    setattr(Chaos, _name, Chaos.ask)


class AsyncChaos(Chaos):
    async def aask(self, calls: Sequence[Call]) -> Any:
        await asyncio.sleep(0)
        turn = random.Random(self.seed + self.turn).random()
        if turn < 0.1 and "hang" in self.faults:
            with self.lock:
                self.requests += len(calls)
            while not self.hung.is_set():
                await asyncio.sleep(0.01)
            return []
        await asyncio.sleep(turn / 100)
        faults = [fault for fault in self.faults if fault not in ("hang", "slow")] or ["no"]
        inner = Chaos(self.seed, faults, self.max_batch, self.max_concurrency, True, turn=self.turn)
        with self.lock:
            self.turn += 1
            self.requests += len(calls)
        return inner.ask(calls)


for _name in CAPABILITIES:
    setattr(AsyncChaos, "a" + _name, AsyncChaos.aask)


class ChaosCache:
    """Keeps nothing reliably."""

    outlives_process = False

    def __init__(self, seed: int) -> None:
        self.dice, self.kept = random.Random(seed), dict[Any, Any]()

    def get(self, *key: Any) -> Any:
        turn = self.dice.random()
        if turn < 0.1:
            raise self.dice.choice([OSError("full"), sqlite3.OperationalError("locked"), KeyError("x"), MemoryError()])
        if turn < 0.2:
            return self.dice.choice([5, "x", Generated(None), np.zeros(3), np.array([["x"]])])  # type: ignore[arg-type]
        return self.kept.get(key[-1])

    def put(self, *kept: Any) -> None:
        if self.dice.random() < 0.2:
            raise OSError("no space left on device")
        if len(kept) == 2 and isinstance(kept[0], bytes):
            self.kept[kept[0]] = kept[1]
        else:
            self.kept.update(kept[1])


STAGES: dict[str, Any] = {
    "listwise": lambda m: Listwise(m, window=4, stride=2),
    "pairwise": lambda m: Pairwise(m, judge=Preference("text")),
    "pairwise by logprobs": Pairwise,
    "setwise": Setwise,
    "pointwise": Pointwise,
    "likelihood": lambda m: Pointwise(m, judge="likelihood"),
    "groupwise": lambda m: Groupwise(m, size=3),
    "joint": lambda m: Groupwise(m, size=3, judge="joint"),
    "cross encoder": CrossEncoder,
    "embedding": Embedding,
    "late interaction": LateInteraction,
    "rebel": Rebel,
    "pipeline": lambda m: Lexical() | CrossEncoder(m) | TopN(3) | Listwise(m),
    "fuse": lambda m: Fuse((FirstStage(), CrossEncoder(m), Lexical())) | MMR(model=m),
    "no model": lambda m: Deduplicate() | NearDuplicates() | Lexical(),
}
DRIVERS = ("sync", "many", "async", "async many")


@dataclass(frozen=True)
class Case:
    seed: int
    stage: str
    driver: str
    faults: tuple[str, ...]
    deadline: float | None
    max_calls: int | None
    max_tokens: int | None
    cancel: float | None
    batch: int
    slots: int
    cached: bool
    asynchronous: bool
    queries: int
    retries: int
    listener: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    deadline = draw(st.sampled_from([None, None, 0.05, 0.2, 0.5]))
    cancel = draw(st.sampled_from([None, None, None, 0.0, 0.05]))
    faults = draw(st.lists(st.sampled_from(FAULTS), min_size=1, max_size=8))
    if deadline is None and cancel is None:
        faults = [fault for fault in faults if fault != "hang"] or ["no"]
    return Case(
        seed=draw(st.integers(0, 2**31)),
        stage=draw(st.sampled_from(list(STAGES))),
        driver=draw(st.sampled_from(DRIVERS)),
        faults=tuple(faults),
        deadline=deadline,
        max_calls=draw(st.sampled_from([None, None, 0, 1, 5, 20])),
        max_tokens=draw(st.sampled_from([None, None, 100, 3000])),
        cancel=cancel,
        batch=draw(st.integers(1, 5)),
        slots=draw(st.integers(1, 4)),
        cached=draw(st.booleans()),
        asynchronous=draw(st.booleans()),
        queries=draw(st.integers(1, 4)),
        retries=draw(st.integers(0, 2)),
        listener=draw(st.booleans()),
    )


def run(case: Case, model: Chaos) -> list[Ranking]:
    dice = random.Random(case.seed)
    count = dice.choice([0, 1, 2, 5, 9])
    words = ["tall", "mountain", "river", "x", "", "漢字"]

    def pool() -> list[Candidate]:
        return [Candidate(" ".join(dice.choices(words, k=4)), id=n, score=dice.random()) for n in range(count)]

    def listen(event: Any) -> None:
        raise dice.choice([ValueError("x"), SystemExit(1), asyncio.CancelledError()])

    engine = Engine(
        deadline=case.deadline,
        max_calls=case.max_calls,
        max_tokens=case.max_tokens,
        retries=case.retries,
        backoff=0.001,
        cache=ChaosCache(case.seed) if case.cached else None,
        vectors=ChaosCache(case.seed) if case.cached else None,
        on_event=listen if case.listener else None,
    )
    many = "many" in case.driver
    rankings = [Ranking.of(f"tall mountain {n}", pool()) for n in range(case.queries if many else 1)]
    cancel = Cancellation() if case.cancel is not None else None
    if cancel is not None and not case.cancel:
        cancel.cancel()
    elif cancel is not None:
        threading.Timer(case.cancel or 0.0, cancel.cancel).start()
    stage, started = STAGES[case.stage](model), time.monotonic()
    if case.driver.startswith("async"):
        came = asyncio.run(timed(engine, stage, rankings, cancel, case, started))
    else:
        came = engine.rerank_many(stage, rankings, cancel=cancel)
        in_time(case, started)
    for before, after in zip(rankings, came, strict=True):
        whole(before, after)
    return came


async def timed(engine: Engine, stage: Any, rankings: Any, cancel: Any, case: Case, started: float) -> list[Ranking]:
    came = await engine.arerank_many(stage, rankings, cancel=cancel)
    in_time(case, started)
    return came


def in_time(case: Case, started: float) -> None:
    if case.deadline is not None:
        assert time.monotonic() - started < case.deadline + LATE


def whole(before: Ranking, after: Ranking) -> None:
    """Every candidate once, kept or dropped."""
    ids = Counter(ranked.candidate.id for ranked in (*after.kept, *after.dropped))
    assert ids == Counter(candidate.id for candidate in before.candidates)


def checked(case: Case) -> None:
    kind = AsyncChaos if case.asynchronous else Chaos
    model = kind(case.seed, case.faults, case.batch, case.slots, case.asynchronous, "chaos" if case.cached else None)
    try:
        came = within(WATCHDOG, lambda: run(case, model))
    finally:
        model.hung.set()
    if case.max_calls is not None:
        assert model.requests <= case.max_calls * len(came)
    limiter = limits_of(model).limiter
    assert eventually(lambda: limiter._held == 0), f"{limiter._held} places are not given back"
    assert not limiter._waiting or all(waiter.gone for waiter in limiter._waiting)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(3600)
@examples(300)
@given(case=cases())
def test_chaos_loses_nothing_raises_nothing_hangs_nowhere_and_keeps_its_limits(case: Case) -> None:
    checked(case)


@pytest.mark.timeout(600)
def test_after_chaos_the_process_holds_what_it_held_before() -> None:
    dice = random.Random(7)

    def once(turn: int) -> None:
        checked(
            Case(
                seed=turn,
                stage=dice.choice(list(STAGES)),
                driver=DRIVERS[turn % len(DRIVERS)],
                faults=FAULTS,
                deadline=0.1,
                max_calls=None,
                max_tokens=None,
                cancel=None,
                batch=2,
                slots=2,
                cached=True,
                asynchronous=bool(turn % 3),
                queries=3,
                retries=1,
                listener=True,
            )
        )

    def threads() -> int:
        return sum(thread.name.startswith("tamis") for thread in threading.enumerate())

    for turn in range(12):
        once(turn)
    files, most = descriptors(), threads()
    for turn in range(12, 60):
        once(turn)
    assert eventually(lambda: descriptors() <= files + 2)
    assert eventually(lambda: threads() <= most + 12), "threads are used again"
