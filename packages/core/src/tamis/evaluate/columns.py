"""Judgements and runs as tables: which separators a file has, what its columns are, and where a line does not fit."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from tamis.errors import DataError
from tamis.evaluate.text_files import lines, values

Record = Mapping[str, str]
"""The fields of a line by what they are: `query`, `passage`, `grade`, `rank`, `score`, `judge`."""

NAMES = {
    "query": "query-id queryid query-no query qid q-id topic topic-id topicid question-id questionid",
    "passage": "corpus-id corpusid doc-id docid docno document-id documentid document doc passage-id passageid "
    "passage pid chunk-id node-id",
    "grade": "grade relevance rel relevancy label rating judgement judgment gain",
    "rank": "rank position place",
    "score": "score sim similarity",
    "iteration": "iteration iter q0",
    "tag": "tag run run-id runid run-name system",
    "judge": "judge judged-by grader assessor",
}
"""Names that files give to their columns."""
ROLES = {name: role for role, names in NAMES.items() for name in names.split()}
ITERATIONS = ("0", "q0")
SAMPLED = 200
DECIMAL_COMMA = re.compile(r"[+-]?\d+,(?!\d{3}$)\d+", re.ASCII)
"""Not where the comma may as well part thousands."""


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of table.

    `shape` says what the fields of a line are, by their number; its second argument says whether the second
    field is TREC's iteration.
    `roles`: what columns are called in heads. `numbers`: the fields that must be numbers; `always`: those that no line
    may lack where the head names them. `what` and `wanted` describe a line in errors.
    """

    shape: Callable[[Sequence[str], bool], Record | None]
    roles: Mapping[str, str]
    numbers: tuple[str, ...]
    always: tuple[str, ...]
    what: str
    wanted: str

    def fault(self, record: Record) -> str | None:
        """What is wrong with the content of a line, if anything."""
        for name in self.numbers:
            if name in record and not is_number(record[name]):
                said = "rank or score" if name == "place" else name
                return f"the {said} must be a number, got {record[name]!r}"
        if record.get("query") and record.get("passage"):
            return None
        return "no passage id" if record.get("query") else "no query id"


def judgement(fields: Sequence[str], iterated: bool) -> Record | None:
    match fields:
        case [query, passage]:
            return {"query": query, "passage": passage}
        case [query, passage, grade] | [query, _, passage, grade]:
            return {"query": query, "passage": passage, "grade": grade}
    return None


def result(fields: Sequence[str], iterated: bool) -> Record | None:
    match fields:
        case [query, passage]:
            return {"query": query, "passage": passage}
        case [query, passage, place]:
            return {"query": query, "passage": passage, "place": place}
        case [query, _, passage, rank] if iterated and not (is_number(rank) and as_number(rank) % 1):
            return {"query": query, "passage": passage, "rank": rank}
        case [query, passage, rank, score, _] if is_number(rank) and not (iterated and is_number(fields[-1])):
            return {"query": query, "passage": passage, "rank": rank, "score": score}
        case [query, passage, rank, score]:
            return {"query": query, "passage": passage, "rank": rank, "score": score}
        case [query, _, passage, rank, score] | [query, _, passage, rank, score, _]:
            return {"query": query, "passage": passage, "rank": rank, "score": score}
    return None


JUDGEMENTS = Form(
    judgement,
    {**ROLES, "score": "grade"},
    ("grade",),
    ("grade",),
    "a judgement",
    "`query passage grade`, TREC's `query 0 passage grade`, or `query passage` where each is relevant",
)
RESULTS = Form(
    result,
    ROLES,
    ("rank", "score", "place"),
    (),
    "a result",
    "`query passage rank score`, TREC's `query Q0 passage rank score tag`, or MS MARCO's `query passage rank`",
)


