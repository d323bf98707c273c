"""What the three `dynamic_k_with_*.py` share: the demo's corpus, a threshold fitted to its judged questions, the table.

Fixed k gives every question the same number of passages, here the number that does best on the judged questions.
Dynamic k gives none where the best score is in the lowest tenth of what those questions reach; else what comes before
the largest gap in the scores where that gap is large (two standard deviations), and five where it is not. That policy
was chosen among some forty after a look at these very questions: read the numbers as an illustration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bundled_models import Embedder, cross_encoder
from questions import Question, load_questions, ndcg
from stdlib_corpus import Passage, load_corpus
from tamis import Candidate, Engine, Ranking, Stage, load
from tamis.evaluate import Dataset
from tamis.evaluate.dataset import Question as Asked
from tamis.select import Artefact
from tamis.text.tokens import estimate_tokens
from tamis.training.calibration import fit
from tamis.values.ranking import Query

CACHE = Path(__file__).parent.parent / ".demo"
DEPTH, AT_MOST, RATE, HELPS = 30, 10, 0.1, 2
NEEDS = {"q02": "one passage", "q08": "many"}
"""Judged questions to ask, which are left out of the fit, and what they need."""
UNANSWERED = {
    "send a push notification to an iPhone": "none",
    "connect to a PostgreSQL database": "none, but some are close",
}

Ask = Callable[[str], Sequence[str]]
"""From a question to the ids of the passages that a framework's pipeline gives its generator."""


@dataclass(frozen=True)
class Setting:
    """What an example builds its pipelines from: `dynamic`, or `k` passages, the best fixed k."""

    passages: Sequence[Passage]
    embedder: Embedder
    models: Mapping[str, Any]
    engine: Mapping[str, Any]
    dynamic: Sequence[Any]
    k: int
    depth: int
    at_most: int = AT_MOST

    def tokens(self, ids: Sequence[str]) -> int:
        wanted = set(ids)
        return sum(estimate_tokens(text_of(passage)) for passage in self.passages if passage.id in wanted)


def main(framework: str, build: Callable[[Setting], tuple[Ask, Ask]]) -> None:
    """Fit, build the framework's pipelines with fixed and with dynamic k, ask both, print what they gave."""
    console = Console(width=110 if not Console().is_terminal else None)
    console.print("Embedding the corpus and scoring the judged questions (minutes, once; kept in .demo/) ...")
    passages = load_corpus()
    questions = load_questions({passage.id for passage in passages})
    setting, found = prepare(passages, questions, CACHE)
    for line in found:
        console.print(line, highlight=False)
    console.print(table(framework, setting, questions, *build(setting)))


def prepare(
    passages: Sequence[Passage], questions: Sequence[Question], cache: Path, depth: int = DEPTH
) -> tuple[Setting, list[str]]:
    """Fit on the `questions` that will not be asked; with lines on how both kinds of k do there."""
    embedder = Embedder([text_of(passage) for passage in passages], cache)
    models, options = {"cross_encoder": cross_encoder()}, {"cache": str(cache / "answers.sqlite")}
    judged = [question for question in questions if question.id not in NEEDS]
    engine, scorer = Engine(**options), load("cross-encoder", models=models)
    pools = retrieved(passages, embedder, [question.text for question in judged], depth)
    rankings = engine.rerank_many(scorer, pools)
    artefact = str(cache / "abstention.json")
    fitted_to(judged, rankings, scorer).write(artefact)
    pipeline = ["cross-encoder", {"abstain": artefact}, {"dynamic_k": {"policy": {"largest_gap": {"guard": 2}}}}]
    dynamic = engine.rerank_many(load(pipeline, models=models, allow={"files"}), pools)
    fixed = {k: [ids_of(ranking)[:k] for ranking in rankings] for k in range(1, AT_MOST + 1)}
    best = max(fixed, key=lambda k: fmean(map(f1, fixed[k], judged)))
    setting = Setting(passages, embedder, models, options, pipeline, best, depth)
    found = [ids_of(ranking) for ranking in dynamic]
    as_many = min(AT_MOST, max(1, round(fmean(map(len, found)))))
    kinds = {
        f"fixed k = {best}, the best": fixed[best],
        f"fixed k = {as_many}, as many as dynamic k": fixed[as_many],
        "dynamic k": found,
    }
    return setting, [
        f"On the {len(judged)} judged questions, {kind}: F1 {fmean(map(f1, kept, judged)):.3f} with "
        f"{fmean(map(len, kept)):.1f} passages, {fmean(map(setting.tokens, kept)):.0f} tokens per question"
        for kind, kept in kinds.items()
    ]


