"""Token vectors from an ONNX graph, for late interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError
from tamis.models.lazy import once
from tamis.models.local.base import LOCAL, FileInside, Weights
from tamis.models.local.onnx import CPU, OnnxEncoder
from tamis.models.local.pairs import Pair, batch
from tamis.models.local.vectors import Precision, stored
from tamis.text.vectors import unit_length
from tamis.values.answers import TokenVectors
from tamis.values.calls import Capability, EmbedTokens


@dataclass(frozen=True, config=LOCAL)
class OnnxTokenEmbedder(OnnxEncoder):
    """An encoder as an ONNX graph that gives a vector per token, for `LateInteraction`. Can `embed_tokens`.

    Any encoder will do: the token vectors of an embedder trained with one vector per text still find matching words.
    For a model trained for late interaction with markers, masks and a projection of its own use `MultiVectorEmbedder`.

    Args:
        path: folder with `file` and `tokenizer.json`.
        query_prefix, passage_prefix: put before each text, as the model's card says. Their tokens count as the text's.
        max_length: tokens of a text; what is longer is cut.
        precision: of the vectors: `"float16"` halves what an engine has to keep of passages.
        threads, max_batch, batch_tokens, providers, file: as for `OnnxCrossEncoder`.

    Needs the extra `onnx`. Raises `ConfigError` for a folder without the files or a graph with one vector per text.
    """

    path: Weights
    query_prefix: str = ""
    passage_prefix: str = ""
    max_length: Annotated[int, Field(ge=8)] = 512
    precision: Precision = "float32"
    threads: PositiveInt | None = None
    max_batch: PositiveInt = 32
    providers: tuple[str, ...] = CPU
    file: FileInside = "model.onnx"
    batch_tokens: PositiveInt | None = None

    capabilities: ClassVar[tuple[Capability, ...]] = ("embed_tokens",)

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> list[TokenVectors]:
        """One vector per token, (tokens, width), the tokens that begin and end a text among them."""
        prefix: Mapping[str, str] = {"query": self.query_prefix, "passage": self.passage_prefix}
        found = self._cutting.encode_batch([prefix[call.role] + self._text(call) for call in calls])
        texts = [Pair(encoding.ids, encoding.type_ids) for encoding in found]
        lengths = [len(text.ids) for text in texts]

        def run(group: list[int], session: Any) -> list[NDArray[Any]]:
            output = self._output(session, batch([texts[index] for index in group], self._pad))
            if output.ndim != 3:
                raise ConfigError(
                    f"{self.name}: the graph gives a vector per text; LateInteraction needs one per token"
                )
            return [
                stored(unit_length(vectors[: lengths[index]]), self.precision)
                for index, vectors in zip(group, output, strict=True)
            ]

        answers: dict[int, TokenVectors] = {}
        for group, arrays in self._each(lengths, run):
            for index, array in zip(group, arrays, strict=True):
                answers[index] = TokenVectors(array, tokens_in=lengths[index], tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    @once
    def _cutting(self) -> Any:
        return self._tokenizer_cutting("longest_first")
