"""Metrics no library has: of the kept set, of ties, of answers, of criteria. Each reads one query of one system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import fmean

from tamis.evaluate import ties
from tamis.evaluate.dataset import Dataset, Question
from tamis.evaluate.dropped import by_stage
from tamis.text.normal import folded
from tamis.text.terms import UNSPACED
from tamis.text.tokens import estimate_tokens
from tamis.values.ranking import Ranked, Ranking

ARTICLES = frozenset({"a", "an", "the"})


class _Signs(dict[int, int | None]):
    """For `str.translate`: deletes punctuation, symbols and control characters. Filled as characters are met."""

    def __missing__(self, code: int) -> int | None:
        sign = chr(code)
        gone = unicodedata.category(sign)[0] in "PSC" and not sign.isspace()
        return self.setdefault(code, None if gone else code)


SIGNS = _Signs()


@dataclass(frozen=True)
class View:
    """One query as a metric sees it."""

    question: Question
    ranking: Ranking
    relevant: Mapping[str, float]

    @classmethod
    def of(cls, dataset: Dataset, query: str, ranking: Ranking) -> View:
        return cls(dataset.questions[query], ranking, dataset.relevant(query))

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the kept passages, best first; a repeated one counts at its first place."""
        return list(dict.fromkeys(str(ranked.candidate.id) for ranked in self.ranking.kept))

    @cached_property
    def ranks(self) -> list[float]:
        """The rank of every relevant passage."""
        place = {passage: float(rank) for rank, passage in enumerate(self.ids, 1)}
        return [place.get(passage, ties.NOWHERE) for passage in self.relevant]

    @cached_property
    def tied(self) -> list[tuple[int, int] | None]:
        """For every relevant passage how many are above it and how many tie with it; `None` when it was not found."""
        first: dict[str, int] = {}
        for index, ranked in enumerate(self.ranking.kept):
            first.setdefault(str(ranked.candidate.id), index)
        scores = [ranked.score for ranked in self.ranking.kept]
        return [ties.places(scores, first[p]) if p in first else None for p in self.relevant]

    @property
    def hits(self) -> int:
        return sum(passage in self.relevant for passage in self.ids)

    def first(self, k: int | None) -> tuple[Ranked, ...]:
        return self.ranking.kept[:k]


Metric = Callable[[View], float | None]
"""`None` where the metric is not defined for the query."""


def _over_relevant(value: Callable[[int, int], float]) -> Metric:
    def metric(view: View) -> float | None:
        return fmean(0.0 if t is None else value(*t) for t in view.tied) if view.relevant else None

    return metric


def _mrr_all(view: View) -> float | None:
    return ties.mrr_all(view.ranks) if view.relevant else None


def _mean_hits(view: View, k: int) -> float | None:
    return ties.mean_hits(view.ranks, k) if view.relevant else None


def _kept_precision(view: View) -> float | None:
    """Of nothing kept, nothing is wrong: 1 when nothing is relevant, else 0."""
    return view.hits / len(view.ids) if view.ids else float(not view.relevant)


def _kept_recall(view: View) -> float | None:
    return view.hits / len(view.relevant) if view.relevant else None


def _kept_f1(view: View) -> float | None:
    """1 when nothing is relevant and nothing was kept."""
    total = len(view.ids) + len(view.relevant)
    return 2 * view.hits / total if total else 1.0


