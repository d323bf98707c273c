"""Let a language model order windows of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tamis.calls import Failure, Plan
from tamis.errors import ConfigError
from tamis.judges.parsing import permutation
from tamis.judges.permutation import permutation_call
from tamis.models.base import require
from tamis.part import part
from tamis.rankers.scoring import Depth
from tamis.ranking import Notice, Query, Ranked, Ranking
from tamis.references import ModelRef
from tamis.scale import ORDINAL
from tamis.schedules.sliding import sliding
from tamis.stage import Asking, Stage


@part
class Listwise(Stage):
    """Order by a sliding window of generated permutations. Calls: `passes * (1 + ceil((n - window) / stride))`, in
    sequence.

    An answer that names only some passages orders those and leaves the rest behind them; one that names none is asked
    for once more, then the window keeps its order. Scale: `ordinal` (no scores). Source: RankGPT (Sun et al., 2023).
    """

    model: ModelRef
    depth: Depth = None
    window: Annotated[int, Field(ge=2)] = 20
    stride: Annotated[int, Field(ge=1)] = 10
    passes: Annotated[int, Field(ge=1)] = 1
    passage_tokens: Annotated[int, Field(ge=16)] = 256

    def __post_init__(self) -> None:
        require(self.model, "generate", "Listwise")
        if self.stride > self.window:
            raise ConfigError(f"stride {self.stride} must not exceed window {self.window}, or passages are skipped")

    def plan(self, ranking: Ranking) -> Plan:
        head = list(range(len(ranking.kept[: self.depth])))
        notices: list[Notice] = []
        schedule = sliding(head, self.window, self.stride, self.passes)
        order = head
        try:
            window = next(schedule)
            while True:
                judged = yield from self._judge(ranking.query, [ranking.kept[index] for index in window], notices)
                window = schedule.send([window[place] for place in judged])
        except StopIteration as stop:
            order = stop.value
        return ranking.ordered([*order, *range(len(head), len(ranking.kept))], ORDINAL).warn(*notices)

    def _judge(self, query: Query, window: Sequence[Ranked], notices: list[Notice]) -> Asking[list[int]]:
        """Places of `window`, best first. Always a permutation."""
        texts = [ranked.candidate.full_text for ranked in window]
        problem = "the answer named no passage"
        named: list[int] = []
        for attempt in range(2):
            (answer,) = yield [permutation_call(self.model, query, texts, self.passage_tokens, attempt)]
            if isinstance(answer, Failure):
                problem = str(answer)
                break
            if named := permutation(answer.text, len(window)):
                break
        missing = [place for place in range(len(window)) if place not in set(named)]
        if missing:
            if named:
                problem = "the answer left them out"
            positions = tuple(window[place].position for place in missing)
            notices.append(
                Notice(
                    f"Listwise: {len(missing)} of {len(window)} candidates in a window were not ordered ({problem}); "
                    "they keep their incoming order",
                    positions,
                )
            )
        return named + missing
