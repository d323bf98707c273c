"""Reading a model's shape from the `config.json` that Hugging Face folders carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tamis.compute.flops import Architecture
from tamis.errors import ConfigError

BERT_LIKE = frozenset({"bert", "camembert", "electra", "mpnet", "roberta", "xlm-roberta"})
T5_LIKE = frozenset({"t5", "mt5", "umt5"})
GATED_DECODERS = frozenset(
    {"gemma", "gemma2", "gemma3_text", "granite", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"}
)
MIXTURES = frozenset({"mixtral", "qwen3_moe"})


def read_folder(folder: Path) -> Architecture | None:
    """From the `config.json` in a folder of weights; `None` when there is none, or none of a known kind."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return read_config(config)


def read_config(config: Any) -> Architecture | None:
    """From a Hugging Face config: the mapping a `config.json` holds, or the object. `None` for an unknown kind.

    >>> read_config({"model_type": "bert", "num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536,
    ...              "vocab_size": 30522}).flops(256)
    6039797760
    """
    values = config.to_dict() if hasattr(config, "to_dict") else config
    if not isinstance(values, Mapping):
        return None
    if isinstance(values.get("text_config"), Mapping):
        values = values["text_config"]
    try:
        return _read(values)
    except (KeyError, TypeError, ZeroDivisionError, ConfigError):
        return None


def _read(c: Mapping[str, Any]) -> Architecture | None:
    kind, vocabulary = c.get("model_type"), c.get("vocab_size") or 0
    if kind in BERT_LIKE:
        return Architecture("encoder", *_sizes(c), vocabulary=vocabulary)
    if kind == "distilbert":
        return Architecture("encoder", c["n_layers"], c["dim"], c["hidden_dim"], vocabulary=vocabulary)
    if kind == "modernbert":
        return Architecture("encoder", *_sizes(c), ffn_matrices=3, vocabulary=vocabulary)
    if kind == "deberta-v2":
        return _deberta(c, vocabulary)
    if kind in T5_LIKE:
        return _t5(c, vocabulary)
    if kind == "gpt2":
        width = c["n_embd"]
        return Architecture("decoder", c["n_layer"], width, c.get("n_inner") or 4 * width, vocabulary=vocabulary)
    if kind in GATED_DECODERS:
        return Architecture("decoder", *_sizes(c), **_heads(c), ffn_matrices=3, vocabulary=vocabulary)
    return _mixture(c, vocabulary) if kind in MIXTURES else None


def _sizes(c: Mapping[str, Any]) -> tuple[int, int, int]:
    return c["num_hidden_layers"], c["hidden_size"], c["intermediate_size"]


def _heads(c: Mapping[str, Any]) -> dict[str, Any]:
    heads, width = c["num_attention_heads"], c["hidden_size"]
    attention = heads * (c.get("head_dim") or width // heads)
    return {
        "attention_width": None if attention == width else attention,
        "query_heads_per_kv": heads // (c.get("num_key_value_heads") or heads),
    }


def _deberta(c: Mapping[str, Any], vocabulary: int) -> Architecture | None:
    """Only with buckets: without them there are as many relative positions as the text is long."""
    buckets = c.get("position_buckets") or 0
    if not c.get("relative_attention") or buckets < 1:
        return None
    return Architecture("encoder", *_sizes(c), vocabulary=vocabulary, relative_positions=2 * buckets)


def _t5(c: Mapping[str, Any], vocabulary: int) -> Architecture | None:
    """Only with as many layers in the decoder as in the encoder."""
    layers, width, attention = c["num_layers"], c["d_model"], c["num_heads"] * c["d_kv"]
    if (c.get("num_decoder_layers") or layers) != layers:
        return None
    return Architecture(
        "encoder-decoder",
        layers,
        width,
        c["d_ff"],
        attention_width=None if attention == width else attention,
        ffn_matrices=3 if str(c.get("feed_forward_proj")).startswith("gated") else 2,
        vocabulary=vocabulary,
    )


def _mixture(c: Mapping[str, Any], vocabulary: int) -> Architecture | None:
    """Only where every layer is a mixture."""
    if c.get("mlp_only_layers") or c.get("decoder_sparse_step", 1) != 1:
        return None
    layers, width, ffn_width = _sizes(c)
    return Architecture(
        "decoder",
        layers,
        width,
        c.get("moe_intermediate_size") or ffn_width,
        **_heads(c),
        ffn_matrices=3,
        vocabulary=vocabulary,
        active_experts=c["num_experts_per_tok"],
    )