def fitted_to(judged: Sequence[Question], rankings: Sequence[Ranking], scorer: Stage) -> Artefact:
    """What `tamis calibrate cross-encoder --method max --rate 0.1 --data folder` fits to a folder of questions."""
    asked = {question.id: Asked(question.id, Query(question.text)) for question in judged}
    dataset = Dataset("stdlib", asked, {}, {question.id: question.grades for question in judged}, {}, HELPS)
    by_id = dict(zip(asked, rankings, strict=True))
    quality = {question.id: ndcg(ids_of(by_id[question.id]), question.grades) for question in judged}
    return fit(by_id, dataset, "max", scorer=scorer, quality=quality, rate=RATE)


def retrieved(passages: Sequence[Passage], embedder: Embedder, questions: Sequence[str], depth: int) -> list[Ranking]:
    """The nearest passages of each question, as the frameworks' vector stores find them."""
    texts = [text_of(passage) for passage in passages]
    vectors = np.array(embedder.passages(texts))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for question in questions:
        cosines = vectors @ np.array(embedder.query(question))
        nearest = np.argsort(-cosines, kind="stable")[:depth].tolist()
        pool = [Candidate(texts[row], passages[row].id, score=float(cosines[row])) for row in nearest]
        found.append(Ranking.of(question, pool))
    return found


def f1(kept: Sequence[str], question: Question) -> float:
    """Of the passages kept against those that help (grade 2 or 3)."""
    return 2 * len(helping(kept, question)) / (len(kept) + len(helping(question.grades, question)))


def helping(ids: Sequence[str] | Mapping[str, int], question: Question) -> list[str]:
    return [passage for passage in ids if question.grades.get(passage, 0) >= HELPS]


def ids_of(ranking: Ranking) -> list[str]:
    return [str(candidate.id) for candidate in ranking.candidates]


def text_of(passage: Passage) -> str:
    return f"{passage.title}\n{passage.text}"


def table(framework: str, setting: Setting, questions: Sequence[Question], fixed: Ask, dynamic: Ask) -> Table:
    """A row per question. `help`: how many of the passages given help, of all that do."""
    shown = Table(title=f"What {framework} gives the generator: fixed k = {setting.k} against dynamic k")
    for column in ("question", "needs", "fixed", "help", "tokens", "dynamic", "help", "tokens", "saved"):
        shown.add_column(column, justify="left" if column in ("question", "needs") else "right")
    asked = [(question, NEEDS[question.id]) for question in questions if question.id in NEEDS]
    asked += [(Question("", text, {}), needs) for text, needs in UNANSWERED.items()]
    total = [0, 0]
    for question, needs in asked:
        given = [ask(question.text) for ask in (fixed, dynamic)]
        tokens = [setting.tokens(ids) for ids in given]
        total = [sum(pair) for pair in zip(total, tokens, strict=True)]
        of = len(helping(question.grades, question))
        cells = [
            [str(len(ids)), f"{len(helping(ids, question))}/{of}", str(n)] for ids, n in zip(given, tokens, strict=True)
        ]
        shown.add_row(question.text, needs, *cells[0], *cells[1], saved(*tokens))
    shown.add_section()
    shown.add_row("all", "", "", "", str(total[0]), "", "", str(total[1]), saved(*total))
    return shown


def saved(before: int, after: int) -> str:
    return f"{1 - after / before:.0%}" if before else ""
