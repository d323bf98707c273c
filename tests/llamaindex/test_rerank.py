"""The node postprocessor: what it takes, what it gives, what it never does."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import Document, ImageNode, IndexNode, MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.tamis import LlamaIndexLLM, TamisRerank

from llamaindex.doubles import (
    BlockingLLM,
    HashedWords,
    LogprobLLM,
    NativeLLM,
    grader,
    ids,
    nodes_of,
    passages,
)
from support.examples import examples
from tamis import Engine, Lexical, Ranking, Rebel, TopN
from tamis.errors import CapabilityError, ConfigError, DegradedError, ScaleError

GRADES = {
    "summit": {"relevance": 9, "depth": 4},
    "valley": {"relevance": 6, "depth": 1},
    "ocean": {"relevance": 4, "depth": 5},
    "recipe": {"relevance": 1, "depth": 5},
}
TEXTS = ("a recipe", "the valley", "the summit", "the ocean")
DEPTH = [{"rebel": {"model": "llm", "criteria": ["depth"]}}]


def rebel(reply=None, **options):
    return TamisRerank(DEPTH, llm=NativeLLM(reply=reply or grader(GRADES)), **options)


class TestContract:
    def test_it_is_a_node_postprocessor(self):
        assert BaseNodePostprocessor.__name__ in [base.__name__ for base in TamisRerank.__mro__]
        assert TamisRerank.class_name() == "TamisRerank"
        assert TamisRerank()._get_prompts() == {}
        assert TamisRerank()._get_prompt_modules() == {}

    def test_without_any_option_it_needs_no_model(self):
        nodes = [NodeWithScore(node=node.node) for node in nodes_of("a recipe", "a tall mountain")]
        assert ids(TamisRerank().postprocess_nodes(nodes, query_str="zebra")) == ["n0", "n1"]
        assert ids(TamisRerank("texts").postprocess_nodes(nodes, query_str="tall mountain")) == ["n1", "n0"]

    def test_best_first_below_the_gate_dropped(self):
        result = rebel().postprocess_nodes(nodes_of(*TEXTS), query_str="mountains")
        assert ids(result) == ["n2", "n1", "n3"]
        assert [node.score for node in result] == [11.0, 6.5, 6.5]

    @pytest.mark.parametrize("llm", [NativeLLM, BlockingLLM])
    async def test_sync_and_async_are_equal(self, llm):
        reranker = TamisRerank(DEPTH, llm=llm(reply=grader(GRADES)), top_n=2, explain=True)
        sync = reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="mountains")
        assert await reranker.apostprocess_nodes(nodes_of(*TEXTS), query_str="mountains") == sync
        assert await reranker.apostprocess_nodes(nodes_of(*TEXTS), QueryBundle("mountains")) == sync

    async def test_no_query_is_a_value_error(self):
        with pytest.raises(ValueError, match="needs a query"):
            rebel().postprocess_nodes(nodes_of(*TEXTS))
        with pytest.raises(ValueError, match="needs a query"):
            await rebel().apostprocess_nodes(nodes_of(*TEXTS))
        with pytest.raises(ValueError, match="Cannot specify both"):
            rebel().postprocess_nodes([], QueryBundle("q"), query_str="q")

    async def test_no_nodes_no_call(self):
        llm = NativeLLM(reply=grader(GRADES))
        reranker = TamisRerank(DEPTH, llm=llm)
        assert reranker.postprocess_nodes([], query_str="q") == []
        assert await reranker.apostprocess_nodes([], query_str="q") == []
        assert llm.asked == []

    def test_three_of_eight_in_two_batches(self):
        """What LlamaIndex's own LLM reranker promises, restated: 8 nodes, 4 a call, the best 3 in order."""
        grades = {f"Test{number}": {"relevance": relevance} for number, relevance in ((7, 9), (5, 8), (3, 7), (0, 5))}
        llm = NativeLLM(reply=grader(grades))
        pipeline = [{"rebel": {"model": "llm", "criteria": [], "batch_size": 4, "anchors": 0, "gate": None}}]
        reranker = TamisRerank(pipeline, llm=llm, top_n=3)
        nodes = nodes_of(*(f"Test{number}" for number in range(8)))
        result = reranker.postprocess_nodes(nodes, query_str="What is?")
        assert [node.text for node in result] == ["Test7", "Test5", "Test3"]
        assert [len(passages(prompt)) for prompt in llm.asked] == [4, 4]

    def test_threshold_is_inclusive_and_comes_before_top_n(self):
        kept = rebel(threshold=6.5).postprocess_nodes(nodes_of(*TEXTS), query_str="mountains")
        assert ids(kept) == ["n2", "n1", "n3"]
        assert ids(rebel(threshold=6.51).postprocess_nodes(nodes_of(*TEXTS), query_str="mountains")) == ["n2"]
        assert ids(rebel(threshold=6.5, top_n=2).postprocess_nodes(nodes_of(*TEXTS), query_str="q")) == ["n2", "n1"]
        ranking = rebel(threshold=7, top_n=1).rank(nodes_of(*TEXTS), "mountains")
        assert sorted((d.candidate.id, d.why) for d in ranking.dropped) == [
            ("n0", "below_relevance_gate"),
            ("n1", "below_threshold"),
            ("n3", "below_threshold"),
        ]

    def test_top_n_and_threshold_can_be_set_later(self):
        reranker = rebel(top_n=1)
        reranker.top_n = None
        reranker.threshold = 7.0
        assert ids(reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="q")) == ["n2"]

    async def test_the_whole_ranking_can_be_had(self):
        seen: list[Ranking] = []
        reranker = rebel(on_ranking=seen.append, top_n=1)
        result = reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="mountains")
        await reranker.apostprocess_nodes(nodes_of(*TEXTS), query_str="mountains")
        assert [len(ranking.kept) + len(ranking.dropped) for ranking in seen] == [4, 4]
        assert seen[0].kept[0].candidate.id == result[0].node_id
        assert reranker.rank(nodes_of(*TEXTS), "mountains").positions == (2,)
        assert (await reranker.arank(nodes_of(*TEXTS), QueryBundle("mountains"))).positions == (2,)
        assert seen[0].usage.calls == 1

    def test_a_callback_that_raises_does_not_end_the_rerank(self):
        def broken(ranking):
            raise RuntimeError

        assert len(rebel(on_ranking=broken).postprocess_nodes(nodes_of(*TEXTS), query_str="q")) == 3


