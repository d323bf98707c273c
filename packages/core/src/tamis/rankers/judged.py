"""A judge and a schedule: the schedule says what to ask, the judge asks and reads, and what went wrong is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, cast

from tamis.errors import CapabilityError, ConfigError
from tamis.judges.base import PICTURES, Asked, Judge, Verdict, innermost
from tamis.judges.features import first_stage_scores
from tamis.parts.options import refuse
from tamis.schedules.base import Placed, Schedule, Shown
from tamis.stage.base import Stage
from tamis.stage.scoring import Limit, failure_notices, rescored
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Plan
from tamis.values.images import PERMIT
from tamis.values.model import require
from tamis.values.ranking import Notice, Ranked, Ranking, Why
from tamis.values.scale import FUSION, ORDINAL, Scale
from tamis.values.signs import kendall_tau, variance

TOP = 10
"""How many places must be right where nothing else is said, for stages that can stop there."""
OVER = ("deadline", "cancelled")
ALARMING = 5
"""This many scores that are all the same are not a coincidence."""


class Judged(Stage):
    """A stage made of a judge and a schedule. Subclasses are parts with the fields `model` and `depth`.

    Monitors, under the stage's name: `clean` and `degraded`, shares of questions answered exactly in the form asked for
    and not answered as they should; `identity`, share of orders that repeat what was shown; `agreement`, share of pairs
    with the same winner in both orders; `label_mass`, mean probability of the labels; `score_variance`;
    `kendall_tau` to the order that came in.
    """

    model: Any
    depth: Limit

    drops: ClassVar[tuple[Why, ...]] = ()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        """The judge and the schedule in effect."""
        raise NotImplementedError

    @property
    def first(self) -> int | None:
        """How many places must be right, for schedules that can stop there."""
        return None

    def leaves(self, before: Scale | None) -> Scale:
        judge, schedule = self.asks
        if schedule.points:
            return FUSION
        scale: Scale = judge.scale(self.model) if schedule.answers == "scores" else ORDINAL
        return scale

    def check(self) -> None:
        """Raise if the model lacks a capability the judge needs, or if judge and schedule do not fit together."""
        (judge, schedule), name = self.asks, type(self).__name__
        for capability in judge.needs:
            require(self.model, capability, name)
        if PICTURES in _shows(judge) and not getattr(self.model, "images", False):
            raise CapabilityError(
                f"{name} shows images, and {type(self.model).__name__} does not say that it takes any; give it a model "
                "that does, such as OpenAIChat(..., images=True), or leave images out of `show`"
            )
        width, told = schedule.width, f"{name}: {type(judge).__name__} judges"
        if judge.unit == "point" and width != 1:
            raise ConfigError(f"{told} one candidate at a time, and {type(schedule).__name__} shows several; use map")
        if width == 1 and judge.unit in ("pair", "set", "list"):
            raise ConfigError(f"{told} several candidates together, and {type(schedule).__name__} shows one at a time")
        if judge.unit == "pair" and schedule.answers == "scores":
            raise ConfigError(f"{told} pairs, and {type(schedule).__name__} needs a score for each; use all_pairs")
        usual = next((f.default for f in fields(cast(Any, self)) if f.name == "top"), None)
        if not schedule.takes_top and self.first not in (None, usual):
            refuse(self, ["top"], f"with {schedule!r}, which asks the same for any", "take another schedule")
        if judge.most is not None and (width is None or width > judge.most):
            shown = "all candidates at once" if width is None else f"{width} candidates"
            raise ConfigError(f"{told} at most {judge.most} candidates, and {schedule!r} shows {shown}; lower its size")

    def plan(self, ranking: Ranking) -> Plan:
        (judge, schedule), name = self.asks, type(self).__name__
        head = ranking.kept[: self.depth]
        whole = Asked(self.model, ranking.query, head, first_stage_scores(head) if _shows(judge) else {})
        log = Log(len(head))
        placed = yield from _driven(schedule.run(len(head), self.first), whole, judge, schedule, log)
        notices = [*failure_notices(name, head, log.failures), *_tied(name, head, placed)]
        if PICTURES in _shows(judge):
            notices += _withheld(name, whole)
        if placed.scores is None:
            ranking = ranking.ordered([*placed.order, *range(len(head), len(ranking.kept))], ORDINAL)
        else:
            ranking = rescored(ranking, placed.scores, self.leaves(ranking.scale))
        return ranking.warn(*notices).noted(name.lower(), log.signs(placed))


def _shows(judge: Any) -> tuple[str, ...]:
    return getattr(innermost(judge), "show", ())


def _withheld(by: str, whole: Asked) -> list[Notice]:
    """What to say of pictures that were not shown, as they are addresses."""
    without = [ranked.position for ranked in whole.shown if len(whole.pictures(ranked)) < len(ranked.candidate.images)]
    if not without and len(whole.pictures(whole.query)) == len(whole.query.images):
        return []
    told = f"{by}: pictures that are addresses were not shown: nobody may open them. To show them, {PERMIT}"
    return [Notice(told, tuple(without), degraded=False)]


def _tied(by: str, head: Sequence[Ranked], placed: Placed) -> list[Notice]:
    """What to say where every score is the same: the order then is the incoming one, and looks as if judged."""
    scores = [score for score in placed.scores or () if score is not None]
    if len(scores) < ALARMING or len(set(scores)) > 1 or len({ranked.candidate.text for ranked in head}) < 2:
        return []
    told = (
        f"{by}: all {len(scores)} scores are the same: the incoming order is kept. Can the model do what it is asked?"
    )
    return [Notice(told, degraded=False)]


def _driven(plan: Any, whole: Asked, judge: Judge, schedule: Schedule, log: Log) -> Asking[Placed]:
    """Run a schedule with a judge's verdicts. Once the engine has ended the rerank, nothing more is asked."""
    try:
        batch = next(plan)
        over = False
        while True:
            verdicts: list[Verdict | None] = [None] * len(batch)
            if not over:
                verdicts = list((yield from judge.ask_all([whole.of(shown) for shown in batch])))
                over = any(v is not None and v.failure is not None and v.failure.why in OVER for v in verdicts)
                log.add(batch, verdicts)
            batch = plan.send([_answer(schedule, judge, s, v) for s, v in zip(batch, verdicts, strict=True)])
    except StopIteration as stop:
        placed: Placed = stop.value
        return placed


