"""A test set from a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from tamis.errors import DataError
from tamis.evaluate.dataset import Dataset, Question, Run
from tamis.evaluate.files import (
    Grades,
    Judgements,
    Notices,
    read_corpus,
    read_links,
    read_qrels,
    read_queries,
    read_run,
)
from tamis.evaluate.first_stage import bm25_run
from tamis.values.ranking import Candidate

TEXTS = (".jsonl", ".json", ".ndjson", ".tsv", ".csv")
TABLES = (".tsv", ".csv", ".txt", ".trec", ".json", ".jsonl")


def read(
    folder: str | Path,
    *,
    run: str | Path | None = None,
    qrels: str | Path | None = None,
    split: str = "test",
    depth: int = 100,
    relevant_from: float | None = None,
    judged: bool = True,
) -> Dataset:
    """The test set in `folder`, each file plain or gzipped.

    `corpus.jsonl`, `queries.jsonl` and judgements: `qrels` if given, else `qrels/<split>.tsv` (BEIR) or `qrels.tsv`.
    The first stage: `run` if given, a path or a name in the folder, else `run.tsv`, else BM25 made here, `depth`
    passages per query. `links.tsv`, when there, becomes the metadata `links` of the passages. Files may also end in
    `.json`, `.csv`, `.txt` or `.trec`; `tamis.evaluate.files` says what each may hold.

    `relevant_from`: the lowest grade that counts as relevant for metrics that know only yes and no; by default 1, 0.5
    where all grades are between 0 and 1 and some are decimal, and 2 where a language model gave all of them.
    `judged=False` reads a set without judgements, too.
    Raises `DataError` with file and line; what could be repaired is reported in `Dataset.notices`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"no folder at {str(folder)!r}; it should hold corpus.jsonl, queries.jsonl and qrels")
    notices = Notices()
    corpus = read_corpus(_find(folder, "corpus", notices), notices)
    if links := _there(folder, "links.tsv"):
        corpus = _linked(corpus, read_links(links))
    questions = read_queries(_find(folder, "queries", notices), notices)
    given = _judgements(folder, qrels, split, judged, notices)
    run_path = _named(folder, run) if run is not None else _one_of(folder, "run", TABLES, notices)
    grades = _known(given.grades, corpus, questions, notices, judged)
    if run_path is None:
        notices.append(f"no run.tsv in {folder.name}: the first stage is BM25 over the corpus, made here")
        asked = {query: question.query.text for query, question in questions.items() if query in grades or not grades}
        first_stage: Run = bm25_run(asked, corpus, depth) if asked else {}
    else:
        first_stage = with_texts(read_run(run_path, notices), corpus, questions, run_path, notices)
    if relevant_from is None and sum(given.judges.values()) >= sum(map(len, given.grades.values())):
        # All grades are a model's. Of its 0 to 3, 1 means on the subject only.
        relevant_from = 2 if any(grade > 1 for found in grades.values() for grade in found.values()) else None
    lowest = _lowest(grades, relevant_from, notices) if grades else relevant_from or 1
    _findable(grades, lowest, corpus)
    _count(questions, grades, first_stage, notices)
    for judge, count in given.judges.items():
        every = sum(map(len, given.grades.values()))
        notices.append(f"{count} of {every} judgements are by the language model {judge}, not by people")
    name = folder.resolve().name
    return Dataset(name, questions, corpus, grades, first_stage, lowest, tuple(notices), given.judges)


def with_texts(
    run: Run, corpus: Mapping[str, Candidate], questions: Mapping[str, Question], path: Path, notices: Notices
) -> Run:
    """The run without what has no text in this set; each such query or passage is reported."""
    run = decoded(run, corpus, questions, path, notices)
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
        raise DataError(
            f"{path}: no query and passage of this run is in the set; do the ids belong together? It has queries "
            f"{_some(run)} and passages {_some(p for found in run.values() for p, _ in found)}, the set queries "
            f"{_some(questions)} and passages {_some(corpus)}"
        )
    return known


def decoded(
    run: Run, corpus: Mapping[str, Candidate], questions: Mapping[str, Question], path: Path, notices: Notices
) -> Run:
    """The run with ids that tamis wrote with percent signs, since they hold spaces, as they are in the set."""
    changed = []

    def known(identity: str, set_ids: Mapping[str, object]) -> str:
        if "%" in identity and identity not in set_ids and (plain := unquote(identity)) in set_ids:
            changed.append(f"{identity!r} is {plain!r}")
            return plain
        return identity

    made = {known(q, questions): tuple((known(p, corpus), score) for p, score in found) for q, found in run.items()}
    notices.add(f"ids of {path.name} are written with percent signs", "they are read as those of the set", changed)
    return made


def _known(
    grades: Grades, corpus: Mapping[str, Candidate], questions: Mapping[str, Question], notices: Notices, judged: bool
) -> Grades:
    """The judgements of queries that have a text; the others, and passages without one, are reported."""
    if (judged or grades) and not set(questions) & set(grades):
        raise DataError(
            f"no query has a judgement: queries are called {_some(questions)}, the judged ones {_some(grades)}"
            f"{_alike(grades, questions)}"
        )
    strangers = [query for query in grades if query not in questions]
    what = f"judged queries are not in queries.jsonl{_alike(strangers, questions)}"
    notices.add(what, "their judgements are left out", list(map(repr, strangers)))
    known = {query: found for query, found in grades.items() if query in questions}
    missing = [f"query {query!r} passage {p!r}" for query, found in known.items() for p in found if p not in corpus]
    notices.add("judged passages are not in the corpus", "the relevant ones among them count as not found", missing)
    return known