class TestConstruction:
    @pytest.mark.parametrize("top_n", [0, -1])
    def test_top_n_below_one_is_an_error_that_names_it(self, top_n):
        with pytest.raises(ValueError, match=rf"top_n(.|\n)*{top_n}"):
            TamisRerank(top_n=top_n)
        with pytest.raises(ValueError, match="top_n"):
            TamisRerank().top_n = top_n

    def test_an_unknown_pipeline_is_named_with_the_nearest(self):
        with pytest.raises(ConfigError, match=r"unknown pipeline 'rebl'\. Did you mean 'rebel'"):
            TamisRerank("rebl")

    def test_a_missing_llm_is_named(self):
        with pytest.raises(ConfigError, match="asks for a model called 'llm'"):
            TamisRerank("rebel")

    def test_an_llm_that_cannot_do_it_is_refused(self):
        with pytest.raises(CapabilityError, match="choice_logprobs"):
            TamisRerank("pointwise", llm=NativeLLM(reply=str))
        with pytest.raises(CapabilityError, match="generate"):
            TamisRerank("rebel", llm="gpt-4o")

    def test_engine_options_are_checked(self):
        with pytest.raises(ConfigError, match="deadlin"):
            TamisRerank(engine={"deadlin": 3})

    def test_options_are_checked(self):
        with pytest.raises(TypeError, match="topn"):
            TamisRerank(topn=3)

    def test_what_the_pipeline_was_built_from_is_frozen(self):
        with pytest.raises(ValueError, match="frozen"):
            rebel().llm = NativeLLM(reply=str)

    def test_any_way_to_describe_a_pipeline(self, tmp_path):
        path = tmp_path / "pipeline.yaml"
        path.write_text("- lexical: {}\n- top_n: 1\n")
        nodes = nodes_of("a recipe", "a tall mountain")
        for pipeline in (Lexical() | TopN(1), [{"lexical": {}}, {"top_n": 1}], str(path), path):
            assert ids(TamisRerank(pipeline).postprocess_nodes(nodes, query_str="tall mountain")) == ["n1"]

    def test_models_by_other_names_and_tamis_models(self):
        llm = NativeLLM(reply=grader(GRADES))
        pipeline = [{"rebel": {"model": "judge", "criteria": ["depth"]}}]
        for model in (llm, LlamaIndexLLM(llm)):
            result = TamisRerank(pipeline, models={"judge": model}).postprocess_nodes(nodes_of(*TEXTS), query_str="q")
            assert ids(result) == ["n2", "n1", "n3"]
        assert ids(TamisRerank(Rebel(LlamaIndexLLM(llm))).postprocess_nodes(nodes_of(*TEXTS), query_str="q"))

    def test_an_embedding_model(self):
        reranker = TamisRerank("embedding", embed_model=HashedWords())
        result = reranker.postprocess_nodes(nodes_of("a recipe", "a tall mountain"), query_str="tall mountain")
        assert ids(result) == ["n1", "n0"]
        assert result[0].score == pytest.approx((2 / 3) ** 0.5)

    def test_label_probabilities(self):
        llm = LogprobLLM(reply=lambda prompt: "-0.1" if "summit" in prompt else "-3.0")
        result = TamisRerank("pointwise", llm=llm).postprocess_nodes(nodes_of(*TEXTS), query_str="mountains")
        assert ids(result) == ["n2", "n0", "n1", "n3"]

    def test_an_order_without_scores_is_given_without_scores(self):
        reranker = TamisRerank("listwise", llm=NativeLLM(reply=lambda prompt: "[3] > [1]"))
        result = reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="q")
        assert [(node.node_id, node.score) for node in result] == [
            ("n2", None),
            ("n0", None),
            ("n1", None),
            ("n3", None),
        ]
        with pytest.raises(ScaleError):
            TamisRerank("listwise", llm=NativeLLM(reply=lambda prompt: "[3] > [1]"), threshold=0.5).postprocess_nodes(
                nodes_of(*TEXTS), query_str="q"
            )


