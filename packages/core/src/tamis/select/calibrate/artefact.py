"""What a fit produces: a few numbers in JSON, bound to the scorer they were fitted for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, WithJsonSchema

from tamis.errors import ConfigError
from tamis.parts.dump import dump
from tamis.parts.family import REFERENCE, Family
from tamis.parts.part import part
from tamis.parts.permissions import Needs
from tamis.parts.secrets import shown
from tamis.select.calibrate.scorer import UNSCORED, first_id, scorer_id
from tamis.stage.base import Stage
from tamis.values.scale import Kind, Kinds

T = TypeVar("T")
MOST = 16 * 2**20
"""Bytes of an artefact's file; they have a few thousand."""


class Fitted:
    """What a fit can produce: a few numbers. Subclasses are frozen parts."""


FITTED = Family("fitted value", Fitted, "tamis.select", "fitted", "tamis.fitted")
FittedRef = Annotated[Fitted, *FITTED]
"""Field type: a fitted value, its name or its plain data."""


@part
class Artefact:
    """Something fitted to labelled queries, for the scores of one scorer only.

    `scorer`: `scorer_id` of the stages that made the scores; `scale`: their kind. `fitted`: what was fitted (the
    family `FITTED`). `queries`, `pairs`, `relevant`: how many labelled queries, candidates and relevant
    candidates it rests on. `report`: how good it is, by numbers named in `tamis.training.calibration`.
    `reliability`: of probabilities, the fields of each `tamis.evaluate.reliability.Bin` of predictions for queries held
    out. `notes`: what was too little, and what was done instead.
    """

    scorer: str
    scale: Kind
    fitted: FittedRef
    queries: int = 0
    pairs: int = 0
    relevant: int = 0
    report: Mapping[str, float] = field(default_factory=dict)
    reliability: tuple[tuple[float, float, int, float, float], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any], where: str = "artefact") -> Artefact:
        """From plain data. `ConfigError` naming `where` and the field."""
        try:
            return cls(**data)
        except (ConfigError, TypeError) as error:
            raise ConfigError(f"{where} is not a calibration artefact: {error}") from None

    @classmethod
    def read(cls, path: str | Path) -> Artefact:
        """From a JSON file that `write` made."""
        file = Path(path)
        if not file.is_file():
            raise ConfigError(f"no calibration artefact at {str(path)!r}; `tamis calibrate` makes one")
        if file.stat().st_size > MOST:
            raise ConfigError(f"{path} is no calibration artefact: it has more than {MOST:,} bytes")
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is not valid JSON: {error}") from None
        if not isinstance(data, Mapping):
            raise ConfigError(f"{path} is not a calibration artefact: expected an object, got {type(data).__name__}")
        return cls.of(data, str(path))

    def write(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(dump(self), indent=2) + "\n", encoding="utf-8")

    def holds(self, wanted: type[T], by: str = "") -> T:
        """What was fitted, when it is a `wanted`; `ConfigError` naming the caller and what it is instead."""
        if not isinstance(self.fitted, wanted):
            able = ", ".join(name for name, cls in FITTED.usable() if issubclass(cls, wanted))
            raise ConfigError(
                f"{by} needs an artefact that holds one of: {able}; this one holds "
                f"{FITTED.name_of(type(self.fitted))!r}"
            )
        return self.fitted

    @property
    def kinds(self) -> Kinds:
        """The kind of scores the fit saw, the only one it says anything of."""
        return frozenset({self.scale})

    @property
    def remedy(self) -> str:
        """What to do where scores of another kind come in."""
        return (
            f"Its artefact was fitted on {self.scale} scores of {self.scorer!r}: put it after that scorer, or fit one "
            "for the scorer before it"
        )


def check_scorer(artefact: Artefact | None, earlier: Sequence[Stage]) -> None:
    """Raise `ConfigError` naming both when the stages in front are not the scorer that `artefact` was fitted for.

    With no scorer in front nothing is known yet, and nothing is checked.
    """
    scorer = scorer_id(earlier)
    if artefact is None or scorer == UNSCORED or artefact.scorer in (scorer, first_id(earlier)):
        return
    raise ConfigError(
        f"the artefact was fitted for the scorer {artefact.scorer!r} but is used after {scorer!r}: scores of "
        f"different scorers do not compare. Fit one for this scorer{_longer(artefact.scorer, scorer)}."
    )


def _longer(fitted: str, used: str) -> str:
    """What else to do where the artefact may be for a pipeline that has other stages in front of these."""
    wanted, names = (scorer.rpartition(" #")[0] for scorer in (fitted, used))
    if not wanted.endswith(f" | {names}"):
        return ""
    return ", or make it with the stages in front as one pipeline: tamis.load([...])"


def _artefact(value: Any) -> Any:
    if isinstance(value, Artefact):
        return value
    if isinstance(value, (str, Path)):
        return Artefact.read(value)
    if isinstance(value, Mapping):
        return Artefact.of(value)
    raise ConfigError(f"an artefact is an Artefact, the path of its JSON file or its data, got {shown(value)}")


ArtefactRef = Annotated[Artefact, BeforeValidator(_artefact), Needs("files"), WithJsonSchema({REFERENCE: "artefact"})]
"""Field type: an artefact, the path of its JSON file, or its data."""
