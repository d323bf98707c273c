"""What a pipeline needs, asks, may drop and leaves, stage by stage, without asking any model."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tamis.errors import InputError, TamisError
from tamis.parts.family import package_of
from tamis.parts.secrets import shown
from tamis.stage.scales import INCOMING, Left, spelled
from tamis.values.calls import CAPABILITIES
from tamis.values.model import capabilities
from tamis.values.ranking import Candidate, Ranking, Why
from tamis.values.scale import ANY, UNKNOWN, Kinds, Scale

if TYPE_CHECKING:
    from tamis.stage.base import Stage

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stage asks of one model: `calls` of `capability`, counted in a dry run. `model`: its name."""

    model: str
    capability: str
    calls: int

    def __str__(self) -> str:
        return f"{self.calls} {self.capability} of {self.model}"


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a pipeline.

    Args:
        name: what messages call it: its class, or more, such as "the policy expected_f of DynamicK".
        needs: the kinds of scale it can read.
        asks: of which model what, how often.
        rounds: batches of calls, one after the other.
        drops: the reasons for which it may drop candidates; `None`: it does not say.
        scale: of the scores it leaves; `None`: not known before it runs.
        package: the other package that brings it, with its version; `None`: tamis.
        inside: the stages it runs on what comes in.
        error: why it cannot run on unscaled scores of a retriever or with its model, where it cannot.
        unpredicted: what it raised in the dry run, where its calls cannot be predicted: it needs something that the
            made-up candidates do not have, such as metadata. `asks` and `rounds` are then what came before.
    """

    name: str
    needs: Kinds
    asks: tuple[Asked, ...]
    rounds: int
    drops: tuple[Why, ...] | None
    scale: Scale | None
    package: str | None = None
    inside: tuple[Explanation, ...] = ()
    error: str | None = None
    unpredicted: str | None = None

    @property
    def calls(self) -> int:
        return sum(asked.calls for asked in self.asks)

    @property
    def facts(self) -> tuple[str, ...]:
        """What there is to say, a sentence each."""
        asks = f"{', '.join(map(str, self.asks))}, in {self.rounds} round{'s' * (self.rounds != 1)}"
        drops = "does not say what it drops" if self.drops is None else f"may drop: {', '.join(self.drops)}"
        return tuple(
            fact
            for fact in (
                f"from {self.package}" if self.package else "",
                f"needs {spelled(self.needs)}" if self.needs != ANY else "",
                f"asks {asks}" if self.asks else "" if self.unpredicted else "asks no model",
                f"calls cannot be predicted: {self.unpredicted}" if self.unpredicted else "",
                drops if self.drops or self.drops is None else "drops nothing",
                "scale not known before it runs" if self.scale is None else f"scale: {measured(self.scale)}",
                f"cannot run on what comes in: {self.error}" if self.error else "",
            )
            if fact
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """A pipeline, stage by stage, for `candidates` candidates of one query. Prints as plain text."""

    steps: tuple[Step, ...]
    candidates: int

    @property
    def calls(self) -> int:
        """All calls, as if no cache answered any."""
        return sum(step.calls for step in self.steps)

    @property
    def rounds(self) -> int:
        return sum(step.rounds for step in self.steps)

    def __str__(self) -> str:
        return "\n".join([f"for {self.candidates} candidates:", *_lines(self, "  ")])


def measured(scale: Scale) -> str:
    """A scale in words.

    >>> measured(Scale("graded", 0, 22.5)), measured(Scale("logit"))
    ('graded (0 to 22.5)', 'logit')
    """
    if scale.kind != "graded" or scale.low is None or scale.high is None:
        return scale.kind
    return f"graded ({scale.low:g} to {scale.high:g})"


def _lines(explanation: Explanation, indent: str) -> list[str]:
    lines: list[str] = []
    for number, step in enumerate(explanation.steps, 1):
        told = f"{number}. {step.name}: {'; '.join(step.facts)}"
        later = f"{indent}   "
        lines += textwrap.wrap(told, WIDTH, initial_indent=indent, subsequent_indent=later, break_on_hyphens=False)
        for inner in step.inside:
            lines += _lines(inner, later)
    return lines


def explained(stage: Stage, n: int = 100, before: Left = INCOMING) -> Explanation:
    """What `stage` does with `n` candidates. Models are replaced by stand-ins, so that none is loaded or asked; what a
    judge's answers decide (a sort, a cut) is estimated for answers that prefer nothing.

    Raises `InputError` unless `n` is a whole number from 0."""
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 0:
        raise InputError(f"an explanation is for a number of candidates, 0 or more, got {shown(n)}")
    n = int(n)
    quiet = _quiet(stage, {})
    candidates = [Candidate(f"text number {number}", score=1 - number / (n + 1)) for number in range(n)]
    return Explanation(tuple(_steps(quiet, Ranking.of("query", candidates), before)), n)


def _steps(stage: Stage, ranking: Ranking, before: Left) -> Sequence[Step]:
    steps = []
    for one in stage.flat:
        incoming, asks, rounds, error, unpredicted = before, Counter[tuple[str, str]](), Counter[str](), None, None
        before = one.through(before)
        came_in = ranking
        try:
            ranking = _driven(one, ranking, asks, rounds)
        except TamisError as problem:
            error = str(problem)
        except Exception as problem:  # A stage of another package may read what real candidates have.
            unpredicted = repr(problem)
        asked = tuple(Asked(model, capability, calls) for (model, capability), calls in asks.items())
        inside = tuple(Explanation(tuple(_steps(inner, came_in, incoming)), len(came_in.kept)) for inner in one.inside)
        package = package_of(type(one))
        steps.append(
            Step(
                name=one.label,
                needs=one.accepts,
                asks=asked,
                rounds=rounds.total(),
                drops=one.drops,
                scale=before.scale,
                package=package,
                inside=inside,
                error=error,
                unpredicted=unpredicted,
            )
        )
    return steps


def _driven(stage: Stage, ranking: Ranking, asks: Counter[tuple[str, str]], rounds: Counter[str]) -> Ranking:
    """The ranking after a stage whose calls are answered by their stand-ins. Counts them, and their rounds."""
    plan = stage.plan(ranking)
    try:
        calls = next(plan)
        while True:
            rounds["rounds"] += bool(calls)
            asks.update((_name(call.model), call.capability) for call in calls)
            calls = plan.send([call.stand_in() for call in calls])
    except StopIteration as stop:
        left: Ranking = stop.value
        return left


def _name(model: Any) -> str:
    return str(getattr(model, "name", type(model).__name__))


@dataclass(frozen=True, eq=False)
class _StandIn:
    """In the place of a model: its name, its scale and what it can do, and nothing that would load it."""

    name: str
    scale: Scale
    capabilities: tuple[str, ...]
    images: bool = True


def _never(self: _StandIn, calls: Sequence[Any]) -> list[Any]:
    raise AssertionError("a stand-in is never asked")


for _capability in CAPABILITIES:
    setattr(_StandIn, _capability, _never)


def _quiet(value: Any, known: dict[int, Any]) -> Any:
    """The same parts with stand-ins for the models in them, however deep in containers."""
    if isinstance(value, (str, bytes, type)) or value is None:
        return value
    if able := capabilities(value):
        return known.setdefault(id(value), _StandIn(_name(value), getattr(value, "scale", UNKNOWN), able))
    if isinstance(value, Mapping):
        made = {key: _quiet(item, known) for key, item in value.items()}
        return value if all(made[key] is item for key, item in value.items()) else made
    if isinstance(value, (tuple, list, set, frozenset)):
        items = [*value]
        quiet = [_quiet(item, known) for item in items]
        same = all(one is other for one, other in zip(quiet, items, strict=True))
        return value if same else _like(value, quiet)
    return _with_stand_ins(value, known) if is_dataclass(value) else value


def _like(container: Any, items: list[Any]) -> Any:
    """A container of the same type with other items."""
    if hasattr(container, "_make"):  # a named tuple
        return container._make(items)
    return next(kind for kind in (tuple, list, set, frozenset) if isinstance(container, kind))(items)


def _with_stand_ins(part: Any, known: dict[int, Any]) -> Any:
    """A part with stand-ins in its fields. One that cannot be made with them is copied, so that none of its models is
    reached: then at worst its calls cannot be predicted."""
    old = {f.name: getattr(part, f.name) for f in fields(part) if f.init}
    new = {name: made for name, item in old.items() if (made := _quiet(item, known)) is not item}
    if not new:
        return part
    try:
        return replace(part, **new)
    except Exception:
        quiet = copy(part)
        for name, made in new.items():
            object.__setattr__(quiet, name, made)
        return quiet
