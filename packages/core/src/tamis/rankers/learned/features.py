"""What the learned ranker looks at: one number per candidate and feature, from the pool alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from tamis.pool.terms import Tokens
from tamis.pool.titles import BRACKET, occurrences
from tamis.rankers.learned.match import Floats, Ints, Match, in_parts, per_text
from tamis.rankers.learned.trust import explained
from tamis.text.terms import COMMON, terms
from tamis.text.vectors import WordVectors, unit_length
from tamis.values.ranking import Candidate

SEEDS = 20
"""This many candidates, the best by a first look, raise their neighbours."""
NEIGHBOURS = 6
"""The nearest of them that each candidate listens to. Of fewer than six candidates none are neighbours: two that share
a word are half of such a pool, and would only trade places."""
CELLS = 1_000_000
"""Candidates times those that raise them, at most, where more than `SEEDS` tie: all of a thousand."""
SHORT = 16
"""Texts of fewer terms are all called short."""


def features(
    query: str,
    candidates: Sequence[Candidate],
    vectors: WordVectors,
    prior: Floats | None = None,
    cosines: Floats | None = None,
) -> dict[str, Floats]:
    """The features of each of n >= 1 candidates, by name, in no particular unit: they are compared within the pool.

    `prior`: what the first stage says, 0..1; `cosines`: of an embedder. Both guide the first look at the pool and
    become features themselves. Shuffled candidates have the same features, shuffled.
    """
    pool = Read(query, candidates, vectors)
    return {**pool.plain, **pool.guided(prior, cosines)}


class Read:
    """A pool read once: `plain` features, and those that depend on a first look at which candidates are good."""

    def __init__(self, query: str, candidates: Sequence[Candidate], vectors: WordVectors) -> None:
        self.match = Match(query, [candidate.full_text for candidate in candidates], vectors)
        self.titles = [terms(BRACKET.sub("", candidate.title or "")) for candidate in candidates]

    @cached_property
    def plain(self) -> dict[str, Floats]:
        return {**_words(self.match), **_titles(self.match, self.titles), **_meaning(self.match, self.titles)}

    def guided(self, prior: Floats | None, cosines: Floats | None) -> dict[str, Floats]:
        look = _first_look(self.plain, prior, cosines)
        made = _neighbours(self.match, self.titles, look)
        given = {"prior": prior, "embedding": cosines}
        return made | {name: said for name, said in given.items() if said is not None}

    def explained(self, first_stage: Floats, cosines: Floats | None = None) -> float:
        """The share, 0..1, of the first stage's scores that the query's words explain, with an embedder's cosines.

        Words like those of the query count too: other stemmers join what the one here does not.
        """
        told = self.match.soft if cosines is None else np.column_stack([self.match.soft, cosines])
        return explained(first_stage, told)


def _words(match: Match) -> dict[str, Floats]:
    """BM25 with the pool's own statistics, phrases of the query, and the length."""
    return {
        "bm25": match.saturated(match.counts) @ match.rarity / max(match.rarity.sum(), 1e-9),
        "phrase": _phrases(match),
        "length": np.log(np.maximum(match.sizes, SHORT)),
    }


