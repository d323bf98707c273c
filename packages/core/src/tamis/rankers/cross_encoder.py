"""Score each candidate with a cross-encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tamis.parts.options import refuse
from tamis.parts.part import part
from tamis.rankers.early_exit import EarlyExit
from tamis.rankers.passages import Passages
from tamis.stage.scoring import Given, Limit, Scored, Scoring, read
from tamis.values.answers import Failure, Score
from tamis.values.calls import Asking, Classify, ClassifyVectors, EmbedTokens
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Candidate, Notice, Query, Ranked, Ranking
from tamis.values.scale import UNKNOWN, Scale


@part
class CrossEncoder(Scoring):
    """Sort by the score a cross-encoder gives (query, candidate). One `classify` call per candidate, all in one round.

    The scale is the model's own (usually `logit`). Source: Nogueira and Cho, 2019 (monoBERT).

    `passages`: cut long documents and score them by their passages, one call per passage; without, a model reads as
    much of the beginning as fits. A document is judged if all its passages were. `early_exit`: leave the tail unread
    once the top has settled. `compressor`: a model that makes a few vectors of a passage (`embed_tokens`), which an
    engine keeps (`Engine(vectors=...)`), so that `model` reads those instead of the text (`classify_vectors`). Source:
    Déjean and Clinchant, 2025 (RRK). What a model makes of a passage for a generator beside its score (OSCAR: Louis et
    al., 2025) comes back as `Ranked.compressed`, of documents that are one passage.

    >>> from tamis.models import Function
    >>> overlap = Function(lambda call: len({*call.query.split()} & {*call.text.split()}), "classify")
    >>> CrossEncoder(overlap).rerank("tall mountain", ["a recipe", "a tall mountain"]).positions
    (1, 0)
    """

    model: ModelRef
    depth: Limit = None
    passages: Passages | None = None
    early_exit: EarlyExit | None = None
    compressor: ModelRef = None

    def __post_init__(self) -> None:
        require(self.model, "classify" if self.compressor is None else "classify_vectors", "CrossEncoder")
        if self.compressor is not None:
            require(self.compressor, "embed_tokens", "The compressor of CrossEncoder")
        if self.early_exit and self.depth and self.depth <= self.early_exit.least:
            off = f"within depth={self.depth}: it reads {self.early_exit.least} candidates before it may stop"
            refuse(self, ["early_exit"], off, "raise depth")
        _ = self.scale

    @property
    def scale(self) -> Scale:
        """The model's; of documents that are scored by their passages what those make of it."""
        scale: Scale = getattr(self.model, "scale", UNKNOWN)
        return self.passages.scale(scale) if self.passages else scale

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Scored]:
        scale = getattr(self.model, "scale", UNKNOWN)
        block = self.early_exit.block if self.early_exit else len(head)
        scores: list[Given] = []
        compressed: dict[int, Any] = {}
        while len(scores) < len(head) and not (self.early_exit and self.early_exit.settled(list(map(_known, scores)))):
            read_now = [self._texts(ranked.candidate) for ranked in head[len(scores) : len(scores) + block]]
            answers = iter((yield from self._answers(ranking.query, [t for texts in read_now for t in texts])))
            for texts in read_now:
                own = [next(answers) for _ in texts]
                compressed |= _compressed(head[len(scores)].position, own)
                scores.append(self._judged(own, scale))
        unread = tuple(ranked.position for ranked in head[len(scores) :])
        notices = []
        if unread and self.early_exit:
            left = f"{len(unread)} of {len(head)} candidates unread, the top {self.early_exit.top} had settled"
            notices.append(Notice(f"CrossEncoder: {left}", unread, degraded=False))
        return Scored(scores, [_with(compressed, ranked) for ranked in head] if compressed else None, notices)

    def _answers(self, query: Query, texts: Sequence[str]) -> Asking[Sequence[Any]]:
        """One answer a text; where a compressor failed, its failure."""
        if self.compressor is None:
            return (yield [Classify(self.model, query.text, text, query.instruction) for text in texts])
        made = yield [EmbedTokens(self.compressor, text) for text in texts]
        scored = iter(
            (
                yield [
                    ClassifyVectors(self.model, query.text, answer.values, query.instruction)
                    for answer in made
                    if not isinstance(answer, Failure)
                ]
            )
        )
        return [answer if isinstance(answer, Failure) else next(scored) for answer in made]

    def _texts(self, candidate: Candidate) -> list[str]:
        return self.passages.texts(candidate) if self.passages else [candidate.full_text]

    def _judged(self, answers: Sequence[Any], scale: Scale) -> float | Failure:
        """The score of a candidate from its passages', or why there is none."""
        values, failures = read(answers, lambda answer: answer.value)
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return next(failure for failure in failures if failure is not None)
        return self.passages.score(known, scale) if self.passages else known[0]


def _known(score: Given) -> float | None:
    return None if isinstance(score, Failure) else score


def _compressed(position: int, answers: Sequence[Any]) -> dict[int, Any]:
    """What was made of a document that is one passage, by its position."""
    made = [answer.compressed for answer in answers if isinstance(answer, Score) and answer.compressed is not None]
    return {position: made[0]} if len(answers) == len(made) == 1 else {}


def _with(compressed: Mapping[int, Any], ranked: Ranked) -> Ranked:
    return replace(ranked, compressed=compressed[ranked.position]) if ranked.position in compressed else ranked