class TestNodes:
    def test_nothing_that_came_in_is_changed(self):
        nodes = nodes_of(*TEXTS, source="here", nested={"a": [1]})
        before, hashes = copy.deepcopy(nodes), [node.node.hash for node in nodes]
        result = rebel(keep_retrieval_score=True, explain=True).postprocess_nodes(nodes, query_str="mountains")
        assert nodes == before
        assert [node.node.hash for node in nodes] == hashes
        assert all(given is not returned for given in nodes for returned in result)

    def test_without_notes_the_node_itself_is_returned(self):
        nodes = nodes_of(*TEXTS)
        (best, *_) = rebel().postprocess_nodes(nodes, query_str="mountains")
        assert best.node is nodes[2].node
        assert nodes[2].score == pytest.approx(0.88)

    def test_the_retrieval_score_is_kept_out_of_prompts(self):
        nodes = nodes_of(*TEXTS, source="here")
        (best, *_) = rebel(keep_retrieval_score=True).postprocess_nodes(nodes, query_str="mountains")
        assert best.metadata == {"source": "here", "retrieval_score": nodes[2].score}
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            assert best.node.get_content(mode) == nodes[2].node.get_content(mode)

    def test_explanations_are_kept_out_of_prompts(self):
        nodes = nodes_of(*TEXTS)
        (best, *_) = rebel(explain=True).postprocess_nodes(nodes, query_str="mountains")
        assert best.metadata["tamis"] == {
            "criteria": {"relevance": 9.0, "depth": 4.0},
            "reason": "saw summit",
            "retrieval_rank": 2,
            "retrieval_score": 0.88,
            "lifted_by": [],
        }
        assert best.node.get_content(MetadataMode.LLM) == best.node.get_content(MetadataMode.EMBED) == "the summit"
        assert json.loads(best.to_json())["score"] == 11.0

    def test_twice_in_a_row_notes_are_hidden_once(self):
        reranker = rebel(keep_retrieval_score=True)
        once = reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="mountains")
        (best, *_) = reranker.postprocess_nodes(once, query_str="mountains")
        assert best.metadata["retrieval_score"] == 11.0
        assert best.node.excluded_llm_metadata_keys == ["retrieval_score"]

    def test_ids_subclasses_and_relationships_survive(self):
        class Noted(TextNode):
            note: str = ""

        class Flagged(NodeWithScore):
            flag: bool = False

        given = [
            Noted(text="a tall mountain", note="mine", id_="a"),
            IndexNode(text="a mountain", index_id="i", id_="b"),
            ImageNode(text="mountain seen", image="aGVsbG8=", id_="c"),
            Document(text="a document of mountain", id_="d"),
        ]
        nodes = [NodeWithScore(node=node) for node in given[1:]] + [Flagged(node=given[0], flag=True)]
        result = TamisRerank(keep_retrieval_score=True).postprocess_nodes(nodes, query_str="tall mountain")
        by_id = {node.node_id: node for node in result}
        assert {key: type(node.node) for key, node in by_id.items()} == {n.id_: type(n) for n in given}
        assert by_id["a"].node.note == "mine"
        assert by_id["a"].flag is True
        assert by_id["a"].metadata == {"retrieval_score": None}

    def test_duplicates_survive(self):
        nodes = nodes_of("the summit", "the summit", "the valley")
        nodes[1].node.id_ = "n0"
        assert ids(rebel().postprocess_nodes(nodes, query_str="q")) == ["n0", "n0", "n2"]

    def test_numpy_scores_become_floats(self):
        nodes = nodes_of(*TEXTS)
        for node in nodes:
            node.score = np.float32(0.5)
        for pipeline in ("first_stage", "lexical"):
            result = TamisRerank([pipeline], keep_retrieval_score=True).postprocess_nodes(nodes, query_str="summit")
            assert {type(node.score) for node in result} == {float}
            assert all(json.loads(node.to_json()) for node in result)

    @pytest.mark.parametrize(
        ("options", "seen"),
        [
            ({}, "topic: peaks"),
            ({"metadata_mode": MetadataMode.EMBED}, "secret: 1"),
            ({"metadata_mode": "none"}, "the summit"),
        ],
    )
    def test_the_llm_reads_the_metadata_it_is_meant_to(self, options, seen):
        llm = NativeLLM(reply=grader(GRADES))
        node = TextNode(
            text="the summit",
            metadata={"topic": "peaks", "secret": 1},
            excluded_llm_metadata_keys=["secret"],
            excluded_embed_metadata_keys=["topic"],
        )
        TamisRerank(DEPTH, llm=llm, **options).postprocess_nodes([NodeWithScore(node=node)], query_str="q")
        ((text,),) = [passages(prompt).values() for prompt in llm.asked]
        assert text == (f"{seen}\n\nthe summit" if ":" in seen else seen)

    def test_an_encoder_reads_what_the_embedding_model_would(self):
        embedding = HashedWords()
        node = TextNode(text="x", metadata={"a": 1, "b": 2}, excluded_embed_metadata_keys=["a"])
        TamisRerank("embedding", embed_model=embedding).postprocess_nodes([NodeWithScore(node=node)], query_str="q")
        assert embedding.texts == [["b: 2\n\nx"]]

    def test_criteria_can_read_metadata(self):
        nodes = nodes_of("the summit", "the summit")
        nodes[1].node.metadata["stars"] = 5
        pipeline = [
            {"lexical": {}},
            {"multi_criteria": {"criteria": [{"field": {"field": "stars", "low": 0, "high": 5}}]}},
        ]
        assert ids(TamisRerank(pipeline).postprocess_nodes(nodes, query_str="summit")) == ["n1", "n0"]

    def test_vectors_that_are_there_are_used_when_asked_for(self):
        embedding = HashedWords()
        nodes = nodes_of("the summit", "the valley")
        for node in nodes:
            node.node.embedding = embedding.vector(node.text)
        pipeline = [{"embedding": {"model": "embedder", "given_vectors": True}}]
        bundle = QueryBundle("valley", embedding=embedding.vector("valley"))
        result = TamisRerank(pipeline, embed_model=embedding).postprocess_nodes(nodes, bundle)
        assert ids(result) == ["n1", "n0"]
        assert (embedding.texts, embedding.queries) == ([], [])


