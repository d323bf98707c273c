"""What scores a criterion. A source maps candidates to 0..1, or says that it cannot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from tamis.errors import ScaleError
from tamis.parts.family import Family
from tamis.parts.part import part
from tamis.stage.base import Selection, Stage, StageRef, scorer
from tamis.stage.scoring import Given
from tamis.values.answers import Failure
from tamis.values.calls import Asking
from tamis.values.ranking import Notice, Ranked, Ranking
from tamis.values.scale import ORDINAL, Scale


class Source(ABC):
    """Where the scores of a criterion come from. Subclasses are frozen pydantic dataclasses."""

    @abstractmethod
    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        """A score in 0..1 for each of `head`, `None` for unknown, a `Failure` where a call for it failed. May yield
        calls."""

    def notices(self, head: Sequence[Ranked]) -> Sequence[Notice]:
        """What to report of `head`: a field that no candidate has, values that could not be read. Asks no model."""
        return ()

    @property
    def inside(self) -> tuple[Stage, ...]:
        """The stages this source runs on the candidates."""
        return ()

    def check(self, before: Scale | None) -> None:  # noqa: B027
        """Raise `ScaleError` where candidates with scores of scale `before` can never be scored."""


SOURCES = Family("criterion source", Source, "tamis.criteria", "source", "tamis.sources")
SourceRef = Annotated[Source, *SOURCES]
"""Field type: a source of criterion scores, its name or its plain data."""


@part
class Rubric(Source):
    """A language model reads the candidate and grades it. All rubric criteria of a batch are graded in one call, which
    the multi-criteria stage makes; needs its `model`."""

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        raise NotImplementedError("rubric criteria are graded together by tamis.criteria.rubric")
        yield


@part
class Incoming(Source):
    """The score the candidate comes in with, mapped to 0..1 by its scale; by rank where there are no usable scores."""

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        try:
            shares = ranking.scale.normalised([ranked.score for ranked in head])
        except ScaleError:
            shares = [None]
        if any(score is not None for score in shares):
            return shares
        return [1.0 - rank / len(head) for rank in range(len(head))]


@part
class Ranker(Source):
    """Any scoring stage as a source: a cross-encoder, an embedder, BM25. Its scores are mapped to 0..1 by their
    scale."""

    stage: StageRef

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        stage: Stage = self.stage
        part = tuple(replace(ranked, position=index) for index, ranked in enumerate(head))
        ranked = yield from stage.plan(Ranking(ranking.query, part, scale=ranking.scale))
        self._check(ranked.scale)
        kept = sorted(ranked.kept, key=lambda r: r.position)
        shares = dict(zip((r.position for r in kept), ranked.scale.normalised([r.score for r in kept]), strict=True))
        lost = {at: Failure("error", str(notice)) for notice in ranked.warnings for at in notice.positions}
        return [lost.get(index) if (score := shares.get(index)) is None else score for index in range(len(head))]

    @property
    def inside(self) -> tuple[Stage, ...]:
        return (self.stage,)

    def check(self, before: Scale | None) -> None:
        self._check(self.stage.leaves(before))

    def _check(self, scale: Scale | None) -> None:
        if scale == ORDINAL:
            made = scorer(self.stage)
            by = "the stage in front" if isinstance(made, Selection) else made.label
            raise ScaleError(
                f"a criterion needs scores with distances; {by} leaves ordinal ones. Give it a "
                "stage that scores, such as CrossEncoder or Pointwise."
            )
