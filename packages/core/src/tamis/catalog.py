"""The names of everything that can be written as data, and where each lives. Imported only when used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from tamis.errors import ConfigError


@dataclass(frozen=True)
class Family:
    """One kind of named part: `members` maps a name to "module:Class"."""

    kind: str
    members: Mapping[str, str]

    def resolve(self, name: str) -> type:
        """The class called `name`. `ConfigError` with suggestions for an unknown name."""
        if name not in self.members:
            raise ConfigError(unknown(self.kind, name, self.members))
        module, _, attribute = self.members[name].partition(":")
        return getattr(import_module(module), attribute)

    def name_of(self, cls: type) -> str | None:
        place = f"{cls.__module__}:{cls.__qualname__}"
        return next((name for name, where in self.members.items() if where == place), None)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A message for a name nobody knows, with the nearest one."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {name!r}. {hint}Known: {', '.join(known) or 'none'}."


def first_field(cls: type) -> str:
    return fields(cls)[0].name


STAGES = Family(
    "stage",
    {
        "pipeline": "tamis.stage:Pipeline",
        "fuse": "tamis.rankers.fuse:Fuse",
        "first_stage": "tamis.rankers.first_stage:FirstStage",
        "lexical": "tamis.rankers.lexical:Lexical",
        "learned": "tamis.learned.stage:Learned",
        "cross_encoder": "tamis.rankers.cross_encoder:CrossEncoder",
        "embedding": "tamis.rankers.embedding:Embedding",
        "pseudo_query": "tamis.rankers.pseudo_query:PseudoQuery",
        "late_interaction": "tamis.rankers.late_interaction:LateInteraction",
        "graph": "tamis.graph.graph:Graph",
        "refinement": "tamis.graph.refinement:Refinement",
        "trained_graph": "tamis.graph.trained_graph:TrainedGraph",
        "pointwise": "tamis.rankers.pointwise:Pointwise",
        "listwise": "tamis.rankers.listwise:Listwise",
        "pairwise": "tamis.rankers.pairwise:Pairwise",
        "setwise": "tamis.rankers.setwise:Setwise",
        "groupwise": "tamis.rankers.groupwise:Groupwise",
        "tournament": "tamis.rankers.setwise:Tournament",
        "query_likelihood": "tamis.rankers.query_likelihood:QueryLikelihood",
        "multi_criteria": "tamis.criteria.multi_criteria:MultiCriteria",
        "rebel": "tamis.criteria.rebel:Rebel",
        "top_n": "tamis.select.cut:TopN",
        "threshold": "tamis.select.cut:Threshold",
        "deduplicate": "tamis.select.cut:Deduplicate",
        "dynamic_k": "tamis.select.dynamic_k:DynamicK",
        "calibrate": "tamis.select.calibration:Calibrate",
        "abstain": "tamis.select.abstain:Abstain",
        "near_duplicates": "tamis.select.near_duplicates:NearDuplicates",
        "mmr": "tamis.select.diversify:MMR",
        "dpp": "tamis.select.diversify:DPP",
        "facets": "tamis.select.facets:Facets",
        "cover": "tamis.select.cover:Cover",
        "token_budget": "tamis.select.budget:TokenBudget",
        "knapsack": "tamis.select.budget:Knapsack",
        "place": "tamis.select.place:Place",
        "dynamic_rag": "tamis.select.dynamic_rag:DynamicRAG",
    },
)

MODELS = Family(
    "model",
    {
        "openai": "tamis.models.openai_chat:OpenAIChat",
        "rerank_service": "tamis.models.rerank_service:RerankService",
        "causal_lm": "tamis.models.causal_lm:CausalLM",
        "seq2seq_lm": "tamis.models.seq2seq_lm:Seq2SeqLM",
        "transformers_cross_encoder": "tamis.models.transformers_encoders:TransformersCrossEncoder",
        "sentence_transformer": "tamis.models.transformers_encoders:SentenceTransformerEmbedder",
        "lm_cross_encoder": "tamis.models.lm_cross_encoder:LMCrossEncoder",
        "list_reranker": "tamis.models.list_reranker:ListReranker",
        "parade": "tamis.models.parade:Parade",
        "onnx_cross_encoder": "tamis.models.onnx:OnnxCrossEncoder",
        "onnx_embedder": "tamis.models.onnx:OnnxEmbedder",
        "onnx_token_embedder": "tamis.models.onnx_tokens:OnnxTokenEmbedder",
        "multi_vector_embedder": "tamis.models.multi_vector:MultiVectorEmbedder",
        "cost_only": "tamis.models.cost_only:CostOnly",
    },
)

SOURCES = Family(
    "criterion source",
    {
        "rubric": "tamis.criteria.sources:Rubric",
        "incoming": "tamis.criteria.sources:Incoming",
        "ranker": "tamis.criteria.sources:Ranker",
        "recency": "tamis.criteria.metadata:Recency",
        "authority": "tamis.criteria.metadata:Authority",
        "field": "tamis.criteria.metadata:Field",
        "depth": "tamis.criteria.features:Depth",
        "clarity": "tamis.criteria.features:Clarity",
        "coverage": "tamis.criteria.features:Coverage",
        "diversity": "tamis.criteria.diversity:Diversity",
    },
)


EDGES = Family(
    "kind of edge",
    {
        "concepts": "tamis.graph.edges.concepts:Concepts",
        "concept_pairs": "tamis.graph.edges.pairs:ConceptPairs",
        "neighbours": "tamis.graph.edges.neighbours:Neighbours",
        "mentions": "tamis.graph.edges.mentions:Mentions",
        "structure": "tamis.graph.edges.structure:Structure",
        "given": "tamis.graph.edges.given:Given",
    },
)

REFINERS = Family(
    "refinement of vectors",
    {
        "superglobal": "tamis.graph.methods.superglobal:SuperGlobal",
        "alpha_qe": "tamis.graph.methods.expansion:AlphaQE",
        "rocchio": "tamis.graph.methods.expansion:Rocchio",
        "smoothing": "tamis.graph.methods.smoothing:Smoothing",
    },
)

NETWORKS = Family(
    "network",
    {
        "grag": "tamis.graph.network:GRAG",
        "hybrank": "tamis.graph.hybrank:HybRank",
        "ebcar": "tamis.graph.ebcar:EBCAR",
        "adapter": "tamis.graph.adapter:Adapter",
    },
)

POLICIES = Family(
    "policy",
    {
        "fixed": "tamis.select.thresholds:Fixed",
        "largest_gap": "tamis.select.gaps:LargestGap",
        "spike": "tamis.select.gaps:Spike",
        "softmax_mass": "tamis.select.mass:SoftmaxMass",
        "at_least": "tamis.select.thresholds:AtLeast",
        "calibrated": "tamis.select.thresholds:Calibrated",
        "conformal_recall": "tamis.select.thresholds:ConformalRecall",
        "expected_utility": "tamis.select.utility:ExpectedUtility",
        "expected_f": "tamis.select.utility:ExpectedF",
        "ratio_to_best": "tamis.select.thresholds:RatioToBest",
        "near_best": "tamis.select.thresholds:NearBest",
        "z_score": "tamis.select.thresholds:ZScore",
        "knee": "tamis.select.shapes:Knee",
        "tail_test": "tamis.select.shapes:TailTest",
    },
)

FITTED = Family(
    "fitted value",
    {
        "platt": "tamis.select.calibration:Platt",
        "isotonic": "tamis.select.calibration:Isotonic",
        "in_list": "tamis.select.in_list:InList",
        "unit": "tamis.select.calibration:Unit",
        "temperature": "tamis.select.calibration:Temperature",
        "conformal": "tamis.select.calibration:Conformal",
        "abstention": "tamis.select.abstain:Abstention",
    },
)

CONFIDENCES = Family(
    "confidence",
    {
        "max": "tamis.select.confidence:Max",
        "std": "tamis.select.confidence:Std",
        "gap": "tamis.select.confidence:Gap",
        "stacked": "tamis.select.confidence:Stacked",
        "linear": "tamis.select.confidence:Linear",
        "logistic": "tamis.select.confidence:Logistic",
        "mahalanobis": "tamis.select.confidence:Mahalanobis",
    },
)


JUDGES = Family(
    "judge",
    {
        "labels": "tamis.judges.labels:Labels",
        "head": "tamis.judges.head:Head",
        "likelihood": "tamis.judges.likelihood:QueryLikelihood",
        "preference": "tamis.judges.preference:Preference",
        "choice": "tamis.judges.choice:Choice",
        "identifiers": "tamis.judges.identifiers:Identifiers",
        "permutation": "tamis.judges.permutation:Permutation",
        "grades": "tamis.judges.grades:Grades",
        "joint": "tamis.judges.joint:Joint",
        "thinking": "tamis.judges.thinking:Thinking",
        "repeated": "tamis.judges.repeated:Repeated",
    },
)

SCHEDULES = Family(
    "schedule",
    {
        "map": "tamis.schedules.single:Map",
        "single_shot": "tamis.schedules.single:SingleShot",
        "partition": "tamis.schedules.single:Partition",
        "sliding": "tamis.schedules.sliding:Sliding",
        "heap": "tamis.schedules.sorts:Heap",
        "bubble": "tamis.schedules.sorts:Bubble",
        "tournament": "tamis.schedules.tournaments:Tournament",
        "staged": "tamis.schedules.tournaments:Staged",
        "tournament_graph": "tamis.schedules.graph:TournamentGraph",
        "top_down": "tamis.schedules.partitions:TopDown",
        "adaptive": "tamis.schedules.partitions:Adaptive",
        "all_pairs": "tamis.schedules.pairs:AllPairs",
        "sampled_pairs": "tamis.schedules.pairs:SampledPairs",
        "champion": "tamis.schedules.pairs:Champion",
        "until_settled": "tamis.schedules.settled:UntilSettled",
    },
)


def build(family: Family, value: Any, context: Any = None) -> Any:
    """Make the part that `value` describes: `"name"`, `{name: {field: value}}` or `{name: first_field, field: value}`.

    Raises `ConfigError` naming the part, the field and the value.
    """
    from pydantic import TypeAdapter, ValidationError

    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"a {family.kind} is written as a name or as {{name: options}}, got {value!r}")
    (name, options), *rest = value.items()
    cls = family.resolve(name)
    if options is None:
        options = {}
    elif not isinstance(options, Mapping):
        if not fields(cls):
            raise ConfigError(f"{family.kind} {name!r} takes no options, got {options!r}")
        options = {first_field(cls): options}
    try:
        return TypeAdapter(cls).validate_python({**options, **dict(rest)}, context=context)
    except ValidationError as error:
        raise ConfigError(explain(f"{family.kind} {name!r}", error)) from error


def explain(what: str, error: Any) -> str:
    """A pydantic `ValidationError` as one line a user can act on."""
    problems = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        got = "" if item["type"] in ("missing", "value_error") else f" (got {item['input']!r:.80})"
        message = item["msg"].removeprefix("Value error, ").removeprefix(f"{what}: ")
        problems.append(f"{where}: {message}{got}" if where else f"{message}{got}")
    return f"{what}: " + "; ".join(problems)
