"""Token vectors of a real int8 ONNX encoder."""

from __future__ import annotations

import numpy as np
import pytest

from tamis import Engine, LateInteraction
from tamis.errors import ConfigError
from tamis.models import OnnxTokenEmbedder
from tamis.parts.dump import dump
from tamis.values.calls import EmbedTokens
from tamis.values.model import MODELS, capabilities

pytestmark = pytest.mark.model
PROMPT = "Represent this sentence for searching relevant passages: "
QUERY = "How tall is Mount Everest?"
TEXTS = ["A recipe for bread.", "Mount Everest is 8,849 metres tall.", "The tallest building is the Burj Khalifa."]


@pytest.fixture(scope="module")
def model(onnx_embedder_folder):
    return OnnxTokenEmbedder(onnx_embedder_folder, query_prefix=PROMPT, threads=1)


def embedded(model, texts, role="passage"):
    return [answer.values for answer in model.embed_tokens([EmbedTokens(model, text, role) for text in texts])]


def by_hand(folder, text):
    """Last hidden states of the graph for one text, each at length 1."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    encoding = tokenizer.encode(text)
    parts = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    (states,) = session.run(None, {name: np.array([part]) for name, part in parts.items()})[0]
    return states / np.linalg.norm(states, axis=1, keepdims=True)


def test_one_text_gives_what_the_graph_gives(model, onnx_embedder_folder):
    for text in TEXTS:
        (found,) = embedded(model, [text])
        np.testing.assert_allclose(found, by_hand(onnx_embedder_folder, text), atol=1e-5)
    (query,) = embedded(model, [QUERY], "query")
    np.testing.assert_allclose(query, by_hand(onnx_embedder_folder, PROMPT + QUERY), atol=1e-5)


def test_padding_leaves_no_vectors(model):
    alone = [len(embedded(model, [text])[0]) for text in TEXTS]
    assert [len(vectors) for vectors in embedded(model, TEXTS)] == alone


def test_it_ranks_and_an_engine_keeps_the_passages(model, tmp_path):
    half = OnnxTokenEmbedder(model.path, query_prefix=PROMPT, threads=1, precision="float16")
    for embedder in (model, half):
        engine = Engine(vectors=tmp_path)
        ranking = engine.rerank(LateInteraction(embedder), QUERY, TEXTS)
        again = engine.rerank(LateInteraction(embedder), "bread", TEXTS)
        assert ranking.positions == (1, 2, 0)
        assert again.positions[0] == 0
        assert (again.usage.calls, again.usage.cached) == (1, 3)
    sizes = sorted(path.stat().st_size for path in tmp_path.glob("*.numbers"))
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.02)


def test_a_graph_with_one_vector_a_text_is_refused(onnx_cross_encoder_folder):
    with pytest.raises(ConfigError, match="a vector per text"):
        embedded(OnnxTokenEmbedder(onnx_cross_encoder_folder, threads=1), ["tall"])


def test_what_it_declares(model):
    assert capabilities(model) == ("embed_tokens",)
    assert MODELS.build(dump(model)) == model
    assert not embedded(model, ["tall"])[0].flags.writeable
