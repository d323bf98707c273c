"""How methods compose. A stage is pure logic: it plans calls, an engine makes them.

`a | b`: b sees what a returned. `a & b`: both see the same ranking and their results are fused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from tamis.calls import Call, Plan
from tamis.config import dump, to_yaml
from tamis.part import part
from tamis.ranking import Candidate, Query, Ranking
from tamis.references import StageRef

if TYPE_CHECKING:
    from tamis.engine import Engine
    from tamis.rankers.fuse import Fuse

T = TypeVar("T")
Asking = Generator[list[Call], Sequence[Any], T]
"""A generator that yields calls, receives their answers and returns a `T`."""


class Stage(ABC):
    """A step that turns one ranking into another.

    Subclasses are frozen pydantic dataclasses with a `plan`; their fields are their whole state, so that a stage can be
    compared, printed, written as data and read back.

    >>> from tamis import Lexical, TopN
    >>> (Lexical() | TopN(1)).rerank("tall mountain", ["a recipe", "a tall mountain"]).kept[0].text
    'a tall mountain'
    """

    @abstractmethod
    def plan(self, ranking: Ranking) -> Plan:
        """Yield batches of calls, receive their answers in the same order, return the new ranking. No I/O here."""

    def follows(self, earlier: Sequence[Stage]) -> None:  # noqa: B027
        """Called where a pipeline is made, with the stages in front of this one. Raise `ConfigError` when it cannot
        stand there."""

    def rerank(
        self,
        query: str | Query,
        candidates: Iterable[str | Mapping[str, Any] | Candidate],
        *,
        engine: Engine | None = None,
    ) -> Ranking:
        """Rerank now, in this thread; safe inside a running event loop, though it blocks it. See `Engine.rerank`."""
        return (engine or self._engine).rerank(self, query, candidates)

    async def arerank(
        self,
        query: str | Query,
        candidates: Iterable[str | Mapping[str, Any] | Candidate],
        *,
        engine: Engine | None = None,
    ) -> Ranking:
        """Rerank without blocking the event loop. Same result as `rerank`."""
        return await (engine or self._engine).arerank(self, query, candidates)

    def to_data(self) -> Any:
        """This stage as plain data that `tamis.load` reads back. `ConfigError` for a model that is no data."""
        return dump(self)

    def to_yaml(self) -> str:
        return to_yaml(self.to_data())

    def __or__(self, other: Stage) -> Pipeline:
        if not isinstance(other, Stage):
            return NotImplemented
        return Pipeline((*steps(self), *steps(other)))

    def __and__(self, other: Stage) -> Fuse:
        if not isinstance(other, Stage):
            return NotImplemented
        from tamis.rankers.fuse import Fuse

        return Fuse((self, other))

    @cached_property
    def _engine(self) -> Engine:
        from tamis.engine import Engine

        return Engine()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_engine"}


@part
class Pipeline(Stage):
    """Stages one after the other. Usually written `a | b | c`."""

    stages: tuple[StageRef, ...] = ()

    def __post_init__(self) -> None:
        flat = flattened(self)
        for place, stage in enumerate(flat):
            stage.follows(flat[:place])

    def plan(self, ranking: Ranking) -> Plan:
        for stage in self.stages:
            ranking = yield from stage.plan(ranking)
        return ranking


def steps(stage: Stage) -> tuple[Stage, ...]:
    """The stages of a pipeline, or the stage itself."""
    return stage.stages if isinstance(stage, Pipeline) else (stage,)


def flattened(stage: Stage) -> tuple[Stage, ...]:
    """The stages of a pipeline and of the pipelines in it, in order."""
    if not isinstance(stage, Pipeline):
        return (stage,)
    return tuple(inner for step in stage.stages for inner in flattened(step))


def together(plans: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Run several plans abreast: their pending calls go out in one batch, round by round. Results in plan order."""
    results: dict[int, T] = {}
    pending: dict[int, list[Call]] = {}

    def advance(index: int, answers: Sequence[Any] | None) -> None:
        pending.pop(index, None)
        try:
            calls = next(plans[index]) if answers is None else plans[index].send(answers)
            pending[index] = calls
        except StopIteration as stop:
            results[index] = stop.value

    for index in range(len(plans)):
        advance(index, None)
    while pending:
        answers = yield [call for calls in pending.values() for call in calls]
        start = 0
        for index, calls in list(pending.items()):
            advance(index, answers[start : start + len(calls)])
            start += len(calls)
    return [results[index] for index in range(len(plans))]
