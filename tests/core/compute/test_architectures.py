"""Architectures read from configs, against the matrix products that torch counts in a forward pass."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tamis import CrossEncoder, Embedding, Engine, Pointwise, from_yaml, json_schema, load, models
from tamis.compute.architectures import architecture_of, architectures
from tamis.compute.config import read_config, read_folder
from tamis.compute.flops import Architecture
from tamis.errors import ConfigError
from tamis.parts.dump import dump

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ARCHITECTURES = architectures()
READ = 96

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 160,
    "vocab_size": 300,
}
GROUPED = {**SMALL, "num_attention_heads": 8, "num_key_value_heads": 2, "pad_token_id": 0}
WIDE = {**GROUPED, "head_dim": 24}
T5 = {
    "d_model": 64,
    "num_layers": 3,
    "num_heads": 4,
    "d_kv": 24,
    "d_ff": 160,
    "vocab_size": 300,
    "decoder_start_token_id": 0,
}
DEBERTA = {**SMALL, "relative_attention": True, "position_buckets": 32, "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": -1, "norm_rel_ebd": "layer_norm"}  # fmt: skip

ENCODERS = [
    ("bert", SMALL),
    ("camembert", SMALL),
    ("electra", {**SMALL, "embedding_size": 64}),
    ("mpnet", SMALL),
    ("roberta", SMALL),
    ("xlm-roberta", SMALL),
    ("modernbert", {**SMALL, **dict.fromkeys(["pad_token_id", "cls_token_id", "sep_token_id"], 0)}),
    ("distilbert", {"dim": 64, "n_layers": 3, "n_heads": 4, "hidden_dim": 160, "vocab_size": 300}),
    ("deberta-v2", DEBERTA),
]
DECODERS = [
    ("gpt2", {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 300}),
    ("llama", GROUPED),
    ("mistral", WIDE),
    ("qwen2", GROUPED),
    ("qwen3", WIDE),
    ("gemma", WIDE),
    ("gemma2", WIDE),
    ("gemma3_text", WIDE),
    ("granite", GROUPED),
    ("olmo2", GROUPED),
    ("phi3", GROUPED),
    ("smollm3", GROUPED),
    ("mixtral", {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2}),
    ("qwen3_moe", {**WIDE, "moe_intermediate_size": 48, "num_experts": 4, "num_experts_per_tok": 2}),
]


def config_of(kind, values):
    return transformers.AutoConfig.for_model(kind, **values)


def counted(make, config, **inputs):
    """FLOPs of the matrix products of one forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    # Kernels that torch does not count are replaced by plain products.
    plain = {"attn_implementation": "eager"}
    if hasattr(config, "num_experts_per_tok"):
        plain["experts_implementation"] = "eager"
    network = make.from_config(config, **plain).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(**{name: torch.tensor([ids]) if isinstance(ids, list) else ids for name, ids in inputs.items()})
    return counter.get_total_flops()


def text(tokens):
    return [3 + position % 290 for position in range(tokens)]


@pytest.mark.parametrize(("kind", "values"), ENCODERS, ids=[kind for kind, _ in ENCODERS])
def test_an_encoder_costs_what_torch_counts(kind, values):
    config = config_of(kind, values)
    architecture = read_config(config)
    assert architecture == read_config(json.loads(config.to_json_string(use_diff=False)))
    measured = counted(transformers.AutoModel, config, input_ids=text(READ), attention_mask=[1] * READ)
    assert architecture.flops(READ) == pytest.approx(measured, rel=0.005)


@pytest.mark.parametrize(("kind", "values"), DECODERS, ids=[kind for kind, _ in DECODERS])
def test_a_decoder_costs_what_torch_counts(kind, values):
    config = config_of(kind, values)
    architecture = read_config(config)
    assert architecture == read_config(json.loads(config.to_json_string(use_diff=False)))
    measured = counted(transformers.AutoModelForCausalLM, config, input_ids=text(READ + 11), logits_to_keep=12)
    assert architecture.flops(READ, 12) == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("activation", ["relu", "gated-gelu"])
def test_a_t5_costs_what_torch_counts(activation):
    config = config_of("t5", {**T5, "feed_forward_proj": activation})
    architecture = read_config(config)
    assert architecture.ffn_matrices == (3 if activation == "gated-gelu" else 2)
    whole = counted(transformers.AutoModelForSeq2SeqLM, config, input_ids=text(READ), decoder_input_ids=text(1))
    assert architecture.flops(READ, 1) == pytest.approx(whole, rel=0.005)


