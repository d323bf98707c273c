"""Checkpoints trained for late interaction, as ColBERT and PyLate save them, against the method written out in torch."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from support.tiny_models import tiny_colbert, tiny_cross_encoder, tiny_pylate
from tamis import Engine, LateInteraction
from tamis.errors import ConfigError
from tamis.models import MultiVectorEmbedder
from tamis.parts.dump import dump
from tamis.rankers.late_interaction import max_sim
from tamis.values.calls import EmbedTokens
from tamis.values.model import MODELS, capabilities

torch = pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers")
if not hasattr(sentence_transformers, "MultiVectorEncoder"):
    pytest.skip("needs sentence-transformers 6", allow_module_level=True)

QUERIES = [
    "tall mountain",
    "is the recipe tall?",
    "a",
    "the tall mountain is the tall mountain is the tall mountain is",
]
TEXTS = [
    "the mountain is tall.",
    "recipe, the recipe!",
    "tall - tall, tall?",
    "a mountain of words that goes on and on, past the end of what the model reads, and on and on and on",
]
PUNCTUATION = ".,?!-"


class Reference:
    """The paper's encoder, one text at a time: marker, masks, projection, unit length, no vectors for punctuation."""

    def __init__(self, folder, *, attend=False, expand=True, query_length=16, passage_length=24):
        from safetensors.torch import load_file
        from transformers import BertConfig, BertModel

        vocabulary = (folder / "tokenizer.json").exists()
        assert vocabulary
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        weights = load_file(folder / "model.safetensors")
        dense = folder / "1_Dense" / "model.safetensors"
        self.linear = load_file(dense)["linear.weight"] if dense.exists() else weights.pop("linear.weight")
        self.body = BertModel(BertConfig.from_pretrained(folder)).eval()
        self.body.load_state_dict({name.removeprefix("bert."): tensor for name, tensor in weights.items()})
        self.attend, self.expand = attend, expand
        self.query_length, self.passage_length = query_length, passage_length

    def ids(self, text, marker, length):
        words = self.tokenizer.encode(text, add_special_tokens=False).ids[: length - 3]
        return [self.id("[CLS]"), self.id(marker), *words, self.id("[SEP]")]

    def id(self, token):
        return self.tokenizer.token_to_id(token)

    def vectors(self, ids, attended):
        with torch.inference_mode():
            states = self.body(torch.tensor([ids]), attention_mask=torch.tensor([attended])).last_hidden_state[0]
            return torch.nn.functional.normalize(states @ self.linear.T, dim=-1).numpy()

    def query(self, text):
        ids = self.ids(text, "[unused0]", self.query_length)
        masks = self.query_length - len(ids) if self.expand else 0
        return self.vectors([*ids, *[self.id("[MASK]")] * masks], [1] * len(ids) + [int(self.attend)] * masks)

    def passage(self, text):
        ids = self.ids(text, "[unused1]", self.passage_length)
        kept = [number not in {self.id(sign) for sign in PUNCTUATION} for number in ids]
        return self.vectors(ids, [1] * len(ids))[kept]


CHECKPOINTS = {
    "colbert": (tiny_colbert, {}, {}),
    "colbert that attends to masks": (tiny_colbert, {"attend": True}, {"attend": True}),
    "pylate": (tiny_pylate, {}, {}),
    "pylate without masks": (tiny_pylate, {"expand": False}, {"expand": False}),
}


@pytest.fixture(scope="module", params=CHECKPOINTS)
def pair(request, tmp_path_factory):
    make, options, expected = CHECKPOINTS[request.param]
    folder = make(tmp_path_factory.mktemp("checkpoint") / "tiny", **options)
    return MultiVectorEmbedder(folder, device="cpu"), Reference(folder, **expected)


def embedded(model, texts, role):
    return [answer.values for answer in model.embed_tokens([EmbedTokens(model, text, role) for text in texts])]


def test_queries_and_passages_are_encoded_as_the_checkpoint_says(pair):
    model, reference = pair
    for role, texts, expected in (("query", QUERIES, reference.query), ("passage", TEXTS, reference.passage)):
        for text, found in zip(texts, embedded(model, texts, role), strict=True):
            wanted = expected(text)
            assert found.shape == wanted.shape, (role, text)
            np.testing.assert_allclose(found, wanted, atol=1e-5, err_msg=text)


def test_a_batch_of_both_kinds_comes_back_in_order(pair):
    model, _ = pair
    calls = [EmbedTokens(model, text, role) for text in QUERIES for role in ("query", "passage")]
    alone = [model.embed_tokens([call])[0].values for call in calls]
    for together, by_itself in zip(model.embed_tokens(calls), alone, strict=True):
        np.testing.assert_allclose(together.values, by_itself, atol=1e-5)


def test_the_ranking_is_that_of_the_paper(pair):
    model, reference = pair
    for query in QUERIES:
        ranking = LateInteraction(model).rerank(query, TEXTS)
        tokens = reference.query(query)
        sums = [np.max(tokens @ reference.passage(text).T, axis=1).sum() for text in TEXTS]
        scores = {ranked.position: ranked.score * len(tokens) for ranked in ranking.kept}
        assert [scores[n] for n in range(len(TEXTS))] == pytest.approx(sums, abs=1e-4)
        assert ranking.positions == tuple(np.argsort(-np.array(sums), kind="stable"))


def test_half_precision_halves_the_bytes_and_hardly_moves_a_score(pair):
    model, _ = pair
    half = MultiVectorEmbedder(model.model, device="cpu", precision="float16")
    full, short = (embedded(m, TEXTS, "passage") for m in (model, half))
    assert [2 * a.nbytes for a in short] == [a.nbytes for a in full]
    (query,) = embedded(model, QUERIES[:1], "query")
    assert max_sim(query, short) / len(query) == pytest.approx(max_sim(query, full) / len(query), abs=2e-3)
    assert model.cache_key != half.cache_key


def test_token_vectors_survive_a_folder(pair, tmp_path):
    model, _ = pair
    cold = Engine(vectors=tmp_path).rerank(LateInteraction(model), "tall mountain", TEXTS)
    warm = Engine(vectors=tmp_path).rerank(LateInteraction(model), "tall mountain", TEXTS)
    assert warm.kept == cold.kept
    assert (cold.usage.cached, warm.usage.cached) == (0, len(TEXTS))
    assert warm.usage.calls == 1


def test_a_checkpoint_without_a_projection_is_refused(tmp_path):
    """The library would give it a random one."""
    model = MultiVectorEmbedder(tiny_cross_encoder(tmp_path / "plain"), device="cpu")
    with pytest.raises(ConfigError, match="no projection"):
        embedded(model, ["tall"], "query")


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        embedded(MultiVectorEmbedder(str(tmp_path / "nowhere"), device="cpu"), ["tall"], "query")


def test_what_it_declares(pair):
    model, _ = pair
    assert capabilities(model) == ("embed_tokens",)
    assert model.name == "tiny"
    assert model.architecture is not None
    assert MODELS.build(dump(model)) == model
    assert pickle.loads(pickle.dumps(model)) == model
    loaded = sentence_transformers.MultiVectorEncoder(model.model, device="cpu")
    of_object = MultiVectorEmbedder(loaded)
    assert of_object.cache_key is None
    for found, wanted in zip(embedded(of_object, TEXTS, "passage"), embedded(model, TEXTS, "passage"), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
