"""Transformer blocks in what numpy arrays and torch tensors have in common; `xp` is either module.

Blocks know no positions: what is in another order comes out in that order. Width stays; `name` is where a block's
weights are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tamis.errors import ConfigError
from tamis.pool.sparse import Floats


def divided(width: int, heads: int, by: str) -> None:
    """Raise `ConfigError` unless the heads share the width evenly."""
    if width % heads:
        raise ConfigError(f"{by}: hidden must be a multiple of heads, got hidden {width} and {heads} heads")


def attend(xp: Any, weights: Any, name: str, x: Any, heads: int, allowed: Any = None) -> Any:
    """Every row of `x` (..., n, width) looks at all others; `allowed`: 0 or -inf for each pair, n x n."""
    *lead, size, width = x.shape

    def split(values: Any) -> Any:
        return xp.swapaxes(values.reshape(*lead, size, heads, width // heads), -2, -3)

    query, key, value = (split(x @ weights[f"{name}.{part}"]) for part in ("query", "key", "value"))
    logits = query @ xp.swapaxes(key, -1, -2) / math.sqrt(width // heads)
    shares = softmax(xp, logits if allowed is None else logits + allowed)
    return xp.swapaxes(shares @ value, -2, -3).reshape(*lead, size, width) @ weights[f"{name}.out"]


def softmax(xp: Any, logits: Any) -> Any:
    """Over the last axis."""
    raised = xp.exp(logits - xp.amax(logits, -1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def normed(xp: Any, weights: Any, name: str, x: Any) -> Any:
    """Layer normalisation over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    deviation = xp.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return centred / deviation * weights[f"{name}.gain"] + weights[f"{name}.shift"]


def block(
    xp: Any, weights: Any, name: str, x: Any, heads: int, drop: Callable[[Any], Any], masks: tuple[Any, ...] = (None,)
) -> Any:
    """Attention, once for each of `masks`, summed, then a feed-forward layer; each on normed input, added to it."""
    plain = normed(xp, weights, f"{name}.before", x)
    for place, allowed in enumerate(masks):
        x = x + drop(attend(xp, weights, f"{name}.attention.{place}", plain, heads, allowed))
    inner = (normed(xp, weights, f"{name}.between", x) @ weights[f"{name}.wide"] + weights[f"{name}.bias"]).clip(min=0)
    return x + drop(inner @ weights[f"{name}.narrow"])


def initial_block(name: str, width: int, rng: np.random.Generator, attentions: int = 1) -> dict[str, Floats]:
    """Weights of one block with a feed-forward layer four times as wide."""
    weights = {f"{name}.{norm}.gain": np.ones(width) for norm in ("before", "between")}
    weights |= {f"{name}.{norm}.shift": np.zeros(width) for norm in ("before", "between")}
    for place in range(attentions):
        for part in ("query", "key", "value", "out"):
            weights[f"{name}.attention.{place}.{part}"] = rng.standard_normal((width, width)) * width**-0.5
    weights[f"{name}.wide"] = rng.standard_normal((width, 4 * width)) * width**-0.5
    weights[f"{name}.bias"] = np.zeros(4 * width)
    weights[f"{name}.narrow"] = rng.standard_normal((4 * width, width)) * (4 * width) ** -0.5
    return weights