class Table:
    """The records of a file, in order, each with its line.

    Between fields are tabs, commas, semicolons or blanks: the first of these with which all of the first lines make
    sense; a line with which it makes none is read with another. A head may name the columns: `columns` holds what they
    are, in order, and is empty without one. JSON is read as well: objects with these names, or one object that maps
    queries to objects that map passages to numbers. Raises `DataError` with the line that fits no form.
    """

    def __init__(self, path: Path, form: Form) -> None:
        self.path, self.form = path, form
        numbered = lines(path)
        sample = list(islice(numbered, SAMPLED))
        self._json = bool(sample) and sample[0][1].lstrip()[:1] in ("{", "[")
        if sample and re.fullmatch(r"(?i)sep=.", sample[0][1].strip()):  # Written by spreadsheets.
            del sample[0]
        head = _head(path, *sample[0], form) if sample and not self._json else None
        if head is not None:
            del sample[0]
        self.columns = tuple(role for role in (head[1] if head else ()) if role)
        self._layout = _Named(form, *head) if head and head[1] else _Placed.of([line for _, line in sample], form)
        self._lines = chain(sample, numbered)

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        if self._json:
            yield from self._objects()
            return
        for number, line in self._lines:
            record = self._layout.record(line)
            if record is None:
                shown = line if len(line) <= 120 else line[:119] + "…"
                raise DataError(f"{self.path}:{number}: {self._layout.complaint(line)}; the line is {shown!r}")
            yield number, record

    def _objects(self) -> Iterator[tuple[int, Record]]:
        last = next((name for name in ("grade", "score") if name in self.form.numbers), "")
        for number, value in values(self.path):
            if not isinstance(value, Mapping):
                raise DataError(f"{self.path}:{number}: {self.form.what} in JSON is an object, got {value!r}")
            if all(isinstance(inner, Mapping) for inner in value.values()):
                rows = [
                    {"query": q, "passage": p, last: str(x)} for q, found in value.items() for p, x in found.items()
                ]
            else:
                named = {self.form.roles.get(_plain(str(name))): item for name, item in value.items()}
                rows = [{role: str(item) for role, item in named.items() if role and item is not None}]
            for row in rows:
                if fault := self.form.fault(row):
                    raise DataError(f"{self.path}:{number}: {fault}; got {str(value)[:120]}")
                yield number, row


def is_number(text: str) -> bool:
    """Whether a text is a finite number, as files write them."""
    try:
        value = float(text)
    except ValueError:
        return bool(DECIMAL_COMMA.fullmatch(text))
    return math.isfinite(value) and "_" not in text and text.isascii()


def as_number(text: str) -> float:
    """The value of a text that `is_number`."""
    try:
        return float(text)
    except ValueError:
        return float(text.replace(",", "."))


Split = Callable[[str], list[str]]


def _separated(separator: str) -> Split:
    def split(line: str) -> list[str]:
        if separator not in line:
            return [line.strip()]
        fields = line.split(separator)
        if '"' not in line:
            return [field.strip() for field in fields]
        quoted = [field.strip() for field in fields if '"' in field]
        if quoted and not all(len(f) > 1 and f[0] == f[-1] == '"' and f.count('"') == 2 for f in quoted):
            try:  # A separator or a quote inside quotes; where the quotes belong to the ids, this fails.
                fields = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
            except csv.Error:
                return [field.strip() for field in fields]
        return [_unquoted(field.strip()) for field in fields]

    return split


def _blanks(line: str) -> list[str]:
    return [_unquoted(field) for field in line.split()] if '"' in line else line.split()


def _unquoted(field: str) -> str:
    inner = field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else None
    return field if inner is None or '"' in inner else inner


TABS, BLANKS = _separated("\t"), _blanks
SPLITS: tuple[Split, ...] = (TABS, _separated(","), _separated(";"), BLANKS)


def _fields(split: Split, line: str, form: Form) -> list[str]:
    fields = split(line)
    while fields and not fields[-1]:  # Separators at the end of a line.
        fields.pop()
    return _spaced(fields) if split is BLANKS and form is RESULTS and len(fields) > 6 else fields


