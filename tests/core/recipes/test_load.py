"""Pipelines as data: there and back again, and what is said of a description that is wrong."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import tamis
from support.stages import MODEL, STAGES_MADE
from tamis import (
    Criterion,
    CrossEncoder,
    Deduplicate,
    DynamicK,
    Embedding,
    FirstStage,
    Fuse,
    Learned,
    Lexical,
    Listwise,
    MultiCriteria,
    Pipeline,
    Rebel,
    Stage,
    TopN,
    from_yaml,
    load,
)
from tamis.criteria import Coverage, Ranker, Recency
from tamis.criteria.sources import SOURCES
from tamis.errors import CapabilityError, ConfigError
from tamis.graph.edges.base import EDGES
from tamis.graph.methods.refiner import REFINERS
from tamis.models import CostOnly, Function, OpenAIChat
from tamis.parts.dump import dump, to_yaml
from tamis.parts.family import Family
from tamis.rankers.lexical import CorpusStatistics
from tamis.recipes.load import model_names, presets
from tamis.recipes.schema import FAMILIES
from tamis.select.calibrate.artefact import FITTED
from tamis.select.calibrate.confidence import CONFIDENCES
from tamis.select.policies.base import POLICIES
from tamis.stage.base import STAGES
from tamis.stage.presets import PRESETS
from tamis.values.calls import CAPABILITIES, Capability
from tamis.values.model import able_to, require

named = pytest.mark.parametrize("stage", STAGES_MADE, ids=lambda stage: type(stage).__name__)


def names(data: Any) -> set[str]:
    """Every key in some data."""
    if isinstance(data, dict):
        return set(data).union(*map(names, data.values()))
    return set().union(*map(names, data)) if isinstance(data, list) else set()


def test_every_stage_and_source_of_the_catalog_is_among_the_examples() -> None:
    written = set().union(*(names(stage.to_data()) for stage in STAGES_MADE))
    assert set(STAGES.members) - {"pipeline"} <= written
    assert set(SOURCES.members) - {"rubric"} <= written
    assert {*EDGES.members, *REFINERS.members} <= written
    assert {*POLICIES.members, *FITTED.members, *CONFIDENCES.members} - {"largest_gap", "max"} <= written


@named
def test_a_stage_written_as_data_loads_as_the_same_stage(stage: Stage) -> None:
    assert load(stage.to_data(), allow="all") == stage


@named
def test_a_stage_written_as_json_or_yaml_loads_as_the_same_stage(stage: Stage) -> None:
    assert load(json.loads(json.dumps(stage.to_data())), allow="all") == stage
    assert from_yaml(stage.to_yaml(), allow="all") == stage


@named
def test_the_schema_allows_what_is_written(stage: Stage, schema: jsonschema.Draft202012Validator) -> None:
    schema.validate(json.loads(json.dumps(stage.to_data())))


def test_a_file_loads_by_path_and_by_name_of_path(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(to_yaml({"title": "Été", "stage": [{"lexical": {}}, {"top_n": 2}]}), encoding="utf-8")
    assert load(file) == load(str(file)) == Lexical() | TopN(2)


def test_what_equals_the_default_is_left_out() -> None:
    assert Rebel(MODEL, depth=3).to_data()["rebel"].keys() == {"model", "depth", "tie_break"}
    assert (Lexical() | TopN(1)).to_data() == [{"lexical": {}}, {"top_n": {"n": 1}}]


def test_a_key_is_never_written() -> None:
    secret = OpenAIChat("m", base_url="http://localhost/v1", api_key="sk-secret", headers={"x-key": "secret"})
    assert "secret" not in Rebel(secret).to_yaml()


@pytest.mark.parametrize(
    ("written", "stage"),
    [
        (["lexical"], Pipeline((Lexical(),))),
        ({"lexical": None}, Lexical()),
        ({"lexical": {"b": 0.5}}, Lexical(b=0.5)),
        ({"lexical": 1.2, "b": 0.5}, Lexical(k1=1.2, b=0.5)),
        ({"top_n": 3}, TopN(3)),
        ({"stage": {"top_n": 3}, "title": "three"}, TopN(3)),
        (["lexical", {"top_n": 3}], Lexical() | TopN(3)),
        ([["lexical", {"top_n": 3}], "deduplicate"], Pipeline((Lexical() | TopN(3), Deduplicate()))),
        ([Lexical(), {"top_n": 3}], Lexical() | TopN(3)),
        ({"fuse": ["lexical", "first_stage"]}, Lexical() & FirstStage()),
        ({"pipeline": {"stages": ["lexical"]}}, Pipeline((Lexical(),))),
        ({"rebel": {"model": {"cost_only": "x"}}}, Rebel(CostOnly("x"))),
        ({"rebel": {"model": {"cost_only": "x", "max_batch": 2}}}, Rebel(CostOnly("x", 2))),
        ({"rebel": {"model": {"cost_only": None}, "criteria": "infer"}}, Rebel(CostOnly(), criteria="infer")),
        ({"multi_criteria": {"criteria": [{"recency": "published"}]}}, MultiCriteria(criteria=[Recency("published")])),
        ({"multi_criteria": {"criteria": [{"coverage": {}}]}}, MultiCriteria(criteria=[Coverage()])),
        (
            {"multi_criteria": {"criteria": [{"name": "new", "source": {"recency": None}}]}},
            MultiCriteria(criteria=[Criterion("new", source=Recency())]),
        ),
    ],
)
def test_the_short_forms(written: Any, stage: Stage, schema: jsonschema.Draft202012Validator) -> None:
    assert load(written, allow="all") == stage
    if "Lexical(" not in repr(written):
        schema.validate(written.get("stage", written) if isinstance(written, dict) else written)


def test_a_preset_is_a_step_like_any_other(schema: jsonschema.Draft202012Validator) -> None:
    def loaded(written: Any) -> Stage:
        schema.validate(written)
        stage = load(written, models={"cross_encoder": MODEL})
        assert load(stage.to_data(), models={}, allow="all") == stage
        return stage

    scored = CrossEncoder(MODEL)
    assert loaded(["cross-encoder", {"dynamic_k": "largest_gap"}]) == scored | DynamicK("largest_gap")
    several = "cross-encoder-dynamic-k"
    assert loaded([several, {"top_n": 3}]) == load(several, models={"cross_encoder": MODEL}) | TopN(3)
    assert loaded([{"fuse": ["default", "cross-encoder"]}]) == Pipeline((Learned() & scored,))
    with pytest.raises(ConfigError, match="a model called 'cross_encoder' and none was given"):
        load(["cross-encoder", {"top_n": 3}])


def test_models_are_given_by_name_anywhere_in_a_pipeline() -> None:
    data = [
        {"fuse": ["lexical", {"cross_encoder": {"model": "ce"}}]},
        {"multi_criteria": {"criteria": [{"ranker": {"stage": {"embedding": {"model": "embedder"}}}}]}},
        {"rebel": "llm"},
    ]
    one, two, three = (CostOnly(name) for name in ("one", "two", "three"))
    stage = load(data, models={"ce": one, "embedder": two, "llm": three})
    assert stage == Pipeline((
        Lexical() & CrossEncoder(one),
        MultiCriteria(criteria=[Ranker(Embedding(two))]),
        Rebel(three),
    ))  # fmt: skip


def test_a_model_nobody_asks_for_is_pointed_out() -> None:
    with pytest.warns(UserWarning, match="does not use the models given as chat"):
        load("lexical", models={"chat": CostOnly()})


PRESET_MODELS: dict[str, set[str]] = {
    "acurank": {"llm"},
    "alpha-qe": {"embedder"},
    "blitzrank": {"llm"},
    "cikmar": {"embedder", "second_embedder"},
    "cross-encoder": {"cross_encoder"},
    "dear": {"cross_encoder", "llm"},
    "default": set(),
    "default-cross-encoder": {"cross_encoder"},
    "cross-encoder-dynamic-k": {"cross_encoder"},
    "dynamicrag": {"llm"},
    "duot5": {"llm", "pair_llm"},
    "e2rank": {"embedder"},
    "embedding": {"embedder"},
    "erank": {"llm"},
    "financerag": {"cross_encoder", "second_cross_encoder"},
    "fine-grained-labels": {"llm"},
    "first": {"llm"},
    "graph": set(),
    "graph-propagation": set(),
    "grouprank": {"llm"},
    "insertrank": {"llm"},
    "instupr": {"llm"},
    "jina-reranker-v3": {"list_reranker"},
    "late-interaction": {"token_embedder"},
    "leser": {"embedder"},
    "lexical": set(),
    "limrank": {"llm"},
    "listt5": {"llm"},
    "listwise": {"llm"},
    "lrl": {"llm"},
    "monot5": {"llm"},
    "mxbai-rerank-v2": {"llm"},
    "noreason": {"llm"},
    "pairrm": {"llm"},
    "pointwise": {"llm"},
    "prf": {"embedder"},
    "prp-allpair": {"llm"},
    "prp-heap": {"llm"},
    "prp-sliding": {"llm"},
    "q-peft": {"lm"},
    "qwen3-reranker": {"llm"},
    "rank-k": {"llm"},
    "rank-r1": {"llm"},
    "rank-without-gpt": {"llm"},
    "rank1": {"llm"},
    "rankgpt": {"llm"},
    "rankvicuna": {"llm"},
    "rankzephyr": {"llm"},
    "rebel": {"llm"},
    "rebel-two-turn": {"llm"},
    "same-document": {"embedder"},
    "self-consistency": {"llm"},
    "setwise-bubble": {"llm"},
    "setwise-heap": {"llm"},
    "setwise-likelihood": {"llm"},
    "standard-rr": {"llm"},
    "structural-reranking": set(),
    "superglobal": {"embedder"},
    "tdpart": {"llm"},
    "texts": set(),
    "tourrank": {"llm"},
    "upr": {"lm"},
    "yes-no": {"llm"},
    "zerank": {"cross_encoder"},
}


def test_all_presets_are_named_with_a_title() -> None:
    assert presets().keys() >= PRESET_MODELS.keys()
    assert all(presets().values())


@pytest.mark.parametrize("name", presets())
def test_a_preset_loads_with_the_models_it_names_and_says_when_they_are_missing(name: str) -> None:
    models = set(model_names(name))
    assert models == PRESET_MODELS.get(name, models)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stage = load(name, models={model: CostOnly(model) for model in models})
    assert load(stage.to_data(), allow="all") == stage
    ranking = stage.rerank("tall mountain", ["a recipe", "a tall mountain"])
    assert sorted(ranking.positions) == [0, 1]
    for model in models:
        others = {other: CostOnly(other) for other in models - {model}}
        remedy = rf"Given: {', '.join(others)}" if others else rf"models=\{{'{model}': model\}}"
        with pytest.raises(ConfigError, match=rf"a model called '{model}' and none was given.*{remedy}"):
            load(name, models=others)


@pytest.mark.parametrize("name", presets())
def test_the_schema_allows_every_preset(name: str, schema: jsonschema.Draft202012Validator) -> None:
    schema.validate(PRESETS.data(name)["stage"])


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    made = tamis.json_schema()
    jsonschema.Draft202012Validator.check_schema(made)
    json.dumps(made)
    return jsonschema.Draft202012Validator(made)


@pytest.mark.parametrize(
    "written",
    [
        {"lexicall": {}},
        ["lexical", "topn"],
        [{"lexical": {"k2": 1}}],
        [{"lexical": {}, "top_n": 3}],
        [{"lexical": {"b": 2}}],
        [{"top_n": 0}],
        [{"top_n": "five"}],
        [{"top_n": {}}],
        ["top_n"],
        [{"cross_encoder": {}}],
        [{"rebel": {"modle": "llm"}}],
        [{"rebel": {"model": "llm", "criteria": "guess"}}],
        [{"rebel": {"model": "llm", "criteria": ["dept"]}}],
        [{"rebel": {"model": "llm", "criteria": [{"name": "x", "wait": 1}]}}],
        [{"rebel": {"model": "llm", "combine": "sum"}}],
        [{"rebel": {"model": {"openia": "x"}}}],
        [{"rebel": {"model": {"openai": "x", "base_ur": "http://x"}}}],
        [{"rebel": {"model": {"openai": {"model": "x", "base_ur": "http://x"}}}}],
        [{"multi_criteria": {"criteria": [{"recenci": {}}]}}],
        [{"multi_criteria": {"criteria": [{"recency": {"half_life": 3}}]}}],
        [{"multi_criteria": {"criteria": [{"name": "x", "source": "recenci"}]}}],
        [{"multi_criteria": {"relevance": {"name": "r", "source": {"ranker": {"stage": "lexicall"}}}}}],
        [{"fuse": {"stages": ["lexical", "firststage"]}}],
        [{"dynamic_k": {"policy": "larges_gap"}}],
        [{"dynamic_k": {"policy": {"softmax_mass": {"q": 0.8}}}}],
        [{"dynamic_k": {"policy": {"calibrated": 2}}}],
        [{"abstain": {"confidence": "mean"}}],
        [{"calibrate": {"artefact": {"scorer": "x", "scale": "logit", "fitted": {"plat": {}}}}}],
        [{"calibrate": {"artefact": {"scorer": "x", "scale": "log", "fitted": "unit"}}}],
        [3],
        {},
    ],
)
def test_the_schema_and_the_loader_both_reject_a_typo(written: Any, schema: jsonschema.Draft202012Validator) -> None:
    assert not schema.is_valid(written)
    with pytest.raises(ConfigError):
        load(written, models={"llm": CostOnly()})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("lexcal", r"unknown pipeline 'lexcal'\. Did you mean 'lexical'\? .*end in \.yaml"),
        ("nowhere/pipeline.yaml", "no pipeline file at 'nowhere/pipeline.yaml'"),
        (Path("nowhere"), "no pipeline file at 'nowhere'"),
        ([{"lexicl": {}}], r"unknown stage 'lexicl'\. Did you mean 'lexical'\?"),
        ([{3: {}}], "unknown stage 3"),
        (
            [{"rankgpt": {"model": "llm"}}],
            "'rankgpt' is a preset, not a stage, and takes no options: write - rankgpt. .* its stage: "
            r"- {listwise: {model: llm, window: 20, stride: 10}}$",
        ),
        ([{"default": {}}], r"'default' is a preset.*write - default\. .* its stage: - {learned: {}}$"),
        ([{"fuse": {"stages": [{"rankgpt": {}}, "lexical"]}}], "'rankgpt' is a preset, not a stage"),
        ([{}], "a stage is written as a name or as {name: options}, got {}"),
        (None, "a stage is written as a name or as .*got None"),
        (7, "got 7"),
        ({"stage": None}, "got None"),
        ([{"lexical": {"depth": "many"}}], r"stage 'lexical': depth: .*integer.*\(got 'many'\)"),
        ([{"lexical": {"k3": 1}}], r"stage 'lexical': unknown option 'k3'. Known: b, depth, k1"),
        ([{"lexical": {}, "top_n": 1}], "stage 'lexical': unknown option 'top_n'"),
        ([{"lexical": {1: 2}}], "stage 'lexical': 1: "),
        ([{"top_n": {}}], "stage 'top_n': n: "),
        ([{"first_stage": 5}], r"stage 'first_stage': unscored: .*'order'.*\(got 5\)"),
        ([{"multi_criteria": {"criteria": [{"coverage": 5}]}}], "criterion source 'coverage' takes no options, got 5"),
        ([{"fuse": {"stages": []}}], "Fuse needs at least one stage"),
        ([{"fuse": {"stages": ["lexicl"]}}], "stage 'fuse': stages.*unknown stage 'lexicl'. Did you mean"),
        ([{"cross_encoder": {"model": {"opena": "x"}}}], "unknown model 'opena'. Did you mean 'openai'"),
        (
            [{"cross_encoder": {"model": "ce"}}],
            "asks for a model called 'ce' and none was given. In Python pass models={'ce': model}",
        ),
        (
            [{"rebel": {"model": {"openai": "x", "base_url": "localhost"}}}],
            "model 'openai': base_url: must start with http",
        ),
        (
            [{"rebel": {"model": {"openai": "x", "base_ur": "http://x"}}}],
            "unknown option 'base_ur'. Did you mean 'base_url'\?",
        ),
    ],
)
def test_errors_name_the_part_the_field_the_value_and_the_remedy(written: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(written)


def test_a_missing_model_gets_the_kinds_that_can_do_what_is_asked() -> None:
    with pytest.raises(ConfigError) as missing:
        load([{"cross_encoder": "ce"}])
    for said in ("-m 'ce={KIND: NAME}'", "`generate`: causal_lm, openai,", "`embed`: onnx_embedder,"):
        assert said in str(missing.value)
    assert "cost_only" not in str(missing.value)
    assert {"onnx_cross_encoder", "rerank_service"} <= set(able_to("classify"))


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_model_that_cannot_gets_the_names_of_those_that_can(capability: Capability) -> None:
    article = "an" if capability.startswith("embed") else "a"
    with pytest.raises(CapabilityError, match=f"with {article} `{capability}` method") as refused:
        require(object(), capability, "Stage")
    assert all(cls.__name__ in str(refused.value) for cls in able_to(capability).values())


def test_every_preset_written_as_a_stage_is_explained() -> None:
    for name in set(presets()) - set(STAGES.members):
        if name not in STAGES:
            with pytest.raises(ConfigError, match=f"'{name}' is a preset, not a stage"):
                STAGES.build({name: {}})


def test_a_misspelt_model_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="called 'lm' and none was given.*Did you mean 'llm'"):
        load([{"rebel": "lm"}], models={"llm": CostOnly()})


def test_hyphens_and_underscores_are_the_same_in_names_of_models() -> None:
    model = CostOnly()
    for given, asked in (("cross-encoder", "cross_encoder"), ("cross_encoder", "cross-encoder")):
        assert load([{"cross_encoder": asked}], models={given: model}).stages[0].model is model


def test_a_model_that_cannot_do_it_is_named() -> None:
    with pytest.raises(CapabilityError, match="Rebel needs a model that can `generate`"):
        load("rebel", models={"llm": object()})


def test_a_model_name_outside_a_pipeline_is_explained() -> None:
    with pytest.raises(
        ConfigError, match=r"'gpt-5' is not a model: pass a model object such as .*OpenAIChat\('gpt-5'\)"
    ):
        Rebel("gpt-5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the YAML text is empty"),
        ("# only a comment\n", "is empty"),
        ("- lexical: {", r"(?s)is not valid YAML: .*line \d"),
        ("\t- lexical", "is not valid YAML"),
        ("\x00", "is not valid YAML"),
        ("- lexical: {}\n  top_n: 3", "stage 'lexical': unknown option 'top_n'"),
        ("42", "got 42"),
    ],
)
def test_yaml_that_is_no_pipeline(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_yaml(text)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\xff\xfe\x00x: 1", "UTF-8"), (b"- [", "not valid YAML")]
)
def test_a_file_that_is_no_pipeline_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"odd\.yaml.*{said}"):
        load(file)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {marker}']",
        "- !!python/object/new:os.system ['touch {marker}']",
        "- lexical: {depth: !!python/object/apply:os.system ['touch {marker}']}",
        "- !!python/name:os.system",
        "- os:system: 'touch {marker}'",
        "- os.system: 'touch {marker}'",
        "- tamis.stage.base:Pipeline: {}",
        "- cross_encoder: {model: {'os:system': 'touch {marker}'}}",
        "- multi_criteria: {criteria: [{'subprocess:run': 'touch {marker}'}]}",
        "- __import__: os",
        "- __class__: {}",
    ],
)
def test_yaml_reaches_no_code_outside_the_catalog(text: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(ConfigError):
        from_yaml(text.replace("{marker}", str(marker)))
    assert not marker.exists()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_the_catalog_names_only_what_is_there(family: Family) -> None:
    for name in family.members:
        cls = family.resolve(name)
        assert family.name_of(cls) == name


def test_a_stage_with_a_model_that_is_no_data_says_how_to_write_it() -> None:
    with pytest.raises(ConfigError, match=r"Function cannot be written as data.*model: llm"):
        CrossEncoder(Function(len, "classify")).to_data()
    with pytest.raises(ConfigError, match="object cannot be written"):
        dump(object())


def test_a_stage_passes_through_load_untouched() -> None:
    stage = CrossEncoder(Function(len, "classify"))
    assert load(stage) is stage


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Lexical(k1=-1), r"k1.*\(got -1"),
        (lambda: Lexical(b=2), r"b: .*\(got 2"),
        (lambda: Lexical(k1=float("nan")), r"k1.*\(got nan\)"),
        (lambda: CorpusStatistics(-1, 1.0, {}), r"\(got -1\)"),
        (lambda: Fuse((Lexical(), Lexical()), weights=(float("inf"), 1)), r"weights.*\(got inf\)"),
        (lambda: Fuse((Lexical(),), k=0), r"k: .*\(got 0"),
        (lambda: Listwise(CostOnly(), window=1), r"window.*\(got 1\)"),
        (lambda: Deduplicate(by="title"), r"by.*\(got 'title'\)"),  # type: ignore[arg-type]
        (lambda: TopN(n=True or 1), None),
    ],
)
def test_numbers_no_formula_can_use_are_refused(make: Any, said: str | None) -> None:
    if said is None:
        assert make() == TopN(1)
        return
    with pytest.raises(ConfigError, match=said):
        make()
