"""A real corpus searched and reranked in three frameworks, before and after, with numbers.

    python examples/demo.py [--questions N] [--model URL [--model-name NAME]]

The corpus: the docstrings of this Python's standard library. The questions and judgements: `examples/data`. Each
framework retrieves 30 passages its own way; tamis reranks them through the framework's own adapter, first with nothing
but the base install, then with a small real cross-encoder plus criteria read from metadata. With `--model` a language
model behind an OpenAI-compatible URL grades the ten best on REBEL's criteria as well.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bundled_models import Embedder, cross_encoder
from questions import Question, load_questions, ndcg
from shown import Outcome
from stdlib_corpus import Passage, load_corpus
from with_haystack import HaystackSearch
from with_langchain import LangChainSearch
from with_llamaindex import LlamaIndexSearch

HERE = Path(__file__).parent
CACHE = HERE.parent / ".demo"
DEPTH, TOP_N = 30, 10
SHOWN_QUESTION = "q60"


class Search(Protocol):
    """One framework: what its retriever finds, and what its pipeline with tamis in it gives."""

    name: str
    retriever: str

    def before(self, question: str) -> list[str]: ...
    def after(self, question: str, pipeline: Any, top_n: int, **models: Any) -> Outcome: ...


@dataclass(frozen=True)
class Setup:
    """A pipeline, and the models it calls by name."""

    pipeline: str
    models: Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One row of the table: a pipeline in a framework over all questions."""

    framework: str
    pipeline: str
    ndcg: list[float]
    milliseconds: float
    calls: float
    degraded: int


def main() -> None:
    options = _options()
    console = Console(width=110 if not Console().is_terminal else None)
    started = time.monotonic()
    passages = load_corpus()
    questions = load_questions({passage.id for passage in passages})[: options.questions]
    console.print(f"Corpus: {len(passages)} docstrings of the standard library. Questions: {len(questions)}.")
    console.print("Embedding the corpus with bge-small (minutes the first time; kept in .demo/) ...")
    embedder = Embedder([f"{passage.title}\n{passage.text}" for passage in passages], CACHE)
    searches: list[Search] = [
        LlamaIndexSearch(passages, embedder, DEPTH),
        LangChainSearch(passages, embedder, DEPTH),
        HaystackSearch(passages, DEPTH),
    ]
    pipelines = _pipelines(options)
    lines = [line for search in searches for line in _measure(search, questions, pipelines, console)]
    console.print(_table(lines, searches))
    _show_one(searches[0], questions, pipelines, passages, console)
    console.print(f"\nDone in {time.monotonic() - started:.0f} s.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--questions", type=int, default=None, help="use only the first N questions")
    parser.add_argument("--model", metavar="URL", help="base URL of an OpenAI-compatible server, ending in /v1")
    parser.add_argument("--model-name", default="default", help="the model's name on that server")
    return parser.parse_args()


def _pipelines(options: argparse.Namespace) -> dict[str, Setup]:
    """What to compare, by name, and the models each pipeline calls by name."""
    encoder = {"cross_encoder": cross_encoder()}
    pipelines = {
        "tamis, no model": Setup("default", {}),
        "tamis, cross-encoder + criteria": Setup(str(HERE / "beyond_relevance.yaml"), encoder),
    }
    if options.model:
        from tamis.models import OpenAIChat

        llm = OpenAIChat(options.model_name, base_url=options.model, timeout=300.0, context_window=8192)
        pipelines["tamis, cross-encoder + REBEL"] = Setup(str(HERE / "with_llm.yaml"), {**encoder, "llm": llm})
    return pipelines


def _measure(
    search: Search, questions: Sequence[Question], pipelines: Mapping[str, Setup], console: Console
) -> list[Line]:
    before: list[float] = []
    found: dict[str, list[Outcome]] = {name: [] for name in pipelines}
    for question in track(questions, description=f"{search.name:>10}", console=console, transient=True):
        before.append(ndcg(search.before(question.text), question.grades))
        for name, setup in pipelines.items():
            found[name].append(search.after(question.text, setup.pipeline, TOP_N, **setup.models))
    lines = [Line(search.name, "the retriever alone", before, 0.0, 0.0, 0)]
    for name, outcomes in found.items():
        scores = [ndcg(o.ids, question.grades) for question, o in zip(questions, outcomes, strict=True)]
        milliseconds = 1000 * statistics.median(outcome.seconds for outcome in outcomes)
        calls = statistics.mean(outcome.calls for outcome in outcomes)
        lines.append(Line(search.name, name, scores, milliseconds, calls, sum(bool(o.warnings) for o in outcomes)))
    return lines


def _table(lines: Sequence[Line], searches: Sequence[Search]) -> Table:
    retrievers = {search.name: search.retriever for search in searches}
    table = Table(title=f"The {TOP_N} passages a generator would see", title_style="bold")
    for column, justify in (
        ("framework", "left"),
        ("pipeline", "left"),
        (f"nDCG@{TOP_N}", "right"),
        ("better / worse", "right"),
        ("ms per query", "right"),
        ("calls", "right"),
        ("degraded", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    base: list[float] = []
    for line in lines:
        first = line.pipeline == "the retriever alone"
        base = line.ndcg if first else base
        better = sum(new > old + 1e-9 for new, old in zip(line.ndcg, base, strict=True))
        worse = sum(new < old - 1e-9 for new, old in zip(line.ndcg, base, strict=True))
        table.add_row(
            line.framework if first else "",
            f"{retrievers[line.framework]} alone" if first else f"+ {line.pipeline}",
            f"{statistics.mean(line.ndcg):.3f}",
            "" if first else f"{better} / {worse}",
            "" if first else f"{line.milliseconds:.0f}",
            "" if first else f"{line.calls:.0f}",
            "" if first else str(line.degraded),
            end_section=line is lines[-1] or lines[lines.index(line) + 1].pipeline == "the retriever alone",
        )
    return table


def _show_one(
    search: Search,
    questions: Sequence[Question],
    pipelines: Mapping[str, Setup],
    passages: Sequence[Passage],
    console: Console,
) -> None:
    question = next((q for q in questions if q.id == SHOWN_QUESTION), questions[0])
    name, setup = list(pipelines.items())[-1]
    deprecated = {passage.id for passage in passages if passage.metadata["deprecated"]}
    outcome = search.after(question.text, setup.pipeline, 5, **setup.models)
    console.print(f"\n[bold]One question's context in {search.name}[/bold]: {question.text}\n")
    before = Table("", "before: the retriever's first five", "grade")
    for place, passage in enumerate(search.before(question.text)[:5], 1):
        before.add_row(str(place), _named(passage, deprecated), _grade(question, passage))
    console.print(before)
    after = Table("", f"after: {name}", "grade", "score", "criteria")
    for place, shown in enumerate(outcome.context, 1):
        criteria = ", ".join(f"{key} {value:.1f}" for key, value in shown.criteria.items() if value is not None)
        score = "" if shown.score is None else f"{shown.score:.2f}"
        after.add_row(str(place), _named(shown.id, deprecated), _grade(question, shown.id), score, criteria)
    console.print(after)
    console.print("Grade: 3 answers the question, 2 in part, 1 helps a little, 0 or - does not. (d): deprecated.")


def _named(passage: str, deprecated: set[str]) -> str:
    return f"{passage} (d)" if passage in deprecated else passage


def _grade(question: Question, passage: str) -> str:
    return str(question.grades.get(passage, "-"))


if __name__ == "__main__":
    main()