def test_published_configs_give_the_known_shapes():
    assert read_config(transformers.BertConfig()) == ARCHITECTURES["BERT-base"]
    assert read_config(transformers.DistilBertConfig()) == ARCHITECTURES["DistilBERT-base"]
    assert read_config(transformers.ModernBertConfig()) == ARCHITECTURES["ModernBERT-base"]
    flan = {"model_type": "t5", "d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_heads": 16, "num_layers": 24, "feed_forward_proj": "gated-gelu", "vocab_size": 32128}  # fmt: skip
    assert read_config(flan) == ARCHITECTURES["Flan-T5-large"]
    qwen = {"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28, "vocab_size": 152064}  # fmt: skip
    assert read_config(qwen) == ARCHITECTURES["Qwen2.5-7B"]
    gemma = {"text_config": {"model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "num_hidden_layers": 26, "vocab_size": 256000}}  # fmt: skip
    assert read_config(gemma) == ARCHITECTURES["Gemma-2-2B"]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "mamba", **SMALL},
        {"model_type": "bert", "hidden_size": 64},
        {"model_type": "bert", **SMALL, "hidden_size": "wide"},
        {"model_type": "llama", **SMALL, "num_attention_heads": 0},
        {"model_type": "llama", **SMALL, "num_attention_heads": None},
        {"model_type": ["bert"], **SMALL},
        {"model_type": "deberta-v2", **SMALL, "relative_attention": True, "position_buckets": -1},
        {"model_type": "t5", **T5, "num_decoder_layers": 1},
        {"model_type": "qwen3_moe", **WIDE, "num_experts_per_tok": 2, "mlp_only_layers": [0]},
        None,
        "bert",
    ],
)
def test_what_cannot_be_told_for_sure_is_unknown(config):
    assert read_config(config) is None


def test_a_folder_without_a_readable_config_is_unknown(tmp_path):
    assert read_folder(tmp_path) is None
    (tmp_path / "config.json").write_text("{not json")
    assert read_folder(tmp_path) is None
    (tmp_path / "config.json").write_bytes(b"\xff\xfe")
    assert read_folder(tmp_path) is None
    (tmp_path / "config.json").write_text("[1, 2]")
    assert read_folder(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **SMALL}))
    assert read_folder(tmp_path) == Architecture("encoder", 3, 64, 160, vocabulary=300)


# Models know theirs

TINY_LM = Architecture("decoder", 2, 32, 64, ffn_matrices=3, query_heads_per_kv=2)
TINY_BERT = Architecture("encoder", 2, 32, 64)


def shape(model):
    return replace(architecture_of(model), vocabulary=0)


def test_local_models_read_it_from_their_folder_and_load_nothing(
    tiny_lm_folder, tiny_cross_encoder_folder, tiny_embedder_folder
):
    for model, expected in (
        (models.CausalLM(tiny_lm_folder), TINY_LM),
        (models.TransformersCrossEncoder(tiny_cross_encoder_folder), TINY_BERT),
        (models.SentenceTransformerEmbedder(tiny_embedder_folder), TINY_BERT),
    ):
        assert shape(model) == replace(model.architecture, vocabulary=0) == expected
        assert "_network" not in model.__dict__


def test_local_models_read_it_from_what_is_loaded(tiny_lm_folder, tiny_cross_encoder_folder, tiny_embedder_folder):
    from sentence_transformers import SentenceTransformer

    network = transformers.AutoModelForCausalLM.from_pretrained(tiny_lm_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_lm_folder)
    assert shape(models.CausalLM.of(network, tokenizer)) == TINY_LM
    network = transformers.AutoModelForSequenceClassification.from_pretrained(tiny_cross_encoder_folder)
    assert shape(models.TransformersCrossEncoder.of(network, tokenizer)) == TINY_BERT
    assert shape(models.SentenceTransformerEmbedder(SentenceTransformer(str(tiny_embedder_folder)))) == TINY_BERT


def test_a_name_in_a_hub_says_it_until_the_weights_are_there(tiny_lm_folder):
    model = models.CausalLM("Qwen/Qwen3-0.6B")
    assert model.architecture is None
    assert architecture_of(model) == ARCHITECTURES["Qwen3-0.6B"]
    model.__dict__["_network"] = transformers.AutoModelForCausalLM.from_pretrained(tiny_lm_folder)
    assert shape(model) == TINY_LM
    assert architecture_of(models.TransformersCrossEncoder("somebody/reranker")) is None


def test_it_is_no_part_of_cache_keys_or_data(tiny_cross_encoder_folder):
    model = models.TransformersCrossEncoder(tiny_cross_encoder_folder)
    before = model.cache_key
    assert model.architecture is not None
    assert model.cache_key == before == models.TransformersCrossEncoder(tiny_cross_encoder_folder).cache_key
    assert dump(model) == {"transformers_cross_encoder": {"model": str(tiny_cross_encoder_folder)}}
    told = models.OpenAIChat("m", architecture="qwen3-8b")
    assert told.cache_key == models.OpenAIChat("m").cache_key


def test_a_real_forward_pass_is_counted_to_the_operation(tiny_lm_folder):
    """A pointwise rerank by a model in this process: torch's count against the ranking's."""
    from torch.utils.flop_counter import FlopCounterMode

    loaded = transformers.AutoModelForCausalLM.from_pretrained(tiny_lm_folder, attn_implementation="eager")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_lm_folder)
    model = models.CausalLM.of(loaded, tokenizer, max_batch=1, max_length=2048)
    texts = ["a passage", "a longer passage about a query", "no"]
    with FlopCounterMode(display=False) as counter:
        usage = Pointwise(model).rerank("query?", texts).usage
    assert usage.calls == 3
    assert usage.unmetered == 0
    assert usage.flops == pytest.approx(counter.get_total_flops(), rel=0.005)