GARBAGE = st.one_of(
    st.text(max_size=200),
    st.sampled_from(
        [
            "I am sorry, but I cannot help with that.",
            "The first passage is by far the best one.",
            '{"passages": [{"passage": 1, "relevance": 9, "depth"',
            '{"passages": [{"passage": 1, "relevance": 9}, {"passage": 1, "relevance": 2}]}',
            '{"passages": [{"passage": 99, "relevance": 9}, {"passage": 0, "relevance": 9}, {"passage": -1}]}',
            '{"passages": [{"passage": "one", "relevance": "high"}]}',
            '[{"relevance": 3}]',
            "Doc: 1, Relevance: high\nDoc: 0, Relevance: 5",
            "[2] > [2] > [7]",
            "null",
            "{" * 500,
            "",
        ]
    ),
)


class TestFailures:
    @settings(examples(60), suppress_health_check=list(HealthCheck))
    @given(reply=GARBAGE, count=st.integers(1, 12), name=st.sampled_from(["rebel", "listwise"]))
    def test_garbage_never_loses_a_node(self, reply, count, name):
        options = {"gate": None} if name == "rebel" else {}
        reranker = TamisRerank([{name: {"model": "llm", **options}}], llm=NativeLLM(reply=lambda prompt: reply))
        nodes = nodes_of(*(f"text {number}" for number in range(count)))
        result = reranker.postprocess_nodes(nodes, query_str="q")
        assert sorted(ids(result)) == sorted(ids(nodes))

    @examples(30)
    @given(reply=GARBAGE, count=st.integers(1, 12))
    def test_what_the_gate_drops_is_accounted_for(self, reply, count):
        ranking = rebel(lambda prompt: reply).rank(nodes_of(*["text"] * count), "q")
        assert sorted(r.position for r in (*ranking.kept, *ranking.dropped)) == list(range(count))

    async def test_an_llm_that_raises_leaves_order_and_no_scores(self):
        def broken(prompt):
            raise RuntimeError("no route")

        seen: list[Ranking] = []
        reranker = rebel(broken, engine={"retries": 1, "backoff": 0}, on_ranking=seen.append)
        for result in (
            reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="q"),
            await reranker.apostprocess_nodes(nodes_of(*TEXTS), query_str="q"),
        ):
            assert ids(result) == ["n0", "n1", "n2", "n3"]
            assert [node.score for node in result] == [None] * 4
        assert all(ranking.degraded and "no route" in str(ranking.warnings[0]) for ranking in seen)

    def test_a_failure_can_be_asked_to_raise(self):
        def broken(prompt):
            raise RuntimeError("no route")

        reranker = rebel(broken, engine={"retries": 0, "on_failure": "raise"})
        with pytest.raises(DegradedError, match="no route"):
            reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="q")

    def test_one_bad_answer_spoils_only_its_batch(self):
        good = grader(GRADES)
        pipeline = [{"rebel": {"model": "llm", "criteria": ["depth"], "batch_size": 2, "anchors": 0}}]
        llm = NativeLLM(reply=lambda prompt: "no" if "recipe" in prompt else good(prompt))
        result = TamisRerank(pipeline, llm=llm).postprocess_nodes(nodes_of(*TEXTS), query_str="q")
        assert [(node.node_id, node.score) for node in result] == [
            ("n0", None),
            ("n1", None),
            ("n2", 11.0),
            ("n3", 6.5),
        ]

    def test_unjudged_nodes_pass_a_threshold(self):
        result = rebel(lambda prompt: "no", threshold=100.0).postprocess_nodes(nodes_of(*TEXTS), query_str="q")
        assert ids(result) == ["n0", "n1", "n2", "n3"]


