"""What the learned ranker looks at: one number a candidate and feature, from the pool alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from tamis.graph.edges.mentions import BRACKET, occurrences
from tamis.graph.terms import COMMON, Tokens
from tamis.learned.match import UNLIKE, Floats, Ints, Match, per_text, unit
from tamis.learned.words import WordVectors
from tamis.ranking import Candidate
from tamis.text import terms

SEEDS = 20
"""So many candidates, the best by a first look, speak for their neighbours."""
FEEDBACK = 5
"""So many are taken as relevant by pseudo-relevance feedback."""
NEIGHBOURS = 6
EXPANSION = 30
"""How many new terms feedback adds."""


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
    """A pool read once: `plain` features, and those that depend on a first look at who is good."""

    def __init__(self, query: str, candidates: Sequence[Candidate], vectors: WordVectors) -> None:
        self.match = Match(query, [candidate.full_text for candidate in candidates], vectors)
        self.titles = [terms(BRACKET.sub("", candidate.title or "")) for candidate in candidates]

    @cached_property
    def plain(self) -> dict[str, Floats]:
        return {**_words(self.match), **_titles(self.match, self.titles), **_meaning(self.match, self.titles)}

    def guided(self, prior: Floats | None, cosines: Floats | None) -> dict[str, Floats]:
        look = _first_look(self.plain, prior, cosines)
        made = {**_feedback(self.match, look), **_neighbours(self.match, self.titles, look)}
        given = {"prior": prior, "embedding": cosines}
        return made | {name: said for name, said in given.items() if said is not None}


def _words(match: Match) -> dict[str, Floats]:
    """BM25, coverage of the query's words, of its phrases, and how closely they stand together."""
    at, words = match.hits
    inside = np.zeros((int(match.halves[0].sum()), len(match.words)), dtype=np.bool_)
    inside[match.halves[2][at], words] = True
    has = match.counts > 0
    return {
        "bm25": match.saturated(match.counts) @ match.rarity / max(match.rarity.sum(), 1e-9),
        "coverage": has @ match.weights,
        "words": has.mean(axis=1),
        "phrase": _phrases(match),
        "window": match.best_window((inside | match.widened(inside)) @ match.weights),
        "length": np.log1p(match.sizes),
    }


