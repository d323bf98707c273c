"""The files of test sets: passages, queries, judgements, runs and links. Every complaint names file and line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tamis.errors import DataError
from tamis.evaluate import columns, text_files
from tamis.evaluate.dataset import Question, Run
from tamis.values.ranking import Candidate, Query

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""What separates the columns of a table of texts, by how its name ends."""
Grades = dict[str, dict[str, float]]
"""Query id to passage id to grade; whole grades are integers."""


class Judgements(NamedTuple):
    """`judges`: how many of the grades each model gave that the file names as their judge; people are not named."""

    grades: Grades
    judges: Mapping[str, int]


class Notices(list[str]):
    """What was odd and what was done; the same oddity over many lines becomes one notice with a count."""

    def add(self, what: str, done: str, where: list[str]) -> None:
        if where:
            shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
            self.append(f"{len(where)} {what} ({shown}): {done}")


def records(path: Path, *, ids: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered objects of a JSON file that have a `text`, each with its id as a string under `id` (BEIR's `_id` is read
    as well). Without `ids` they need none, and a string is a text.

    The file holds one object per line, or one array of them; or it is a table (`.tsv`, `.csv`) whose head names `text`
    and `id`, or with an id and a text in each line, as MS MARCO has them.
    """
    separator = SEPARATORS.get(kind_of(path))
    for number, value in _table(path, separator) if separator else text_files.values(path):
        record = {"text": value} if isinstance(value, str) and not ids else value
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, got {_short(value)}")
        record = dict(record)
        given = record.pop("id", None)
        identity = record.pop("_id", given)
        if (identity is None and ids) or not isinstance(record.get("text"), str):
            wanted = "'_id' (or 'id') and 'text'" if ids else "'text'"
            raise DataError(f"{path}:{number}: needs {wanted} (a string), got {_short(value)}")
        if isinstance(identity, (bool, list, dict)):
            raise DataError(f"{path}:{number}: an id is a string or a number, got {_short(identity)}")
        if isinstance(identity, float) and identity.is_integer():
            identity = int(identity)  # A column of numbers in which one is missing becomes one of floats.
        yield number, {**record, "id": None if identity is None else str(identity)}


def read_passages(path: Path) -> list[Candidate]:
    """Passages to rank: JSON (one per line or an array; objects with a `text`, or strings), a table (`.csv`, `.tsv`)
    whose head names a column `text`, or one passage per line.

    `id`, `title` and `score` are read where they are given; other fields become metadata. Raises `DataError` with file
    and line.
    """
    kind = kind_of(path)
    if kind in SEPARATORS:
        found = [_passage(record) for _, record in _rows(path, SEPARATORS[kind])]
    elif kind in (".jsonl", ".ndjson", ".json") or _looks_like_json(path):
        found = [_passage(record) for _, record in records(path, ids=False)]
    else:
        found = [Candidate(line) for _, line in text_files.lines(path)]
    if not found:
        raise DataError(f"{path} holds no passages")
    return found


def _passage(record: dict[str, Any]) -> Candidate:
    known = {key: record.pop(key) for key in ("id", "title", "score") if record.get(key) is not None}
    text, nested = record.pop("text"), record.pop("metadata", None)
    return Candidate(text, metadata={**(nested if isinstance(nested, Mapping) else {}), **record}, **known)


def kind_of(path: Path) -> str:
    """How the name ends, in small letters and without `.gz`."""
    return (path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix).lower()


def _table(path: Path, separator: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a table under its head; without one, what is in front of the first separator is the id."""
    first = next(text_files.lines(path), (0, ""))[1]
    if {"text", '"text"'} & {field.strip() for field in first.split(separator)}:
        yield from _rows(path, separator)
        return
    for number, line in text_files.lines(path):
        identity, mark, text = line.partition(separator)
        if not mark or separator == ",":
            wanted = "a head with the columns id and text" + (
                ", or an id, a tab and a text" if separator != "," else ""
            )
            raise DataError(f"{path}:{number}: expected {wanted}; got {_short(line)}")
        yield number, {"id": identity.strip(), "text": text}


def _rows(path: Path, separator: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text_files.text(path), newline=""), delimiter=separator)
    if "text" not in (reader.fieldnames or ()):
        raise DataError(f"{path}:1: the head needs a column 'text', got {list(reader.fieldnames or ())}")
    for row in reader:
        if None in row or row["text"] is None:
            wanted = len(reader.fieldnames or ())
            raise DataError(f"{path}:{reader.line_num}: a row has {wanted} fields, as the head says; got {_short(row)}")
        record: dict[str, Any] = {key: value for key, value in row.items() if value}
        if "score" in record:
            if not columns.is_number(record["score"]):
                raise DataError(f"{path}:{reader.line_num}: the score must be a number, got {record['score']!r}")
            record["score"] = columns.as_number(record["score"])
        yield reader.line_num, {"text": "", **record}


