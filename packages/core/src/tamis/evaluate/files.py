"""The file formats of test sets: JSON lines, qrels and runs, plain or gzipped. Every complaint names file and line."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tamis.errors import DataError
from tamis.evaluate.dataset import Question, Run
from tamis.values.ranking import Candidate, Query

HEADS = frozenset({"query-id", "queryid", "query", "qid", "topic", "topic-id"})


class Notices(list[str]):
    """What was odd and what was done; the same oddity over many lines becomes one notice with a count."""

    def add(self, what: str, done: str, where: list[str]) -> None:
        if where:
            shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
            self.append(f"{len(where)} {what} ({shown}): {done}")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not empty. Raises `DataError` if the file is not UTF-8 text or not valid gzip."""
    if not path.is_file():
        raise DataError(f"no file at {str(path)!r}")
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        form = "gzipped UTF-8" if path.suffix == ".gz" else "UTF-8"
        raise DataError(f"{path}:{number + 1}: not readable as {form} text: {error}") from None


def records(path: Path, *, ids: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered objects of a JSON-lines file that have a `text`, each with its id as a string under `id` (BEIR's `_id`
    is read as well); without `ids` they need none."""
    for number, line in lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not valid JSON ({error.msg}): {line[:80]!r}") from None
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, got {line[:80]!r}")
        identity = record.pop("_id", record.pop("id", None))
        if (identity is None and ids) or not isinstance(record.get("text"), str):
            wanted = "'_id' (or 'id') and 'text'" if ids else "'text'"
            raise DataError(f"{path}:{number}: needs {wanted} (a string), got {sorted(record)}")
        yield number, {**record, "id": None if identity is None else str(identity)}


def read_corpus(path: Path, notices: Notices) -> dict[str, Candidate]:
    """Passages by id. Fields besides id, title and text become metadata."""
    corpus: dict[str, Candidate] = {}
    repeated = []
    for number, record in records(path):
        identity, text, title = record.pop("id"), record.pop("text"), record.pop("title", None)
        if identity in corpus:
            repeated.append(f"{path.name}:{number} {identity!r}")
            continue
        nested = record.pop("metadata", None)
        metadata = {**(nested if isinstance(nested, Mapping) else {}), **record}
        corpus[identity] = Candidate(text, identity, title or None, metadata=metadata)
    if not corpus:
        raise DataError(f"{path} holds no passages")
    notices.add("passages repeat an id", "the first of each id is kept", repeated)
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


def read_qrels(path: Path, notices: Notices) -> dict[str, dict[str, int]]:
    """Grades by query and passage. Reads `query passage grade` (BEIR, with or without its header) and TREC's
    `query iteration passage grade`, separated by tabs or spaces."""
    qrels: dict[str, dict[str, int]] = {}
    conflicts = []
    for number, fields in _rows(path):
        if number == 1 and _is_head(fields):
            continue
        if len(fields) not in (3, 4):
            raise DataError(f"{path}:{number}: a judgement has 3 fields, or 4 in TREC's form, got {fields}")
        query, passage, written = fields[0], fields[-2], fields[-1]
        grade = _number(path, number, "grade", written)
        if not grade.is_integer():
            raise DataError(f"{path}:{number}: a grade must be a whole number, got {written!r}")
        grades = qrels.setdefault(query, {})
        if grades.get(passage, grade) != grade:
            conflicts.append(f"{path.name}:{number} {query!r} {passage!r}: {grades[passage]} and {int(grade)}")
        grades[passage] = max(int(grade), grades.get(passage, int(grade)))
    if not qrels:
        raise DataError(f"{path} holds no judgements; without them nothing can be measured")
    notices.add("judgements contradict an earlier one", "the higher grade is taken", conflicts)
    return qrels


def read_run(path: Path, notices: Notices) -> Run:
    """Passages a system found, by query, best first: by score, then by rank, then as in the file.

    Reads `query passage rank score` and TREC's `query Q0 passage rank score tag`.
    """
    found: dict[str, dict[str, tuple[float, float]]] = {}
    repeated = []
    for number, fields in _rows(path):
        if number == 1 and _is_head(fields):
            continue
        if len(fields) not in (4, 6):
            raise DataError(f"{path}:{number}: a run line has 4 fields, or 6 in TREC's form, got {fields}")
        query, passage, rank, written = (fields[0], *fields[1:]) if len(fields) == 4 else (fields[0], *fields[2:5])
        passages = found.setdefault(query, {})
        if passage in passages:
            repeated.append(f"{path.name}:{number} {query!r} {passage!r}")
            continue
        place = _number(path, number, "rank", rank)
        passages[passage] = (-_number(path, number, "score", written), place)
    if not found:
        raise DataError(f"{path} holds no results")
    notices.add("results are listed twice for a query", "the first is kept", repeated)
    return {
        query: tuple((passage, -keys[0]) for passage, keys in sorted(passages.items(), key=lambda item: item[1]))
        for query, passages in found.items()
    }


def read_links(path: Path) -> dict[str, list[str]]:
    """Passage ids by the passage that cites them: lines of `from to`."""
    links: dict[str, list[str]] = {}
    for number, fields in _rows(path):
        if len(fields) < 2:
            raise DataError(f"{path}:{number}: a link has two passage ids, got {fields}")
        links.setdefault(fields[0], []).append(fields[1])
    return links


def is_run(path: Path) -> bool:
    """Whether a name looks like a run file's."""
    return any(path.name.removesuffix(".gz").endswith(ending) for ending in (".tsv", ".trec", ".run", ".txt"))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines(path):
        tabbed = "\t" in line
        yield number, next(csv.reader([line], delimiter="\t", quoting=csv.QUOTE_NONE)) if tabbed else line.split()


def _is_head(fields: list[str]) -> bool:
    """Whether a line names columns, as the first line of BEIR's qrels does."""
    return fields[0].casefold().replace("_", "-") in HEADS and not _is_number(fields[-1])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(path: Path, number: int, what: str, text: str) -> float:
    if not _is_number(text) or not math.isfinite(float(text)):
        raise DataError(f"{path}:{number}: the {what} must be a number, got {text!r}")
    return float(text)
