"""A test set from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tamis.errors import DataError
from tamis.evaluate.dataset import Dataset, Question, Run
from tamis.evaluate.files import Notices, read_corpus, read_links, read_qrels, read_queries, read_run
from tamis.evaluate.first_stage import bm25_run
from tamis.values.ranking import Candidate


def read(
    folder: str | Path,
    *,
    run: str | Path | None = None,
    qrels: str | Path | None = None,
    split: str = "test",
    depth: int = 100,
    relevant_from: int = 1,
) -> Dataset:
    """The test set in `folder`, each file plain or gzipped.

    `corpus.jsonl`, `queries.jsonl` and judgements: `qrels` if given, else `qrels/<split>.tsv` (BEIR) or `qrels.tsv`.
    The first stage: `run` if given, a path or a name in the folder, else `run.tsv`, else BM25 made here, `depth`
    passages per query. Both may be TREC files. `links.tsv`, when there, becomes the metadata `links` of the passages.
    `relevant_from`: the lowest grade that counts as relevant for metrics that know only yes and no.
    Raises `DataError` with file and line; what could be repaired is reported in `Dataset.notices`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"no folder at {str(folder)!r}; it should hold corpus.jsonl, queries.jsonl and qrels")
    notices = Notices()
    corpus = read_corpus(_find(folder, "corpus.jsonl"), notices)
    if links := _there(folder, "links.tsv"):
        corpus = _linked(corpus, read_links(links))
    questions = read_queries(_find(folder, "queries.jsonl"), notices)
    judged = read_qrels(_qrels(folder, qrels, split), notices)
    run_path = _named(folder, run) if run is not None else _there(folder, "run.tsv")
    if run_path is None:
        notices.append(f"no run.tsv in {folder.name}: the first stage is BM25 over the corpus, made here")
        asked = {query: question.query.text for query, question in questions.items() if query in judged}
        first_stage: Run = bm25_run(asked, corpus, depth) if asked else {}
    else:
        first_stage = with_texts(read_run(run_path, notices), corpus, questions, run_path, notices)
    _check(questions, judged, first_stage, corpus, relevant_from, notices)
    return Dataset(folder.resolve().name, questions, corpus, judged, first_stage, relevant_from, tuple(notices))


def with_texts(
    run: Run, corpus: Mapping[str, Candidate], questions: Mapping[str, Question], path: Path, notices: Notices
) -> Run:
    """The run without what has no text in this set; each such query or passage is reported."""
    strangers = [f"{path.name}: query {query!r}" for query in run if query not in questions]
    lost = [
        f"{path.name}: query {query!r} passage {passage!r}"
        for query, found in run.items()
        for passage, _ in found
        if query in questions and passage not in corpus
    ]
    notices.add("queries of the run are not in queries.jsonl", "they are left out", strangers)
    notices.add("results are not in the corpus", "they cannot be shown to a model and are left out of the pool", lost)
    known = {
        query: tuple((passage, score) for passage, score in found if passage in corpus)
        for query, found in run.items()
        if query in questions
    }
    if not any(known.values()):
        raise DataError(f"{path}: no query and passage of this run is in the set; do the ids belong together?")
    return known


def _check(
    questions: Mapping[str, Question],
    qrels: Mapping[str, Mapping[str, int]],
    run: Run,
    corpus: Mapping[str, Candidate],
    relevant_from: int,
    notices: Notices,
) -> None:
    if not set(questions) & set(qrels):
        raise DataError(
            f"no query has a judgement: queries are called {_some(questions)}, the judged ones {_some(qrels)}"
        )
    nothing = [repr(query) for query in questions if query in qrels and not run.get(query)]
    notices.add("judged queries have no results in the first stage", "they count as nothing found", nothing)
    missing = sum(passage not in corpus for grades in qrels.values() for passage in grades)
    if missing:
        notices.append(
            f"{missing} judged passages are not in the corpus: they count as relevant ones that were not found"
        )
    grades = {grade for judged in qrels.values() for grade in judged.values()}
    if len(grades - {0}) > 1:
        notices.append(
            f"grades are {sorted(grades)}: metrics that know only yes and no take {relevant_from} and above as relevant"
        )
    if not any(grade >= relevant_from for grade in grades):
        raise DataError(f"no judgement has a grade of {relevant_from} or more (grades: {sorted(grades)})")


def _linked(corpus: Mapping[str, Candidate], links: Mapping[str, list[str]]) -> dict[str, Candidate]:
    return {
        identity: replace(passage, metadata={**passage.metadata, "links": links[identity]})
        if identity in links
        else passage
        for identity, passage in corpus.items()
    }


def _qrels(folder: Path, given: str | Path | None, split: str) -> Path:
    if given is not None:
        return _named(folder, given)
    path = _there(folder / "qrels", f"{split}.tsv") or _there(folder, "qrels.tsv") or _there(folder, "qrels.txt")
    if path is None:
        there = sorted(path.name for path in (folder / "qrels").glob("*.tsv*"))
        splits = f"; qrels/ holds {', '.join(there)}: choose with split" if there else ""
        raise DataError(f"no judgements in {str(folder)!r}: expected qrels/{split}.tsv or qrels.tsv{splits}")
    return path


def _named(folder: Path, name: str | Path) -> Path:
    """A path as given, else a file of that name in the folder."""
    path = Path(name)
    if path.is_file():
        return path
    if there := _there(folder, path.name) or _there(folder, f"{path.name}.tsv"):
        return there
    raise DataError(f"no file at {str(path)!r}, nor one of that name in {str(folder)!r}")


def _find(folder: Path, name: str) -> Path:
    if (path := _there(folder, name)) is None:
        raise DataError(f"no {name} (or {name}.gz) in {str(folder)!r}")
    return path


def _there(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _some(ids: Mapping[str, object]) -> str:
    return ", ".join(repr(identity) for identity in list(ids)[:3])
