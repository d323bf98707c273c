"""Let a language model choose which candidates are needed, how many, and in which order."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt

from tamis.errors import ConfigError
from tamis.judges.questions.selection import read_selection, selection_call
from tamis.parts.numbers import NonNegative, Samples, TwoOrMore
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.prompts.prompting import PassageTokens
from tamis.prompts.template import TemplateRef
from tamis.select.facets import round_robin
from tamis.select.reward import CheapReward
from tamis.stage.base import Stage
from tamis.stage.scoring import Limit
from tamis.values.answers import Failure, ending, unread
from tamis.values.calls import Asking, Generate, Plan
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Dropped, Notice, Ranked, Ranking, Why
from tamis.values.scale import ORDINAL, Scale

Chosen = list[int] | Failure
"""Indices into the ranking, best first, perhaps none; or why there are none to be had."""


@part
class DynamicRAG(Stage):
    """The model writes the list of candidates that are needed together, best first, or `None`.

    The others are dropped as `not_listed`. `None` is a deliberate nothing: `abstained` is set and all are dropped as
    `abstained`, unless `k_min` asks for more, which come in incoming order. An answer that is neither is asked for once
    more; then the incoming order is kept whole, up to `k_max`, and the ranking is degraded. Scale: `ordinal` (no
    scores).

    More than `window` candidates are first chosen from window by window (one round, until a window holds what was
    chosen), then together. A window without a usable answer passes on all it shows.

    `samples` > 1: the last call is made N times at `temperature`, each after the first with the candidates in
    another order, as models favour places. `combine`: `"consensus"` keeps those in at least half of the samples by
    their mean rank; `"best"` takes the sample with the highest `reward(query, chosen, scale)`.

    `template`: the wording a trained checkpoint knows, or its name (`dynamicrag`). Calls: `samples`, and
    ceil(n / window) a round before. Source: DynamicRAG (Sun et al., 2025), whose model is trained
    for this; any chat model can be asked.
    """

    model: ModelRef
    depth: Limit = None
    k_min: NonNegativeInt = 0
    k_max: PositiveInt | None = None
    window: TwoOrMore = 40
    samples: Samples = 1
    combine: Annotated[Literal["consensus", "best"], OPTIONAL] = NOT_GIVEN
    temperature: Annotated[NonNegative, OPTIONAL] = NOT_GIVEN
    reward: Annotated[CheapReward | Callable[..., Any], OPTIONAL] = NOT_GIVEN
    passage_tokens: PassageTokens = 200
    template: TemplateRef = None

    usual: ClassVar[Mapping[str, Any]] = {"combine": "consensus", "temperature": 0.4, "reward": CheapReward()}
    drops: ClassVar[tuple[Why, ...]] = ("not_listed", "abstained")

    def __post_init__(self) -> None:
        require(self.model, "generate", "DynamicRAG")
        one = "with one sample" if self.samples == 1 else None
        settle(self, "combine", "temperature", off=one, remedy="take more samples")
        mean = None if self.combine == "best" else "with combine='consensus'"
        settle(self, "reward", off=one or mean, remedy="take several samples with combine='best'")
        if self.k_max is not None and self.k_max < self.k_min:
            raise ConfigError(f"DynamicRAG: k_max {self.k_max} is below k_min {self.k_min}")

    def leaves(self, before: Scale | None) -> Scale:
        return ORDINAL

    def plan(self, ranking: Ranking) -> Plan:
        if not ranking.kept:
            return replace(ranking, scale=ORDINAL)
        shown = list(range(len(ranking.kept[: self.depth])))
        notices: list[Notice] = []
        if len(shown) > self.window:
            shown = yield from self._narrowed(ranking, shown, notices)
        chosen = (yield from self._chosen(ranking, shown, notices)) if shown else []
        if isinstance(chosen, Failure):
            said = f"DynamicRAG: no usable choice ({chosen}); the incoming order is kept"
            notices.append(Notice(said, ranking.positions))
            chosen = list(range(len(ranking.kept)))
        return self._cut(ranking, chosen[: self.k_max]).warn(*notices)

    def _cut(self, ranking: Ranking, chosen: list[int]) -> Ranking:
        """Candidates `chosen` in this order, filled up to `k_min` in incoming order; the others dropped."""
        spare = [index for index in range(len(ranking.kept)) if index not in set(chosen)]
        missing = max(0, self.k_min - len(chosen))
        chosen, spare = chosen + spare[:missing], spare[missing:]
        gone = tuple(Dropped(ranking.kept[index], "not_listed" if chosen else "abstained") for index in spare)
        kept = tuple(replace(ranking.kept[index], score=None) for index in chosen)
        abstained = ranking.abstained or not chosen
        return replace(ranking, kept=kept, dropped=ranking.dropped + gone, scale=ORDINAL, abstained=abstained)

    def _narrowed(self, ranking: Ranking, shown: list[int], notices: list[Notice]) -> Asking[list[int]]:
        """What windows chose, in incoming order, at most one window of it; perhaps nothing."""
        while len(shown) > self.window:
            windows = [shown[start : start + self.window] for start in range(0, len(shown), self.window)]
            answers = yield [self._call(ranking, window) for window in windows]
            picks: list[list[int]] = []
            for window, answer in zip(windows, answers, strict=True):
                picked = _read(answer, window)
                if isinstance(picked, Failure):
                    said = f"DynamicRAG: a window of {len(window)} candidates was not chosen from ({picked})"
                    notices.append(Notice(said, tuple(ranking.kept[index].position for index in window)))
                    picked = window
                notices += _cut_short(ranking, picked, window, answer)
                picks.append(picked)
            union = round_robin(picks)
            if len(union) == len(shown):
                union = union[: self.window]
            shown = sorted(union)
        return shown

    def _chosen(self, ranking: Ranking, shown: list[int], notices: list[Notice]) -> Asking[Chosen]:
        """The answer to the last call, or what several samples of it come to."""
        if self.samples == 1:
            (answer,) = yield [self._call(ranking, shown)]
            chosen = _read(answer, shown)
            if isinstance(chosen, Failure) and chosen.why == "malformed":
                (answer,) = yield [self._call(ranking, shown, attempt=1)]
                chosen = _read(answer, shown)
            notices += _cut_short(ranking, chosen, shown, answer)
            return chosen
        orders = [shown, *(random.Random(seed).sample(shown, len(shown)) for seed in range(1, self.samples))]
        answers = yield [
            self._call(ranking, order, attempt=attempt, temperature=self.temperature)
            for attempt, order in enumerate(orders)
        ]
        read = [_read(answer, order) for answer, order in zip(answers, orders, strict=True)]
        for chosen, answer in zip(read, answers, strict=True):
            notices += _cut_short(ranking, chosen, shown, answer)
        lists = [chosen for chosen in read if not isinstance(chosen, Failure)]
        if not lists:
            return next(failure for failure in read if isinstance(failure, Failure))
        return consensus(lists) if self.combine == "consensus" else max(lists, key=self._value(ranking))

    def _value(self, ranking: Ranking) -> Callable[[list[int]], float]:
        def value(chosen: list[int]) -> float:
            members: Sequence[Ranked] = [ranking.kept[index] for index in chosen[: self.k_max]]
            return float(self.reward(ranking.query, members, ranking.scale))

        return value

    def _call(self, ranking: Ranking, order: Sequence[int], attempt: int = 0, temperature: float = 0.0) -> Generate:
        found = [ranking.kept[index].candidate for index in order]
        apart = self.template is not None and "{title}" in self.template.passage
        return selection_call(
            self.model,
            ranking.query,
            [candidate.text if apart else candidate.full_text for candidate in found],
            self.passage_tokens,
            temperature=temperature,
            attempt=attempt,
            template=self.template,
            titles=[candidate.title or "" for candidate in found] if apart else (),
        )


def _read(answer: Any, order: Sequence[int]) -> Chosen:
    if isinstance(answer, Failure):
        return answer
    chosen = read_selection(answer, len(order))
    if chosen is None:
        return unread("the answer is neither a list of passages nor None", answer)
    return [order[place] for place in chosen]


def _cut_short(ranking: Ranking, chosen: Chosen, shown: Sequence[int], answer: Any) -> list[Notice]:
    """A notice of what a list that was cut may have left out."""
    if isinstance(chosen, Failure) or isinstance(answer, Failure) or answer.complete:
        return []
    left = tuple(ranking.kept[index].position for index in shown if index not in set(chosen))
    said = f"DynamicRAG: the list may lack some of {len(left)} candidates: {ending(answer)}"
    return [Notice(said, left)] if left else []


def consensus(lists: Sequence[Sequence[int]]) -> list[int]:
    """Items in at least half of the lists, by their mean rank where they occur; ties by votes, then by the item.

    Where no item is in half of them: nothing, if half are empty; else the items most lists hold.

    >>> consensus([[3, 1], [1, 3, 2], [1]])
    [1, 3]
    """
    ranks: dict[int, list[int]] = defaultdict(list)
    for chosen in lists:
        for rank, item in enumerate(chosen):
            ranks[item].append(rank)
    empty = sum(not chosen for chosen in lists)
    enough = len(lists) / 2
    if ranks and 2 * empty < len(lists):
        enough = min(enough, max(map(len, ranks.values())))
    agreed = [item for item, found in ranks.items() if len(found) >= enough]
    return sorted(agreed, key=lambda item: (fmean(ranks[item]), -len(ranks[item]), item))
