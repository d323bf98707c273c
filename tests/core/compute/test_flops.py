"""Compute accounting against published and measured numbers."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.compute.architectures import architecture_named, architecture_of, architectures
from tamis.compute.flops import Architecture, qpp, rpp
from tamis.errors import ConfigError, InputError
from tamis.models import CostOnly
from tamis.values.usage import Usage

SHAPES = st.builds(
    lambda kind, layers, heads, r, head, width, ffn, mats, vocabulary, experts: Architecture(
        kind, layers, width, ffn, heads * r * head, mats, r if kind == "decoder" else 1, vocabulary, experts
    ),
    st.sampled_from(["encoder", "decoder", "encoder-decoder"]),
    layers=st.integers(1, 80),
    heads=st.integers(1, 16),
    r=st.integers(1, 8),
    head=st.sampled_from([32, 64, 128]),
    width=st.integers(1, 8192),
    ffn=st.integers(1, 30000),
    mats=st.sampled_from([2, 3]),
    vocabulary=st.integers(0, 256_000),
    experts=st.integers(1, 8),
)
ARCHITECTURES = architectures()
READ, WROTE = st.integers(0, 20_000), st.integers(0, 2_000)
FORMS = st.sampled_from(["corrected", "paper"])


@pytest.mark.parametrize(
    ("name", "read", "wrote", "paper", "corrected"),
    [
        ("Flan-T5-large", 256, 1, 1.552e11, 1.908e11),
        ("Qwen2.5-7B", 1000, 1, 9.315e12, 1.345e13),
        ("ms-marco-MiniLM-L6", 256, 0, 6.04e9, 6.04e9),
        ("BERT-base", 256, 0, 4.59e10, 4.59e10),
        ("bge-reranker-v2-m3", 512, 0, 3.35e11, 3.35e11),
    ],
)
def test_worked_values(name, read, wrote, paper, corrected):
    architecture = ARCHITECTURES[name]
    assert architecture.flops(read, wrote, form="paper") == pytest.approx(paper, rel=5e-4)
    assert architecture.flops(read, wrote) == pytest.approx(corrected, rel=5e-4)


def test_the_paper_form_is_the_paper_s_arithmetic():
    a = ARCHITECTURES["Qwen2.5-7B"]
    d, layers, ff, r, n, m = a.width, a.layers, a.ffn_width, 7, 700, 30
    weights = 2 * d * layers * ((1 + 1 / r) * d + ff)
    reading = 2 * weights * n + 4 * layers * n**2 * d / r
    writing = sum(2 * weights + 4 * layers * (n + i - 1) * d / r for i in range(1, m + 1))
    assert a.flops(n, m, form="paper") == pytest.approx(reading + writing, rel=1e-12)

    t5 = ARCHITECTURES["Flan-T5-XXL"]
    d, layers, ff = t5.width, t5.layers, t5.ffn_width
    encoder, decoder = 2 * d * layers * (2 * d + ff), 2 * d * layers * (3 * d + ff)
    writing = 2 * decoder * m + 2 * layers * d * (2 * m * n + m * (m - 1))
    expected = 2 * encoder * n + 4 * layers * n**2 * d + 4 * layers * n * d * d + writing
    assert t5.flops(n, m, form="paper") == expected


@pytest.mark.parametrize(
    ("name", "share"),
    [("Flan-T5-large", 0.82), ("Flan-T5-XL", 0.82), ("Flan-T5-XXL", 0.82), ("Qwen2.5-3B", 0.70), ("Qwen2.5-7B", 0.70), ("Qwen2.5-14B", 0.74)],
)  # fmt: skip
def test_the_paper_form_falls_short_of_what_was_measured_where_feed_forward_layers_are_gated(name, share):
    """Shares of the paper's form in DeepSpeed's measurement, over the corrected form's."""
    architecture = ARCHITECTURES[name]
    assert architecture.flops(256, 1, form="paper") / architecture.flops(256, 1) == pytest.approx(share, abs=0.01)


