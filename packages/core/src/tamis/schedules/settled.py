"""A schedule over its own result, until the top no longer changes."""

from __future__ import annotations

from tamis.errors import ConfigError
from tamis.parts.numbers import TwoOrMore
from tamis.parts.part import part
from tamis.schedules.base import Placed, Running, Schedule, ScheduleRef, wanted


@part
class UntilSettled(Schedule):
    """Run `schedule` again on the order it found, until the first `top` places come out as they went in, at most
    `times` times.

    Exact as `schedule` is. Calls: at most `times` times those of `schedule`; an easy query stops after two.
    """

    schedule: ScheduleRef
    times: TwoOrMore = 3

    def __post_init__(self) -> None:
        if self.schedule.answers != "order" or self.schedule.points:
            raise ConfigError(f"UntilSettled needs a schedule that orders, such as sliding; got {self.schedule!r}")

    def run(self, n: int, top: int | None = None) -> Running:
        order = list(range(n))
        for _ in range(self.times):
            plan, before = self.schedule.run(n, top), order
            try:
                asked = next(plan)
                while True:
                    answers = yield [tuple(before[place] for place in shown) for shown in asked]
                    inner = {place: index for index, place in enumerate(before)}
                    asked = plan.send(
                        [None if a is None else [inner[place] for place in a if place in inner] for a in answers]
                    )
            except StopIteration as stop:
                order = [before[place] for place in stop.value.order]
            if order[: wanted(n, top)] == before[: wanted(n, top)]:
                break
        return Placed(order)

    def calls(self, n: int, top: int | None = None) -> int:
        return self.times * self.schedule.calls(n, top)

    def exact(self, n: int, top: int | None = None) -> int:
        return self.schedule.exact(n, top)

    @property
    def width(self) -> int | None:
        return self.schedule.width