def test_a_chat_model_is_told_by_name_by_sizes_or_by_what_it_is_called():
    sizes = {"kind": "decoder", "layers": 24, "width": 2048, "ffn_width": 5632, "ffn_matrices": 3}
    assert architecture_of(models.OpenAIChat("Qwen/Qwen2.5-7B-Instruct")) == ARCHITECTURES["Qwen2.5-7B"]
    assert architecture_of(models.OpenAIChat("ours", architecture="llama-3.1-8b")) == ARCHITECTURES["Llama-3.1-8B"]
    assert architecture_of(models.OpenAIChat("qwen3-8b", architecture=sizes)) == Architecture(**sizes)
    assert architecture_of(models.OpenAIChat("gpt-4o")) is None


@pytest.mark.parametrize("architecture", ["qwen3-8b", {"kind": "decoder", "layers": 2, "width": 64, "ffn_width": 128, "vocabulary": 9}])  # fmt: skip
@pytest.mark.parametrize("kind", ["openai", "cost_only"])
def test_it_can_be_written_as_data(architecture, kind):
    import jsonschema

    data = [{"pointwise": {"model": {kind: {**({"model": "m"} if kind == "openai" else {}), "architecture": architecture}}}}]  # fmt: skip
    pipeline = load(data, allow="all")
    assert pipeline.to_data() == data
    assert from_yaml(pipeline.to_yaml(), allow="all") == pipeline
    jsonschema.validate(data, json_schema())
    data[0]["pointwise"]["model"][kind]["architecture"] = {"kind": "decoder", "layers": 2}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())
    with pytest.raises(ConfigError, match="architecture: .*width: Field required"):
        load(data)


def test_an_unknown_name_is_refused_with_the_nearest_known():
    with pytest.raises(ConfigError, match=r"'qwen3-9b'. Did you mean 'qwen3-8b'\?"):
        load([{"pointwise": {"model": {"cost_only": {"architecture": "qwen3-9b"}}}}])


# Dry runs against real tokenizers

ENGLISH = [
    "Mount Everest is Earth's highest mountain above sea level, located in the Mahalangur Himal sub-range.",
    "The recipe asks for two cups of flour, a pinch of salt and warm water; knead the dough for ten minutes.",
    "In 1953 Tenzing Norgay and Edmund Hillary made the first official ascent, using the southeast ridge route.",
    "Retrieval-augmented generation grounds a language model in documents found for the question at hand.",
    "The committee postponed its decision until the auditors had examined the accounts of all subsidiaries.",
]
WORD_PIECES = 1.3
"""Bytes / 4 against a word-piece tokenizer, on English prose."""


@pytest.mark.model
@pytest.mark.parametrize("times", [1, 4, 40])
def test_a_dry_run_predicts_the_tokens_and_flops_of_an_encoder(onnx_embedder_folder, times):
    stage = Embedding(models.OnnxEmbedder(onnx_embedder_folder, pooling="cls", threads=2))
    passages = [" ".join([text] * times) for text in ENGLISH]
    predicted = Engine().dry_run(stage, "How high is Mount Everest above the sea?", passages)
    assert "_session" not in stage.model.__dict__
    spent = Engine().rerank(stage, "How high is Mount Everest above the sea?", passages).usage
    assert (predicted.calls, predicted.rounds) == (spent.calls, spent.rounds)
    assert 1 / WORD_PIECES < predicted.tokens_in / spent.tokens_in < WORD_PIECES
    assert 1 / WORD_PIECES < predicted.flops / spent.flops < WORD_PIECES
    assert spent.unmetered == 0


@pytest.mark.model
def test_a_dry_run_predicts_the_tokens_of_a_cross_encoder(onnx_cross_encoder_folder):
    stage = CrossEncoder(models.OnnxCrossEncoder(onnx_cross_encoder_folder, threads=2))
    predicted = Engine().dry_run(stage, "How high is Mount Everest?", ENGLISH)
    spent = stage.rerank("How high is Mount Everest?", ENGLISH).usage
    assert (predicted.calls, predicted.rounds) == (spent.calls, spent.rounds)
    assert 1 / WORD_PIECES < predicted.tokens_in / spent.tokens_in < WORD_PIECES


def test_a_dry_run_predicts_a_causal_lm_up_to_its_tokenizer(tiny_lm_folder):
    """A tokenizer of bytes makes about four tokens of what is estimated as one."""
    model = models.CausalLM(tiny_lm_folder, device="cpu", max_length=4096)
    stage = Pointwise(model)
    predicted = Engine().dry_run(stage, "How high is Mount Everest?", ENGLISH)
    assert "_network" not in model.__dict__
    spent = stage.rerank("How high is Mount Everest?", ENGLISH).usage
    assert (predicted.calls, predicted.rounds, predicted.unmetered) == (spent.calls, spent.rounds, 0)
    assert 3 < spent.tokens_in / predicted.tokens_in < 4.5
