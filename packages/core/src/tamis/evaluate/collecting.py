"""A test set of one's own retriever: what it finds for some queries, as the files that `tamis eval` reads."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote

from tamis.errors import ConfigError, DataError
from tamis.evaluate.dataset import Dataset, Question
from tamis.evaluate.files import SEPARATORS, Notices, kind_of, records
from tamis.evaluate.retrievers import asking
from tamis.evaluate.text_files import lines
from tamis.values.ranking import Candidate, Query

Scores = Literal["similarity", "distance", "mixed", "none"]
Ids = Literal["stable", "given", "text"]
RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A random UUID: frameworks make one for each text that has no id, and another one when the index is built again."""
UNSAFE = re.compile(r"""^$|^\s|\s$|[\t\r\n"%\ufeff]""")


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` wrote into `folder`, in numbers.

    `scores`: `similarity` where they fall along the ranks of every query, `distance` where they rise, `mixed` where
    they do neither, `none` where there are none. `notices` say what was odd and what was done.
    """

    folder: Path
    queries: int
    passages: int
    results: int
    scores: Scores
    notices: tuple[str, ...] = ()


def collect(
    retriever: Any,
    queries: Any,
    folder: str | Path = "collected",
    *,
    top_k: int | None = None,
    ids: Ids = "stable",
    output: str | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Collected:
    """Ask a retriever all queries and write what it finds, so that `tamis eval --data folder` measures rerankers behind
    this very first stage.

    Args:
        retriever: of LlamaIndex, LangChain or Haystack, or a function; see `tamis.evaluate.retrievers.asking`.
        queries: texts by id, a sequence of texts or of `Question`s, a `Dataset`, or a file (JSON with a `text` and
            perhaps an `id`, or one text per line). A text without an id gets one made from it, the same each time.
        folder: gets `corpus.jsonl`, `queries.jsonl`, `run.tsv` and `collected.json`. Judgements that are there stay.
        top_k: how many to ask for, where the retriever takes a number; what it finds beyond that is left out. `None`:
            what it is set to.
        ids: `"stable"`: those of the retriever, and a digest of the text where it gives none or a random one: indexes
            make up other random ids when they are built again, and judgements would then fit nothing; `"given"`: random
            ones, too; `"text"`: always the digest.
        output: the component of a Haystack pipeline whose documents count, where several give some.
        on_progress: called with queries done, queries in all and the query's id.

    The run has the retriever's own order. Scores are written as they are; where they do not fall along the ranks, that
    is reported. A query on which the retriever fails has no results and is reported; if all fail, the first error is
    raised as `DataError`.

    >>> collect(index.as_retriever(similarity_top_k=50), {"q1": "how tall is Everest"}, "my-data")  # doctest: +SKIP
    """
    if ids not in get_args(Ids):
        raise ConfigError(f"ids must be 'stable', 'given' or 'text', got {ids!r}")
    ask = asking(retriever, top_k, output)
    notices = Notices()
    questions = _questions(queries, notices)
    found: dict[str, list[Candidate]] = {}
    failed: dict[str, Exception] = {}
    for number, (identity, question) in enumerate(questions.items(), 1):
        try:
            found[identity] = ask(question.query.text)
        except ConfigError:
            raise
        except Exception as error:
            failed[identity] = error
        if on_progress:
            on_progress(number, len(questions), identity)
    if failed and len(failed) == len(questions):
        cause = next(iter(failed.values()))
        raise DataError(f"the retriever failed on every query; the first: {type(cause).__name__}: {cause}") from cause
    where = [f"{identity!r}: {type(error).__name__}: {str(error)[:120]}" for identity, error in failed.items()]
    notices.add("queries failed in the retriever", "they have no results", where)
    pool = _Pool(ids)
    run = {identity: pool.placed(identity, candidates) for identity, candidates in found.items()}
    pool.report(notices)
    nothing = [repr(identity) for identity, results in run.items() if not results]
    notices.add("queries have no results", "they count as nothing found", nothing)
    scores = _kind(run)
    if scores == "distance":
        notices.append("scores rise along the ranks, as distances do: the run keeps the order of the retriever")
    elif scores == "mixed":
        notices.append("scores do not fall along the ranks: the run keeps the order of the retriever")
    results = sum(map(len, run.values()))
    done = Collected(Path(folder), len(questions), len(pool.corpus), results, scores, tuple(notices))
    _write(done, questions, pool.corpus, run, f"{type(retriever).__module__}.{type(retriever).__qualname__}")
    return done


@dataclass(slots=True)
class _Pool:
    """All passages by id, and what was odd about them."""

    ids: Ids
    corpus: dict[str, Candidate] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    random: set[str] = field(default_factory=set)

    def placed(self, query: str, candidates: Sequence[Candidate]) -> list[tuple[str, float | None]]:
        """The results of one query; what came twice has its first place."""
        results: dict[str, float | None] = {}
        called: dict[str, str] = {}
        for candidate in candidates:
            given = "" if candidate.id is None else str(candidate.id)
            identity = self._identity(candidate, given)
            if given and called.setdefault(identity, given) != given:
                identity = self._another(candidate, identity, given, called)
            if identity in results:
                self.twice.append(f"query {query!r} passage {identity!r}")
                continue
            results[identity] = candidate.score
        return list(results.items())

    def _another(self, candidate: Candidate, identity: str, given: str, called: dict[str, str]) -> str:
        """An id for a passage with the text of another: both were found, so both stay."""
        number = 2
        while called.setdefault(name := f"{identity}-{number}", given) != given:
            number += 1
        self.corpus.setdefault(name, replace(candidate, id=name, score=None))
        return name

    def _identity(self, candidate: Candidate, given: str) -> str:
        made = digest(candidate)
        usable = bool(given.strip()) and given == given.encode("utf-8", "replace").decode()
        if not usable:
            self.without.append(made)
        random = usable and bool(RANDOM.fullmatch(given.lower()))
        if random:
            self.random.add(given)
        identity = given if usable and (self.ids == "given" or (self.ids == "stable" and not random)) else made
        known = self.corpus.get(identity)
        if known is not None and (known.text, known.title) != (candidate.text, candidate.title):
            self.shared.append(repr(identity))
            identity = f"{identity}#{made[:8]}"
        if identity not in self.corpus:
            self.corpus[identity] = replace(candidate, id=identity, score=None)
            if not candidate.full_text.strip():
                self.empty.append(repr(identity))
        return identity

    def report(self, notices: Notices) -> None:
        notices.add(
            "passages have no id", "they are called by a digest of their text", list(dict.fromkeys(self.without))
        )
        notices.add("results have the id of another text", "the digest of theirs is added to it", self.shared)
        notices.add("results came twice for a query", "the first is kept", self.twice)
        notices.add("passages have no text", "they stay, and nothing in them can be found", self.empty)
        if self.random and self.ids == "stable":
            notices.append(
                f"{len(self.random)} ids look random: passages are called by a digest of their text, which stays when "
                "the index is built again; ids='given' (--ids given) keeps them"
            )
        elif self.random and self.ids == "given":
            notices.append(
                f"{len(self.random)} ids look random: if the index makes others when it is built again, judgements "
                "will not fit"
            )


def digest(candidate: Candidate) -> str:
    """An id made of title and text, the same each time.

    >>> digest(Candidate("a text"))
    '694caefb847403f4'
    """
    return _hashed(f"{candidate.title or ''}\0{candidate.text}", 16)


def _hashed(text: str, letters: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:letters]


def _questions(queries: Any, notices: Notices) -> dict[str, Question]:
    found: dict[str, Question] = {}
    repeated, blank = [], []
    for number, (identity, text, more) in enumerate(_texts(queries), 1):
        name = (
            identity if identity is not None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        )
        if not text.strip():
            blank.append(f"number {number}")
        elif name in found:
            repeated.append(f"{name!r}")
        else:
            found[name] = Question(name, Query(text, more.pop("instruction", None)), more)
    if not found:
        raise DataError("there are no queries to ask")
    notices.add("queries repeat another one", "each is asked once", repeated)
    notices.add("queries have no text", "they are left out", blank)
    return found


def _texts(queries: Any) -> Iterator[tuple[str | None, str, dict[str, Any]]]:
    """Id, text and other fields of each query."""
    if isinstance(queries, (str, Path)):
        path = Path(queries)
        if kind_of(path) in (".json", ".jsonl", ".ndjson", *SEPARATORS):
            for _, record in records(path, ids=False):
                yield record.pop("id"), record.pop("text"), record
        else:
            yield from ((None, line, {}) for _, line in lines(path))
        return
    if isinstance(queries, Dataset):
        queries = queries.questions
    pairs: Iterable[tuple[Any, Any]] = queries.items() if isinstance(queries, Mapping) else ((None, q) for q in queries)
    for identity, value in pairs:
        name = None if identity is None else str(identity)
        if isinstance(value, Question):
            more = {**value.fields, **({"instruction": value.query.instruction} if value.query.instruction else {})}
            yield name or value.id, value.query.text, more
        elif isinstance(value, Query):
            yield name, value.text, {"instruction": value.instruction} if value.instruction else {}
        elif isinstance(value, str):
            yield name, value, {}
        else:
            raise ConfigError(f"a query is a text, a Query or a Question, got {type(value).__name__}")


Run = Mapping[str, Sequence[tuple[str, float | None]]]


def _kind(run: Run) -> Scores:
    pairs = [
        (a, b)
        for results in run.values()
        for (_, a), (_, b) in pairwise(results)
        if a is not None and b is not None and a != b
    ]
    if not any(score is not None for results in run.values() for _, score in results):
        return "none"
    rising = sum(b > a for a, b in pairs)
    return "similarity" if not rising else "distance" if rising == len(pairs) else "mixed"


def _write(
    done: Collected, questions: Mapping[str, Question], corpus: Mapping[str, Candidate], run: Run, name: str
) -> None:
    folder = done.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write to {str(folder)!r}: {error}") from error
    _lines(folder / "corpus.jsonl", (_passage(identity, passage) for identity, passage in corpus.items()))
    _lines(
        folder / "queries.jsonl",
        (
            {"_id": q, "text": question.query.text, **_instructed(question), **question.fields}
            for q, question in questions.items()
        ),
    )
    # A head that names a rank says that the ranks give the order, whatever the scores are.
    rows = ["query-id\tcorpus-id\trank\tscore\n"]
    for query, results in run.items():
        for rank, (passage, score) in enumerate(results, 1):
            rows.append(f"{_cell(query)}\t{_cell(passage)}\t{rank}\t{'' if score is None else repr(score)}\n")
    (folder / "run.tsv").write_text("".join(rows), encoding="utf-8", errors="replace")
    told = {"retriever": name, "queries": done.queries, "passages": done.passages, "results": done.results}
    about = json.dumps({**told, "scores": done.scores, "notices": list(done.notices)}, indent=1)
    (folder / "collected.json").write_text(about, encoding="utf-8")


def _passage(identity: str, passage: Candidate) -> dict[str, Any]:
    title = {"title": passage.title} if passage.title else {}
    metadata = {"metadata": dict(passage.metadata)} if passage.metadata else {}
    return {"_id": identity, **title, "text": passage.text, **metadata}


def _instructed(question: Question) -> dict[str, str]:
    return {"instruction": question.query.instruction} if question.query.instruction else {}


def _lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, default=str, skipkeys=True) + "\n")


def _cell(identity: str) -> str:
    """An id between tabs: as it is, or as in addresses where it would be read as another one."""
    return quote(identity, safe="/:.-_") or "%00" if UNSAFE.search(identity) else identity