def _looks_like_json(path: Path) -> bool:
    """Whether a file begins with a JSON object, or is an array of objects or of strings."""
    first = next(iter(text_files.lines(path)), (0, ""))[1].lstrip()
    if first[:1] not in ("{", "["):
        return False
    try:
        if first[0] == "{":
            return isinstance(next(iter(text_files.values(path)))[1], dict)
        found = [value for _, value in text_files.values(path)]
    except DataError:
        return False
    return bool(found) and all(isinstance(value, (dict, str)) for value in found)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def read_corpus(path: Path, notices: Notices) -> dict[str, Candidate]:
    """Passages by id. Fields besides id, title and text become metadata."""
    corpus: dict[str, Candidate] = {}
    repeated, blank = [], []
    for number, record in records(path):
        identity, text, title = record.pop("id"), record.pop("text"), record.pop("title", None)
        if identity in corpus:
            repeated.append(f"{path.name}:{number} {identity!r}")
            continue
        nested = record.pop("metadata", None)
        metadata = {**(nested if isinstance(nested, Mapping) else {}), **record}
        title = str(title) if isinstance(title, (int, float)) else title or None
        corpus[identity] = Candidate(text, identity, title, metadata=metadata)
        if not corpus[identity].full_text.strip():
            blank.append(f"{path.name}:{number} {identity!r}")
    if not corpus:
        raise DataError(f"{path} holds no passages")
    notices.add("passages repeat an id", "the first of each id is kept", repeated)
    notices.add("passages have no text", "they stay, and nothing in them can be found", blank)
    return corpus


def read_queries(path: Path, notices: Notices) -> dict[str, Question]:
    """Queries by id. Fields besides id, text and instruction are kept in `Question.fields`."""
    questions: dict[str, Question] = {}
    repeated, blank = [], []
    for number, record in records(path):
        identity, text, instruction = record.pop("id"), record.pop("text"), record.pop("instruction", None)
        if identity in questions:
            repeated.append(f"{path.name}:{number} {identity!r}")
        elif not text.strip():
            blank.append(f"{path.name}:{number} {identity!r}")
        else:
            questions[identity] = Question(identity, Query(text, instruction), record)
    if not questions:
        raise DataError(f"{path} holds no queries")
    notices.add("queries repeat an id", "the first of each id is kept", repeated)
    notices.add("queries have no text", "they are left out", blank)
    return questions


def read_qrels(path: Path, notices: Notices) -> Judgements:
    """Grades by query and passage.

    Reads `query passage grade` (BEIR), TREC's `query 0 passage grade` and MS MARCO's `query passage`, in which each
    passage is relevant; with tabs, commas, semicolons or blanks between them, and with a head that names the columns or
    without; or a JSON object of objects. Grades may be negative, as TREC has them for spam, and decimal. A column
    `judge` names the model that gave a grade.
    """
    grades: Grades = {}
    conflicts, repeated, judges = [], [], dict[str, int]()
    without_grade = False
    for number, record in columns.Table(path, columns.JUDGEMENTS):
        query, passage = record["query"], record["passage"]
        without_grade |= "grade" not in record
        grade = _whole(columns.as_number(record.get("grade", "1")))
        known = grades.setdefault(query, {})
        if passage in known and known[passage] != grade:
            conflicts.append(f"{path.name}:{number} {query!r} {passage!r}: {known[passage]} and {grade}")
        elif passage in known:
            repeated.append(f"{path.name}:{number} {query!r} {passage!r}")
        elif judge := record.get("judge"):
            judges[judge] = judges.get(judge, 0) + 1
        known[passage] = max(grade, known.get(passage, grade))
    if not grades:
        raise DataError(f"{path} holds no judgements; without them nothing can be measured")
    if without_grade:
        notices.append(f"{path.name} has no grades: each passage in it counts as relevant, grade 1")
    notices.add("judgements contradict an earlier one", "the higher grade is taken", conflicts)
    notices.add("judgements repeat an earlier one", "each counts once", repeated)
    return Judgements(grades, judges)


