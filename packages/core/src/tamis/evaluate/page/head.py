"""The part of a data set that needs no script: sentences on what was measured, facts, notices and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from tamis.evaluate.page.cells import interval, signed
from tamis.evaluate.page.cost import cost
from tamis.evaluate.page.quality import quality, summaries
from tamis.evaluate.result import Evaluation, System
from tamis.view.wording import number, safe

MEANINGS = (
    (r"nDCG", "how near the first places come to the best possible order; 1 is perfect, 0 is nothing found"),
    (r"(M?RR|MTRR|RR)\b", "how high the first relevant passage stands: 1 for the first place, ½ for the second, ⅓ …"),
    (r"M?AP\b", "the precision at each relevant passage, averaged; it rewards finding all of them early"),
    (r"(R|Recall|recall)\b", "the share of all relevant passages that is found"),
    (r"(P|Precision|precision)\b", "the share of what is shown that is relevant"),
    (r"F1\b", "the balance of precision and recall of what is kept"),
)  # fmt: skip
"""How a measure reads to a newcomer, by the beginning of its name."""


def head(evaluation: Evaluation) -> str:
    """Everything about a data set that is finished HTML."""
    return "".join(
        [
            f"<h2><bdi>{safe(evaluation.dataset.name)}</bdi></h2>",
            f'<p class="lead">{_measured(evaluation)}</p>',
            f'<p class="lead">{_outcome(evaluation)}</p>',
            _facts(evaluation),
            _notices(evaluation),
            "<h3>Quality</h3>",
            quality(evaluation),
            summaries(evaluation),
            "<h3>Cost</h3>",
            cost(evaluation),
            _described(evaluation.systems),
        ]
    )


def _measured(evaluation: Evaluation) -> str:
    count = sum(system.kind in ("pipeline", "run") for system in evaluation.systems)
    depth = _pool_size(evaluation)
    others = f"{count} other system{'s' * (count != 1)}" if count else "no other system"
    main = evaluation.main
    meaning = next((words for name, words in MEANINGS if re.match(name, main)), "the higher, the better")
    pool = f" found up to {depth:,} passages for each of" if depth else " answered"
    return (
        f"A first stage{pool} {len(evaluation.query_ids):,} queries; {others} put them into an order of "
        f"{'its' if count == 1 else 'their'} own. People had judged which passages are relevant, and "
        f"<b>{safe(main)}</b> says how well an order agrees with them: {meaning}."
    )


def _outcome(evaluation: Evaluation) -> str:
    rivals = [s for s in evaluation.systems if s.kind in ("pipeline", "run") and interval(s, evaluation.main)]
    if not rivals:
        return ""
    best = max(rivals, key=lambda system: system.means[evaluation.main].mean)
    name, mean = f"<b><bdi>{safe(best.name)}</bdi></b>", best.means[evaluation.main].mean
    pair = evaluation.comparison(best.name)
    if pair is None:
        return f"The highest is {name} with {mean:.3f}."
    counts = f"{pair.better:,} queries got better, {pair.worse:,} worse, {pair.same:,} stayed the same"
    if pair.verdict() == "no difference seen":
        return (
            f"The highest is {name} with {mean:.3f}, but no difference from the first stage was seen "
            f"({signed(pair.difference)}, which may be chance): {counts}."
        )
    return f"The highest is {name} with {mean:.3f}, {signed(pair.difference)} against the first stage: {counts}."


def _facts(evaluation: Evaluation) -> str:
    dataset = evaluation.dataset
    relevant = [len(dataset.relevant(query)) for query in evaluation.query_ids]
    judged = sum(len(dataset.qrels.get(query, {})) for query in evaluation.query_ids)
    grades = sorted({grade for query in evaluation.query_ids for grade in dataset.qrels.get(query, {}).values()})
    of = f" of {len(dataset.questions):,}" if len(dataset.questions) != len(evaluation.query_ids) else ""
    facts = [
        ("queries", f"{len(evaluation.query_ids):,}{of}"),
        ("passages in the corpus", f"{len(dataset.corpus):,}"),
        ("passages a query to rank", f"{_pool_size(evaluation):,}"),
        ("judgements", f"{judged:,}"),
        ("grades", _grades(grades, dataset.relevant_from)),
        ("relevant a query (median)", number(median(relevant)) if relevant else "–"),
    ]
    without = sum(count == 0 for count in relevant)
    if without:
        facts.append(("queries without a relevant passage", f"{without:,}"))
    return f'<dl class="facts">{"".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)}</dl>'


def _grades(grades: Sequence[int], relevant_from: int) -> str:
    if not grades:
        return "–"
    span = f"{grades[0]}" if len(grades) == 1 else f"{grades[0]} to {grades[-1]}"
    return f"{span}, relevant from {relevant_from}"


def _notices(evaluation: Evaluation) -> str:
    notices = list(dict.fromkeys([*evaluation.dataset.notices, *evaluation.notices]))
    cached = [system.name for system in evaluation.systems if system.usage.cached]
    if cached:
        notices.append(
            f"The cache answered some calls of {', '.join(cached)}: "
            "calls, tokens and seconds are lower than in a fresh run."
        )
    if not notices:
        return ""
    items = "".join(f"<li><bdi>{safe(notice, 1000)}</bdi></li>" for notice in notices)
    return f'<div class="notices"><h3>What was odd, and what was done</h3><ul>{items}</ul></div>'


def _described(systems: Sequence[System]) -> str:
    items = "".join(
        f"<dt><bdi>{safe(s.name)}</bdi></dt><dd><pre>{safe(s.described.strip(), 8000)}</pre></dd>"
        for s in systems
        if s.described.strip()
    )
    return f"<details><summary>What the systems are</summary><dl>{items}</dl></details>" if items else ""


def _pool_size(evaluation: Evaluation) -> int:
    first = evaluation.systems[0]
    sizes = [len(row.ranking.kept) + len(row.ranking.dropped) for row in first.rows.values() if row.ranking]
    return max(sizes, default=0)