@given(SHAPES, READ, WROTE, FORMS)
def test_more_tokens_never_cost_less(architecture, read, wrote, form):
    cost = architecture.flops(read, wrote, form=form)
    assert 0 <= cost <= architecture.flops(read + 1, wrote, form=form)
    assert cost <= architecture.flops(read, wrote + 1, form=form)


@given(SHAPES, READ, WROTE, FORMS, st.integers(1, 40))
def test_layers_add_up(architecture, read, wrote, form, more):
    headless = replace(architecture, vocabulary=0)
    tall, rest = replace(headless, layers=headless.layers + more), replace(headless, layers=more)
    parts = headless.flops(read, wrote, form=form) + rest.flops(read, wrote, form=form)
    assert tall.flops(read, wrote, form=form) == parts


@given(SHAPES, READ, WROTE)
def test_whole_numbers_so_that_sums_do_not_depend_on_their_order(architecture, read, wrote):
    for form in ("corrected", "paper"):
        assert isinstance(architecture.flops(read, wrote, form=form), int)


@given(SHAPES.filter(lambda shape: shape.kind == "decoder"), READ, st.integers(1, 500), st.integers(1, 500))
def test_in_the_paper_form_writing_on_costs_the_same_as_writing_at_once(decoder, read, first, second):
    def writing(after, tokens):
        return decoder.flops(after, tokens, form="paper") - decoder.flops(after, 0, form="paper")

    assert writing(read, first + second) == writing(read, first) + writing(read + first, second)


@given(SHAPES.filter(lambda shape: shape.kind == "decoder"), st.integers(1, 5000), st.integers(1, 500))
def test_a_written_token_costs_a_read_one_and_the_head(decoder, read, wrote):
    head = 2 * decoder.vocabulary * decoder.width
    assert decoder.flops(read, wrote) == decoder.flops(read + wrote - 1, 0) + wrote * head


@given(SHAPES.filter(lambda shape: shape.kind == "encoder"), READ, WROTE)
def test_an_encoder_writes_nothing(encoder, read, wrote):
    assert encoder.flops(read, wrote) == encoder.flops(read)


def test_a_t5_that_embeds_runs_its_encoder_only():
    t5 = ARCHITECTURES["t5-base"]
    assert t5.flops(200) == replace(t5, kind="encoder").flops(200)


def test_bad_shapes_are_refused_by_name_and_value():
    with pytest.raises(ConfigError, match=r"layers.*got 0"):
        Architecture("encoder", layers=0, width=768, ffn_width=3072)
    with pytest.raises(ConfigError, match="kind.*'rnn'"):
        Architecture(kind="rnn", layers=1, width=768, ffn_width=3072)
    with pytest.raises(ConfigError, match="query_heads_per_kv 5 must divide the attention width 768"):
        Architecture("decoder", 1, 768, 3072, query_heads_per_kv=5)


def test_an_architecture_is_a_value():
    one = Architecture("encoder", 2, 128, 512)
    one.flops(3)
    assert {one, Architecture("encoder", 2, 128, 512), pickle.loads(pickle.dumps(one))} == {one}


@pytest.mark.parametrize(
    ("metric", "peta", "expected_rpp", "expected_qpp"),
    [
        (0.670, 0.025, 26.8, 40.0),
        (0.654, 0.009, 72.67, 111.1),
        (0.669, 0.058, 11.53, 17.24),
        (0.666, 1.87, 0.36, 0.536),
        (0.650, 0.036, 18.06, 27.78),
        (0.706, 0.383, 1.84, 2.61),
        (0.757, 2.27, 0.33, 0.44),
    ],
)
def test_metric_and_queries_per_petaflop_as_published(metric, peta, expected_rpp, expected_qpp):
    assert rpp([metric], [peta * 1e15]) == pytest.approx(expected_rpp, abs=0.006)
    assert qpp([peta * 1e15]) == pytest.approx(expected_qpp, rel=0.01)


def test_rpp_is_a_mean_of_ratios_and_qpp_a_ratio_of_means():
    assert rpp([1.0, 0.5], [1e15, 5e15]) == pytest.approx((1.0 + 0.1) / 2)
    assert qpp([1e15, 5e15]) == pytest.approx(1 / 3)