def _answer(schedule: Schedule, judge: Judge, shown: Shown, verdict: Verdict | None) -> Any:
    """What a verdict says in the words the schedule understands; `None` where it says nothing."""
    if verdict is None or not verdict.usable:
        return None
    if schedule.answers == "order":
        return [shown[index] for index in verdict.order]
    if schedule.answers == "scores":
        if verdict.scores is not None:
            return verdict.scores
        place = {index: rank for rank, index in enumerate(verdict.order)}
        return [1.0 - place[index] / len(shown) if index in place else None for index in range(len(shown))]
    if judge.unit == "pair" and verdict.scores is not None:
        return verdict.scores[0]
    if verdict.scores is not None and verdict.scores[0] == verdict.scores[1]:
        return 0.5
    return 0.5 if not verdict.order else float(verdict.order[0] == 0)


@dataclass
class Log:
    """What was seen of the verdicts: counts for the monitors, and for each place the first failure to judge it."""

    n: int
    asked: int = 0
    clean: int = 0
    degraded: int = 0
    orders: int = 0
    identical: int = 0
    agreed: list[bool] = field(default_factory=list)
    masses: list[float] = field(default_factory=list)
    failures: list[Failure | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.failures = [None] * self.n

    def add(self, batch: Sequence[Shown], verdicts: Sequence[Verdict | None]) -> None:
        for shown, verdict in zip(batch, verdicts, strict=True):
            if verdict is None:
                continue
            self.asked += 1
            self.clean += verdict.form == "clean"
            self.degraded += verdict.failure is not None
            if len(verdict.order) == len(shown) > 1:
                self.orders += 1
                self.identical += list(verdict.order) == list(range(len(shown)))
            if verdict.agreed is not None:
                self.agreed.append(verdict.agreed)
            if verdict.mass is not None:
                self.masses.append(verdict.mass)
            for index in verdict.missing:
                self.failures[shown[index]] = self.failures[shown[index]] or verdict.failure

    def signs(self, placed: Placed) -> dict[str, float]:
        if not self.asked:
            return {}
        monitors = {"clean": self.clean / self.asked, "degraded": self.degraded / self.asked}
        monitors["kendall_tau"] = kendall_tau(placed.order)
        if self.orders:
            monitors["identity"] = self.identical / self.orders
        if self.agreed:
            monitors["agreement"] = sum(self.agreed) / len(self.agreed)
        if self.masses:
            monitors["label_mass"] = sum(self.masses) / len(self.masses)
        if scores := [score for score in placed.scores or () if score is not None]:
            monitors["score_variance"] = variance(scores)
        return monitors
