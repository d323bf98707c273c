"""tamis for LangChain: which retrieved documents are good, in which order, and how many."""

from langchain_tamis.compressor import TamisCompressor
from langchain_tamis.models import LangChainChat, LangChainCrossEncoder, LangChainEmbeddings

__all__ = ["LangChainChat", "LangChainCrossEncoder", "LangChainEmbeddings", "TamisCompressor"]
