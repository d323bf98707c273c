"""The architectures of well-known public models, by the names they go by."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator

from tamis.compute.flops import Architecture
from tamis.errors import ConfigError


def architecture_of(model: Any) -> Architecture | None:
    """What a model object says of itself in `architecture`, else what its `name` says; `None` when neither tells."""
    declared = getattr(model, "architecture", None)
    if isinstance(declared, Architecture):
        return declared
    name = declared or getattr(model, "name", None)
    return architecture_named(name) if isinstance(name, str) else None


@lru_cache(maxsize=256)
def architecture_named(name: str) -> Architecture | None:
    """The architecture of a public model, its name spelt as hubs and servers do; `None` for an unknown one.

    What follows a known name after a hyphen (`-instruct`, `-v2`, `-q4_K_M`, ...) is taken for a version of that model.

    >>> architecture_named("Qwen/Qwen3-8B-AWQ") == architecture_named("qwen3:8b") == ARCHITECTURES["Qwen3-8B"]
    True
    """
    parts = _plain(name).split("-")
    beginnings = ("-".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((_BY_PLAIN_NAME[beginning] for beginning in beginnings if beginning in _BY_PLAIN_NAME), None)


def _plain(name: str) -> str:
    """Without owner, case and ways to write a hyphen: `Llama-3.1-8B` and `llama3.1:8b` are both `llama3.1-8b`."""
    words = re.sub(r"[-_:\s]+|\.(?!\d)", "-", name.rpartition("/")[2].lower())
    return re.sub(r"(?<=[a-z])-(?=\d)", "", words).removeprefix("meta-")


def _described(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Architecture(**value)
    if isinstance(value, str) and architecture_named(value) is None:
        near = difflib.get_close_matches(_plain(value), _BY_PLAIN_NAME, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"no well-known model is called {value!r}. {hint}tamis.compute.architectures.ARCHITECTURES lists them; for "
            "another model give the fields of a tamis.compute.flops.Architecture"
        )
    return value


ArchitectureRef = Annotated[Architecture | str | None, BeforeValidator(_described)]
"""Field type: an `Architecture`, the mapping of its fields, or a name that `architecture_named` knows."""


def _bert(layers: int, width: int, vocabulary: int = 30522) -> Architecture:
    return Architecture("encoder", layers, width, 4 * width, vocabulary=vocabulary)


def _modernbert(layers: int, width: int, ffn_width: int) -> Architecture:
    return Architecture("encoder", layers, width, ffn_width, ffn_matrices=3, vocabulary=50368)


def _deberta(layers: int, width: int) -> Architecture:
    return Architecture("encoder", layers, width, 4 * width, vocabulary=128100, relative_positions=512)


def _t5(layers: int, width: int, ffn_width: int, attention: int | None = None) -> Architecture:
    return Architecture("encoder-decoder", layers, width, ffn_width, attention, vocabulary=32128)


def _flan(layers: int, width: int, ffn_width: int, attention: int | None = None) -> Architecture:
    return Architecture("encoder-decoder", layers, width, ffn_width, attention, ffn_matrices=3, vocabulary=32128)


def _llm(
    layers: int, width: int, ffn_width: int, r: int, vocabulary: int, attention: int | None = None, experts: int = 1
) -> Architecture:
    return Architecture(
        "decoder",
        layers,
        width,
        ffn_width,
        attention,
        ffn_matrices=3,
        query_heads_per_kv=r,
        vocabulary=vocabulary,
        active_experts=experts,
    )


_BERT_SMALL, _BERT_BASE, _BERT_LARGE = _bert(12, 384), _bert(12, 768), _bert(24, 1024)
_XLMR_BASE, _XLMR_LARGE = _bert(12, 768, 250002), _bert(24, 1024, 250002)
_MINILM_L6 = _bert(6, 384)
_DEBERTA_XSMALL, _DEBERTA_BASE, _DEBERTA_LARGE = _deberta(12, 384), _deberta(12, 768), _deberta(24, 1024)
_MODERNBERT_BASE = _modernbert(22, 768, 1152)
_LLAMA_8B, _LLAMA_70B = _llm(32, 4096, 14336, 4, 128256), _llm(80, 8192, 28672, 8, 128256)
_QWEN25_05B, _QWEN25_15B = _llm(24, 896, 4864, 7, 151936), _llm(28, 1536, 8960, 6, 151936)
_QWEN3_06B = _llm(28, 1024, 3072, 2, 151936, 2048)
_QWEN3_4B = _llm(36, 2560, 9728, 4, 151936, 4096)
_QWEN3_8B = _llm(36, 4096, 12288, 4, 151936)
_MISTRAL_7B = _llm(32, 4096, 14336, 4, 32000)
_T5_BASE, _T5_LARGE, _T5_3B = _t5(12, 768, 3072), _t5(24, 1024, 4096), _t5(24, 1024, 16384, 4096)

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "ms-marco-TinyBERT-L2": _bert(2, 128),
        "ms-marco-MiniLM-L6": _MINILM_L6,
        "ms-marco-MiniLM-L12": _BERT_SMALL,
        "all-MiniLM-L6": _MINILM_L6,
        "all-MiniLM-L12": _BERT_SMALL,
        "all-mpnet-base": _bert(12, 768, 30527),
        "BERT-base": _BERT_BASE,
        "BERT-large": _BERT_LARGE,
        "DistilBERT-base": _bert(6, 768),
        "RoBERTa-base": _bert(12, 768, 50265),
        "RoBERTa-large": _bert(24, 1024, 50265),
        "XLM-RoBERTa-base": _XLMR_BASE,
        "XLM-RoBERTa-large": _XLMR_LARGE,
        "bge-small-en": _BERT_SMALL,
        "bge-base-en": _BERT_BASE,
        "bge-large-en": _BERT_LARGE,
        "bge-m3": _XLMR_LARGE,
        "bge-reranker-base": _XLMR_BASE,
        "bge-reranker-large": _XLMR_LARGE,
        "bge-reranker-v2-m3": _XLMR_LARGE,
        "e5-small": _BERT_SMALL,
        "e5-base": _BERT_BASE,
        "e5-large": _BERT_LARGE,
        "multilingual-e5-small": _bert(12, 384, 250037),
        "multilingual-e5-base": _XLMR_BASE,
        "multilingual-e5-large": _XLMR_LARGE,
        "ModernBERT-base": _MODERNBERT_BASE,
        "ModernBERT-large": _modernbert(28, 1024, 2624),
        "gte-modernbert-base": _MODERNBERT_BASE,
        "gte-reranker-modernbert-base": _MODERNBERT_BASE,
        "DeBERTa-v3-xsmall": _DEBERTA_XSMALL,
        "DeBERTa-v3-small": _deberta(6, 768),
        "DeBERTa-v3-base": _DEBERTA_BASE,
        "DeBERTa-v3-large": _DEBERTA_LARGE,
        "mxbai-rerank-xsmall-v1": _DEBERTA_XSMALL,
        "mxbai-rerank-base-v1": _DEBERTA_BASE,
        "mxbai-rerank-large-v1": _DEBERTA_LARGE,
        "mxbai-rerank-base-v2": _QWEN25_05B,
        "mxbai-rerank-large-v2": _QWEN25_15B,
        "t5-base": _T5_BASE,
        "t5-large": _T5_LARGE,
        "t5-3b": _T5_3B,
        "monot5-base": _T5_BASE,
        "monot5-large": _T5_LARGE,
        "monot5-3b": _T5_3B,
        "Flan-T5-small": _flan(8, 512, 1024, 384),
        "Flan-T5-base": _flan(12, 768, 2048),
        "Flan-T5-large": _flan(24, 1024, 2816),
        "Flan-T5-XL": _flan(24, 2048, 5120),
        "Flan-T5-XXL": _flan(24, 4096, 10240),
        "SmolLM2-135M": _llm(30, 576, 1536, 3, 49152),
        "SmolLM2-360M": _llm(32, 960, 2560, 3, 49152),
        "SmolLM2-1.7B": _llm(24, 2048, 8192, 1, 49152),
        "Qwen2.5-0.5B": _QWEN25_05B,
        "Qwen2.5-1.5B": _QWEN25_15B,
        "Qwen2.5-3B": _llm(36, 2048, 11008, 8, 151936),
        "Qwen2.5-7B": _llm(28, 3584, 18944, 7, 152064),
        "Qwen2.5-14B": _llm(48, 5120, 13824, 5, 152064),
        "Qwen2.5-32B": _llm(64, 5120, 27648, 5, 152064),
        "Qwen2.5-72B": _llm(80, 8192, 29568, 8, 152064),
        "Qwen3-0.6B": _QWEN3_06B,
        "Qwen3-1.7B": _llm(28, 2048, 6144, 2, 151936),
        "Qwen3-4B": _QWEN3_4B,
        "Qwen3-8B": _QWEN3_8B,
        "Qwen3-14B": _llm(40, 5120, 17408, 5, 151936),
        "Qwen3-32B": _llm(64, 5120, 25600, 8, 151936, 8192),
        "Qwen3-30B-A3B": _llm(48, 2048, 768, 8, 151936, 4096, experts=8),
        "Qwen3-Embedding-0.6B": _QWEN3_06B,
        "Qwen3-Embedding-4B": _QWEN3_4B,
        "Qwen3-Embedding-8B": _QWEN3_8B,
        "Qwen3-Reranker-0.6B": _QWEN3_06B,
        "Qwen3-Reranker-4B": _QWEN3_4B,
        "Qwen3-Reranker-8B": _QWEN3_8B,
        "Llama-2-7B": _llm(32, 4096, 11008, 1, 32000),
        "Llama-2-13B": _llm(40, 5120, 13824, 1, 32000),
        "Llama-3-8B": _LLAMA_8B,
        "Llama-3-70B": _LLAMA_70B,
        "Llama-3.1-8B": _LLAMA_8B,
        "Llama-3.1-70B": _LLAMA_70B,
        "Llama-3.2-1B": _llm(16, 2048, 8192, 4, 128256),
        "Llama-3.2-3B": _llm(28, 3072, 8192, 3, 128256),
        "Llama-3.3-70B": _LLAMA_70B,
        "Mistral-7B": _MISTRAL_7B,
        "Mixtral-8x7B": _llm(32, 4096, 14336, 4, 32000, experts=2),
        "Gemma-2-2B": _llm(26, 2304, 9216, 2, 256000, 2048),
        "Gemma-2-9B": _llm(42, 3584, 14336, 2, 256000, 4096),
        "Gemma-2-27B": _llm(46, 4608, 36864, 2, 256000, 4096),
        "Phi-3-mini": _llm(32, 3072, 8192, 1, 32064),
        "rank_zephyr_7b": _MISTRAL_7B,
        "rank_vicuna_7b": _llm(32, 4096, 11008, 1, 32000),
    }
)
"""Layers, width, feed-forward width, r, vocabulary, attention width: from each model's published config."""

_BY_PLAIN_NAME = {_plain(name): architecture for name, architecture in ARCHITECTURES.items()}