@dataclass(frozen=True, slots=True)
class _Placed:
    """Lines of a file without a head: places say what fields are. `bare`: each line has a query and a passage only."""

    form: Form
    split: Split
    iterated: bool = False
    bare: bool = False

    @classmethod
    def of(cls, sample: Sequence[str], form: Form) -> _Placed:
        """With the first separator that most lines of the sample make sense with; one with more than two fields
        first."""
        made = []
        for split in SPLITS:
            rows = [_fields(split, line, form) for line in sample]
            seconds = {row[1].casefold() for row in rows if len(row) > 2}
            # One line with a 0 may as well be a run's passage 0.
            sure = form is JUDGEMENTS or len(rows) > 1 or "q0" in seconds
            iterated = sure and bool(seconds) and seconds <= set(ITERATIONS)
            bare = all(len(row) == 2 and not (split is not BLANKS and any(map(_parted, row))) for row in rows)
            layout = cls(form, split, iterated, bare)
            made.append((sum(layout._read(split, line) is not None for line in sample), not bare, layout))
        fitting, _, blanks = made[-1]
        if fitting == len(sample) and blanks.iterated and any(_parted(f) for line in sample for f in TABS(line)):
            return blanks  # TREC's columns, with tabs and blanks mixed.
        best = max(made, key=lambda one: one[:2])
        parted = best[2].split is BLANKS and not blanks.iterated and all(len(line.split()) == 4 for line in sample)
        if (best[0] < len(sample) or parted) and all(len(TABS(line)) == 2 for line in sample):
            return cls(form, TABS, bare=True)  # Ids with spaces in them.
        return best[2]

    def record(self, line: str) -> Record | None:
        found = self._read(self.split, line)
        if found is None:
            found = next(filter(None, (self._read(split, line) for split in SPLITS if split is not self.split)), None)
        return found

    def _read(self, split: Split, line: str) -> Record | None:
        fields = _fields(split, line, self.form)
        found = self.form.shape(fields, self.iterated)
        if found is None or (len(fields) == 2 and not self.bare) or self.form.fault(found) is not None:
            return None
        return found

    def complaint(self, line: str) -> str:
        for split in (self.split, *SPLITS):
            fields = _fields(split, line, self.form)
            found = self.form.shape(fields, self.iterated) if len(fields) > 2 else None
            if found and (fault := self.form.fault(found)):
                return fault
        return f"{self.form.what} is {self.form.wanted}"


@dataclass(frozen=True, slots=True)
class _Named:
    """Lines of a file whose head says what its columns are."""

    form: Form
    split: Split
    roles: Sequence[str | None]

    def record(self, line: str) -> Record | None:
        for split in (self.split, *(other for other in SPLITS if other is not self.split)):
            found = self._found(split(line))
            if found is not None and self.form.fault(found) is None and not self._lacking(found):
                return found
        return None

    def complaint(self, line: str) -> str:
        found = self._found(self.split(line))
        if found is None:
            columns = ", ".join(role or "another" for role in self.roles)
            return f"a line has {len(self.roles)} fields, as the head says ({columns})"
        return self.form.fault(found) or f"no {self._lacking(found)}"

    def _found(self, fields: list[str]) -> Record | None:
        while len(fields) > len(self.roles) and not fields[-1]:
            fields.pop()
        if len(fields) > len(self.roles) or len(fields) < 2:
            return None
        return {role: field for role, field in zip(self.roles, fields, strict=False) if role and field}

    def _lacking(self, found: Record) -> str:
        return next((name for name in self.form.always if name in self.roles and name not in found), "")


def _parted(field: str) -> bool:
    return bool(re.search(r"\s", field))


def _spaced(fields: list[str]) -> list[str]:
    """The six fields of a TREC line in which ids hold spaces: the mark `Q0` parts query from passage."""
    marks = [index for index, field in enumerate(fields) if field.casefold() == "q0"]
    if len(marks) != 1 or not 0 < marks[0] < len(fields) - 4:
        return fields
    at = marks[0]
    return [" ".join(fields[:at]), fields[at], " ".join(fields[at + 1 : -3]), *fields[-3:]]


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-").replace(" ", "-").lstrip("#")


def _head(path: Path, number: int, line: str, form: Form) -> tuple[Split, list[str | None]] | None:
    """How to split the lines and what their columns are, where a line names them; no columns where it names others
    than a query and a passage. `None` for a line that is data."""
    for split in SPLITS:
        fields = split(line)
        names = [_plain(field) for field in fields]
        if len(fields) < 2 or any(map(is_number, fields[2:])):
            continue
        roles = [form.roles.get(name) for name in names]
        if {"query", "passage"} <= set(roles):
            for role in filter(None, roles):
                if roles.count(role) > 1:
                    raise DataError(f"{path}:{number}: two columns hold a {role}: {', '.join(fields)}")
            return split, roles
        if len(fields) > 2 and ROLES.get(names[0]) == "query":
            return split, []
    return None