def read_run(path: Path, notices: Notices) -> Run:
    """Passages a system found, by query, best first.

    Reads `query passage rank score`, TREC's `query Q0 passage rank score tag` (with or without its tag), and MS MARCO's
    `query passage rank`, separated as judgements are; or a JSON object of objects with scores.

    Scores give the order, ranks that of equal scores. Ranks give it where there are no scores, where scores rise along
    them (distances), and where the head of the file names a column `rank`.
    """
    found: dict[str, dict[str, _Result]] = {}
    repeated = []
    table = columns.Table(path, columns.RESULTS)
    for number, record in table:
        query, passage = record["query"], record["passage"]
        passages = found.setdefault(query, {})
        if passage in passages:
            repeated.append(f"{path.name}:{number} {query!r} {passage!r}")
            continue
        passages[passage] = _Result(_value(record, "rank"), _value(record, "score"), _value(record, "place"))
    if not found:
        raise DataError(f"{path} holds no results")
    notices.add("results are listed twice for a query", "the first is kept", repeated)
    return _in_order(path, found, "rank" in table.columns, notices)


class _Result(NamedTuple):
    """The numbers of a result. `place`: one number, of which nothing says whether it is a rank or a score."""

    rank: float | None = None
    score: float | None = None
    place: float | None = None


def _in_order(path: Path, found: dict[str, dict[str, _Result]], by_rank: bool, notices: Notices) -> Run:
    if any(result.place is not None for results in found.values() for result in results.values()):
        ranks = all(_ranks([r.place for r in results.values() if r.place is not None]) for results in found.values())
        name = "rank" if ranks else "score"
        notices.append(f"{path.name} has one number per result, which is read as its {name}")
        for results in found.values():
            for passage, result in results.items():
                if result.place is not None:
                    results[passage] = result._replace(**{name: result.place, "place": None})
    disagree = [] if by_rank else [query for query, results in found.items() if _disagree(results.values())]
    if disagree and all(_rising(results.values()) for results in found.values()):
        by_rank = True
        notices.append(f"scores of {path.name} rise along the ranks, as distances do: the ranks give the order")
    elif disagree:
        where = [f"{path.name}: query {query!r}" for query in disagree]
        notices.add("queries have ranks and scores that disagree", "the scores give the order", where)
    run = {}
    for query, results in found.items():
        key = _by_rank if by_rank else _by_score
        run[query] = tuple((passage, r.score) for passage, r in sorted(results.items(), key=lambda item: key(item[1])))
    return run


def _by_rank(result: _Result) -> tuple[float, float]:
    return (math.inf if result.rank is None else result.rank, 0.0)


def _by_score(result: _Result) -> tuple[float, float]:
    return (math.inf if result.score is None else -result.score, math.inf if result.rank is None else result.rank)


def _ranks(numbers: Sequence[float]) -> bool:
    """Whether one number per result, in the order of the file, may be ranks: whole, none twice, and rising or without
    gaps; scores fall."""
    if any(number < 0 or not number.is_integer() for number in numbers) or len(set(numbers)) < len(numbers):
        return False
    ordered = sorted(numbers)
    falling = len(numbers) > 1 and list(numbers) == ordered[::-1]
    return list(numbers) == ordered or (not falling and ordered[-1] - ordered[0] == len(numbers) - 1)


def _ranked_scores(results: Iterable[_Result]) -> list[float]:
    """The scores of the results that have rank and score, by rank."""
    both = [(r.rank, r.score) for r in results if r.rank is not None and r.score is not None]
    return [score for _, score in sorted(both, key=lambda pair: pair[0])]


def _disagree(results: Iterable[_Result]) -> bool:
    scores = _ranked_scores(results)
    return any(after > before for before, after in pairwise(scores))


def _rising(results: Iterable[_Result]) -> bool:
    return all(after >= before for before, after in pairwise(_ranked_scores(results)))


def read_links(path: Path) -> dict[str, list[str]]:
    """Passage ids by the passage that cites them: lines of `from to`."""
    links: dict[str, list[str]] = {}
    for number, line in text_files.lines(path):
        fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
        if len(fields) < 2:
            raise DataError(f"{path}:{number}: a link has two passage ids, got {fields}")
        links.setdefault(fields[0], []).append(fields[1])
    return links


def is_run(path: Path) -> bool:
    """Whether a name looks like a run file's."""
    return any(path.name.removesuffix(".gz").endswith(ending) for ending in (".tsv", ".csv", ".trec", ".run", ".txt"))


def _whole(number: float) -> float:
    return int(number) if number.is_integer() else number


def _value(record: columns.Record, name: str) -> float | None:
    return columns.as_number(record[name]) if name in record else None
