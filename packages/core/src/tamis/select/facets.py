"""Rank once for every facet of a question, and take turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from tamis.errors import ConfigError
from tamis.judges.questions.facets import facets_call, parse_facets
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.prompts.prompting import PassageTokens
from tamis.stage.base import Stage, StageRef
from tamis.text.normal import folded
from tamis.values.answers import Failure, Generated, unread
from tamis.values.calls import Asking, Plan, together
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Dropped, Notice, Query, Ranked, Ranking, Why
from tamis.values.scale import ORDINAL, Scale

Phrase = Annotated[str, Field(min_length=1, max_length=400)]


@part
class Facets(Stage):
    """Rank by `stage` for the question and for the question with each facet, at the same time, and merge the rankings
    in turns: the best for the question, the best for the first facet, and so on, each candidate once.

    Facets are `facets`, the same for every question, or declared by `model`, which reads the first `read` candidates
    one by one (a `generate` call each, one round) and names what a full answer needs; the `most` named most often
    count, then those named first. A facet for which the stage keeps nothing is reported in a notice: give the stage a
    cut, such as `CrossEncoder(...) | Threshold(0)`. What the stage drops for the question and every facet is dropped.

    Each candidate carries its score for each facet under `criteria`. Scale: `ordinal`.
    Source: Knowledge-Aware Diverse Reranking (LiveRAG 2025); the merge is ours.
    """

    stage: StageRef
    facets: tuple[Phrase, ...] | None = None
    model: ModelRef = None
    read: Annotated[PositiveInt, OPTIONAL] = NOT_GIVEN
    most: Annotated[PositiveInt, OPTIONAL] = NOT_GIVEN
    passage_tokens: Annotated[PassageTokens, OPTIONAL] = NOT_GIVEN

    usual: ClassVar[Mapping[str, Any]] = {"read": 5, "most": 5, "passage_tokens": 512}

    def __post_init__(self) -> None:
        if (self.facets is None) == (self.model is None):
            raise ConfigError("Facets needs either facets or a model that declares them")
        off = None if self.facets is None else "with facets that are given"
        settle(self, "read", "most", "passage_tokens", off=off, remedy="give a model in the place of the facets")
        if self.model is not None:
            require(self.model, "generate", "Facets")

    @property
    def inside(self) -> tuple[Stage, ...]:
        return (self.stage,)

    @property
    def drops(self) -> tuple[Why, ...] | None:
        return self.stage.drops

    def leaves(self, before: Scale | None) -> Scale:
        return ORDINAL

    def plan(self, ranking: Ranking) -> Plan:
        if not ranking.kept:
            return replace(ranking, scale=ORDINAL)
        facets, notices = list(self.facets or ()), list[Notice]()
        if self.model is not None:
            facets, notices = yield from self._declared(ranking)
        views = [ranking, *(replace(ranking, query=about(ranking.query, facet)) for facet in facets)]
        branches = yield from together([self.stage.plan(view) for view in views])
        for facet, branch in zip(facets, branches[1:], strict=True):
            if not branch.kept:
                notices.append(Notice(f"Facets: no candidate covers {facet!r}", degraded=False))
        for branch in branches:
            notices.extend(branch.warnings[len(ranking.warnings) :])
        return _merged(ranking, facets, branches).warn(*notices)

    def _declared(self, ranking: Ranking) -> Asking[tuple[list[str], list[Notice]]]:
        head = ranking.kept[: self.read]
        answers = yield [
            facets_call(self.model, ranking.query, ranked.candidate.full_text, self.passage_tokens) for ranked in head
        ]
        read = [answer if isinstance(answer, Failure) else _facets(answer) for answer in answers]
        votes: dict[str, list[str]] = {}
        for facet in (facet for named in read if isinstance(named, list) for facet in named):
            votes.setdefault(folded(facet), []).append(facet)
        chosen = sorted(votes.values(), key=lambda named: -len(named))[: self.most]
        unread = [ranked.position for ranked, named in zip(head, read, strict=True) if not isinstance(named, list)]
        if not unread:
            return [named[0] for named in chosen], []
        why = next(named for named in read if isinstance(named, Failure))
        told = f"Facets: {len(unread)} of {len(head)} candidates were not read for facets ({why})"
        return [named[0] for named in chosen], [Notice(told, tuple(unread))]


def _facets(answer: Generated) -> list[str] | Failure:
    named = parse_facets(answer.text)
    return unread("the answer held no list", answer) if named is None else named


def about(query: Query, facet: str) -> Query:
    """The question narrowed to one facet of it."""
    return replace(query, text=f"{query.text} {facet}", vector=None)


def _merged(before: Ranking, facets: Sequence[str], branches: Sequence[Ranking]) -> Ranking:
    order = round_robin([branch.positions for branch in branches])
    place = {position: rank for rank, position in enumerate(order)}
    scores = [{ranked.position: ranked.score for ranked in branch.kept} for branch in branches[1:]]

    def told(ranked: Ranked) -> Ranked:
        own = {facet: found.get(ranked.position) for facet, found in zip(facets, scores, strict=True)}
        return replace(ranked, score=None, criteria={**ranked.criteria, **own})

    why = {dropped.position: dropped.why for dropped in branches[0].dropped}
    kept = sorted((told(ranked) for ranked in before.kept if ranked.position in place), key=lambda r: place[r.position])
    gone = tuple(Dropped(ranked, why[ranked.position]) for ranked in before.kept if ranked.position not in place)
    return replace(
        before, kept=tuple(kept), dropped=before.dropped + gone, scale=ORDINAL, abstained=before.abstained or not kept
    )


def round_robin(lists: Sequence[Iterable[int]]) -> list[int]:
    """Each list in turn gives its next item that no list has given yet, until all are given.

    >>> round_robin([[1, 2, 3], [2, 4], [5]])
    [1, 2, 5, 3, 4]
    """
    given: dict[int, None] = {}
    turns = [iter(items) for items in lists]
    while turns:
        for turn in list(turns):
            item = next((item for item in turn if item not in given), None)
            if item is None:
                turns.remove(turn)
            else:
                given[item] = None
    return list(given)
