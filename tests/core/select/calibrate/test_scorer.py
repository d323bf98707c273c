"""What was fitted for one scorer works behind no other."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from tamis import CrossEncoder, Embedding, FirstStage, Fuse, Lexical, Pipeline, Stage, TopN, load
from tamis.criteria import MultiCriteria, Recency
from tamis.errors import ConfigError, ScaleError
from tamis.models import CostOnly, Function
from tamis.parts.part import part
from tamis.select import Abstain, Calibrate, DynamicK, NearDuplicates, Place, scorer_id
from tamis.select.calibrate.abstain import Abstention
from tamis.select.calibrate.artefact import Artefact
from tamis.select.calibrate.calibration import Conformal, Platt, Temperature
from tamis.select.calibrate.confidence import Max
from tamis.select.policies.mass import SoftmaxMass
from tamis.select.policies.thresholds import Calibrated, ConformalRecall
from tamis.stage.base import StageRef
from tamis.values.calls import Plan
from tamis.values.ranking import Ranking
from tamis.values.scale import LOGIT, PROBABILITY

BI, CROSS, OTHER = CostOnly("bi"), CostOnly("cross", scale=LOGIT), CostOnly("other", scale=LOGIT)
SCORER = Lexical() | CrossEncoder(CROSS, depth=50)
PLATT = Artefact(scorer_id(SCORER), "logit", Platt(1.0, -2.0), notes=("a note",))


@pytest.mark.parametrize(
    "other",
    [
        CrossEncoder(CROSS, depth=50),
        Lexical() | CrossEncoder(CROSS),
        Lexical() | CrossEncoder(OTHER, depth=50),
        Lexical() | CrossEncoder(CostOnly("cross", scale=PROBABILITY), depth=50),
        Lexical(b=0.5) | CrossEncoder(CROSS, depth=50),
        Lexical() | Embedding(BI) | CrossEncoder(CROSS, depth=50),
        Lexical() | TopN(50) | CrossEncoder(CROSS, depth=50),
        SCORER & FirstStage(),
        SCORER | Calibrate(PLATT),
    ],
)
def test_another_stage_setting_model_or_scale_is_another_scorer(other: Stage) -> None:
    assert scorer_id(other) != scorer_id(SCORER)


@pytest.mark.parametrize(
    "same",
    [
        load(SCORER.to_data(), allow="all"),
        Pipeline((Lexical(), Pipeline((CrossEncoder(CROSS, depth=50),)))),
        SCORER | TopN(3) | DynamicK() | Abstain() | NearDuplicates() | Place(),
        Lexical() | CrossEncoder(replace(CROSS, max_batch=1), depth=50),
        Lexical() | CrossEncoder(Function(len, "classify", name="cross", scale=LOGIT), depth=50),
    ],
)
def test_nesting_batching_and_stages_that_only_choose_make_no_other_scorer(same: Stage) -> None:
    assert scorer_id(same) == scorer_id(SCORER)


def test_the_name_is_stable_and_readable() -> None:
    assert scorer_id(SCORER).startswith("lexical | cross_encoder(cross) #")
    assert scorer_id(TopN(3)) == "incoming"
    assert scorer_id(MultiCriteria(criteria=[Recency()])) == scorer_id(MultiCriteria(criteria=[Recency()]))
    assert scorer_id(Fuse((Lexical(), FirstStage()))) != scorer_id(Fuse((FirstStage(), Lexical())))


@pytest.mark.parametrize(
    "stage",
    [
        Calibrate(PLATT),
        Abstain(replace(PLATT, fitted=Abstention(Max(), 0.5))),
        DynamicK(ConformalRecall(replace(PLATT, fitted=Conformal((1.0,))))),
        DynamicK(SoftmaxMass(fitted=replace(PLATT, fitted=Temperature(2.0)))),
    ],
    ids=lambda stage: type(stage).__name__,
)
def test_an_artefact_behind_another_scorer_is_refused_and_both_are_named(stage: Stage) -> None:
    assert SCORER | stage
    assert SCORER | TopN(3) | stage
    assert SCORER | (stage | TopN(3))
    with pytest.raises(ConfigError, match=r"fitted for the scorer 'lexical \| cross_encoder\(cross\) #\w+' but is used after 'lexical \| cross_encoder\(other\) #"):  # fmt: skip
        Lexical() | CrossEncoder(OTHER, depth=50) | stage
    with pytest.raises(ConfigError, match="but is used after"):
        load([{"lexical": {}}, [*(stage | TopN(1)).to_data()]])


FITTED = {
    "calibrate": lambda artefact: {"calibrate": {"artefact": artefact}},
    "abstain": lambda artefact: {"abstain": {"artefact": replace(artefact, fitted=Abstention(Max(), 0.5))}},
    "recall": lambda artefact: {
        "dynamic_k": {"policy": {"conformal_recall": {"artefact": replace(artefact, fitted=Conformal((1.0,)))}}}
    },
    "mass": lambda artefact: {
        "dynamic_k": {"policy": {"softmax_mass": {"fitted": replace(artefact, fitted=Temperature(2.0))}}}
    },
}
"""Every stage that reads an artefact, as data."""
HOLDERS = {
    "list": lambda inner: inner,
    "fuse": lambda inner: {"fuse": {"stages": ["first_stage", inner]}},
    "facets": lambda inner: {"facets": {"stage": inner, "facets": ["height"]}},
    "source": lambda inner: {"multi_criteria": {"criteria": [{"ranker": {"stage": inner}}]}},
    "relevance": lambda inner: {"multi_criteria": {"relevance": {"ranker": {"stage": inner}}}},
}
"""Every stage that holds stages, as data."""
CHAIN = (Lexical(k1=2.0), Lexical(b=0.5), Lexical(k1=0.5))
ORDERED = re.compile("(source|relevance),(list,)*facets")
"""A criterion of what has no scores: refused for that reason."""
nestings = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(sorted(HOLDERS))), max_size=3).filter(
    lambda where: not ORDERED.search(",".join(holder for _, holder in where))
)


def nested(chain: Sequence[Stage], end: Any, where: Sequence[tuple[int, str]]) -> list[Any]:
    """The stages of `chain` and `end`, some of them inside holders: what comes in front of `end` is always the same."""
    if not where:
        return [*chain, end]
    (count, holder), *deeper = where
    front, rest = chain[:count], chain[count:]
    return [*front, HOLDERS[holder](nested(rest, end, deeper))]


@examples(60)
@given(where=nestings, kind=st.sampled_from(sorted(FITTED)), after=st.integers(1, 3), other=st.integers(1, 3))
def test_wherever_an_artefact_is_placed_it_loads_after_its_own_scorer_and_no_other(
    where: list[tuple[int, str]], kind: str, after: int, other: int
) -> None:
    stage = FITTED[kind](Artefact(scorer_id(CHAIN[:other]), "lexical", Platt(1.0, -2.0)))
    data = nested(CHAIN[:after], stage, where)
    if after != other:
        with pytest.raises(ConfigError, match="but is used after"):
            load(data)
        with pytest.raises(ConfigError, match="but is used after"):
            load([*data, {"top_n": 1}])
    else:
        made = load(data)
        assert load(made.to_data()) == made


@pytest.mark.parametrize("holder", sorted(HOLDERS))
def test_what_is_made_in_python_is_checked_as_what_is_loaded(holder: str) -> None:
    inner = load(HOLDERS[holder](Calibrate(Artefact(scorer_id(Lexical()), "lexical", Platt(1.0, -2.0)))))
    assert Lexical() | inner
    with pytest.raises(ConfigError, match="but is used after"):
        Lexical(k1=2.0) | inner


def test_a_stage_of_another_package_that_holds_stages_is_checked_too() -> None:
    @part
    class Holds(Stage):
        stage: StageRef

        @property
        def inside(self) -> tuple[Stage, ...]:
            return (self.stage,)

        def plan(self, ranking: Ranking) -> Plan:
            return (yield from self.stage.plan(ranking))

    assert SCORER | Holds(Calibrate(PLATT))
    with pytest.raises(ConfigError, match="but is used after"):
        Lexical() | Holds(Calibrate(PLATT))


def test_a_part_of_a_pipeline_made_alone_says_how_to_make_the_whole() -> None:
    with pytest.raises(ConfigError, match=r"with the stages in front as one pipeline: tamis\.load"):
        CrossEncoder(CROSS, depth=50) | Calibrate(PLATT)
    branch = {"fuse": {"stages": [[CrossEncoder(CROSS, depth=50), Calibrate(PLATT)], FirstStage()]}}
    assert load([Lexical(), branch])


def test_scores_of_another_scale_are_refused_when_the_ranking_comes() -> None:
    with pytest.raises(
        ScaleError,
        match="Calibrate needs logit scores; it gets unknown scores. Its artefact was fitted on logit scores of 'lexical ",
    ):
        Calibrate(PLATT).rerank("q", ["a"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda a: Calibrate(replace(a, fitted=Conformal((1.0,)))), "Calibrate needs an artefact that holds one of: in_list, isotonic, platt, unit; this one holds 'conformal'"),
        (lambda a: Abstain(a), "Abstain needs .*: abstention; this one holds 'platt'"),
        (lambda a: ConformalRecall(a), "ConformalRecall needs .*: conformal; this one holds 'platt'"),
        (lambda a: SoftmaxMass(fitted=a), "SoftmaxMass needs .*: temperature; this one holds 'platt'"),
        (lambda a: Calibrate({"scorer": "x", "scale": "logit", "fitted": {"plat": {}}}), "unknown fitted value 'plat'. Did you mean 'platt'"),
        (lambda a: Calibrate({"scorer": "x", "slope": 1}), "is not a calibration artefact.*slope"),
        (lambda a: Calibrate("nowhere.json"), "no calibration artefact at 'nowhere.json'"),
        (lambda a: Calibrate(3), "an artefact is an Artefact, the path of its JSON file or its data, got 3"),
    ],
)  # fmt: skip
def test_what_is_no_fitting_artefact_is_refused(make: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(PLATT)  # type: ignore[operator]


def test_an_artefact_survives_its_file_and_a_pipeline_may_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fit.json"
    PLATT.write(file)
    assert Artefact.read(file) == PLATT
    assert json.loads(file.read_text())["fitted"] == {"platt": {"slope": 1.0, "intercept": -2.0}}
    written = [{"lexical": {}}, {"cross_encoder": {"model": "ce", "depth": 50}}, {"calibrate": str(file)}]
    loaded = load(written, models={"ce": CROSS}, allow={f"files:{file}"})
    assert loaded == SCORER | Calibrate(PLATT)
    assert load(loaded.to_data(), allow="all") == loaded
    assert load({"dynamic_k": {"policy": {"calibrated": 0.3}}}) == DynamicK(Calibrated(0.3))


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", r"fit\.json is not valid JSON"), ("[]", r"fit\.json is not a calibration artefact: expected an object, got list"), ("{}", r"fit\.json is not a calibration artefact: .*scorer")],
)  # fmt: skip
def test_a_broken_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "fit.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=said):
        Artefact.read(file)