class TestObserving:
    @staticmethod
    async def both(reranker, nodes, query):
        """Result or error of both entries."""
        found = []
        for entry in (reranker.postprocess_nodes, reranker.apostprocess_nodes):
            try:
                result = entry(nodes, query)
                found.append(await result if hasattr(result, "__await__") else result)
            except Exception as error:
                found.append(error)
        return found

    async def test_start_and_end_events_carry_what_went_in_and_out(self, events):
        nodes = nodes_of(*TEXTS)
        sync, _ = await self.both(rebel(top_n=2), nodes, QueryBundle("mountains"))
        start, end, *others = events.named("ReRankStartEvent", "ReRankEndEvent")
        assert (start.query.query_str, start.top_n, start.model_name) == ("mountains", 2, "scripted")
        assert start.nodes == nodes
        assert end.nodes == sync
        assert [event.class_name() for event in others] == ["ReRankStartEvent", "ReRankEndEvent"]
        assert all(event.span_id for event in (start, end, *others))

    async def test_every_start_has_an_end(self, events):
        def broken(prompt):
            raise RuntimeError

        strict = rebel(broken, engine={"retries": 0, "on_failure": "raise"})
        for reranker, nodes, query in (
            (rebel(), [], QueryBundle("q")),
            (rebel(), nodes_of(*TEXTS), None),
            (strict, nodes_of(*TEXTS), QueryBundle("q")),
            (rebel(), nodes_of(*TEXTS), QueryBundle("  ")),
        ):
            events.seen.clear()
            await self.both(reranker, nodes, query)
            seen = events.named("ReRankStartEvent", "ReRankEndEvent")
            assert [event.class_name() for event in seen] == ["ReRankStartEvent", "ReRankEndEvent"] * 2
            assert [event.nodes for event in seen[1::2]] == [[], []]
            assert [event.top_n for event in seen[::2]] == [len(nodes)] * 2

    async def test_both_entries_are_spans_and_llm_calls_happen_inside(self, events, spans):
        class Traced(BlockingLLM):
            def chat(self, messages, **kwargs):
                return super().chat(messages, **kwargs)

        reranker = TamisRerank(DEPTH, llm=Traced(reply=grader(GRADES), chats=True))
        await self.both(reranker, nodes_of(*TEXTS), QueryBundle("mountains"))
        names = [span.id_.partition("-")[0] for span in spans.completed_spans]
        assert names.count("TamisRerank._postprocess_nodes") == 1
        assert names.count("TamisRerank._apostprocess_nodes") == 1
        inside = {span.id_: span.parent_id for span in spans.completed_spans}
        parents = [parent or "" for name, parent in inside.items() if name.startswith("Traced")]
        assert any(parent.startswith("TamisRerank._postprocess_nodes") for parent in parents)

    async def test_callback_events(self):
        debug = LlamaDebugHandler(print_trace_on_end=False)
        reranker = rebel(callback_manager=CallbackManager([debug]), top_n=2)
        nodes = nodes_of(*TEXTS)
        (sync, _) = await self.both(reranker, nodes, QueryBundle("mountains"))
        pairs = debug.get_event_pairs(CBEventType.RERANKING)
        assert len(pairs) == 2
        start, end = pairs[0]
        assert start.payload == {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: "scripted",
            EventPayload.QUERY_STR: "mountains",
            EventPayload.TOP_K: 2,
        }
        assert end.payload == {EventPayload.NODES: sync}
        await self.both(reranker, nodes, None)
        late = rebel()
        late.callback_manager = CallbackManager([debug])
        late.postprocess_nodes(nodes, query_str="q")
        assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 5
        assert EventPayload.EXCEPTION in debug.get_event_pairs(CBEventType.RERANKING)[3][1].payload

    @pytest.mark.parametrize(
        "nothing", [[{"dynamic_k": {"policy": {"at_least": 2.0}, "k_min": 0}}], [{"abstain": {"threshold": 2.0}}]]
    )
    async def test_keeping_nothing_is_an_end_like_any_other(self, events, nothing):
        debug = LlamaDebugHandler(print_trace_on_end=False)
        seen: list[Ranking] = []
        reranker = TamisRerank(
            ["first_stage", *nothing], on_ranking=seen.append, callback_manager=CallbackManager([debug])
        )
        nodes = nodes_of(*TEXTS)
        assert await self.both(reranker, nodes, QueryBundle("mountains")) == [[], []]
        starts, ends = events.named("ReRankStartEvent"), events.named("ReRankEndEvent")
        assert [(event.top_n, event.nodes) for event in starts] == [(len(nodes), nodes)] * 2
        assert [event.nodes for event in ends] == [[], []]
        assert [end.payload for _, end in debug.get_event_pairs(CBEventType.RERANKING)] == [
            {EventPayload.NODES: []}
        ] * 2
        assert all(ranking.abstained and {d.why for d in ranking.dropped} == {"abstained"} for ranking in seen)


