"""Judgements, runs and passages in the forms in which they are handed around: all of them say the same."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import ConfigError, DataError
from tamis.evaluate import evaluate, read
from tamis.evaluate.columns import JUDGEMENTS, RESULTS, Table
from tamis.evaluate.files import Notices, read_passages, read_qrels, read_run

PASSAGES = {"d1": "bread rises because of yeast", "d2": "knives are sharpened on a stone", "d 3": "tea and water"}
QUERIES = {"q1": "why does bread rise", "q2": "how to sharpen a knife"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
FILES = ["corpus.jsonl", "queries.jsonl", "qrels.tsv", "run.tsv"]


def contents() -> dict[str, str]:
    return {
        "corpus.jsonl": "".join(json.dumps({"_id": i, "text": text}) + "\n" for i, text in PASSAGES.items()),
        "queries.jsonl": "".join(json.dumps({"_id": i, "text": text}) + "\n" for i, text in QUERIES.items()),
        "qrels.tsv": "q1\td1\t1\nq2\td2\t1\n",
        "run.tsv": "q1\td1\t1\t2.5\nq2\td2\t1\t1.5\n",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in contents().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def qrels(path: Path, text: str) -> tuple[dict, list[str]]:
    (path / "judged").write_bytes(text.encode())
    notices = Notices()
    return read_qrels(path / "judged", notices).grades, notices


def run(path: Path, text: str) -> tuple[dict, list[str]]:
    (path / "found").write_bytes(text.encode())
    notices = Notices()
    return dict(read_run(path / "found", notices)), notices


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", FILES)
def test_every_file_is_read_in_every_unicode_encoding_with_and_without_a_mark(
    folder: Path, name: str, encoding: str
) -> None:
    expected = read(folder)
    (folder / name).write_bytes(contents()[name].replace("\n", "\r\n").encode(encoding))
    found = read(folder)
    assert (found.qrels, found.run, found.corpus) == (expected.qrels, expected.run, expected.corpus)
    assert found.notices == expected.notices


@pytest.mark.parametrize("name", FILES)
def test_gzip_is_recognised_by_its_content_and_marks_inside_joined_files_are_none(folder: Path, name: str) -> None:
    expected = read(folder)
    marked = "".join(f"\ufeff{line}\n" for line in contents()[name].splitlines())
    (folder / name).write_bytes(gzip.compress(marked.encode()))
    found = read(folder)
    assert (found.qrels, found.run, found.corpus) == (expected.qrels, expected.run, expected.corpus)


@pytest.mark.parametrize(
    "text",
    [
        "q1 d1 2\nq1 d2 0\n",
        "q1\td1\t2\nq1\td2\t0\n",
        "q1\td1\t2\t\nq1\td2\t0\t\n",
        "q1 0 d1 2\nq1 0 d2 0\n",
        "q1\t0\td1\t2\r\nq1\t0\td2\t0\r\n",
        "q1 0\td1 2\nq1 0\td2 0\n",
        "q1 0 d1 2\nq1\td2\t0\n",
        "q1\t\td1\t\t2\nq1\t\td2\t\t0\n",
        "q1,d1,2\nq1,d2,0\n",
        "q1, d1, 2\nq1, d2, 0\n",
        "q1;d1;2,0\nq1;d2;0,0\n",
        '"q1","d1","2"\n"q1","d2","0"\n',
        '"query-id"\t"corpus-id"\t"score"\n"q1"\t"d1"\t"2"\n"q1"\t"d2"\t"0"\n',
        "query_id,iteration,doc_id,relevance\nq1,0,d1,2\nq1,0,d2,0\n",
        "corpus-id,score,query-id\nd1,2,q1\nd2,0,q1\n",
        ",qid,docno,label\n0,q1,d1,2\n1,q1,d2,0\n",
        "sep=;\nqid;docid;rel\nq1;d1;2\nq1;d2;0\n",
        '{"q1": {"d1": 2, "d2": 0}}',
        '{\n "q1": {\n  "d1": 2,\n  "d2": 0\n }\n}',
        '{"query-id": "q1", "corpus-id": "d1", "score": 2}\n{"query-id": "q1", "corpus-id": "d2", "score": 0}\n',
        '[{"qid": "q1", "docid": "d1", "rel": 2}, {"qid": "q1", "docid": "d2", "rel": 0}]',
    ],
)
def test_judgements_say_the_same_in_every_form(tmp_path: Path, text: str) -> None:
    found, notices = qrels(tmp_path, text)
    assert found == {"q1": {"d1": 2, "d2": 0}}
    assert all(type(grade) is int for grade in found["q1"].values())
    assert notices == []


@pytest.mark.parametrize("text", ["q1 d1\nq1 d2\n", "q1\td1\nq1\td2\n", "query-id,corpus-id\nq1,d1\nq1,d2\n"])
def test_judgements_without_grades_are_all_relevant_and_that_is_reported(tmp_path: Path, text: str) -> None:
    found, notices = qrels(tmp_path, text)
    assert found == {"q1": {"d1": 1, "d2": 1}}
    assert notices == ["judged has no grades: each passage in it counts as relevant, grade 1"]


@pytest.mark.parametrize("text", ["q 1\td 2\t1\n", 'query,passage,grade\n"q 1","d 2",1\n', "q 1\td 2\n"])
def test_ids_may_hold_spaces_where_something_else_separates(tmp_path: Path, text: str) -> None:
    assert qrels(tmp_path, text)[0] == {"q 1": {"d 2": 1}}


@pytest.mark.parametrize("text", ["q1 0\td1 1\n", "q1\t0 d1\t1\n", "q1 d1\t1\n", "q1 Q0\td1 1\n"])
def test_one_line_with_tabs_and_blanks_mixed_is_read(tmp_path: Path, text: str) -> None:
    assert qrels(tmp_path, text)[0] == {"q1": {"d1": 1}}


def test_repeated_and_negative_judgements_are_counted(folder: Path) -> None:
    (folder / "qrels.tsv").write_text("q1 0 d1 1\nq1 0 d1 1\nq1 0 d2 -2\nq2 0 d2 1\n", encoding="utf-8")
    data = read(folder)
    assert data.qrels["q1"] == {"d1": 1, "d2": -2}
    told = "\n".join(data.notices)
    assert "1 judgements repeat an earlier one (qrels.tsv:2 'q1' 'd1'): each counts once" in told
    assert "1 judgements have a grade below 0: they count as judged and not relevant" in told
    (evaluation,) = evaluate(["lexical"], data, names=["nDCG@10", "Judged@10"], bounds=False).evaluations
    assert evaluation.systems[0].means["Judged@10"].mean == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q1 Q0 d2 1 3.5 tag\nq1 Q0 d1 2 2.5 tag\n", [("d2", 3.5), ("d1", 2.5)]),
        ("q1 Q0 d2 1 3.5\nq1 Q0 d1 2 2.5\n", [("d2", 3.5), ("d1", 2.5)]),
        ("q1 0 d2 1 3.5\nq1 0 d1 2 2.5\n", [("d2", 3.5), ("d1", 2.5)]),
        ("q1\td2\t1\t3.5\ttag\nq1\td1\t2\t2.5\ttag\n", [("d2", 3.5), ("d1", 2.5)]),
        ("qid,docid,rank,score\nq1,d2,1,3.5\nq1,d1,2,2.5\n", [("d2", 3.5), ("d1", 2.5)]),
        ('{"q1": {"d1": 2.5, "d2": 3.5}}', [("d2", 3.5), ("d1", 2.5)]),
        ("q1 Q0 d2 1\nq1 Q0 d1 2\n", [("d2", None), ("d1", None)]),
        ("1 0 7 1\n1 0 9 2\n", [("7", None), ("9", None)]),
        ("1 0 1 2.5\n1 9 2 1.5\n", [("0", 2.5), ("9", 1.5)]),
        ("1 0 1 2.5\n", [("0", 2.5)]),
        ("q1\td2\t1\nq1\td1\t2\n", [("d2", None), ("d1", None)]),
        ("q1\td1\t2\nq1\td2\t1\n", [("d1", 2.0), ("d2", 1.0)]),
        ("q1\td2\t0.5\nq1\td1\t1.5\n", [("d1", 1.5), ("d2", 0.5)]),
        ("q1 d2\nq1 d1\n", [("d2", None), ("d1", None)]),
        ("query-id\tcorpus-id\trank\tscore\nq1\td2\t1\t\nq1\td1\t2\t0.5\n", [("d2", None), ("d1", 0.5)]),
        ("query-id\tcorpus-id\trank\tscore\nq1\td2\t1\t0.1\nq1\td1\t2\t0.5\n", [("d2", 0.1), ("d1", 0.5)]),
    ],
)
def test_runs_are_read_with_and_without_ranks_scores_and_tags(tmp_path: Path, text: str, expected: list) -> None:
    found, _ = run(tmp_path, text)
    assert [list(results) for results in found.values()] == [expected]


def test_scores_that_rise_along_all_ranks_are_distances(tmp_path: Path) -> None:
    found, notices = run(tmp_path, "q1 d2 1 0.1\nq1 d1 2 0.4\nq2 d1 1 0.2\nq2 d2 2 0.3\n")
    assert [passage for passage, _ in found["q1"]] == ["d2", "d1"]
    assert any("rise along the ranks, as distances do: the ranks give the order" in notice for notice in notices)
    found, notices = run(tmp_path, "q1 d2 1 0.9\nq1 d1 2 0.4\nq2 d1 1 0.2\nq2 d2 2 0.3\n")
    assert [passage for passage, _ in found["q2"]] == ["d2", "d1"]
    assert any("1 queries have ranks and scores that disagree" in notice for notice in notices)


def test_nothing_that_falls_out_goes_without_a_notice(folder: Path) -> None:
    (folder / "qrels.tsv").write_text("q1 0 d1 1\nq1 0 gone 1\n0q2 0 d2 1\nother 0 d1 1\n", encoding="utf-8")
    told = "\n".join(read(folder).notices)
    assert (
        "2 judged queries are not in queries.jsonl, but some would be without zeros in front ('0q2', 'other')" in told
    )
    assert "1 judged passages are not in the corpus (query 'q1' passage 'gone')" in told
    assert "1 queries have no judgement ('q2'): 1 of them have results, but no values" in told


def test_files_beside_the_one_that_is_read_are_named(folder: Path) -> None:
    (folder / "qrels.csv").write_text("q1,d2,1\n", encoding="utf-8")
    data = read(folder)
    assert data.qrels["q1"] == {"d1": 1}
    assert "qrels.csv beside qrels.tsv: not read" in data.notices


@pytest.mark.parametrize("name", ["corpus.json", "corpus.jsonl"])
def test_a_corpus_may_be_one_array(folder: Path, name: str) -> None:
    (folder / "corpus.jsonl").unlink()
    rows = [{"_id": i, "text": text} for i, text in PASSAGES.items()]
    (folder / name).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    assert [c.text for c in read(folder).corpus.values()] == list(PASSAGES.values())
    rows[1].pop("text")
    (folder / name).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with pytest.raises(DataError, match=rf"{name}:6: needs '_id' .* got"):
        read(folder)
    (folder / name).write_text('[{"_id": "d1", "text": "a"},\n\n oops]', encoding="utf-8")
    with pytest.raises(DataError, match=rf"{name}:3: not valid JSON"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("corpus.tsv", 'd1\tbread "rises" because, of yeast\nd2\tknives\n'),
        ("corpus.tsv", 'id\ttext\nd1\t"bread ""rises"" because, of yeast"\nd2\tknives\n'),
        ("corpus.csv", '_id,title,text\nd1,,"bread ""rises"" because, of yeast"\nd2,,knives\n'),
    ],
)
def test_a_corpus_may_be_a_table(folder: Path, name: str, text: str) -> None:
    (folder / "corpus.jsonl").unlink()
    (folder / name).write_bytes(text.encode("utf-16"))
    corpus = read(folder).corpus
    assert {i: c.text for i, c in corpus.items()} == {"d1": 'bread "rises" because, of yeast', "d2": "knives"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("corpus.tsv", "d1\ta\nd2\n", r"corpus\.tsv:2: expected a head with the columns id and text, or an id, a tab"),
        ("corpus.csv", "d1,a\n", r"corpus\.csv:1: expected a head with the columns id and text; got"),
        ("corpus.csv", "text,year\na,1990\n", r"corpus\.csv:2: needs '_id' \(or 'id'\) and 'text'"),
    ],
)
def test_a_table_that_is_no_corpus_names_its_line(folder: Path, name: str, text: str, message: str) -> None:
    (folder / "corpus.jsonl").unlink()
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read(folder)


def test_ids_that_are_numbers_are_those_of_the_judgements(folder: Path) -> None:
    rows = '{"_id": 1, "text": "a"}\n{"_id": 2.0, "text": "b", "title": 1984}\n'
    (folder / "corpus.jsonl").write_text(rows, encoding="utf-8")
    (folder / "qrels.tsv").write_text("q1 1 1\nq1 2 1\n", encoding="utf-8")
    (folder / "run.tsv").write_text("q1 2 1 0.5\n", encoding="utf-8")
    data = read(folder)
    assert list(data.corpus) == ["1", "2"]
    assert data.corpus["2"].title == "1984"


def test_decimal_grades_weigh_as_they_are(folder: Path) -> None:
    (folder / "qrels.tsv").write_text("q1 d1 0.25\nq1 d2 0.75\nq2 d2 1\n", encoding="utf-8")
    (folder / "run.tsv").write_text("q1 d1 1 2\nq1 d2 2 1\nq2 d2 1 1\n", encoding="utf-8")
    data = read(folder)
    assert data.relevant_from == 0.5
    assert data.relevant("q1") == {"d2": 0.75}
    names = ["nDCG@10", "P@1", "RR", "P(rel=1)@1"]
    (evaluation,) = evaluate(["lexical"], data, names=names, bounds=False).evaluations
    row = evaluation.systems[0].rows["q1"].values
    best = 0.75 + 0.25 / math.log2(3)
    assert row["nDCG@10"] == pytest.approx((0.25 + 0.75 / math.log2(3)) / best, abs=1e-4)
    assert (row["P@1"], row["RR"]) == (0.0, 0.5)
    assert "P(rel=1)@1" not in row
    with pytest.raises(ConfigError, match="'ERR@10' needs whole grades, and .* has decimal ones"):
        evaluate(["lexical"], data, names=["ERR@10"])
    (folder / "qrels.tsv").write_text("q1 d1 0.25\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no judgement has a grade of 0\.5 or more .*--relevant-from"):
        read(folder)
    assert read(folder, relevant_from=0.2).relevant("q1") == {"d1": 0.25}


def jsonl(rows: list) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


ROWS = [{"text": "a, b", "id": "1", "score": 0.5, "year": "1990"}, {"text": 'say "c"', "id": "2", "title": "t"}]
WRITTEN: dict[str, Callable[[], str]] = {
    "docs.jsonl": lambda: jsonl(ROWS),
    "docs.ndjson": lambda: jsonl(ROWS),
    "docs.json": lambda: json.dumps(ROWS, indent=2),
    "docs.txt": lambda: jsonl(ROWS),
    "docs": lambda: json.dumps(ROWS),
    "docs.csv": lambda: 'id,text,score,year,title\n1,"a, b",0.5,1990,\n2,"say ""c""",,,t\n',
    "docs.tsv": lambda: 'id\ttext\tscore\tyear\ttitle\n1\ta, b\t0.5\t1990\t\n2\t"say ""c"""\t\t\tt\n',
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_passages_are_the_same_in_every_form(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_bytes(WRITTEN[name]().encode(encoding))
    first, second = read_passages(tmp_path / name)
    assert (first.text, first.id, first.score, first.metadata) == ("a, b", "1", 0.5, {"year": "1990"})
    assert (second.text, second.id, second.title) == ('say "c"', "2", "t")


def test_lines_of_text_stay_text(tmp_path: Path) -> None:
    (tmp_path / "docs.txt").write_bytes(b"\xef\xbb\xbf[1] one\r\n{two}\r\n\r\n")
    assert [c.text for c in read_passages(tmp_path / "docs.txt")] == ["[1] one", "{two}"]
    (tmp_path / "strings.json").write_text('["one", "two"]', encoding="utf-8")
    assert [c.text for c in read_passages(tmp_path / "strings.json")] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("docs.csv", "id,body\n1,a\n", r"docs\.csv:1: the head needs a column 'text'"),
        ("docs.csv", "id,text\n1,a\n2,b,c\n", r"docs\.csv:3: a row has 2 fields"),
        ("docs.csv", "text,score\na,high\n", r"docs\.csv:2: the score must be a number"),
        ("docs.json", '[{"id": 1}]', r"docs\.json:1: needs 'text'"),
        ("docs.jsonl", "", "holds no passages"),
    ],
)
def test_passages_that_cannot_be_read_name_their_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_passages(tmp_path / name)


