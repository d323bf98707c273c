"""What was fitted for one scorer works behind no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tamis import CrossEncoder, Embedding, FirstStage, Fuse, Lexical, Pipeline, Stage, TopN, load
from tamis.criteria import MultiCriteria, Recency
from tamis.errors import ConfigError, ScaleError
from tamis.models import CostOnly, Function
from tamis.select import Abstain, Calibrate, DynamicK, NearDuplicates, Place, scorer_id
from tamis.select.calibrate.abstain import Abstention
from tamis.select.calibrate.artefact import Artefact
from tamis.select.calibrate.calibration import Conformal, Platt, Temperature
from tamis.select.calibrate.confidence import Max
from tamis.select.policies.mass import SoftmaxMass
from tamis.select.policies.thresholds import Calibrated, ConformalRecall
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