def test_what_cost_nothing_has_no_ratio():
    assert math.isnan(rpp([0.5, 0.5], [1e15, 0.0]))
    assert math.isnan(rpp([], []))
    assert math.isnan(qpp([0.0]))
    assert math.isnan(qpp([]))
    with pytest.raises(InputError, match="2 metric values, 1 FLOPs"):
        rpp([0.1, 0.2], [1.0])


def test_usages_add_up_with_their_flops():
    one = Usage(calls=2, flops=3e15, flops_paper=2e15, unmetered=1)
    assert one + one == Usage(calls=4, flops=6e15, flops_paper=4e15, unmetered=2)


PUBLISHED = {
    "ms-marco-TinyBERT-L2": (4.39, 1),
    "ms-marco-MiniLM-L6": (22.7, 1),
    "ms-marco-MiniLM-L12": (33.4, 1),
    "all-MiniLM-L6": (22.7, 1),
    "all-MiniLM-L12": (33.4, 1),
    "all-mpnet-base": (109, 1),
    "BERT-base": (109.5, 1),
    "BERT-large": (335, 1),
    "DistilBERT-base": (66.4, 1),
    "RoBERTa-base": (125, 1),
    "RoBERTa-large": (355, 1),
    "XLM-RoBERTa-base": (278, 1),
    "XLM-RoBERTa-large": (560, 1),
    "bge-small-en": (33.4, 1),
    "bge-base-en": (109, 1),
    "bge-large-en": (335, 1),
    "bge-m3": (568, 1),
    "bge-reranker-base": (278, 1),
    "bge-reranker-large": (560, 1),
    "bge-reranker-v2-m3": (568, 1),
    "e5-small": (33.4, 1),
    "e5-base": (109, 1),
    "e5-large": (335, 1),
    "multilingual-e5-small": (118, 1),
    "multilingual-e5-base": (278, 1),
    "multilingual-e5-large": (560, 1),
    "ModernBERT-base": (149, 1),
    "ModernBERT-large": (395, 1),
    "gte-modernbert-base": (149, 1),
    "gte-reranker-modernbert-base": (149, 1),
    "DeBERTa-v3-xsmall": (70.7, 1),
    "DeBERTa-v3-small": (141, 1),
    "DeBERTa-v3-base": (184, 1),
    "DeBERTa-v3-large": (434, 1),
    "mxbai-rerank-xsmall-v1": (70.8, 1),
    "mxbai-rerank-base-v1": (184, 1),
    "mxbai-rerank-large-v1": (435, 1),
    "mxbai-rerank-base-v2": (494, 1),
    "mxbai-rerank-large-v2": (1540, 1),
    "t5-base": (223, 1),
    "t5-large": (738, 1),
    "t5-3b": (2850, 1),
    "monot5-base": (223, 1),
    "monot5-large": (738, 1),
    "monot5-3b": (2850, 1),
    "Flan-T5-small": (77.0, 2),
    "Flan-T5-base": (248, 2),
    "Flan-T5-large": (783, 2),
    "Flan-T5-XL": (2850, 2),
    "Flan-T5-XXL": (11_300, 2),
    "SmolLM2-135M": (135, 1),
    "SmolLM2-360M": (362, 1),
    "SmolLM2-1.7B": (1710, 1),
    "Qwen2.5-0.5B": (494, 1),
    "Qwen2.5-1.5B": (1540, 1),
    "Qwen2.5-3B": (3090, 1),
    "Qwen2.5-7B": (7620, 2),
    "Qwen2.5-14B": (14_800, 2),
    "Qwen2.5-32B": (32_800, 2),
    "Qwen2.5-72B": (72_700, 2),
    "Qwen3-0.6B": (596, 1),
    "Qwen3-1.7B": (1720, 1),
    "Qwen3-4B": (4020, 1),
    "Qwen3-8B": (8190, 2),
    "Qwen3-14B": (14_800, 2),
    "Qwen3-32B": (32_800, 2),
    "Qwen3-30B-A3B": (3340, 2),
    "Qwen3-Embedding-0.6B": (596, 1),
    "Qwen3-Embedding-4B": (4020, 1),
    "Qwen3-Embedding-8B": (7570, 1),
    "Qwen3-Reranker-0.6B": (596, 1),
    "Qwen3-Reranker-4B": (4020, 1),
    "Qwen3-Reranker-8B": (8190, 2),
    "Llama-2-7B": (6740, 2),
    "Llama-2-13B": (13_000, 2),
    "Llama-3-8B": (8030, 2),
    "Llama-3-70B": (70_600, 2),
    "Llama-3.1-8B": (8030, 2),
    "Llama-3.1-70B": (70_600, 2),
    "Llama-3.2-1B": (1240, 1),
    "Llama-3.2-3B": (3210, 1),
    "Llama-3.3-70B": (70_600, 2),
    "Mistral-7B": (7240, 2),
    "Mixtral-8x7B": (12_900, 2),
    "Gemma-2-2B": (2610, 1),
    "Gemma-2-9B": (9240, 1),
    "Gemma-2-27B": (27_200, 1),
    "Phi-3-mini": (3820, 2),
    "rank_zephyr_7b": (7240, 2),
    "rank_vicuna_7b": (6740, 2),
}
"""Millions of parameters as published (of a mixture: active ones), and how many matrices of vocabulary x width they
hold: 1 where input and output share one or there is no output."""


