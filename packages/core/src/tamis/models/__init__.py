"""Who answers. Nothing heavy is imported until a model that needs it is made."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamis.models.causal_lm import CausalLM
    from tamis.models.cost_only import CostOnly
    from tamis.models.function import Function
    from tamis.models.list_reranker import ListReranker
    from tamis.models.lm_cross_encoder import LMCrossEncoder
    from tamis.models.multi_vector import MultiVectorEmbedder
    from tamis.models.onnx import OnnxCrossEncoder, OnnxEmbedder
    from tamis.models.onnx_tokens import OnnxTokenEmbedder
    from tamis.models.openai_chat import OpenAIChat
    from tamis.models.parade import Parade
    from tamis.models.rerank_service import RerankService
    from tamis.models.seq2seq_lm import Seq2SeqLM
    from tamis.models.transformers_encoders import SentenceTransformerEmbedder, TransformersCrossEncoder

_WHERE = {
    "CausalLM": "causal_lm",
    "CostOnly": "cost_only",
    "Function": "function",
    "ListReranker": "list_reranker",
    "LMCrossEncoder": "lm_cross_encoder",
    "MultiVectorEmbedder": "multi_vector",
    "OnnxCrossEncoder": "onnx",
    "OnnxEmbedder": "onnx",
    "OnnxTokenEmbedder": "onnx_tokens",
    "OpenAIChat": "openai_chat",
    "Parade": "parade",
    "RerankService": "rerank_service",
    "Seq2SeqLM": "seq2seq_lm",
    "SentenceTransformerEmbedder": "transformers_encoders",
    "TransformersCrossEncoder": "transformers_encoders",
}

__all__ = [
    "CausalLM",
    "CostOnly",
    "Function",
    "LMCrossEncoder",
    "ListReranker",
    "MultiVectorEmbedder",
    "OnnxCrossEncoder",
    "OnnxEmbedder",
    "OnnxTokenEmbedder",
    "OpenAIChat",
    "Parade",
    "RerankService",
    "SentenceTransformerEmbedder",
    "Seq2SeqLM",
    "TransformersCrossEncoder",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tamis.models' has no attribute {name!r}")
    return getattr(import_module(f"tamis.models.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