def _phrases(match: Match) -> Floats:
    """The share of neighbouring words of the query that are neighbours in the text, by the weight of both."""
    weights = dict(zip(match.words, match.weights, strict=True))
    pairs = [pair for pair in dict.fromkeys(zip(match.query_terms, match.query_terms[1:], strict=False))]
    worth = np.array([weights.get(a, 0.0) + weights.get(b, 0.0) for a, b in pairs])
    vocabulary, ids, owners = match.tokens.vocabulary, match.tokens.ids, match.tokens.owners
    known = [i for i, (a, b) in enumerate(pairs) if worth[i] and a in vocabulary and b in vocabulary]
    if not known:
        return np.zeros(match.tokens.size)
    keys = np.array([vocabulary[a] * len(vocabulary) + vocabulary[b] for a, b in (pairs[i] for i in known)])
    order = np.argsort(keys)
    keys, value = keys[order], worth[known][order]
    found = ids[:-1] * len(vocabulary) + ids[1:]
    which = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
    right = (keys[which] == found) & (owners[:-1] == owners[1:])
    each = np.unique(owners[:-1][right] * len(keys) + which[right])
    return np.bincount(each // len(keys), value[each % len(keys)], minlength=match.tokens.size) / value.sum()


def _titles(match: Match, titles: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """How much of the query the title holds, and of the title the query."""
    weights, asked = dict(zip(match.words, match.weights, strict=True)), set(match.query_terms)
    inside = [sum(term in asked for term in title) / max(len(title), 1) for title in titles]
    return {
        "title_coverage": np.array([sum(weights.get(term, 0.0) for term in set(title)) for title in titles]),
        "title_in_query": np.array(inside),
        "title_named": np.array(
            [float(s == 1 and any(t in weights for t in title)) for s, title in zip(inside, titles, strict=True)]
        ),
    }


def _meaning(match: Match, titles: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """Soft matches of words (MaxSim as in ColBERT; counts as in soft BM25) and cosines of sums of word vectors."""
    halves, weights = match.nearest_in_half, match.weights
    near = np.clip((np.maximum(halves, match.widened(halves)) - UNLIKE) / (1 - UNLIKE), 0.0, 1.0)
    windows = unit(match.half_vectors + match.widened(match.half_vectors))
    lengths = np.fromiter(map(len, titles), np.int64, len(titles))
    flat = match.vectors.of([term for title in titles for term in title])
    named = per_text(np.repeat(np.arange(len(titles)), lengths), flat, len(titles))
    return {
        "soft_words": match.nearest @ weights,
        "soft_window": match.best_window(near @ weights),
        "soft_bm25": match.saturated(match.soft_counts) @ weights,
        "meaning": (match.text_vectors @ match.query_vector).astype(np.float64),
        "window_meaning": match.best_window((windows @ match.query_vector).astype(np.float64)),
        "title_meaning": unit(named) @ match.query_vector,
    }


def _first_look(made: Mapping[str, Floats], prior: Floats | None, cosines: Floats | None) -> Floats:
    """A rough score, 0..1, that says whom feedback and neighbours listen to."""
    rough = spanned(made["bm25"]) + spanned(made["soft_bm25"])
    rough = rough + 0.5 * (spanned(made["phrase"]) + spanned(made["window"]) + spanned(made["meaning"]))
    for said in (prior, cosines):
        rough = rough if said is None else rough + 2.0 * spanned(said)
    return spanned(np.round(rough, 6))


def _best(look: Floats, count: int) -> Ints:
    """The `count` best, and all that tie with the last of them."""
    if len(look) <= count:
        return np.arange(len(look))
    return np.flatnonzero(look >= np.partition(look, -count)[-count])


def _feedback(match: Match, look: Floats) -> dict[str, Floats]:
    """Pseudo-relevance feedback: nearness to the centre of the best (Rocchio, 1971), and their terms (RM3,
    Abdul-Jaleel et al., 2004)."""
    best = _best(look, FEEDBACK)
    shares = (look[best] + 1e-3) / (look[best] + 1e-3).sum()
    centre = unit((shares[:, None] * match.text_vectors[best]).sum(axis=0).astype(np.float32))
    entries = match.tokens.incidence
    voice = np.zeros(match.tokens.size)
    voice[best] = shares / np.maximum(match.sizes[best], 1)
    strength = np.bincount(entries.cols, voice[entries.rows] * entries.counts, minlength=entries.features)
    frequency = entries.spread
    strength *= np.log1p((match.tokens.size - frequency + 0.5) / (frequency + 0.5)) * _new(match)
    if len(strength) > EXPANSION:
        strength[strength < np.partition(strength, -EXPANSION)[-EXPANSION]] = 0.0
    strength /= max(strength.sum(), 1e-9)
    value = strength[entries.cols] * entries.counts / (entries.counts + match.damping[entries.rows, 0])
    return {
        "feedback_meaning": (match.text_vectors @ centre).astype(np.float64),
        "feedback_words": np.bincount(entries.rows, value, minlength=match.tokens.size),
    }


def _new(match: Match) -> Floats:
    """1 for a term of at least two texts that neither the query nor every English sentence has, else 0."""
    tokens: Tokens = match.tokens
    mask = (tokens.incidence.spread > 1) & ~tokens.marked(tuple(COMMON)) & ~tokens.marked(match.words)
    return mask.astype(np.float64)


def _neighbours(match: Match, titles: Sequence[Sequence[str]], look: Floats) -> dict[str, Floats]:
    """What the best say of those who share their rare words (query words aside) or whose titles they name."""
    size, entries = match.tokens.size, match.tokens.incidence
    seeds = _best(look, SEEDS)
    rare = _new(match) * (entries.spread <= max(0.3 * size, 2.0))
    value = np.log1p(entries.counts) * entries.rarity[entries.cols] * rare[entries.cols]
    norms = np.sqrt(np.bincount(entries.rows, value**2, minlength=size))
    value = value / np.maximum(norms, 1e-9)[entries.rows]
    place = np.full(size, -1)
    place[seeds] = np.arange(len(seeds))
    own = np.flatnonzero((place[entries.rows] >= 0) & (value > 0))
    columns = np.zeros((entries.features, len(seeds)))
    columns[entries.cols[own], place[entries.rows[own]]] = value[own]
    used = np.flatnonzero(columns.any(axis=1)[entries.cols])
    shared = per_text(entries.rows[used], columns[entries.cols[used]] * value[used, None], size)
    shared[seeds, np.arange(len(seeds))] = 0.0
    if len(seeds) > NEIGHBOURS:
        shared[shared < np.partition(shared, -NEIGHBOURS, axis=1)[:, [-NEIGHBOURS]]] = 0.0
    mentioned, mentions = np.zeros(size), np.zeros(size)
    asked = set(match.query_terms)
    named = [i for i, title in enumerate(titles) if title and not asked.issuperset(title)]
    if named:
        which, holders = occurrences(match.tokens, [list(titles[i]) for i in named])
        rare_enough = np.bincount(which, minlength=len(named))[which] <= max(0.2 * size, 2.0)
        targets, holders = np.array(named)[which[rare_enough]], holders[rare_enough]
        others = targets != holders
        np.maximum.at(mentioned, targets[others], look[holders[others]])
        np.maximum.at(mentions, holders[others], look[targets[others]])
    return {
        "neighbours": shared @ look[seeds] / (shared.sum(axis=1) + 0.3),
        "mentioned": mentioned,
        "mentions": mentions,
    }


def spanned(values: Floats) -> Floats:
    """Values brought to 0..1 within the pool; zeros where they are all the same."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros(len(values))
