"""Models, caches and callbacks that fail at random by a seeded plan, and what must hold for a rerank with them."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from support.watch import eventually, within
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
from tamis.values.answers import Answer, Failure, Generated, Logprobs, Score, Scores, TokenVectors, Vector
from tamis.values.calls import Call, ChoiceLogprobs, Classify, Embed, EmbedTokens, Generate, PromptLogprobs, ScoreList
from tamis.values.ranking import Candidate, Ranking

WATCHDOG = 30.0
"""Seconds after which a rerank counts as hung."""
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
    injected: int = 0

    def next(self) -> tuple[str, random.Random]:
        with self.lock:
            self.turn += 1
            dice = random.Random(self.seed * 1_000_003 + self.turn)
        fault = dice.choice(self.faults)
        with self.lock:
            self.injected += fault != "no"
        return fault, dice

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
        try:
            return inner.ask(calls)
        finally:
            with self.lock:
                self.injected += inner.injected


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


def drawn(seed: int, deadline: float | None = None) -> Case:
    """The case of a seed. `deadline`: of all, in place of one that is drawn."""
    dice = random.Random(seed)
    deadline = dice.choice([None, None, 0.05, 0.2, 0.5]) if deadline is None else deadline
    faults = tuple(dice.choices(FAULTS, k=dice.randint(1, 8)))
    if deadline is None:
        faults = tuple(fault for fault in faults if fault != "hang") or ("no",)
    return Case(
        seed=seed,
        stage=dice.choice(list(STAGES)),
        driver=dice.choice(DRIVERS),
        faults=faults,
        deadline=deadline,
        max_calls=dice.choice([None, None, 0, 1, 5, 20]),
        max_tokens=dice.choice([None, None, 100, 3000]),
        cancel=None,
        batch=dice.randint(1, 5),
        slots=dice.randint(1, 4),
        cached=dice.random() < 0.5,
        asynchronous=dice.random() < 0.5,
        queries=dice.randint(1, 4),
        retries=dice.randint(0, 2),
        listener=dice.random() < 0.5,
    )


@dataclass(frozen=True)
class Seen:
    """What a case came to. `late`: seconds after its deadline; `over`: requests beyond its budget."""

    requests: int
    injected: int
    late: float
    over: int
    degraded: int
    queries: int


def run(case: Case, model: Chaos) -> tuple[list[Ranking], float]:
    """The rankings, and the seconds they took."""
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
        **({"backoff": 0.001} if case.retries else {}),
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
        came, seconds = asyncio.run(timed(engine, stage, rankings, cancel, started))
    else:
        came = engine.rerank_many(stage, rankings, cancel=cancel)
        seconds = time.monotonic() - started
    for before, after in zip(rankings, came, strict=True):
        whole(before, after)
    return came, seconds


async def timed(
    engine: Engine, stage: Any, rankings: list[Ranking], cancel: Any, started: float
) -> tuple[list[Ranking], float]:
    """Measured inside the loop: closing it waits for tasks that do not end."""
    came = await engine.arerank_many(stage, rankings, cancel=cancel)
    return came, time.monotonic() - started


def whole(before: Ranking, after: Ranking) -> None:
    """Every candidate once, kept or dropped."""
    ids = Counter(ranked.candidate.id for ranked in (*after.kept, *after.dropped))
    assert ids == Counter(candidate.id for candidate in before.candidates)


def checked(case: Case) -> Seen:
    """Run a case. `AssertionError` when a candidate is lost or doubled, when it hangs, or keeps a place of its model."""
    kind = AsyncChaos if case.asynchronous else Chaos
    model = kind(case.seed, case.faults, case.batch, case.slots, case.asynchronous, "chaos" if case.cached else None)
    try:
        came, seconds = within(WATCHDOG, lambda: run(case, model))
    finally:
        model.hung.set()
    limiter = limits_of(model).limiter
    assert eventually(lambda: limiter._held == 0), f"{limiter._held} places are not given back"
    assert not limiter._waiting or all(waiter.gone for waiter in limiter._waiting)
    return Seen(
        model.requests,
        model.injected,
        0.0 if case.deadline is None else seconds - case.deadline,
        0 if case.max_calls is None else max(0, model.requests - case.max_calls * len(came)),
        sum(ranking.degraded for ranking in came),
        len(came),
    )
