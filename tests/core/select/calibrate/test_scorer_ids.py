"""What a scorer is called depends on its settings only: not on options a later version adds, nor on their number."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, field, fields, is_dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from support.plugins import on_path, pretend
from support.stages import STAGES_MADE
from tamis import (
    Calibrate,
    CrossEncoder,
    FirstStage,
    Fuse,
    Lexical,
    Listwise,
    MultiCriteria,
    Pipeline,
    Pointwise,
    Stage,
    load,
)
from tamis.criteria import Authority, Criterion
from tamis.errors import ConfigError, TamisError
from tamis.judges import Likelihood
from tamis.models import CostOnly
from tamis.parts.dump import changed
from tamis.parts.family import name_of
from tamis.parts.part import part
from tamis.schedules import Knockout
from tamis.select import Artefact, Platt, scorer_id
from tamis.select.calibrate.scorer import UNSCORED
from tamis.stage.base import STAGES
from tamis.values.scale import LOGIT

SCORERS = [stage for stage in STAGES_MADE if scorer_id(stage) != UNSCORED and not isinstance(stage, Pipeline)]
each = pytest.mark.parametrize("stage", SCORERS, ids=lambda stage: type(stage).__name__)
OTHERS = (0, 1, 2, 3, 7, 20, 64, 0.1, 0.3, 0.9, 5.0, True, False, "other", ("other",), ["other"])


def grown(value: Any) -> Any:
    """The same part in a later version, in which its class and those of all parts it holds have one option more."""
    if isinstance(value, tuple):
        return tuple(map(grown, value))
    if not is_dataclass(value) or isinstance(value, type) or name_of(type(value)) is None:
        return value
    cls = type(value)
    body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__annotations__": {"later": int | None}}
    later: Any = part(type(cls.__name__, (cls,), {**body, "later": field(default=None, kw_only=True)}))
    return later(**{name: grown(item) for name, item in changed(value).items()})


def others(stage: Stage) -> Iterator[Stage]:
    """`stage` with another value in one of its fields."""
    for f in fields(stage):  # type: ignore[arg-type]
        if not f.repr or f.name in ("model", "stages"):
            continue
        named = [choice for choice in get_args(get_type_hints(type(stage))[f.name]) if isinstance(choice, str)]
        choices = [*OTHERS, *named]
        if f.default is not MISSING:
            choices.append(f.default)
        for choice in choices:
            try:
                other = replace(stage, **{f.name: choice})  # type: ignore[type-var]
            except (TamisError, TypeError):
                continue
            if getattr(other, f.name) != getattr(stage, f.name):
                yield other


@each
def test_an_option_that_a_later_version_adds_to_every_part_changes_no_id(stage: Stage) -> None:
    later = grown(stage)
    assert type(later) is not type(stage)
    assert later.later is None
    assert scorer_id(later) == scorer_id(stage)
    assert scorer_id(replace(later, later=1)) != scorer_id(stage)


@each
def test_any_setting_that_differs_makes_another_scorer(stage: Stage) -> None:
    for other in others(stage):
        assert scorer_id(other) != scorer_id(stage), other


def test_settings_are_changed_in_most_stages() -> None:
    changed = {STAGES.name_of(type(stage)) for stage in SCORERS if any(others(stage))}
    assert changed >= {STAGES.name_of(type(stage)) for stage in SCORERS} - {"calibrate", "first_stage"}


def test_different_examples_are_different_scorers() -> None:
    for one, other in combinations(SCORERS, 2):
        assert scorer_id(one) != scorer_id(other), (one, other)


@pytest.mark.parametrize(
    ("scorer", "first"),
    [
        (CrossEncoder(CostOnly("cross", scale=LOGIT), depth=50), "cross_encoder(cross) #0fbcafad5da3"),
        (Fuse((FirstStage(unscored="unknown"), FirstStage())), "fuse #bc990ae29092"),
        (Pointwise(CostOnly("llm"), judge=Likelihood()), "pointwise(llm) #40658fbe65e9"),
        (Listwise(CostOnly("llm"), schedule=Knockout()), "listwise(llm) #aaaba9fe9173"),
    ],
)  # fmt: skip
def test_what_was_fitted_with_ids_of_every_setting_still_loads(scorer: Stage, first: str) -> None:
    fitted = Artefact(first, scorer.leaves(None).kind, Platt(1.0, 0.0))  # type: ignore[union-attr]
    assert scorer_id(scorer) != first
    assert (scorer | Calibrate(fitted)).stages[-1] == Calibrate(fitted)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="was fitted for the scorer"):
        Lexical(k1=1.0) | Calibrate(fitted)


OWN = """
import enum, pathlib, datetime
from tamis.extend import LEXICAL, Scoring, part
class Colour(enum.Enum): RED = "red"; BLUE = "blue"
@part
class Own(Scoring):
    colour: Colour = Colour.RED
    place: pathlib.Path = pathlib.Path("a")
    words: frozenset[str] = frozenset()
    span: datetime.timedelta = datetime.timedelta(1)
    scale = LEXICAL
    def scores(self, ranking, head):
        yield from ()
        return [0.0] * len(head)
"""


def test_a_setting_of_any_type_makes_another_scorer(tmp_path: Path) -> None:
    with on_path(pretend(tmp_path, "own", "1", {"tamis.stages own": "own_stage:Own"}, {"own_stage.py": OWN})):
        settings = ({}, {"colour": "blue"}, {"place": "b"}, {"words": ["x"]}, {"words": ["x", "y"]}, {"span": "P2D"})
        ids = [scorer_id(load([{"own": options}])) for options in settings]
    assert len(set(ids)) == len(settings)
    assert all(one.startswith("own #") for one in ids)


def test_a_scorer_has_the_same_id_in_every_process(tmp_path: Path) -> None:
    folder = pretend(tmp_path, "own", "1", {"tamis.stages own": "own_stage:Own"}, {"own_stage.py": OWN})
    code = "import tamis; from tamis.select import scorer_id; print(scorer_id(tamis.load([{'own': {'words': list('abcdefgh')}}])))"
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", code]
    ids = {
        subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed}).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(ids) == 1


def test_the_order_of_a_mapping_makes_no_other_scorer() -> None:
    trusts = ({"python.org": 1.0, "example.org": 0.2}, {"example.org": 0.2, "python.org": 1.0})
    one, other = (scorer_id(MultiCriteria(criteria=[Criterion("trust", source=Authority(trust))])) for trust in trusts)
    assert one == other
    another = Authority({"python.org": 0.2, "example.org": 1.0})
    assert scorer_id(MultiCriteria(criteria=[Criterion("trust", source=another)])) != one
