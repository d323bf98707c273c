"""Real int8 ONNX encoders."""

from __future__ import annotations

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tamis import models
from tamis.errors import ConfigError, MissingExtra
from tamis.parts.dump import dump
from tamis.values.calls import Classify, Embed
from tamis.values.model import capabilities
from tamis.values.scale import LOGIT

pytestmark = pytest.mark.model
QUERY = "How tall is Mount Everest?"
TEXTS = ["Mount Everest is 8,849 metres tall.", "The tallest building is the Burj Khalifa.", "A recipe for bread."]
INSTRUCTION = "Represent this sentence for searching relevant passages: "
QUANTISED = 0.35
"""Scores of int8 graphs depend on what shares a run by about this much."""


@pytest.fixture(scope="module")
def cross_encoder(onnx_cross_encoder_folder):
    return models.OnnxCrossEncoder(onnx_cross_encoder_folder, threads=2)


@pytest.fixture(scope="module")
def embedder(onnx_embedder_folder):
    return models.OnnxEmbedder(onnx_embedder_folder, pooling="cls", query_prefix=INSTRUCTION, threads=2)


def scores(model, *texts, query=QUERY):
    return [answer.value for answer in model.classify([Classify(model, query, text) for text in texts])]


def by_hand(folder, first, second=None):
    """First output of the graph for one text or pair, unpadded and uncut."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encoding = tokenizer.encode(first, second) if second else tokenizer.encode(first)
    parts = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    return session.run(None, {name: np.array([part]) for name, part in parts.items()})[0]


def test_a_single_pair_scores_what_the_graph_gives(cross_encoder, onnx_cross_encoder_folder):
    for text in TEXTS:
        expected = by_hand(onnx_cross_encoder_folder, QUERY, text)[0, 0]
        assert scores(cross_encoder, text) == pytest.approx([expected], abs=1e-4)


def test_the_answer_scores_high_and_the_rest_low(cross_encoder):
    mountain, building, bread = scores(cross_encoder, *TEXTS)
    assert mountain > 5
    assert building < -5
    assert bread < -10
    assert bread < building


def test_the_published_example_scores_what_is_published(cross_encoder):
    """Card of Xenova/ms-marco-MiniLM-L-12-v2, which gives 9.597 and -11.142 for its int8 graph, 9.451 and -11.160 for
    float32. A graph that quantises as it runs gives slightly other numbers with every version of the runtime."""
    found = scores(
        cross_encoder,
        "Berlin has a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
        "New York City is famous for the Metropolitan Museum of Art.",
        query="How many people live in Berlin?",
    )
    assert found == pytest.approx([9.597, -11.142], abs=0.5)


def test_a_score_does_not_depend_on_what_else_is_scored(cross_encoder, onnx_cross_encoder_folder):
    """Also of an int8 graph, which quantises everything in a run by one scale: on a CPU each pair has its own run."""
    texts = [*TEXTS, "The mountain. " * 40, TEXTS[0] + " It is in Nepal." * 5]
    alone = [scores(cross_encoder, text)[0] for text in texts]
    assert scores(cross_encoder, *texts) == pytest.approx(alone, abs=1e-4)
    padded = models.OnnxCrossEncoder(onnx_cross_encoder_folder, batch_tokens=4096)
    assert scores(padded, *texts) == pytest.approx(alone, abs=QUANTISED)
    assert scores(padded, *texts) != pytest.approx(alone, abs=1e-4)
    assert padded.cache_key != cross_encoder.cache_key


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_scores_are_the_same_with_any_number_of_threads(onnx_cross_encoder_folder, cross_encoder, threads):
    model = models.OnnxCrossEncoder(onnx_cross_encoder_folder, threads=threads)
    assert scores(model, *TEXTS) == pytest.approx(scores(cross_encoder, *TEXTS), abs=1e-4)
    assert scores(model, TEXTS[0]) == pytest.approx(scores(cross_encoder, TEXTS[0]), abs=1e-4)


def test_long_texts_and_long_queries_are_cut(cross_encoder):
    long = TEXTS[0] + " filler" * 2000
    calls = [Classify(cross_encoder, QUERY, long), Classify(cross_encoder, "why " * 3000, TEXTS[0])]
    first, second = cross_encoder.classify(calls)
    assert first.value > 0
    assert (first.tokens_in, second.tokens_in) == (512, 512)
    assert math.isfinite(second.value)


def test_embeddings_are_normalised_pooled_outputs(embedder, onnx_embedder_folder):
    states = by_hand(onnx_embedder_folder, TEXTS[0])[0]
    averaging = models.OnnxEmbedder(onnx_embedder_folder, pooling="mean")
    for model, pooled in ((embedder, states[0]), (averaging, states.mean(axis=0))):
        (answer,) = model.embed([Embed(model, TEXTS[0])])
        assert answer.values == pytest.approx((pooled / np.linalg.norm(pooled)).tolist(), abs=1e-4)
        assert answer.tokens_in == len(states)
        assert all(type(x) is float for x in answer.values)


def test_the_query_finds_its_passage(embedder):
    calls = [Embed(embedder, QUERY, "query"), *(Embed(embedder, text) for text in TEXTS)]
    query, *passages = (answer.values for answer in embedder.embed(calls))
    cosines = [math.fsum(a * b for a, b in zip(query, passage, strict=True)) for passage in passages]
    assert cosines == pytest.approx([0.83, 0.60, 0.37], abs=0.04)


def test_prefixes_are_put_before(embedder, onnx_embedder_folder):
    bare = models.OnnxEmbedder(onnx_embedder_folder, pooling="cls", passage_prefix="passage: ")
    ask = [Embed(embedder, QUERY, "query"), Embed(embedder, "passage: x")]
    same = [Embed(bare, INSTRUCTION + QUERY, "query"), Embed(bare, "x")]
    for one, other in zip(ask, same, strict=True):
        assert embedder.embed([one])[0].values == pytest.approx(bare.embed([other])[0].values, abs=1e-5)


def test_padding_does_not_reach_the_mean(onnx_embedder_folder):
    model = models.OnnxEmbedder(onnx_embedder_folder, pooling="mean")
    texts = ["A recipe.", "A recipe for bread with water and flour."]
    for text, answer in zip(texts, model.embed([Embed(model, text) for text in texts]), strict=True):
        (alone,) = model.embed([Embed(model, text)])
        assert math.fsum(a * b for a, b in zip(answer.values, alone.values, strict=True)) > 0.98


def test_what_they_declare(cross_encoder, embedder, onnx_cross_encoder_folder):
    assert (capabilities(cross_encoder), capabilities(embedder)) == (("classify",), ("embed",))
    assert (cross_encoder.scale, cross_encoder.max_concurrency, cross_encoder.name) == (LOGIT, 1, "reranker_en")
    assert dump(cross_encoder) == {"onnx_cross_encoder": {"path": str(onnx_cross_encoder_folder), "threads": 2}}
    assert cross_encoder.cache_key == models.OnnxCrossEncoder(onnx_cross_encoder_folder, max_batch=4).cache_key
    assert cross_encoder.cache_key != models.OnnxCrossEncoder(onnx_cross_encoder_folder, max_length=64).cache_key


def test_copies_load_again_and_threads_agree(cross_encoder):
    expected = scores(cross_encoder, *TEXTS)
    for twin in (pickle.loads(pickle.dumps(cross_encoder)), copy.deepcopy(cross_encoder)):
        assert "_session" not in twin.__dict__
        assert scores(twin, *TEXTS) == pytest.approx(expected, abs=1e-4)
    with ThreadPoolExecutor(4) as pool:
        assert all(got == expected for got in pool.map(lambda _: scores(cross_encoder, *TEXTS), range(8)))
    cross_encoder.close()
    assert scores(cross_encoder, *TEXTS) == pytest.approx(expected, abs=1e-4)


def test_a_folder_without_the_files(tmp_path):
    model = models.OnnxCrossEncoder(tmp_path)
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        scores(model, "a")


def test_the_library_missing_names_the_extra(monkeypatch, onnx_cross_encoder_folder):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"packages/core\[onnx\]"):
        scores(models.OnnxCrossEncoder(onnx_cross_encoder_folder), "a")
