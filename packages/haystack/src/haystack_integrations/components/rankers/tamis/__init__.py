"""tamis for Haystack: a ranker component, and Haystack's generators and embedders as tamis models."""

from haystack_integrations.components.rankers.tamis.models import HaystackChat, HaystackTextEmbedder
from haystack_integrations.components.rankers.tamis.ranker import TamisRanker

__all__ = ["HaystackChat", "HaystackTextEmbedder", "TamisRanker"]
