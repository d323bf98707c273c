"""A schedule."""

from tamis.extend import Placed, Running, Schedule, complete, part


@part
class TwoHalves(Schedule):
    """Orders each half by itself; the first half stays in front."""

    def run(self, n: int, top: int | None = None) -> Running:
        halves = [half for half in (tuple(range(n // 2)), tuple(range(n // 2, n))) if half]
        answers = (yield halves) if halves else ()
        return Placed([place for half, answer in zip(halves, answers, strict=True) for place in complete(half, answer)])

    def calls(self, n: int, top: int | None = None) -> int:
        return min(n, 2)

    def exact(self, n: int, top: int | None = None) -> int:
        return 0

    @property
    def width(self) -> None:
        return None