def test_every_known_shape_has_the_parameters_it_was_published_with():
    assert {ARCHITECTURES[name] for name in PUBLISHED} == set(ARCHITECTURES.values())
    for name, (millions, vocabularies) in PUBLISHED.items():
        architecture = ARCHITECTURES[name]
        counted = architecture.parameters + vocabularies * architecture.vocabulary * architecture.width
        assert counted == pytest.approx(millions * 1e6, rel=0.03), name


@pytest.mark.parametrize(
    ("spelt", "known"),
    [
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen2.5-7B"),
        ("qwen2.5:7b-instruct-q4_K_M", "Qwen2.5-7B"),
        ("qwen2.5-7b-instruct.Q4_K_M.gguf", "Qwen2.5-7B"),
        ("Qwen/Qwen2.5-72B-Instruct", "Qwen2.5-72B"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen3-30B-A3B"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
        ("llama3.2:1b", "Llama-3.2-1B"),
        ("google/gemma-2-27b-it", "Gemma-2-27B"),
        ("cross-encoder/ms-marco-MiniLM-L-6-v2", "ms-marco-MiniLM-L6"),
        ("cross-encoder/ms-marco-MiniLM-L12-v2", "ms-marco-MiniLM-L12"),
        ("BAAI/bge-small-en-v1.5", "bge-small-en"),
        ("BAAI/bge-reranker-v2-m3", "bge-reranker-v2-m3"),
        ("google/flan-t5-xxl", "Flan-T5-XXL"),
        ("castorini/rank_zephyr_7b_v1_full", "rank_zephyr_7b"),
    ],
)
def test_names_are_known_however_they_are_spelt(spelt, known):
    assert architecture_named(spelt) == ARCHITECTURES[known]


@pytest.mark.parametrize("name", ["", "/", "gpt-4o", "qwen2.5", "bge-small-zh-v1.5", "BAAI/bge-reranker-v2-minicpm-layerwise", "my-bert-base"])  # fmt: skip
def test_other_names_are_unknown(name):
    assert architecture_named(name) is None


def test_a_model_object_is_believed_before_its_name():
    class Model:
        name = "qwen3-8b"
        architecture = Architecture("encoder", 2, 128, 512)

    assert architecture_of(Model()) == Model.architecture
    Model.architecture = None
    assert architecture_of(Model()) == ARCHITECTURES["Qwen3-8B"]
    Model.architecture = "qwen3-4b"
    assert architecture_of(Model()) == ARCHITECTURES["Qwen3-4B"]
    Model.architecture = object()
    Model.name = 7
    assert architecture_of(Model()) is None
    assert architecture_of(CostOnly("Qwen3-14B")) == ARCHITECTURES["Qwen3-14B"]
