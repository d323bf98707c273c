"""The parts of the page that need no script: what was measured, and the tables of systems."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol
from urllib.parse import quote

from tamis.evaluate.page.figures import costs
from tamis.evaluate.result import Comparison, Evaluation, Interval, System
from tamis.show import MINUS, large, number, safe

MEANINGS = (
    (r"nDCG", "how near the first places come to the best possible order; 1 is perfect, 0 is nothing found"),
    (r"(M?RR|MTRR|RR)\b", "how high the first relevant passage stands: 1 for the first place, ½ for the second, ⅓ …"),
    (r"M?AP\b", "the precision at each relevant passage, averaged; it rewards finding all of them early"),
    (r"(R|Recall|recall)\b", "the share of all relevant passages that is found"),
    (r"(P|Precision|precision)\b", "the share of what is shown that is relevant"),
    (r"F1\b", "the balance of precision and recall of what is kept"),
)  # fmt: skip
"""How a measure reads to a newcomer, by the beginning of its name."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The main metric of one system, and the verdict against the first stage."""

    system: str
    kind: str
    mean: float
    verdict: str


def standings(evaluation: Evaluation) -> list[Standing]:
    """The main metric of each system that has one."""
    made = []
    for system in evaluation.systems:
        interval = _interval(system, evaluation.main)
        if interval:
            pair = evaluation.comparison(system.name)
            made.append(Standing(system.name, system.kind, interval.mean, pair.verdict() if pair else ""))
    return made


def head(evaluation: Evaluation) -> str:
    """Everything about a data set that is finished HTML: sentences, facts, notices and both tables."""
    return "".join(
        [
            f"<h2><bdi>{safe(evaluation.dataset.name)}</bdi></h2>",
            f'<p class="lead">{_measured(evaluation)}</p>',
            f'<p class="lead">{_outcome(evaluation)}</p>',
            _facts(evaluation),
            _notices(evaluation),
            "<h3>Quality</h3>",
            _quality(evaluation),
            "<h3>Cost</h3>",
            _cost(evaluation),
            _described(evaluation.systems),
        ]
    )


def overview(names: Sequence[str], sections: Sequence[_Standings]) -> str:
    """Data sets against systems, in the main metric."""
    systems = list(dict.fromkeys(s.system for item in sections for s in item.standings if s.kind != "bound"))
    heads = "".join(f'<th class="number"><bdi>{safe(system, 40)}</bdi></th>' for system in systems)
    rows = []
    for name, item in zip(names, sections, strict=True):
        found = {s.system: s for s in item.standings}
        best = max((found[s].mean for s in systems if s in found), default=math.nan)
        cells = "".join(_standing(found.get(system), best) for system in systems)
        link = f'<a href="#{_part(name)}"><bdi>{safe(name)}</bdi></a>'
        rows.append(f'<tr><th scope="row">{link}</th><td>{safe(item.main)}</td>{cells}</tr>')
    return (
        '<section class="overview"><h2>All data sets</h2>'
        '<p class="note">▲ better and ▼ worse than the first stage, beyond chance; without a mark no difference was '
        "seen. The best of each line is bold.</p>"
        f'<div class="wide"><table class="sortable"><thead><tr><th>data set</th><th>metric</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


class _Standings(Protocol):
    """What `overview` needs of a section."""

    @property
    def main(self) -> str: ...

    @property
    def standings(self) -> Sequence[Standing]: ...


def _standing(found: Standing | None, best: float) -> str:
    if found is None:
        return _cell("–", -math.inf)
    mark = {
        "better": ' <span class="better" title="better">▲</span>',
        "worse": ' <span class="worse" title="worse">▼</span>',
    }
    value = f"{found.mean:.3f}"
    shown = f"<b>{value}</b>" if found.mean == best else value
    return _cell(shown + mark.get(found.verdict, ' <span class="nomark">▲</span>'), found.mean)


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
    rivals = [s for s in evaluation.systems if s.kind in ("pipeline", "run") and _interval(s, evaluation.main)]
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
            f"({_signed(pair.difference)}, which may be chance): {counts}."
        )
    return f"The highest is {name} with {mean:.3f}, {_signed(pair.difference)} against the first stage: {counts}."


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


def _quality(evaluation: Evaluation) -> str:
    main = evaluation.main
    others = [
        name for name in evaluation.metrics if name != main and any(_interval(s, name) for s in evaluation.systems)
    ]
    heads = [
        _th("system", False),
        _th(safe(main)),
        _th("95 % interval", False, plain=True),
        _th("difference"),
        _th("against the first stage", False),
        _th("queries better"),
        _th("worse"),
        *(_th(safe(name)) for name in others),
    ]
    strip = _Strip(evaluation)

    def line(system: System) -> str:
        interval = _interval(system, main)
        pair = None if system.kind in ("first stage", "bound") else evaluation.comparison(system.name)
        return "".join(
            [
                _name(system),
                _cell(f"<b>{interval.mean:.3f}</b>" if interval else "–", interval.mean if interval else -math.inf),
                f"<td>{strip.draw(system) if interval else ''}</td>",
                *_difference(pair, system),
                *(_mean_cell(_interval(system, name)) for name in others),
            ]
        )

    note = (
        '<p class="note">The bar is the range in which the mean would likely fall with other queries of the same kind; '
        "the upright line is the first stage. Differences are tested query by query and corrected for the number of "
        "comparisons.</p>"
    )
    return _table(heads, evaluation.systems, line) + note


