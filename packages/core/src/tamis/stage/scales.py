"""Which scale of scores a stage needs and which it leaves: how a pipeline checks itself before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tamis.errors import ScaleError
from tamis.values.scale import ANY, CALIBRATED, Kind, Kinds, Scale

if TYPE_CHECKING:
    from tamis.stage.base import Stage


class Left(NamedTuple):
    """The scale of the scores at some point of a pipeline, and which stage made them.

    `scale`: `None` where it is not known before the pipeline runs. `by`: `None` for the scores that come in.
    """

    scale: Scale | None = None
    by: str | None = None


INCOMING = Left()
"""The scores a pipeline is given: of a scale nobody knows before it runs."""


def refuse(by: str, accepts: Kinds, kind: Kind, remedy: str, source: str | None = None) -> ScaleError:
    """The error for scores of a `kind` that `by` cannot use. `source`: the stage that made them, where it is known.

    >>> print(refuse("TopScore", ANY - {"ordinal"}, "ordinal", "Put Lexical in front", "Listwise"))
    TopScore needs scores of any scale but ordinal; it gets ordinal scores from Listwise. Put Lexical in front.
    """
    made = f" from {source}" if source else ""
    return ScaleError(f"{by} needs {spelled(accepts)}; it gets {kind} scores{made}. {remedy}.")


def spelled(accepts: Kinds) -> str:
    """Kinds of scale in words.

    >>> spelled(ANY - {"logit", "ordinal"}), spelled(frozenset({"graded", "probability"}))
    ('scores of any scale but logit or ordinal', 'graded or probability scores')
    """
    if accepts == ANY:
        return "scores of any scale"
    if len(accepts) > len(ANY) / 2:
        return f"scores of any scale but {' or '.join(sorted(ANY - accepts))}"
    return f"{' or '.join(sorted(accepts)) or 'no'} scores"


def remedy(accepts: Kinds, kind: Kind) -> str:
    """What to do where scores of `kind` come to a stage that `accepts` others."""
    if kind == "ordinal":
        return "Put a stage that scores in front, such as CrossEncoder, Pointwise or Lexical"
    if accepts == CALIBRATED:
        return "Put Calibrate in front, with an artefact fitted for the stage that scores"
    return "Put Calibrate in front"


def after(stage: Stage, before: Left = INCOMING) -> Left:
    """The scores after `stage` when those `before` it come in.

    Raises `ScaleError` where a stage, or one inside it, needs scores of another scale than it gets. Asks no model.
    """
    if before.scale is not None and before.scale.kind not in stage.accepts:
        kind = before.scale.kind
        raise refuse(stage.label, stage.accepts, kind, stage.remedy(kind), before.by)
    return stage.through(before)
