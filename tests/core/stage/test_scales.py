"""Stages say which scale of scores they need and leave, so that a pipeline that can never run is never made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import trained
from tamis import (
    DPP,
    MMR,
    Abstain,
    Calibrate,
    Candidate,
    Cover,
    CrossEncoder,
    Deduplicate,
    DynamicK,
    DynamicRAG,
    Embedding,
    Facets,
    FirstStage,
    Fuse,
    Graph,
    Groupwise,
    Knapsack,
    LateInteraction,
    Learned,
    Lexical,
    Listwise,
    MultiCriteria,
    NearDuplicates,
    Pairwise,
    Pipeline,
    Place,
    Pointwise,
    PseudoQuery,
    QueryLikelihood,
    Ranking,
    Rebel,
    Refinement,
    Reranker,
    Setwise,
    Stage,
    Threshold,
    TokenBudget,
    TopN,
    Tournament,
    TrainedGraph,
    load,
)
from tamis.criteria import Criterion, Ranker
from tamis.errors import ConfigError, ScaleError
from tamis.graph.networks.hybrank import HybRank
from tamis.graph.networks.network import GRAG
from tamis.judges import Grades, Joint, Labels
from tamis.models import CostOnly, Function
from tamis.rankers.passages import Passages
from tamis.schedules import Bubble, Champion, Heap, SampledPairs, SingleShot, Staged, TopDown, TournamentGraph
from tamis.select import Artefact, Conformal, Max, Platt, Temperature, Unit
from tamis.select.calibrate.abstain import Abstention
from tamis.select.policies.base import POLICIES
from tamis.stage.base import STAGES, scorer
from tamis.stage.scales import Left, after
from tamis.values.answers import Failure, Score
from tamis.values.calls import Call
from tamis.values.scale import (
    ANY,
    COSINE,
    FUSION,
    LEXICAL,
    LOG_LIKELIHOOD,
    LOGIT,
    ORDINAL,
    PROBABILITY,
    UNKNOWN,
    Scale,
    graded,
)

SCALES = [ORDINAL, FUSION, LEXICAL, PROBABILITY, LOGIT, COSINE, LOG_LIKELIHOOD, graded(0, 3)]
TEXTS = [
    Candidate(f"text number {n} on tall mountains", score=1.0 / (1 + n), vector=(1.0, float(n)), metadata={"date": n})
    for n in range(4)
]


def model(scale: Scale = PROBABILITY) -> CostOnly:
    return CostOnly("odd", scale=scale)


scales = st.sampled_from(SCALES)
kinds = st.sampled_from([scale.kind for scale in SCALES])
POLICIES_OF_NO_FIT = [
    POLICIES.build(
        {"fixed": 2} if name == "fixed" else {name: {"minimum": 0.3}} if name == "at_least" else
        {name: {"distance": 0.5}} if name == "near_best" else name
    )
    for name in POLICIES.members
    if name != "conformal_recall"
]  # fmt: skip
M = model()
LEAVES: list[Stage] = [
    Lexical(),
    Learned(),
    Learned(M, depth=2),
    Embedding(M),
    LateInteraction(M),
    PseudoQuery(M),
    Refinement(method="rocchio"),
    Refinement(M, "superglobal"),
    TrainedGraph(trained(GRAG(), dims=2, embedder="odd"), M),
    TrainedGraph(trained(HybRank(2, 8), dims=2, embedder="odd"), M),
    *(Graph(method=method) for method in ("lift", "propagation", "pagerank", "anchors")),
    *(CrossEncoder(model(scale)) for scale in SCALES),
    CrossEncoder(M, passages=Passages(words=5, overlap=1, aggregate="sum")),
    Pointwise(M),
    Pointwise(M, judge=Labels(readout="margin")),
    Pointwise(M, judge=Labels(("0", "1", "2"), (0, 1, 2), "expected")),
    QueryLikelihood(M),
    Listwise(M),
    Listwise(M, schedule=TournamentGraph(3)),
    Listwise(M, schedule=SingleShot()),
    Listwise(M, schedule=TopDown(3)),
    Pairwise(M),
    *(Pairwise(M, schedule=schedule) for schedule in (SampledPairs(2), Champion(), Heap(1), Bubble(1))),
    Setwise(M),
    Setwise(M, schedule=Staged(3)),
    Tournament(M),
    Groupwise(M),
    Groupwise(M, judge=Grades(high=3)),
    Groupwise(model(LOGIT), judge=Joint()),
    *(MultiCriteria(combine=combine) for combine in ("composite", "normalised", "weighted", "lexicographic", "pareto")),
    Rebel(M),
    Rebel(M, criteria="infer", combine="weighted"),
    Rebel(M, criteria="infer", combine="pareto"),
    DynamicRAG(M),
    MMR(),
    DPP(),
    Knapsack(10_000),
    TokenBudget(10_000),
    Cover(),
    TopN(3),
    Threshold(-1e9),
    Deduplicate(),
    NearDuplicates(),
    Place("ends"),
    Abstain(),
    *(DynamicK(policy) for policy in POLICIES_OF_NO_FIT),
]
fitted = st.one_of(
    kinds.map(lambda kind: Calibrate(Artefact("incoming", kind, Platt(1.0, 0.0)))),
    kinds.filter(lambda kind: kind != "ordinal").map(lambda kind: Calibrate(Artefact("incoming", kind, Unit()))),
    kinds.map(lambda kind: Abstain(Artefact("incoming", kind, Abstention(Max())))),
    kinds.map(lambda kind: DynamicK({"conformal_recall": Artefact("incoming", kind, Conformal((0.0,) * 9))})),
    kinds.map(lambda kind: DynamicK({"softmax_mass": {"fitted": Artefact("incoming", kind, Temperature())}})),
)


@contextmanager
def unchecked() -> Iterator[None]:
    """Stages made inside look at no scale."""
    with (
        patch.object(Pipeline, "__post_init__", lambda self: None),
        patch.object(Fuse, "leaves", lambda self, before: None),
        patch.object(MultiCriteria, "leaves", lambda self, before: None),
    ):
        yield


def made(shape: Any) -> Stage:
    """A stage from what is drawn: one, or a composition of some."""
    if isinstance(shape, Stage):
        return shape
    how, *inner = shape
    if how == "facets":
        return Facets(made(inner[0]), ("height",))
    if how == "ranker":
        return MultiCriteria(criteria=[Criterion("by", source=Ranker(made(inner[0])))])
    stages = tuple(map(made, inner))
    return Pipeline(stages) if how == "pipeline" else Fuse(stages, method=how)


HOW = ["pipeline", "pipeline", "facets", "ranker", "rrf", "weighted", "mean", "product"]
shapes = st.recursive(
    st.one_of(st.sampled_from(LEAVES), fitted),
    lambda inner: st.tuples(st.sampled_from(HOW), inner, inner, inner) | st.tuples(st.sampled_from(HOW), inner, inner),
    max_leaves=6,
)


def stand_in(call: Call) -> Any:
    return call.stand_in()


def driven(stage: Stage, ranking: Ranking, answer: Any = stand_in) -> Ranking:
    plan = stage.plan(ranking)
    try:
        calls = next(plan)
        while True:
            calls = plan.send([answer(call) for call in calls])
    except StopIteration as stop:
        found: Ranking = stop.value
        return found


@given(shape=shapes, scale=scales)
@examples(300)
def test_what_is_refused_before_it_runs_is_what_could_not_run(shape: Any, scale: Scale) -> None:
    with unchecked():
        stage = made(shape)
    ranking = Ranking.of("tall mountain", TEXTS, scale=scale)
    try:
        promised = after(stage, Left(scale)).scale
    except ScaleError:
        with pytest.raises(ScaleError):
            driven(stage, ranking)
    else:
        assert driven(stage, ranking).scale == promised


def garbage(call: Call) -> Any:
    return Score(math.nan) if call.capability == "classify" else Failure("error", "scripted")


@given(shape=shapes, scale=scales, texts=st.lists(st.sampled_from(TEXTS), max_size=4))
def test_a_model_that_fails_never_turns_a_sound_pipeline_into_an_error(
    shape: Any, scale: Scale, texts: Sequence[Candidate]
) -> None:
    with unchecked():
        stage = made(shape)
    try:
        promised = after(stage, Left(scale)).scale
    except ScaleError:
        return
    assert driven(stage, Ranking.of("tall mountain", texts, scale=scale), garbage).scale == promised


@given(shape=shapes)
def test_a_pipeline_is_made_unless_no_scores_at_all_could_run_it(shape: Any) -> None:
    with unchecked():
        stage = made(shape)
    try:
        after(stage)
    except ScaleError:
        with pytest.raises((ScaleError, ConfigError)):  # the latter of an artefact that stands behind another scorer
            made(shape)
    else:
        with suppress(ConfigError):  # as above
            made(shape)


@given(shape=shapes, scale=scales)
def test_a_stage_drops_only_for_the_reasons_it_states(shape: Any, scale: Scale) -> None:
    with unchecked():
        stage = made(shape)
    try:
        found = driven(stage, Ranking.of("tall mountain", [*TEXTS, TEXTS[0]], scale=scale))
    except ScaleError:
        return
    assert stage.drops is not None
    assert {dropped.why for dropped in found.dropped} <= set(stage.drops)


def test_every_built_in_stage_says_why_it_drops() -> None:
    tested = {type(stage) for stage in LEAVES} | {Pipeline, Fuse, Facets, FirstStage, Calibrate}
    assert {STAGES.resolve(name) for name in STAGES.members} - tested == {
        cls for cls in map(STAGES.resolve, STAGES.members) if not cls.__module__.startswith("tamis.")
    }


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (["lexical", {"listwise": "llm"}, {"threshold": 0.5}], "Threshold needs scores of any scale but ordinal; it gets ordinal scores from Listwise. Put a stage that scores in front, such as CrossEncoder, Pointwise or Lexical, or use TopN"),
        ([{"listwise": "llm"}, {"top_n": 9}, {"dynamic_k": "largest_gap"}], "the policy largest_gap of DynamicK needs .* from Listwise. Put a stage that scores in front"),
        (["lexical", {"dynamic_k": {"policy": {"at_least": 0.5}}}], "it gets lexical scores from Lexical. They compare only within one query: put Calibrate in front"),
        ([{"cross_encoder": "logits"}, {"knapsack": 100}], "Knapsack needs graded or probability scores; it gets logit scores from CrossEncoder. Put Calibrate in front"),
        ([{"listwise": "llm"}, "mmr"], "MMR needs .* from Listwise"),
        ([{"listwise": "llm"}, "abstain"], "Abstain needs .* from Listwise"),
        ([{"facets": {"stage": [{"listwise": "llm"}, {"threshold": 1}], "facets": ["height"]}}], "Threshold needs .* from Listwise"),
        ([{"listwise": "llm"}, {"facets": {"stage": {"threshold": 1}, "facets": ["height"]}}], "Threshold needs .* from Listwise"),
        ([{"listwise": "llm"}, {"fuse": {"stages": [{"threshold": 1}, "lexical"]}}], "Threshold needs .* from Listwise"),
        ([{"fuse": {"stages": ["lexical", [{"listwise": "llm"}, {"top_n": 5}]], "method": "weighted"}}], "Fuse with method='weighted' adds scores up; Listwise leaves ordinal ones"),
        ([{"listwise": "llm"}, {"fuse": {"stages": ["lexical", {"top_n": 5}], "method": "weighted"}}], "Fuse with method='weighted' adds scores up; Listwise leaves ordinal ones"),
        ([{"listwise": "llm"}, {"fuse": {"stages": ["lexical", {"fuse": {"stages": [{"top_n": 5}], "method": "mean"}}]}}], "Fuse with method='mean' adds scores up; Listwise leaves ordinal ones"),
        ([{"cross_encoder": "logits"}, {"fuse": {"stages": ["lexical", {"top_n": 5}], "method": "mean"}}], "it gets lexical from Lexical, logit from CrossEncoder"),
        ([{"fuse": {"stages": ["lexical", {"cross_encoder": "logits"}], "method": "mean"}}], "needs scores of one scale; it gets lexical from Lexical, logit from CrossEncoder"),
    ],
)  # fmt: skip
def test_what_can_never_run_does_not_load_and_says_who_who_from_and_what_to_do(steps: list[Any], said: str) -> None:
    models = {"llm": CostOnly(), "logits": model(LOGIT)}
    used = {name: models[name] for name in models if name in repr(steps)}
    with pytest.raises(ScaleError, match=said):
        load(steps, models=used)


def test_a_threshold_on_an_order_is_refused_when_the_reranker_is_made() -> None:
    with pytest.raises(ScaleError, match="from Listwise"):
        Reranker(Listwise(CostOnly()), threshold=0.5)
    Reranker(Listwise(CostOnly()), top_n=3)


def test_scores_of_an_unknown_scale_are_looked_at_when_they_come() -> None:
    stage = FirstStage() | Knapsack(100)
    with pytest.raises(ScaleError, match="it gets unknown scores"):
        stage.rerank("q", TEXTS)
    assert (CrossEncoder(Function(lambda call: 1.0, "classify")) | Graph()).leaves(None) is None


class Silent(Stage):
    """A stage of somebody else that says nothing of scales."""

    def plan(self, ranking: Ranking) -> Any:
        yield from ()
        return ranking


def test_a_stage_that_says_nothing_takes_everything_and_promises_nothing() -> None:
    stage = Listwise(CostOnly()) | Silent() | Threshold(0.5)
    assert stage.leaves(None) is None
    assert (Silent().accepts, Silent().drops, Silent().inside) == (ANY, None, ())
    assert stage.drops is None
    with pytest.raises(ScaleError, match="it gets ordinal scores"):
        stage.rerank("q", TEXTS)


def test_the_scorer_of_a_pipeline_is_its_last_stage_that_does_more_than_select() -> None:
    lexical = Lexical()
    assert scorer(FirstStage() | (lexical | TopN(3)) | Place()) is lexical
    assert UNKNOWN.kind in ANY