def _difference(pair: Comparison | None, system: System) -> list[str]:
    if pair is None:
        word = {"first stage": "the first stage", "bound": ""}.get(system.kind, "not compared")
        return ["<td></td>", f'<td class="muted">{word}</td>', "<td></td>", "<td></td>"]
    verdict = pair.verdict()
    mark = {"better": "▲ ", "worse": "▼ "}.get(verdict, "")
    name = verdict if mark else "muted"
    return [
        f'<td class="number" data-value="{pair.difference}" title="95 % interval {_signed(pair.low)} to '
        f'{_signed(pair.high)}">{_signed(pair.difference)}</td>',
        f'<td class="{name}" title="p = {pair.corrected:.2g} after correction ({pair.p:.2g} before), over {pair.n:,} '
        f'queries">{mark}{verdict}</td>',
        _cell(f"{pair.better:,}", pair.better),
        _cell(f"{pair.worse:,}", pair.worse),
    ]


class _Strip:
    """Draws intervals on the range that the systems (not the bounds) span."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.main = evaluation.main
        found = [i for s in evaluation.systems if s.kind != "bound" and (i := _interval(s, self.main))]
        self.low = min((i.low for i in found), default=0.0)
        self.high = max((i.high for i in found), default=1.0)
        first = _interval(evaluation.systems[0], self.main)
        self.first = None if first is None else first.mean

    def at(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(100 * min(1.0, max(0.0, share)), 1)

    def draw(self, system: System) -> str:
        interval = system.means[self.main]
        text = f"{interval.low:.3f} to {interval.high:.3f}"
        if system.kind == "bound":
            return f'<span class="muted">{text}</span>'
        line = "" if self.first is None else f'<i class="first" style="left:{self.at(self.first)}%"></i>'
        width = max(0.0, self.at(interval.high) - self.at(interval.low))
        return (
            f'<span class="strip" title="{text}">{line}<i class="range" style="left:{self.at(interval.low)}%;'
            f'width:{width:.1f}%"></i><i class="dot" style="left:{self.at(interval.mean)}%"></i></span>'
            f'<span class="sr">{text}</span>'
        )


def _cost(evaluation: Evaluation) -> str:
    queries = len(evaluation.query_ids) or 1
    systems = [system for system in evaluation.systems if system.kind != "bound"]
    columns: list[tuple[str, Callable[[System], float | None], Callable[[float], str]]] = [
        ("calls a query", lambda s: s.usage.calls / queries, large),
        ("from the cache", lambda s: s.usage.cached / queries, large),
        ("tokens in", lambda s: s.usage.tokens_in / queries, large),
        ("tokens out", lambda s: s.usage.tokens_out / queries, large),
        ("seconds, median", lambda s: s.speed.p50, number),
        ("95th percentile", lambda s: s.speed.p95, number),
        ("queries a second", lambda s: s.speed.throughput, large),
        ("peak memory, MiB", lambda s: s.speed.peak_mib, large),
        ("FLOPs a query", lambda s: costs(s, queries)["flops"], large),
        ("FLOPs, paper's form", lambda s: getattr(s.usage, "flops_paper", 0) / queries, large),
        ("failed calls", lambda s: s.usage.failed, large),
        ("failed queries", lambda s: s.failed, large),
        ("degraded queries", lambda s: s.degraded, large),
    ]
    shown = [column for column in columns if any(column[1](system) for system in systems)]
    if not shown:
        return '<p class="note">No cost was measured.</p>'

    def line(system: System) -> str:
        cells = []
        for _, read, write in shown:
            value = read(system)
            cells.append(_cell("–" if value is None else write(value), -1 if value is None else value))
        return _name(system) + "".join(cells)

    alone = max((system.speed.alone for system in systems), default=0)
    timing = f"Seconds are of one query at a time, measured on {alone:,} queries. " if alone else ""
    note = (
        f'<p class="note">{timing}Calls and tokens include what systems have in common, as if each had run alone.</p>'
    )
    return _table([_th("system", False), *(_th(name) for name, _, _ in shown)], systems, line) + note


def _table(heads: Iterable[str], systems: Sequence[System], line: Callable[[System], str]) -> str:
    rows = "".join(f"<tr>{line(system)}</tr>" for system in systems if system.kind != "bound")
    bounds = "".join(f"<tr>{line(system)}</tr>" for system in systems if system.kind == "bound")
    apart = f'<tbody class="bounds">{bounds}</tbody>' if bounds else ""
    return (
        f'<div class="wide"><table class="sortable systems"><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{rows}</tbody>{apart}</table></div>"
    )


def _name(system: System) -> str:
    if system.kind == "bound":
        told = {"oracle": "the best order of what was found", "shuffled": "a random order of what was found"}
        more = f'<span class="muted"> {told[system.name]}</span>' if system.name in told else ""
        return f'<th scope="row"><bdi>{safe(system.name, 60)}</bdi>{more}</th>'
    kind = ' <span class="muted">recorded run</span>' if system.kind == "run" else ""
    return f'<th scope="row"><a data-system="{safe(system.name)}"><bdi>{safe(system.name, 60)}</bdi></a>{kind}</th>'


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


def _interval(system: System, metric: str) -> Interval | None:
    interval = system.means.get(metric)
    return interval if interval and math.isfinite(interval.mean) else None


def _mean_cell(interval: Interval | None) -> str:
    if interval is None:
        return _cell("–", -math.inf)
    value = interval.mean
    return _cell(f"{value:.3f}" if abs(value) < 2 else number(round(value, 1)), value)


def _th(name: str, numeric: bool = True, plain: bool = False) -> str:
    attributes = (' class="number"' if numeric else "") + (" data-plain" if plain else "")
    return f"<th{attributes}>{name}</th>"


def _cell(shown: str, value: float) -> str:
    return f'<td class="number" data-value="{value}">{shown}</td>'


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else MINUS}{abs(value):.3f}"


def _part(text: str) -> str:
    return quote(text.encode("utf-8", "replace").decode("utf-8"), safe="")