class TestTokenBudget:
    LONG = "the summit " * 50

    def cut(self, node, tokens=20, **options):
        (kept,) = TamisRerank([{"token_budget": tokens}], **options).postprocess_nodes(
            [NodeWithScore(node=node, score=0.5)], query_str="q"
        )
        return kept

    @pytest.mark.parametrize("kind", [TextNode, Document, IndexNode])
    def test_the_text_that_is_cut_reaches_the_generator_cut(self, kind):
        more = {"index_id": "i"} if kind is IndexNode else {}
        node = kind(text=self.LONG, id_="a", metadata={"source": "atlas"}, **more)
        before = node.to_dict()
        kept = self.cut(node)
        shown = kept.node.get_content(MetadataMode.LLM)
        text = kept.node.get_content()
        assert self.LONG.startswith(text)
        assert (shown, type(kept.node)) == (f"source: atlas\n\n{text}".strip(), kind)
        assert 70 < len(shown) <= 80
        assert kept.metadata == {"source": "atlas", "truncated": True}
        assert kept.node_id == "a"
        assert node.to_dict() == before

    def test_what_fits_is_left_alone(self):
        node = TextNode(text="the summit")
        assert self.cut(node).node is node

    def test_metadata_the_pipeline_does_not_read_takes_no_room(self):
        assert len(self.cut(TextNode(text=self.LONG, metadata={"x": "y"}), metadata_mode=MetadataMode.NONE).text) == 80

    def test_text_is_found_in_a_template_of_one_s_own(self):
        node = TextNode(text=f" {self.LONG} ", metadata={"a": "the"}, text_template="<{metadata_str}> {content} </>")
        kept = self.cut(node, explain=True)
        assert self.LONG.startswith(kept.text)
        assert set(kept.metadata) == {"a", "truncated", "tamis"}

    def test_a_budget_that_metadata_uses_up_leaves_no_text(self):
        kept = self.cut(TextNode(text="the summit", metadata={"a": "b" * 100}))
        assert kept.text == ""


