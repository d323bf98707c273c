"""The part of a data set that needs no script: sentences on what was measured, facts, notices and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median
from typing import Any

from tamis.evaluate.page.cells import interval
from tamis.evaluate.page.cost import cost
from tamis.evaluate.page.quality import quality, summaries
from tamis.evaluate.page.rendering import rendered
from tamis.evaluate.result import Evaluation
from tamis.view.wording import number

MEANINGS = (
    (r"nDCG", "how near the first places come to the best possible order; 1 is perfect, 0 is nothing found"),
    (r"(M?RR|MTRR|RR)\b", "the rank of the first relevant passage: 1 for the first place, ½ for the second, ⅓ …"),
    (r"M?AP\b", "the precision at each relevant passage, averaged; it rewards finding all of them early"),
    (r"(R|Recall|recall)\b", "the share of all relevant passages that is found"),
    (r"(P|Precision|precision)\b", "the share of what is shown that is relevant"),
    (r"F1\b", "the balance of precision and recall of what is kept"),
)  # fmt: skip
"""How a measure reads to a newcomer, by the beginning of its name."""


def head(evaluation: Evaluation) -> str:
    """Everything about a data set that is finished HTML."""
    main = evaluation.main
    count = sum(system.kind in ("pipeline", "run") for system in evaluation.systems)
    return rendered(
        "dataset.html.j2",
        name=evaluation.dataset.name,
        main=main,
        meaning=next((words for name, words in MEANINGS if re.match(name, main)), "the higher, the better"),
        depth=_pool_size(evaluation),
        queries=len(evaluation.query_ids),
        other_systems=count,
        others=f"{count} other system{'s' * (count != 1)}" if count else "no other system",
        best=_best(evaluation),
        facts=_facts(evaluation),
        notices=_notices(evaluation),
        judged=_judged(evaluation),
        quality=quality(evaluation),
        summaries=summaries(evaluation),
        cost=cost(evaluation),
        described=[system for system in evaluation.systems if system.described.strip()],
    )


def _judged(evaluation: Evaluation) -> str:
    """Who said which passages are relevant."""
    dataset = evaluation.dataset
    names = " and ".join(dataset.judges)
    if not names:
        return "People had judged which passages are relevant"
    if sum(dataset.judges.values()) >= sum(map(len, dataset.qrels.values())):
        return f"A language model ({names}), not people, judged which passages are relevant"
    return f"People and, where they had not, a language model ({names}) judged which passages are relevant"


def _best(evaluation: Evaluation) -> dict[str, Any] | None:
    """The system with the highest mean, and its comparison with the first stage."""
    rivals = [s for s in evaluation.systems if s.kind in ("pipeline", "run") and interval(s, evaluation.main)]
    if not rivals:
        return None
    best = max(rivals, key=lambda system: system.means[evaluation.main].mean)
    return {"system": best, "mean": best.means[evaluation.main].mean, "pair": evaluation.comparison(best.name)}


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    dataset = evaluation.dataset
    relevant = [len(dataset.relevant(query)) for query in evaluation.query_ids]
    judged = sum(len(dataset.qrels.get(query, {})) for query in evaluation.query_ids)
    grades = sorted({grade for query in evaluation.query_ids for grade in dataset.qrels.get(query, {}).values()})
    of = f" of {len(dataset.questions):,}" if len(dataset.questions) != len(evaluation.query_ids) else ""
    facts = [
        ("queries", f"{len(evaluation.query_ids):,}{of}"),
        ("passages in the corpus", f"{len(dataset.corpus):,}"),
        ("passages per query to rank", f"{_pool_size(evaluation):,}"),
        ("judgements", f"{judged:,}" + (f" ({dataset.judged_by})" if dataset.judged_by else "")),
        ("grades", _grades(grades, dataset.relevant_from)),
        ("relevant a query (median)", number(median(relevant)) if relevant else "–"),
    ]
    without = sum(count == 0 for count in relevant)
    if without:
        facts.append(("queries without a relevant passage", f"{without:,}"))
    return facts


def _grades(grades: Sequence[float], relevant_from: float) -> str:
    if not grades:
        return "–"
    span = f"{grades[0]}" if len(grades) == 1 else f"{grades[0]} to {grades[-1]}"
    return f"{span}, relevant from {relevant_from:g}"


def _notices(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys([*evaluation.dataset.notices, *evaluation.notices]))


def _pool_size(evaluation: Evaluation) -> int:
    first = evaluation.systems[0]
    sizes = [len(row.ranking.kept) + len(row.ranking.dropped) for row in first.rows.values() if row.ranking]
    return max(sizes, default=0)
