"""Compute accounting: floating-point operations of a model call, from the shape of its transformer.

Two forms. `"corrected"` counts every matrix product of a forward pass: three feed-forward matrices where they are
gated, attention over all query heads, the head that writes. `"paper"` is E2R-FLOPs as printed (Peng et al., 2025), for
comparison with published numbers; it comes to about 0.7 to 0.8 of the work where feed-forward layers are gated.
Neither halves attention for a causal mask or a sliding window; both leave out embedding look-ups, norms and poolers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal, get_args

from pydantic import Field

from tamis.errors import ConfigError, InputError
from tamis.parts.part import part

PETA = 1e15
Form = Literal["corrected", "paper"]
Kind = Literal["encoder", "decoder", "encoder-decoder"]
Size = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Terms = tuple[int, int, int, int, int, int]
"""The coefficients of 1, n, n², m, nm and m²: in every form compute is a quadratic in the tokens read and written."""


@part
class Architecture:
    """The shape of a transformer: all that its compute depends on.

    Args:
        kind: which halves it has.
        layers: of each half.
        width: of the residual stream (d).
        ffn_width: of the feed-forward layer; of one expert, in a mixture.
        attention_width: query heads times their width; default: `width`.
        ffn_matrices: 3 where the feed-forward layer is gated, else 2.
        query_heads_per_kv: query heads that share a key and value head (r); 1 without grouping.
        vocabulary: tokens the head that writes chooses from.
        active_experts: experts a token passes through.
        relative_positions: position vectors that attention projects and compares in every layer (DeBERTa).

    >>> qwen = Architecture("decoder", 28, 3584, 18944, ffn_matrices=3, query_heads_per_kv=7, vocabulary=152064)
    >>> f"{qwen.flops(1000, 1):.4g}", f"{qwen.flops(1000, 1, form='paper'):.4g}"
    ('1.345e+13', '9.315e+12')
    """

    kind: Kind
    layers: Size
    width: Size
    ffn_width: Size
    attention_width: Size | None = None
    ffn_matrices: Literal[2, 3] = 2
    query_heads_per_kv: Size = 1
    vocabulary: Count = 0
    active_experts: Size = 1
    relative_positions: Count = 0

    def __post_init__(self) -> None:
        if self._queries % self.query_heads_per_kv:
            raise ConfigError(
                f"query_heads_per_kv {self.query_heads_per_kv} must divide the attention width {self._queries}"
            )

    @property
    def parameters(self) -> int:
        """Weights a token meets: the layers' matrices without embeddings; of a mixture, the active experts' only."""
        return self._encoder + self._decoder + (2 * self._square if self.kind == "encoder-decoder" else 0)

    def flops(self, tokens_in: int, tokens_out: int = 0, *, form: Form = "corrected") -> int:
        """Operations (a multiply-add is two) to read `tokens_in` (n) and write `tokens_out` (m) tokens.

        An encoder writes nothing: m is ignored. With m = 0 a decoder only reads, and of an encoder-decoder only the
        encoder works: an embedding. A label read off the next token's probabilities is m = 1.
        """
        n, m = tokens_in, tokens_out
        c, c_n, c_nn, c_m, c_nm, c_mm = self._terms[form, m > 0]
        return c + n * (c_n + c_nn * n + c_nm * m) + m * (c_m + c_mm * m)

    @cached_property
    def _terms(self) -> dict[tuple[Form, bool], Terms]:
        """By form, and by whether anything is written. Kept, since an engine counts every call."""
        forms: tuple[Form, ...] = get_args(Form)
        return {(form, writes): self._quadratic(form == "paper", writes) for form in forms for writes in (False, True)}

    def _quadratic(self, paper: bool, writes: bool) -> Terms:
        attention, head = 4 * self._attention, 0 if paper else 2 * self.vocabulary * self.width
        if self.kind == "decoder" and paper:
            weights, shared = 2 * self._printed, attention // self.query_heads_per_kv
            return 0, weights, shared, weights - shared // 2, shared, shared // 2
        if self.kind == "decoder":
            weights = 2 * self._decoder
            if not writes:
                return 0, weights, attention, 0, 0, 0
            # The last token written is not read again: weights * p + attention * p**2 with p = n + m - 1.
            twice = 2 * attention
            return attention - weights, weights - twice, attention, weights - twice + head, twice, attention
        positions = 0 if paper else attention * self.relative_positions
        reading = positions + 2 * (self._printed if paper else self._encoder)
        if self.kind == "encoder" or not writes:
            return positions * self.width, reading, attention, 0, 0, 0
        across = attention * self.width
        writing = 2 * (self._printed + 2 * self._square if paper else self._decoder)
        writing += head - attention // 2
        return positions * self.width, reading + across, attention, writing, attention, attention // 2

    @property
    def _queries(self) -> int:
        return self.attention_width or self.width

    @property
    def _attention(self) -> int:
        """Width of the query heads of all layers together."""
        return self.layers * self._queries

    @property
    def _square(self) -> int:
        """Weights of one projection between the stream and the query heads, in all layers together."""
        return self._attention * self.width

    @property
    def _ffn(self) -> int:
        return self.layers * self.width * self.ffn_width * self.active_experts

    @property
    def _encoder(self) -> int:
        return 0 if self.kind == "decoder" else 4 * self._square + self.ffn_matrices * self._ffn

    @property
    def _decoder(self) -> int:
        """Weights a written token meets. Keys and values of the text an encoder has read are made once, apart."""
        if self.kind == "encoder":
            return 0
        other = 4 * self._square if self.kind == "encoder-decoder" else 2 * self._square // self.query_heads_per_kv
        return 2 * self._square + other + self.ffn_matrices * self._ffn

    @property
    def _printed(self) -> int:
        """N of the paper: always two feed-forward matrices."""
        keys = self._square // self.query_heads_per_kv if self.kind == "decoder" else self._square
        return 2 * (self._square + keys + self._ffn)


def rpp(metric: Sequence[float], flops: Sequence[float]) -> float:
    """Ranking metric per PetaFLOP, the mean over queries of `metric / (flops / 1e15)` (Peng et al., 2025).

    It rewards cheapness heavily: show the metric beside it. NaN where some query cost nothing, or there is none.
    Raises `InputError` unless there are as many of one as of the other.

    >>> round(rpp([0.670], [0.025e15]), 2)
    26.8
    """
    if len(metric) != len(flops):
        raise InputError(f"rpp needs one FLOPs value per query: {len(metric)} metric values, {len(flops)} FLOPs")
    if not flops or not all(flops):
        return math.nan
    return math.fsum(value / (spent / PETA) for value, spent in zip(metric, flops, strict=True)) / len(flops)


def qpp(flops: Sequence[float]) -> float:
    """Queries per PetaFLOP: `1e15 / mean(flops)` (Peng et al., 2025). NaN where nothing was spent.

    >>> qpp([0.025e15])
    40.0
    """
    spent = math.fsum(flops)
    return PETA * len(flops) / spent if spent else math.nan
