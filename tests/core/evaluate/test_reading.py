"""Test sets from folders: the layouts that are read, and what is said of bad ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tamis.errors import DataError
from tamis.evaluate import read

CORPUS = {
    "d1": "bread rises because of yeast",
    "d2": "knives are sharpened on a stone",
    "d3": "tea is brewed with water",
}
QUERIES = {"q1": "why does bread rise", "q2": "how to sharpen a knife"}


def lines(path: Path, *rows: object) -> None:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    lines(tmp_path / "corpus.jsonl", *({"_id": i, "title": "", "text": text} for i, text in CORPUS.items()))
    lines(tmp_path / "queries.jsonl", *({"_id": i, "text": text} for i, text in QUERIES.items()))
    lines(tmp_path / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td1\t1", "q2\td2\t2")
    return tmp_path


def test_a_beir_folder_without_a_run_gets_bm25(beir: Path) -> None:
    dataset = read(beir)
    assert dataset.run["q1"][0][0] == "d1"
    assert dataset.qrels == {"q1": {"d1": 1}, "q2": {"d2": 2}}
    assert any("BM25" in notice for notice in dataset.notices)


def test_gzipped_files_with_plain_ids_are_read(tmp_path: Path) -> None:
    lines(tmp_path / "corpus.jsonl.gz", *({"id": i, "text": text, "year": 1970} for i, text in CORPUS.items()))
    lines(tmp_path / "queries.jsonl.gz", *({"id": i, "text": t, "answers": ["a"]} for i, t in QUERIES.items()))
    lines(tmp_path / "qrels.tsv.gz", "q1\td1\t1")
    lines(tmp_path / "run.tsv.gz", "q1\td2\t1\t9.0", "q1\td1\t2\t7.5")
    dataset = read(tmp_path)
    assert dataset.run["q1"] == (("d2", 9.0), ("d1", 7.5))
    assert dataset.corpus["d1"].metadata == {"year": 1970}
    assert dataset.questions["q1"].texts("answers") == ("a",)
    assert [candidate.score for candidate in dataset.pool("q1")] == [9.0, 7.5]


def test_trec_files_are_read(beir: Path, tmp_path: Path) -> None:
    lines(beir / "judged.txt", "q1 0 d1 1", "q2 0 d2 0", "q2 0 d3 1")
    lines(beir / "bm25.trec", "q1 Q0 d3 2 1.5 bm25", "q1 Q0 d1 1 2.5 bm25", "q2 Q0 d2 1 3.0 bm25")
    dataset = read(beir, run=beir / "bm25.trec", qrels="judged.txt")
    assert [passage for passage, _ in dataset.run["q1"]] == ["d1", "d3"]
    assert dataset.qrels["q2"] == {"d2": 0, "d3": 1}


def test_links_become_metadata(beir: Path) -> None:
    lines(beir / "links.tsv", "d1\td2\t5", "d1\td3\t5")
    assert read(beir).corpus["d1"].metadata["links"] == ["d2", "d3"]


def test_a_sample_is_the_same_every_time_and_in_the_order_of_the_set(beir: Path) -> None:
    dataset = read(beir)
    assert dataset.sample(1, seed=1) == dataset.sample(1, seed=1)
    assert dataset.sample(None) == ["q1", "q2"]
    assert {tuple(dataset.sample(1, seed)) for seed in range(20)} == {("q1",), ("q2",)}


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("corpus.jsonl", ['{"_id": "d1", "text": "a"}', "{broken"], r"corpus\.jsonl:2: not valid JSON"),
        ("corpus.jsonl", ['["d1"]'], r"corpus\.jsonl:1: expected a JSON object"),
        ("corpus.jsonl", ['{"_id": "d1"}'], r"corpus\.jsonl:1: needs '_id' \(or 'id'\) and 'text'"),
        ("corpus.jsonl", [], "holds no passages"),
        ("queries.jsonl", ['{"text": "no id"}'], r"queries\.jsonl:1"),
        ("queries.jsonl", [], "holds no queries"),
        ("qrels/test.tsv", ["q1\td1\t1", "q2\td2"], r"test\.tsv:2: a judgement is `query passage grade`.*q2"),
        ("qrels/test.tsv", ["query-id\tcorpus-id\tscore", "q2\td2"], r"test\.tsv:2: no grade"),
        ("qrels/test.tsv", ["q1 0 d1 1", "q1 0 d2 1 x y z"], r"test\.tsv:2: a judgement is"),
        ("qrels/test.tsv", ["q1\td1\t1", "q1\td2\tyes"], r"test\.tsv:2: the grade must be a number, got 'yes'"),
        ("qrels/test.tsv", [], "holds no judgements"),
        ("qrels/test.tsv", ["q9\td1\t1"], "no query has a judgement"),
        ("qrels/test.tsv", ["q1\td1\t0"], "no judgement has a grade of 1 or more"),
        (
            "qrels/test.tsv",
            ["q1\tx1\t1", "q1\td1\t0", "q2\tx2\t2", "q2\tx3\t1", "q2\tx4\t1"],
            "are these judgements for this corpus.* name 'x1', 'x2', 'x3', the corpus has 'd1', 'd2', 'd3'$",
        ),
        ("qrels/test.tsv", ["q1\t0d1\t1"], "are these judgements for this corpus.*some would be without zeros"),
        ("run.tsv", ["q1 Q0 d1 1 2 t", "q1 d1"], r"run\.tsv:2: a result is `query passage rank score`"),
        ("run.tsv", ["qid,docid,rank,score", "q1,d1,1,2,3"], r"run\.tsv:2: a line has 4 fields, as the head says"),
        ("run.tsv", ["qid,docid,docno,score", "q1,d1,1,2"], r"run\.tsv:1: two columns hold a passage"),
        ("run.tsv", ["q1\td1\t1\thigh", "q1\td2\t2\tlow"], r"run\.tsv:1: the score must be a number"),
        ("run.tsv", ["q1\td1\t1\tnan"], r"run\.tsv:1: the score must be a number"),
        ("run.tsv", ["q7\td1\t1\t2.0"], "do the ids belong together"),
        ("run.tsv", [], "holds no results"),
    ],
)
def test_a_bad_file_is_named_with_its_line(beir: Path, name: str, rows: list[str], message: str) -> None:
    lines(beir / name, *rows)
    with pytest.raises(DataError, match=message):
        read(beir)


def test_missing_files_and_folders_are_named(beir: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder at"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no file at 'nothing.tsv'"):
        read(beir, run="nothing.tsv")
    with pytest.raises(DataError, match=r"qrels/dev\.tsv.*test\.tsv: choose with split"):
        read(beir, split="dev")
    (beir / "queries.jsonl").unlink()
    with pytest.raises(DataError, match=r"no queries\.jsonl"):
        read(beir)


def test_bytes_that_are_no_text_are_named(beir: Path) -> None:
    (beir / "corpus.jsonl").write_bytes(b'{"_id": "d1", "text": "a"}\n\xff\xfe\n')
    with pytest.raises(DataError, match=r"corpus\.jsonl:2: not readable as UTF-8 text .*save the file as UTF-8"):
        read(beir)
    (beir / "corpus.jsonl").unlink()
    (beir / "corpus.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="not readable as gzipped"):
        read(beir)


def test_a_set_of_which_one_relevant_passage_is_in_the_corpus_is_read(beir: Path) -> None:
    lines(beir / "qrels" / "test.tsv", "q1\tx1\t1", "q2\tx2\t2", "q2\td2\t1")
    assert any("2 judged passages are not in the corpus" in notice for notice in read(beir).notices)


def test_what_can_be_mended_is_told(beir: Path) -> None:
    lines(beir / "corpus.jsonl", *({"_id": i, "text": t} for i, t in [*CORPUS.items(), ("d1", "again")]))
    lines(beir / "queries.jsonl", *({"_id": i, "text": t} for i, t in [*QUERIES.items(), ("q3", " "), ("q1", "again")]))
    lines(beir / "qrels" / "test.tsv", "q1\td1\t1", "q1\td1\t2", "q2\td2\t1", "q2\td99\t1")
    lines(beir / "run.tsv", "q1\td1\t1\t2", "q1\td1\t2\t1", "q1\td77\t3\t0.5", "q8\td1\t1\t1")
    dataset = read(beir)
    told = "\n".join(dataset.notices)
    for part in (
        "1 passages repeat an id (corpus.jsonl:4 'd1'): the first of each id is kept",
        "1 queries have no text (queries.jsonl:3 'q3'): they are left out",
        "1 queries repeat an id",
        "1 judgements contradict an earlier one (test.tsv:2 'q1' 'd1': 1 and 2): the higher grade is taken",
        "1 results are listed twice for a query",
        "1 results are not in the corpus",
        "1 queries of the run are not in queries.jsonl",
        "1 judged queries have no results in the first stage ('q2'): they count as nothing found",
        "1 judged passages are not in the corpus",
        "grades are 1, 2: metrics that know only yes and no take 1 and above as relevant",
    ):
        assert part in told
    assert dataset.corpus["d1"].text == CORPUS["d1"]
    assert dataset.qrels["q1"]["d1"] == 2
    assert dataset.run["q1"] == (("d1", 2.0),)
    assert dataset.sample(None) == ["q1", "q2"]
    assert dataset.pool("q2") == []


def test_bm25_is_made_for_judged_queries_only(beir: Path) -> None:
    lines(beir / "queries.jsonl", *({"_id": i, "text": t} for i, t in [*QUERIES.items(), ("train1", "brew tea")]))
    assert set(read(beir).run) == set(QUERIES)
