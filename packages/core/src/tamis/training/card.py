"""The model card and the weights file of the learned default: written by the training, never by hand."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from tamis import text as texts
from tamis.rankers import learned
from tamis.rankers.learned.model import SHARE, Combination

TEXT = """# The learned default

What `tamis.rerank`, the presets `default` and `texts` and `tamis.Learned` use. Written by
`python -m tamis.training.default`.

- Weights: SHA-256 of `weights.json` and `words.npz`, one after the other: `{digest}`
- Seed {seed}; training queries: {queries}
- `words.npz`: {pieces:,} word pieces, {width} 8-bit numbers each. Made from all-MiniLM-L6-v2 (Apache-2.0): each piece
  embedded alone, {width} main axes, longer the rarer; then trained so that the sum over a text points where the encoder
  puts the text. Learned from unlabelled passages and queries of the training sets; holds no text but the vocabulary.
- `weights.json`: a weighted sum of standardised features for each mode. Fitted on the judgements of the training sets,
  with a listwise softmax loss and an L2 penalty; none below zero but that of length; then
  the first stage counts 1.5 times as much, for safety.{taught}
- An embedder's cosines, where one is given, count {share} standard deviations of the pool in every mode: not learned.
- English. Other languages and code get exact matches, phrases, titles and neighbours; meaning is weak there.
- Scores are comparable within one query only; they are no probabilities.

## Sets left out

nDCG@10 on each training set, when the weights were fitted on the other sets and the word vectors never saw its text.
Queries with something relevant in the pool and something not. `scores`, `order`, `texts`: what the first stage tells;
`+embedding`: with cosines of all-MiniLM-L6-v2.

{tables}

How it does on sets that had no part in it: `benchmarks/results/default.md`.

{trust}
## Weights

{weights}
"""


TAUGHT = """
  A fifth of the loss is instead how ms-marco-MiniLM-L-12-v2 (Apache-2.0) divides a vote among the
  best passages of {lists:,} queries of the training sets, judged or not."""

TRUST_TITLE, WEIGHTS_TITLE = "## Trust in the first stage", "## Weights"
TRUST = """{title}

The weight of `prior` counts up to {most:g} times. Fully where a sum of the query's words, and of words like them,
explains at most {low:.0%} of the first stage (the adjusted share of variance, of the scores or of the logarithm of
the rank), and once from {high:.0%} on. Where there are scores, fully if they fall by at most {narrow:.0%} of the best
within the pool, as cosines do, and once from {wide:.0%} on, as BM25's do. An order alone counts once where it agrees
with words no more than chance would. Written by `python -m tamis.training.trust`.

nDCG@10, mean over the training sets, each with the trust that was chosen on the other sets. `embedder`:
bge-small-en-v1.5; `+ 1`, `+ 2`: with the judgements added to its cosines, in standard deviations, and noise.
`explained`: the share that words explain. Word vectors had seen the texts.

{table}
"""


def write(out: Path, combination: Combination, told: Mapping[str, Any]) -> None:
    """`weights.json` and `CARD.md`, beside a `words.npz` that is there already."""
    import numpy as np

    (out / "weights.json").write_text(json.dumps(combination.to_data(), indent=1) + "\n", encoding="utf-8")
    digest = hashlib.sha256()
    for name in ("weights.json", "words.npz"):
        digest.update((out / name).read_bytes())
    with np.load(out / "words.npz") as words:
        pieces, width = words["codes"].shape
    features = list(combination.spreads)
    modes = list(combination.weights)
    shares = [
        [name, *(f"{combination.weights[m][name]:+.2f}" if name in combination.weights[m] else "" for m in modes)]
        for name in features
    ]
    text = TEXT.format(
        trust=_section((files(learned) / "CARD.md").read_text(encoding="utf-8")),
        digest=digest.hexdigest(),
        seed=told["seed"],
        queries=", ".join(f"{name} {count}" for name, count in told["queries"].items()),
        taught=TAUGHT.format(lists=told["taught"]) if told["taught"] else "",
        pieces=pieces,
        width=width,
        share=SHARE,
        tables="\n\n".join(
            f"The best {depth} of the first stage:\n\n{_held_out(rows)}" for depth, rows in told["held_out"].items()
        ),
        weights=table(["feature", *modes], shares),
    )
    (out / "CARD.md").write_text(text, encoding="utf-8")


def write_trust(out: Path, combination: Combination, measured: str) -> None:
    """The trust in `weights.json` and its section of `CARD.md`, both in `out` already; the rest stays."""
    (out / "weights.json").write_text(json.dumps(combination.to_data(), indent=1) + "\n", encoding="utf-8")
    digest = hashlib.sha256((out / "weights.json").read_bytes() + (files(texts) / "words.npz").read_bytes())
    section = TRUST.format(title=TRUST_TITLE, table=measured, **asdict(combination.trust))
    old = (out / "CARD.md").read_text(encoding="utf-8")
    new = re.sub(r"`[0-9a-f]{64}`", f"`{digest.hexdigest()}`", old.replace(_section(old), ""))
    (out / "CARD.md").write_text(new.replace(WEIGHTS_TITLE, f"{section}\n{WEIGHTS_TITLE}"), encoding="utf-8")


def _section(card: str) -> str:
    """The part of a card about the trust, with the empty line after it; nothing of a card without one."""
    begin = card.find(TRUST_TITLE)
    return "" if begin < 0 else card[begin : card.index(WEIGHTS_TITLE)]


def _held_out(found: Mapping[str, Mapping[str, float]]) -> str:
    columns = list(next(iter(found.values())))
    gains = [sum(row[c] / row["first stage"] - 1 for row in found.values()) / len(found) for c in columns]
    rows = [[name, *(f"{row[c]:.4f}" for c in columns)] for name, row in found.items()]
    return table(["left out", *columns], [*rows, ["mean relative gain", *(f"{gain:+.1%}" for gain in gains)]])


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
