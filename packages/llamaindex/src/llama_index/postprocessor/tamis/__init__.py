"""tamis as a LlamaIndex node postprocessor."""

from llama_index.postprocessor.tamis.base import TamisRerank
from llama_index.postprocessor.tamis.models import LlamaIndexEmbedding, LlamaIndexLLM

__all__ = ["LlamaIndexEmbedding", "LlamaIndexLLM", "TamisRerank"]