def _findable(grades: Grades, lowest: float, corpus: Mapping[str, Candidate]) -> None:
    """Raise where no relevant passage is in the corpus: every metric would be 0, whatever was measured."""
    relevant = list(dict.fromkeys(p for found in grades.values() for p, grade in found.items() if grade >= lowest))
    if relevant and not any(passage in corpus for passage in relevant):
        raise DataError(
            f"no passage judged relevant is in the corpus; are these judgements for this corpus? The judgements name "
            f"{_some(relevant)}, the corpus has {_some(corpus)}{_alike(relevant, corpus)}"
        )


def _alike(strangers: Iterable[str], questions: Mapping[str, object]) -> str:
    """A hint where ids would be the same without zeros in front or without case."""
    known, folded = ({plain(query) for query in questions} for plain in (_unpadded, str.casefold))
    if any(_unpadded(query) in known for query in strangers):
        return ", but some would be without zeros in front"
    return ", but some would be in other case" if any(query.casefold() in folded for query in strangers) else ""


def _unpadded(identity: str) -> str:
    return identity.lstrip("0")


def _count(questions: Mapping[str, Question], grades: Grades, run: Run, notices: Notices) -> None:
    if not grades:
        return
    without = [repr(query) for query in questions if query not in grades]
    used = [query for query in questions if query not in grades and query in run]
    done = f"{len(used)} of them have results, but no values that could count in means" if used else "they are left out"
    notices.add("queries have no judgement", done, without)
    nothing = [repr(query) for query in questions if query in grades and not run.get(query)]
    notices.add("judged queries have no results in the first stage", "they count as nothing found", nothing)


def _lowest(grades: Grades, given: float | None, notices: Notices) -> float:
    """The lowest grade that counts as relevant."""
    kinds = sorted({grade for judged in grades.values() for grade in judged.values()})
    decimal = any(grade != int(grade) for grade in kinds)
    lowest = given if given is not None else 0.5 if decimal and kinds[-1] <= 1 else 1
    negative = sum(grade < 0 for judged in grades.values() for grade in judged.values())
    if negative:
        notices.append(f"{negative} judgements have a grade below 0: they count as judged and not relevant")
    spread = f"from {kinds[0]} to {kinds[-1]}" if len(kinds) > 8 else ", ".join(map(str, kinds))
    if len(set(kinds) - {0}) > 1 or decimal:
        notices.append(f"grades are {spread}: metrics that know only yes and no take {lowest:g} and above as relevant")
    if kinds[-1] < lowest:
        raise DataError(
            f"no judgement has a grade of {lowest:g} or more (grades: {spread}); relevant_from (--relevant-from) says "
            "from which grade on a passage is relevant"
        )
    return lowest


def _linked(corpus: Mapping[str, Candidate], links: Mapping[str, list[str]]) -> dict[str, Candidate]:
    return {
        identity: replace(passage, metadata={**passage.metadata, "links": links[identity]})
        if identity in links
        else passage
        for identity, passage in corpus.items()
    }


def _judgements(folder: Path, given: str | Path | None, split: str, needed: bool, notices: Notices) -> Judgements:
    if given is not None:
        return read_qrels(_named(folder, given), notices)
    path = _one_of(folder / "qrels", split, TABLES, notices) or _one_of(folder, "qrels", TABLES, notices)
    if path is not None:
        return read_qrels(path, notices)
    there = sorted({p.name for ending in TABLES for p in (folder / "qrels").glob(f"*{ending}*")})
    splits = f"; qrels/ holds {', '.join(there)}: choose with split" if there else ""
    if needed:
        raise DataError(
            f"no judgements in {str(folder)!r}: expected qrels/{split}.tsv or qrels.tsv{splits}. Where nobody has "
            "judged, a language model can: tamis eval --judge, or tamis.evaluate.judge"
        )
    return Judgements({}, {})


def _named(folder: Path, name: str | Path) -> Path:
    """A path as given, else a file of that name in the folder."""
    path = Path(name)
    if path.is_file():
        return path
    if there := next(filter(None, (_there(folder, f"{path.name}{ending}") for ending in ("", *TABLES))), None):
        return there
    raise DataError(f"no file at {str(path)!r}, nor one of that name in {str(folder)!r}")


def _find(folder: Path, name: str, notices: Notices) -> Path:
    if (path := _one_of(folder, name, TEXTS, notices)) is None:
        raise DataError(f"no {name}.jsonl (or {name}.jsonl.gz, {name}.json, {name}.tsv) in {str(folder)!r}")
    return path


def _one_of(folder: Path, stem: str, endings: Iterable[str], notices: Notices) -> Path | None:
    """The first file of that name; others beside it are reported."""
    paths = [path for ending in endings for path in (folder / f"{stem}{ending}", folder / f"{stem}{ending}.gz")]
    there = [path for path in paths if path.is_file()]
    if len(there) > 1:
        notices.append(f"{', '.join(path.name for path in there[1:])} beside {there[0].name}: not read")
    return there[0] if there else None


def _there(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _some(ids: Iterable[str]) -> str:
    return ", ".join(repr(identity) for identity, _ in zip(dict.fromkeys(ids), range(3), strict=False))