class TestSaving:
    @pytest.mark.parametrize(
        "pipeline", ["default", [{"lexical": {"k1": 1.2}}, {"top_n": 2}], Lexical(k1=1.2) | TopN(2)]
    )
    def test_round_trips(self, pipeline):
        reranker = TamisRerank(
            pipeline,
            top_n=2,
            threshold=0.1,
            metadata_mode=MetadataMode.NONE,
            keep_retrieval_score=True,
            explain=True,
            engine={"deadline": 3.0, "cache": None},
        )
        nodes = nodes_of(*TEXTS)
        expected = reranker.postprocess_nodes(nodes, query_str="the summit")
        data = reranker.to_dict()
        assert TamisRerank.from_dict(data).to_dict() == data
        for twin in (
            TamisRerank.from_dict(data),
            TamisRerank.from_json(reranker.to_json()),
            pickle.loads(pickle.dumps(reranker)),
            copy.deepcopy(reranker),
            reranker.model_copy(),
        ):
            assert twin.postprocess_nodes(nodes, query_str="the summit") == expected
            assert (twin.top_n, twin.threshold, twin.engine) == (2, 0.1, {"deadline": 3.0, "cache": None})

    def test_models_are_left_out_and_given_again(self):
        llm = NativeLLM(reply=grader(GRADES))
        data = TamisRerank("rebel", llm=llm, on_ranking=print, engine=Engine()).to_dict()
        assert data == json.loads(json.dumps(data))
        assert set(data) == set(TamisRerank().to_dict())
        assert (data["pipeline"], data["engine"]) == ("rebel", None)
        twin = TamisRerank.from_dict(data, llm=llm)
        assert ids(twin.postprocess_nodes(nodes_of(*TEXTS), query_str="q"))[0] == "n2"
        with pytest.raises(ConfigError, match="asks for a model called 'llm'"):
            TamisRerank.from_dict(data)

    def test_a_stage_that_holds_a_live_model_is_no_data(self):
        with pytest.raises(ValueError, match="cannot be written as data"):
            TamisRerank(Rebel(LlamaIndexLLM(NativeLLM(reply=str)))).to_dict()

    def test_pickling_keeps_an_llm_that_can_be_pickled(self):
        twin = pickle.loads(pickle.dumps(TamisRerank("rebel", llm=NativeLLM(reply=str))))
        assert isinstance(twin.llm, NativeLLM)

    def test_pickling_leaves_the_original_whole(self):
        class Locked(NativeLLM):
            lock: object = None

            def __getstate__(self):
                raise TypeError("cannot pickle a lock")

        reranker = TamisRerank(DEPTH, llm=Locked(reply=grader(GRADES)), on_ranking=lambda ranking: None)
        data = pickle.dumps(reranker)
        assert len(reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="q")) == 3
        assert reranker.llm is not None
        with pytest.raises(ConfigError, match="asks for a model called 'llm'"):
            pickle.loads(data)