def _phrases(match: Match) -> Floats:
    """The share of neighbouring words of the query that are neighbours in the text, by the weight of both."""
    weights = dict(zip(match.words, match.weights, strict=True))
    pairs = list(dict.fromkeys(zip(match.query_terms, match.query_terms[1:], strict=False)))
    worth = np.array([weights.get(a, 0.0) + weights.get(b, 0.0) for a, b in pairs])
    tokens, ids, owners = match.tokens, match.tokens.ids, match.tokens.owners
    numbers = np.array([[tokens.number(a), tokens.number(b)] for a, b in pairs]).reshape(-1, 2)
    known = (worth > 0) & (numbers >= 0).all(axis=1)
    if not known.any():
        return np.zeros(tokens.size)
    keys = numbers[known, 0] * tokens.features + numbers[known, 1]
    order = np.argsort(keys)
    keys, value = keys[order], worth[known][order]
    begins = np.zeros(tokens.features, dtype=bool)
    begins[numbers[known, 0]] = True
    at = np.flatnonzero(begins[ids[:-1]])
    at = at[owners[at] == owners[at + 1]]
    found = ids[at] * tokens.features + ids[at + 1]
    which = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
    right = keys[which] == found
    each = np.unique(owners[at][right] * len(keys) + which[right])
    return np.bincount(each // len(keys), value[each % len(keys)], minlength=tokens.size) / value.sum()


def _titles(match: Match, titles: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """How much of the query the title holds, and of the title the query."""
    weights, asked = dict(zip(match.words, match.weights, strict=True)), set(match.query_terms)
    inside = [sum(term in asked for term in title) / max(len(title), 1) for title in titles]
    return {
        "title_coverage": np.array([sum(weights.get(term, 0.0) for term in dict.fromkeys(title)) for title in titles]),
        "title_in_query": np.array(inside),
        "title_named": np.array(
            [float(s == 1 and any(t in weights for t in title)) for s, title in zip(inside, titles, strict=True)]
        ),
    }


def _meaning(match: Match, titles: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """The best window by soft matches of each query word (MaxSim, Khattab and Zaharia, 2020), how often words like
    those of the query occur (soft term frequencies), and cosines of sums of word vectors."""
    halves = match.nearest_in_half

    def named(first: int, last: int) -> Floats:
        own = titles[first:last]
        flat = match.vectors.of([term for title in own for term in title])
        rows = per_text(np.repeat(np.arange(len(own)), list(map(len, own))), flat, len(own))
        return match.alike(unit_length(rows.astype(np.float32)))

    return {
        "window": match.best_window(np.maximum(halves, match.widened(halves)) @ match.weights),
        "alike": match.soft @ match.weights,
        "meaning": match.meaning(),
        "title_meaning": in_parts(len(titles), named),
    }


def _first_look(made: Mapping[str, Floats], prior: Floats | None, cosines: Floats | None) -> Floats:
    """A rough score, 0..1, that says to whom neighbours listen."""
    rough = spanned(made["bm25"]) + spanned(made["window"])
    rough = rough + 0.5 * (spanned(made["phrase"]) + spanned(made["meaning"]))
    for said in (prior, cosines):
        rough = rough if said is None else rough + 2.0 * spanned(said)
    return spanned(np.round(rough, 6))


def _best(look: Floats, count: int) -> Ints:
    """The `count` best, and all that tie with the last of them; none of those where they are too many for a large
    pool."""
    if len(look) <= count:
        return np.arange(len(look))
    last = np.partition(look, -count)[-count]
    found = np.flatnonzero(look >= last)
    return found if len(found) * len(look) <= max(CELLS, count * len(look)) else np.flatnonzero(look > last)


def _new(match: Match) -> Floats:
    """1 for a term of at least two texts that neither the query nor every English sentence has, else 0."""
    tokens: Tokens = match.tokens
    known = tokens.marked(tuple(COMMON)) | tokens.marked(match.words)
    return np.where(known, 0.0, tokens.incidence.spread > 1)


def _neighbours(match: Match, titles: Sequence[Sequence[str]], look: Floats) -> dict[str, Floats]:
    """How good those are with whom a candidate shares rare words (query words aside), and those that name its title."""
    size, entries = match.tokens.size, match.tokens.incidence
    seeds = _best(look, SEEDS)
    rare = _new(match) * (entries.spread <= max(0.3 * size, min(2.0, size / 3)))
    value = np.log1p(entries.counts) * entries.rarity[entries.cols] * rare[entries.cols]
    norms = np.sqrt(np.bincount(entries.rows, value**2, minlength=size))
    value = value / np.maximum(norms, 1e-9)[entries.rows]
    place = np.full(size, -1)
    place[seeds] = np.arange(len(seeds))
    own = np.flatnonzero((place[entries.rows] >= 0) & (value > 0))
    columns = np.zeros((entries.features, len(seeds)))
    columns[entries.cols[own], place[entries.rows[own]]] = value[own]
    used = np.flatnonzero(np.asarray(columns.any(axis=1))[entries.cols])
    rows = entries.rows[used]

    def heard(first: int, last: int) -> Floats:
        own = slice(*np.searchsorted(rows, (first, last)))
        shared = per_text(rows[own] - first, columns[entries.cols[used[own]]] * value[used[own], None], last - first)
        mine = (seeds >= first) & (seeds < last)
        shared[seeds[mine] - first, np.flatnonzero(mine)] = 0.0
        if len(seeds) > NEIGHBOURS:
            shared[shared < np.partition(shared, -NEIGHBOURS, axis=1)[:, [-NEIGHBOURS]]] = 0.0
        said: Floats = shared @ look[seeds] / (shared.sum(axis=1) + 0.3)
        return said

    return {"neighbours": in_parts(size, heard), "mentioned": _mentioned(match, titles, look)}


def _mentioned(match: Match, titles: Sequence[Sequence[str]], look: Floats) -> Floats:
    """How good the best other candidate is whose text names this one's title, unless the query names it."""
    size, asked = match.tokens.size, set(match.query_terms)
    numbers: dict[tuple[str, ...], int] = {}
    named = np.array(
        [
            numbers.setdefault(tuple(title), len(numbers)) if title and not asked.issuperset(title) else -1
            for title in titles
        ]
    )
    which, holders = occurrences(match.tokens, list(numbers))
    rare = (np.bincount(which, minlength=len(numbers)) <= max(0.2 * size, 2.0))[which]
    which, holders = which[rare], holders[rare]
    order = np.lexsort((-look[holders], which))
    which, holders = which[order], holders[order]
    place = np.searchsorted(which, named)
    best, own = np.zeros(size), np.arange(size)
    # The best of those that name a title, and the next one where that is the candidate itself.
    for step in (1, 0):
        at = place + step
        there = (named >= 0) & (at < len(which))
        there[there] = which[at[there]] == named[there]
        there[there] = holders[at[there]] != own[there]
        best[there] = look[holders[at[there]]]
    return best


def spanned(values: Floats) -> Floats:
    """Values brought to 0..1 within the pool; zeros where they are all the same."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros(len(values))
