"""ColBERT and its kin, with sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, MissingExtra, needed
from tamis.models.lazy import once
from tamis.models.local.base import LOCAL, Weights, loaded, torch_device
from tamis.models.local.transformers_encoders import SentenceTransformersModel
from tamis.models.local.vectors import Precision, stored
from tamis.values.answers import TokenVectors
from tamis.values.calls import Capability, EmbedTokens

PROJECTED = ("HF_ColBERT", "ForRetrieval")
"""Ends of the names of architectures that hold their projection among the model's own weights."""


@dataclass(frozen=True, config=LOCAL)
class MultiVectorEmbedder(SentenceTransformersModel):
    """A model trained for late interaction: ColBERT, PyLate, sentence-transformers. Can `embed_tokens`.

    What the checkpoint says is done: its projection, the markers of queries and passages, how many masks a query is
    filled up with and whether they are attended to, how long a text may be, and which passage tokens (punctuation) give
    no vector. Source: Khattab and Zaharia, 2020; Chaffin and Sourty, 2025 (PyLate).

    Args:
        model: a folder, a hub name, or a `MultiVectorEncoder`.
        device: as for `CausalLM`.
        max_batch: texts in one call; sentence-transformers groups them by length.
        precision: of the vectors: `"float16"` halves what an engine has to keep of passages.

    Needs the extra `late-interaction`. Raises `ConfigError` for weights that cannot be loaded or have no projection.
    """

    model: Weights
    device: str | None = None
    max_batch: PositiveInt = 32
    precision: Precision = "float32"

    capabilities: ClassVar[tuple[Capability, ...]] = ("embed_tokens",)

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> list[TokenVectors]:
        """One vector per token the checkpoint keeps, (tokens, width), each row of length 1."""
        arrays = self._encoded(calls, query={"convert_to_numpy": True}, passage={"convert_to_numpy": True})
        return [TokenVectors(stored(array, self.precision)) for array in arrays]

    @once
    def _network(self) -> Any:
        if not isinstance(self.model, str):
            return self.model.to(self.device) if self.device else self.model
        library = needed("sentence_transformers", "MultiVectorEmbedder", "late-interaction")
        if not hasattr(library, "MultiVectorEncoder"):
            raise MissingExtra("MultiVectorEmbedder (sentence-transformers 6)", "late-interaction")
        network = loaded(library.MultiVectorEncoder, self.model, device=torch_device(self.device))
        self._require_projection(network)
        return network

    def _require_projection(self, network: Any) -> None:
        """The library gives a checkpoint without a projection a random one, whose scores mean nothing."""
        util = needed("sentence_transformers.util", "MultiVectorEmbedder", "late-interaction")
        if not any(type(module).__name__ == "Dense" for module in network):
            return
        kinds = getattr(network.transformers_model.config, "architectures", None) or ()
        modules = util.load_file_path(self.model, "modules.json")
        listed = modules is not None and "Dense" in Path(modules).read_text(encoding="utf-8")
        if not (listed or any(kind.endswith(PROJECTED) for kind in kinds)):
            raise ConfigError(
                f"{self.model!r} has no projection for late interaction. Name a ColBERT or PyLate checkpoint, "
                "or use the token vectors of a plain encoder with OnnxTokenEmbedder."
            )
