"""Keep the fewest candidates that together cover what there is to cover."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Annotated, Any, ClassVar

from pydantic import PositiveInt

from tamis.criteria.fields import lookup, unreadable
from tamis.errors import ConfigError
from tamis.judges.questions.answers import answers_call, parse_answers
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.prompts.prompting import PassageTokens
from tamis.stage.base import Selection
from tamis.stage.scoring import Limit, failure_notices
from tamis.text.terms import COMMON, terms
from tamis.values.answers import Failure, unread
from tamis.values.calls import Asking, Plan
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Notice, Ranked, Ranking, Why

Aspects = frozenset[str]


@part
class Cover(Selection):
    """Pick, one by one, the candidate that adds most to what those picked cover; drop (`policy_cut`) what adds nothing.

    What a candidate covers: the answers to the query that `model` reads out of it (`generate` calls for `batch_size`
    candidates, one round), the values of the metadata `field`, or, with neither, the words of the query, weighted by
    rarity. Each must be covered `times` over. Picked ones come in the order picked, of equal gains the first; scores
    stay. What lies beyond `depth`, or could not be read, keeps its place. Where nothing covers anything all is kept.
    Query words that occur nowhere are reported in a notice. Source: greedy maximum coverage, at least 1 - 1/e of the
    best (Nemhauser et al., 1978).

    >>> texts = ["old tower", "an old tower in Paris", "weather in Paris"]
    >>> Cover().rerank("old tower in Paris", texts).positions
    (1,)
    """

    model: ModelRef = None
    field: str | None = None
    times: PositiveInt = 1
    depth: Limit = None
    batch_size: Annotated[PositiveInt, OPTIONAL] = NOT_GIVEN
    passage_tokens: Annotated[PassageTokens, OPTIONAL] = NOT_GIVEN

    usual: ClassVar[Mapping[str, Any]] = {"batch_size": 10, "passage_tokens": 256}
    drops: ClassVar[tuple[Why, ...]] = ("policy_cut",)

    def __post_init__(self) -> None:
        off = None if self.model is not None else "without a model"
        settle(self, "batch_size", "passage_tokens", off=off, remedy="give a model")
        if self.model is not None:
            if self.field is not None:
                raise ConfigError("Cover reads answers by a model or values of a field, not both")
            require(self.model, "generate", "Cover")

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        notices: list[Notice] = []
        covers: Sequence[Aspects | None]
        if self.model is not None:
            covers, notices = yield from self._answers(ranking, head)
        elif self.field is not None:
            covers = [_values(lookup(ranked.candidate.metadata, self.field)) for ranked in head]
            notices = unreadable(head, self.field, lambda value: True, "values")
        else:
            wanted = frozenset(terms(ranking.query.text)) - COMMON
            covers = [wanted & frozenset(terms(ranked.candidate.full_text)) for ranked in head]
            if missing := wanted.difference(*(own for own in covers if own)):
                notices.append(Notice(f"Cover: no candidate holds {', '.join(sorted(missing))}", degraded=False))
        picked = most_covering(covers, self.times)
        if not picked:
            return ranking.warn(*notices)
        left = set(range(len(ranking.kept))) - {i for i, own in enumerate(covers) if own is not None}
        turn = iter(picked)
        order = [i if i in left else next(turn, None) for i in range(len(ranking.kept))]
        chosen = [i for i in order if i is not None]
        out = set(range(len(ranking.kept))).difference(chosen)
        dropped = [i for i in range(len(ranking.kept)) if i in out]
        whole = ranking.reorder([*chosen, *dropped])
        return whole.drop("policy_cut", lambda index, ranked: index >= len(chosen)).warn(*notices)

    def _answers(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[tuple[list[Aspects | None], list[Notice]]]:
        batches = [head[start : start + self.batch_size] for start in range(0, len(head), self.batch_size)]
        answers = yield [
            answers_call(self.model, ranking.query, [r.candidate.full_text for r in batch], self.passage_tokens)
            for batch in batches
        ]
        covers: list[Aspects | None] = []
        failures: list[Failure | None] = []
        for batch, answer in zip(batches, answers, strict=True):
            failed = isinstance(answer, Failure)
            found = {} if failed else parse_answers(answer.text, len(batch))
            lost = answer if failed else unread("the answer left them out", answer)
            for place in range(len(batch)):
                covers.append(frozenset(map(normalised, found[place])) - {""} if place in found else None)
                failures.append(None if place in found else lost)
        return covers, failure_notices("Cover", head, failures)


def normalised(answer: str) -> str:
    """An answer as it is compared: its words without case, plural endings and words such as "the"."""
    found = terms(answer)
    return " ".join([term for term in found if term not in COMMON] or found)


def _values(value: Any) -> Aspects:
    if value is None:
        return frozenset()
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return frozenset({str(value)})
    return frozenset(map(str, value))


def most_covering(covers: Sequence[Aspects | None], times: int = 1) -> list[int]:
    """Indices in the order a greedy walk picks them, until nothing adds to covering each aspect `times` over.

    An aspect weighs ln(1 + n / how many have it).
    """
    spread = Counter(aspect for own in covers for aspect in own or ())
    weight = {aspect: math.log1p(len(covers) / count) for aspect, count in spread.items()}
    needed = dict.fromkeys(weight, times)

    def gain(own: Aspects) -> float:
        return math.fsum(weight[aspect] for aspect in own if needed[aspect])

    # A gain only ever falls, so that one which is still what it was when it came to the top is the largest.
    heap = [(-gain(own), index) for index, own in enumerate(covers) if own]
    heapify(heap)
    picked: list[int] = []
    while heap and heap[0][0]:
        known, index = heap[0]
        own = covers[index] or frozenset()
        if (now := -gain(own)) != known:
            heapreplace(heap, (now, index))
            continue
        heappop(heap)
        picked.append(index)
        for aspect in own:
            needed[aspect] = max(0, needed[aspect] - 1)
    return picked