def test_one_instance_serves_many_threads():
    seen: list[Ranking] = []
    lock = threading.Lock()

    def note(ranking):
        with lock:
            seen.append(ranking)

    reranker = rebel(on_ranking=note, engine={"cache": None})
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda q: reranker.postprocess_nodes(nodes_of(*TEXTS), query_str=str(q)), range(24)))
    assert {tuple(ids(result)) for result in results} == {("n2", "n1", "n3")}
    assert sorted(int(ranking.query.text) for ranking in seen) == list(range(24))


def test_metadata_of_an_llm_is_read_once():
    class Counted(NativeLLM):
        reads: int = 0

        @property
        def metadata(self):
            self.reads += 1
            return LLMMetadata(is_chat_model=True, context_window=100_000)

    llm = Counted(reply=grader(GRADES))
    reranker = TamisRerank(DEPTH, llm=llm)
    reads = llm.reads
    reranker.postprocess_nodes(nodes_of(*TEXTS), query_str="q")
    assert llm.reads == reads


REACHING = [{"listwise": {"model": {"openai": "m", "base_url": "http://localhost:9/v1"}}}]


def test_a_pipeline_written_in_python_may_open_addresses_and_one_from_data_or_a_file_may_not(tmp_path):
    data = TamisRerank(REACHING).to_dict()
    for written in (data, {**data, "allow": "all"}):
        with pytest.raises(ValueError, match=r"allow=\{'network:localhost:9'\}"):
            TamisRerank.from_dict(written)
    assert TamisRerank.from_dict(data, allow="network").to_dict() == data
    file = tmp_path / "sent.yaml"
    file.write_text(json.dumps(REACHING), encoding="utf-8")
    with pytest.raises(ValueError, match="network:localhost:9"):
        TamisRerank(file)
    TamisRerank(str(file), allow={"network:localhost"})


def test_distances_are_read_as_such_declared_or_not():
    nodes = [NodeWithScore(node=TextNode(text=t, id_=t), score=s) for t, s in (("a", 0.1), ("b", 0.4), ("c", 0.8))]
    for rerank in (TamisRerank([{"first_stage": {}}]), TamisRerank([{"first_stage": {}}], scores="distance")):
        kept = rerank.model_copy(update={"keep_retrieval_score": True}).postprocess_nodes(nodes, query_str="q")
        assert [n.node.node_id for n in kept] == ["a", "b", "c"]
        assert [n.node.metadata["retrieval_score"] for n in kept] == [0.1, 0.4, 0.8]
    far = TamisRerank([{"first_stage": {}}], scores="similarity")
    assert [n.node.node_id for n in far.postprocess_nodes(nodes, query_str="q")] == ["c", "b", "a"]
    assert TamisRerank.from_dict(far.to_dict()).scores == "similarity"
    with pytest.raises(ValueError, match="distance"):
        TamisRerank(scores="distances")