identity = st.text("abcXYZ019-_.", min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        identity, st.dictionaries(identity, st.integers(-2, 4), min_size=1, max_size=3), min_size=1, max_size=3
    ),
    st.sampled_from(["\t", ",", ";", " ", "   ", "\t\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from(ENCODINGS),
)
def test_what_is_written_is_read_back_whatever_separates(
    tmp_path_factory: pytest.TempPathFactory, grades: dict, between: str, end: str, trec: bool, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("forms") / "qrels"
    rows = [(q, *(["0"] if trec else []), p, str(g)) for q, found in grades.items() for p, g in found.items()]
    path.write_bytes("".join(between.join(row) + end for row in rows).encode(encoding))
    assert read_qrels(path, Notices()).grades == grades


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="q1d, ;\t\"'\n.0-{}[]:", max_size=60), st.sampled_from([JUDGEMENTS, RESULTS]))
def test_any_text_is_read_or_refused_with_its_line(tmp_path_factory: pytest.TempPathFactory, text: str, form) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("forms") / "any"
    path.write_text(text, encoding="utf-8")
    read_or_refused = []
    try:
        read_or_refused = [row["query"] and row["passage"] for _, row in Table(path, form)]
    except DataError as error:
        read_or_refused = [str(error).startswith(f"{path}:")]
    assert all(read_or_refused)
