"""Where titles and other phrases occur in the texts of a pool."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tamis.pool.sparse import Ints, distinct
from tamis.pool.terms import Tokens

BRACKET = re.compile(r"\s*\([^()]*\)\s*$")
"""What a title has in brackets at its end."""


def occurrences(tokens: Tokens, phrases: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """Which phrase is in which text: indices into `phrases`, which must differ, and texts, each pair once.

    The phrases form a tree of words, and each place of a text follows its one path down that tree: time is linear in
    the text, however many phrases have their words in common.
    """
    nodes: dict[int, int] = {}
    ends = [-1]
    width = max(tokens.features, 1)
    for place, phrase in enumerate(phrases):
        ids = list(map(tokens.number, phrase))
        if not ids or min(ids) < 0:
            continue
        end = 0
        for number in ids:
            end = nodes.setdefault(end * width + number, len(ends))
            if end == len(ends):
                ends.append(-1)
        ends[end] = place
    keys = np.sort(np.fromiter(nodes, np.int64, len(nodes)))
    below = np.array([nodes[key] for key in keys.tolist()], dtype=np.int64)
    ending = np.array(ends, dtype=np.int64)
    begins = np.zeros(tokens.features, dtype=bool)
    begins[keys[keys < width]] = True
    last = np.flatnonzero(begins[tokens.ids])
    owner, node = tokens.owners[last], np.zeros(len(last), dtype=np.int64)
    found = [np.zeros(0, dtype=np.int64)]
    while len(last):
        step = node * width + tokens.ids[last]
        at = np.minimum(np.searchsorted(keys, step), len(keys) - 1)
        right = keys[at] == step
        last, owner, node = last[right] + 1, owner[right], below[at[right]]
        ended = ending[node] >= 0
        found.append(distinct(ending[node[ended]] * tokens.size + owner[ended]))
        inside = last < len(tokens.ids)
        inside[inside] = tokens.owners[last[inside]] == owner[inside]
        last, owner, node = last[inside], owner[inside], node[inside]
    pairs = distinct(np.concatenate(found))
    return pairs // max(tokens.size, 1), pairs % max(tokens.size, 1)
