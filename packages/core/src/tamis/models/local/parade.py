"""PARADE: a long document scored from what an encoder makes of its passages, before anything is a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, needed
from tamis.models.lazy import once
from tamis.models.local.base import LOCAL
from tamis.models.local.transformers_encoders import TransformersCrossEncoder
from tamis.parts.permissions import Needs
from tamis.text.terms import passages
from tamis.values.answers import Score
from tamis.values.calls import Classify

POOLINGS = ("mean", "max", "attention", "transformer")
NEEDED = {"attention": ("attention",), "transformer": ("first", "heads")}
"""What a head of each pooling holds beside `weight` and `bias`."""


@dataclass(frozen=True, config=LOCAL)
class Parade(TransformersCrossEncoder):
    """An encoder with a trained head over the vectors of a document's passages. Can `classify`.

    Args:
        model: the encoder, as for `TransformersCrossEncoder`, of which (query, passage) pairs get the first token's
            last state.
        head: an `.npz` file with `pooling`, `weight` (width,) and `bias` (). Poolings: `"mean"`; `"max"`, elementwise;
            `"attention"`: weighted by the softmax of each vector's product with the vector `attention` (width,);
            `"transformer"`: what layers over the passages make of a vector `first` (width,) in front of them, with
            `heads` () and the layers as `torch.nn.TransformerEncoder` names them (`layers.0.linear1.weight`, ...;
            post-norm, GELU).
        words, overlap, at_most: how a document is cut, as for the stage's `Passages`.

    Give it whole documents: `CrossEncoder(Parade(...))`. `tokens_in` counts all passages. Source: Li et al., 2020
    (PARADE-Avg, -Max, -Attn and -Transformer). Where relevance is in one passage, the best passage's score
    (`Passages`) does as well and needs no head. Raises `ConfigError` for a file that is no
    such head.
    """

    head: Annotated[str, Needs("files")] = ""
    words: PositiveInt = 150
    overlap: NonNegativeInt = 50
    at_most: PositiveInt = 16

    loader: ClassVar[str] = "AutoModel"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.head:
            raise ConfigError("Parade needs the file of a trained head: head=...")
        if 2 * self.overlap >= self.words:
            raise ConfigError(f"overlap must be less than half of words: {self.overlap} of {self.words}")

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        """One logit a document."""
        cut = [passages(call.text, self.words, self.overlap, self.at_most) for call in calls]
        asked = [Classify(self, call.query, text) for call, texts in zip(calls, cut, strict=True) for text in texts]
        pairs = self._pairs.pairs(asked)
        rows, answers, start = self._rows(pairs), [], 0
        for texts in cut:
            own = slice(start, start + len(texts))
            read = sum(len(pair.ids) for pair in pairs[own])
            answers.append(Score(self._pooled(rows[own]), tokens_in=read, tokens_out=0))
            start += len(texts)
        return answers

    def _read(self, output: Any) -> Any:
        return output.last_hidden_state[:, 0]

    def _pooled(self, vectors: NDArray[Any]) -> float:
        """The score of a document from the vectors (passages, width) of its passages."""
        head = self._head
        if head["pooling"] == "max":
            document = vectors.max(axis=0)
        elif head["pooling"] == "mean":
            document = vectors.mean(axis=0)
        elif head["pooling"] == "transformer":
            document = self._over_passages(vectors)
        else:
            looks = vectors @ head["attention"]
            weights = np.exp(looks - looks.max())
            document = weights @ vectors / weights.sum()
        return float(document @ head["weight"] + head["bias"])

    def _over_passages(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """What the layers make of the vector in front of the passages'."""
        torch = needed("torch", "Parade", "transformers")
        rows = np.vstack([self._head["first"], vectors]).astype(np.float32)
        with torch.inference_mode():
            return np.asarray(self._layers(torch.from_numpy(rows)[None])[0, 0].numpy())

    @once
    def _layers(self) -> Any:
        torch = needed("torch", "Parade", "transformers")
        head = self._head
        state = {name: torch.from_numpy(array).float() for name, array in head.items() if name.startswith("layers.")}
        count = 1 + max((int(name.split(".")[1]) for name in state), default=0)
        try:
            inner = len(state["layers.0.linear1.bias"])
            layer = torch.nn.TransformerEncoderLayer(
                len(head["first"]), int(head["heads"]), inner, activation="gelu", batch_first=True
            )
            layers = torch.nn.TransformerEncoder(layer, count, enable_nested_tensor=False)
            layers.load_state_dict(state)
        except (KeyError, ValueError, RuntimeError, AssertionError) as error:
            told = f"{self.head!r} holds no layers that torch.nn.TransformerEncoder takes: {error}"
            raise ConfigError(told) from error
        return layers.eval()

    @once
    def _head(self) -> dict[str, Any]:
        try:
            with np.load(self.head, allow_pickle=False) as file:
                head: dict[str, Any] = {name: file[name] for name in file.files}
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read a head from {self.head!r}: {error}") from error
        head["pooling"] = str(head.get("pooling", ""))
        holds = ("weight", "bias", *NEEDED.get(head["pooling"], ()))
        if head["pooling"] not in POOLINGS or not all(name in head for name in holds):
            told = f"pooling ({', '.join(POOLINGS)}), {', '.join(holds)}"
            raise ConfigError(f"{self.head!r} is not a head: it must hold {told}; it holds {', '.join(head)}")
        return head