def _k_error(view: View) -> float | None:
    """How far the number kept is from the rank of the last relevant passage in this order, what was dropped after
    what was kept, the latest first."""
    behind = [str(ranked.candidate.id) for group in by_stage(view.ranking) for ranked in group]
    order = dict.fromkeys([*view.ids, *behind])
    last = max((rank for rank, passage in enumerate(order, 1) if passage in view.relevant), default=0)
    return float(abs(len(view.ids) - last))


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and spare white space, as SQuAD's scorer has it (Rajpurkar et al.,
    2016).

    >>> normalised("The U.S.A., (1990)")
    'usa 1990'
    """
    words = folded(text).translate(SIGNS).split()
    return " ".join(word for word in words if word not in ARTICLES)


def carries(text: str, answer: str) -> bool:
    """Whether a normalised text holds a normalised answer, as whole words where a script has spaces between them.

    >>> carries("honeymoon in rome", "rome"), carries("honeymoon in rome", "moon")
    (True, False)
    """
    return answer in text if UNSPACED.search(answer) else f" {answer} " in f" {text} "


def _strings(view: View, *fields: str) -> list[str]:
    """The strings of the question under the first of the fields that it has, normalised."""
    found = next((texts for field in fields if (texts := view.question.texts(field))), ())
    return [answer for text in found if (answer := normalised(text))]


def _answers(view: View, k: int | None) -> float | None:
    """Share of the question's answers that are in the first k kept passages. Data sets call them `answers` or
    `answer`."""
    wanted = _strings(view, "answers", "answer")
    if not wanted:
        return None
    shown = [normalised(ranked.candidate.full_text) for ranked in view.first(k)]
    return fmean(float(any(carries(text, answer) for text in shown)) for answer in wanted)


def _wrong_answers(view: View, k: int | None) -> float | None:
    """Share of the first k kept passages that carry one of the question's `wrong_answers`."""
    wrong, kept = _strings(view, "wrong_answers"), view.first(k)
    if not wrong or not kept:
        return None
    shown = [normalised(ranked.candidate.full_text) for ranked in kept]
    return fmean(float(any(carries(text, answer) for answer in wrong)) for text in shown)


def _metadata(view: View, k: int | None, field: str, value: str) -> float | None:
    """Share of the first k kept whose metadata field has that value."""
    kept = view.first(k)
    return fmean(float(str(r.candidate.metadata.get(field)) == value) for r in kept) if kept else None


def _criterion(view: View, k: int | None, name: str) -> float | None:
    """Mean of a criterion over the first k kept that have it."""
    known = [score for ranked in view.first(k) if (score := ranked.criteria.get(name)) is not None]
    return fmean(known) if known else None


PLAIN: Mapping[str, Metric] = {
    "MRR_all": _mrr_all,
    "MTRR": _over_relevant(ties.mtrr),
    "ERR_ties": _over_relevant(ties.expected_rr),
    "kept": lambda view: float(len(view.ranking.kept)),
    "kept_P": _kept_precision,
    "kept_R": _kept_recall,
    "kept_F1": _kept_f1,
    "kept_tokens": lambda view: float(sum(estimate_tokens(r.candidate.full_text) for r in view.ranking.kept)),
    "k_error": _k_error,
}
SHAPES = ("MHits@K", "TMHits@K", "answers@K", "wrong_answers@K", "metadata:FIELD=VALUE@K", "criterion:NAME@K")
"""Own metrics with a parameter; `@K` may be left out where a metric can read all that was kept."""

NAMED = re.compile(
    r"(?P<kind>metadata|criterion):(?P<name>[^=@]+)(?:=(?P<value>[^@]+))?(?:@(?P<k>[1-9]\d*))?"
    r"|(?P<plain>MHits|TMHits|answers|wrong_answers)(?:@(?P<cut>[1-9]\d*))?"
)


def own(name: str) -> Metric | None:
    """The metric of that name, or `None` when it is none of ours."""
    if name in PLAIN:
        return PLAIN[name]
    match = NAMED.fullmatch(name)
    if match is None:
        return None
    k = int(match["k"] or match["cut"]) if match["k"] or match["cut"] else None
    if match["kind"] == "metadata":
        return partial(_metadata, k=k, field=match["name"], value=match["value"]) if match["value"] else None
    if match["kind"] == "criterion":
        return partial(_criterion, k=k, name=match["name"]) if not match["value"] else None
    if match["plain"] == "answers":
        return partial(_answers, k=k)
    if match["plain"] == "wrong_answers":
        return partial(_wrong_answers, k=k)
    if k is None:
        return None
    if match["plain"] == "MHits":
        return partial(_mean_hits, k=k)
    return _over_relevant(lambda above, tied: ties.tied_hits(above, tied, k))
