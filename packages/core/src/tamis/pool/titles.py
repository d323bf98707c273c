"""Where titles and other phrases occur in the texts of a pool."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tamis.pool.sparse import Ints, distinct
from tamis.pool.terms import Tokens, runs

BRACKET = re.compile(r"\s*\([^()]*\)\s*$")
"""What a title has in brackets at its end."""


def occurrences(tokens: Tokens, phrases: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """Which phrase is in which text: indices into `phrases` and texts, each pair once.

    Every phrase is looked for where its rarest word is.
    """
    written = [list(map(tokens.number, terms)) for terms in phrases]
    known = np.array([place for place, ids in enumerate(written) if ids and min(ids) >= 0], dtype=np.int64)
    lengths = np.array([len(written[place]) for place in known], dtype=np.int64)
    words = np.zeros((len(known), lengths.max(initial=1)), dtype=np.int64)
    inside = np.arange(words.shape[1]) < lengths[:, None]
    words[inside] = [number for place in known for number in written[place]]
    counts = np.bincount(tokens.ids, minlength=tokens.features)
    offset = np.where(inside, counts[words], len(tokens.ids) + 1).argmin(axis=1)
    rarest = words[np.arange(len(known)), offset]
    sought = np.zeros(len(counts), dtype=bool)
    sought[rarest] = True
    places = np.flatnonzero(sought[tokens.ids])
    places = places[np.argsort(tokens.ids[places], kind="stable")]
    at, which = runs(rarest, np.where(sought, counts, 0))
    start = places[at] - offset[which]
    last = start + lengths[which] - 1
    fits = (start >= 0) & (last < len(tokens.ids))
    start, which, last = start[fits], which[fits], last[fits]
    right: NDArray[np.bool_] = tokens.owners[start] == tokens.owners[last]
    for step in range(words.shape[1]):
        start, which = start[right], which[right]
        here = np.minimum(start + step, len(tokens.ids) - 1)
        right = (step >= lengths[which]) | (tokens.ids[here] == words[which, step])
    keys = distinct(known[which[right]] * tokens.size + tokens.owners[start[right]])
    return keys // max(tokens.size, 1), keys % max(tokens.size, 1)
