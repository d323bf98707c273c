"""What lifted a candidate stays with it, whatever later stages make of its score."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.scripted import Chat, order
from tamis import (
    CrossEncoder,
    Deduplicate,
    FirstStage,
    Fuse,
    Lexical,
    Listwise,
    MultiCriteria,
    Query,
    Ranking,
    Stage,
    Threshold,
    TopN,
)
from tamis.criteria import Coverage, Depth
from tamis.models import Function
from tamis.parts.part import part
from tamis.stage.base import Plan
from tamis.values.ranking import Neighbour, Ranked
from tamis.values.scale import LOGIT

TEXTS = ["a b c", "a", "b b", "c a", "a"]


@part
class Lifts(Stage):
    """Says of each candidate that the one after it lifted it."""

    channel: str = "next"

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        return replace(
            ranking,
            kept=tuple(replace(r, lifted_by=lifter(r.position, self.channel), score=1.0) for r in ranking.kept),
            scale=LOGIT,
        )


def lifter(position: int, channel: str = "next") -> tuple[Neighbour, ...]:
    return (Neighbour((position + 1) % len(TEXTS), 0.5, channel),)


def lifters(ranking: Ranking) -> dict[int, tuple[Neighbour, ...]]:
    return {r.position: r.lifted_by for r in (*ranking.kept, *(dropped.ranked for dropped in ranking.dropped))}


def cross_encoder() -> CrossEncoder:
    return CrossEncoder(Function(lambda call: len(call.text), "classify"))


@pytest.mark.parametrize(
    "later",
    [
        FirstStage(),
        Lexical(),
        cross_encoder(),
        CrossEncoder(Function(lambda call: 1.0, "classify"), depth=2),
        Listwise(Chat(lambda call: order(call, len))),
        MultiCriteria(criteria=[Depth(), Coverage()]),
        Lexical() & cross_encoder(),
        Deduplicate(),
        Threshold(2.0),
        TopN(2),
    ],
    ids=lambda stage: type(stage).__name__,
)
def test_later_stages_keep_what_lifted_a_candidate(later: Stage) -> None:
    found = (Lifts() | later).rerank("a b", TEXTS)
    assert lifters(found) == {position: lifter(position) for position in range(len(TEXTS))}


def test_fusing_tells_the_neighbours_of_all_branches() -> None:
    found = Fuse((Lifts("cites"), Lexical(), Lifts("similar"), Lifts("cites"))).rerank("a b", TEXTS)
    assert lifters(found)[0] == lifter(0, "cites") + lifter(0, "similar")


def test_a_candidate_that_nothing_lifted_says_so() -> None:
    assert Ranking.of("q", ["a"]).kept[0].lifted_by == ()
    assert hash(Ranked(Ranking.of(Query("q"), ["a"]).candidates[0], 0, lifted_by=lifter(0)))
