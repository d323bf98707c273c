"""Recorded answers of real models, through our window and our parser: the recorded rankings come out."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.places import DATA
from support.scripted import Chat, passages
from tamis import Candidate, Listwise
from tamis.prompts.orders import read_order
from tamis.schedules import complete, sliding
from tamis.values.answers import Generated
from tamis.values.calls import Generate

pytestmark = pytest.mark.data

RUNS = DATA / "dl19_llm_runs"
FIRST = {"bm25": "run.tsv.gz", "splade_p_p_ensemble_distil": "run.splade_pp.tsv.gz"}
Recording = tuple[str, str]
Order = dict[str, list[str]]


def needed(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"needs {path.name} of the test sets in $TAMIS_DATA")
    return path


def lines(path: Path) -> Iterator[str]:
    with gzip.open(needed(path), "rt", encoding="utf-8") as file:
        yield from file


def orders(path: Path, rank: int, names: tuple[int, int] = (0, 1)) -> Order:
    """Document ids of each query of a tab-separated run, by rank."""
    rows = defaultdict(list)
    for line in lines(path):
        cells = line.rstrip("\n").split("\t")
        rows[cells[names[0]]].append((int(cells[rank]), cells[names[1]]))
    return {query: [name for _, name in sorted(found)] for query, found in rows.items()}


def recorded(path: Path) -> dict[Recording, dict[str, list[dict[str, Any]]]]:
    """Windows of each query of each recording, in the order they were asked."""
    found: dict[Recording, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in lines(path):
        window = json.loads(line)
        found[window["first_stage"], window["model"]][window["qid"]].append(window)
    return found


UNTRAINED = ("bm25", "vicuna-7b-v1.5")
RECORDINGS = [
    ("bm25", "rankvicuna-7b"),
    ("bm25", "rankvicuna-7b-noaug"),
    ("bm25", "rankvicuna-7b-verbose"),
    ("bm25", "vicuna-7b-checkpoint-800"),
    ("bm25", "vicuna-7b-v1.5"),
    ("splade_p_p_ensemble_distil", "rankvicuna-7b"),
    ("splade_p_p_ensemble_distil", "vicuna-7b-checkpoint-800"),
]


@pytest.fixture(scope="module")
def answers() -> dict[Recording, dict[str, list[dict[str, Any]]]]:
    return recorded(RUNS / "responses.jsonl.gz")


class Recorded:
    """Answers each window with what was recorded for it; the documents shown must be the recorded ones."""

    name = "recorded"

    def __init__(self, windows: list[dict[str, Any]]) -> None:
        self.windows = list(windows)
        self.asked = 0

    def generate(self, calls: list[Generate]) -> list[Generated]:
        (call,) = calls
        if call.attempt:
            return [Generated(self.windows[self.asked - 1]["response"])]
        window = self.windows[self.asked]
        self.asked += 1
        shown = [line for line in call.messages[-1].content.splitlines() if line.startswith("document ")]
        assert [line.removeprefix("document ") for line in shown] == [str(name) for name in window["window"]]
        return [Generated(window["response"])]


def replayed(first: list[str], windows: list[dict[str, Any]]) -> list[str]:
    model = Recorded(windows)
    ranking = Listwise(model).rerank("q", [Candidate(f"document {name}", id=name) for name in first])
    assert model.asked == len(windows)
    return [str(candidate.id) for candidate in ranking.candidates]


def by_digits(first: list[str], windows: list[dict[str, Any]]) -> list[str]:
    """The same window with the recorder's own reading: every run of digits is an identifier."""
    plan, answers = sliding(first), iter(windows)
    try:
        shown = next(plan)
        while True:
            window = next(answers)
            assert list(shown) == [str(name) for name in window["window"]]
            shown = plan.send([shown[place] for place in digits(window["response"]) if place < len(shown)])
    except StopIteration as stop:
        return stop.value


def digits(text: str) -> list[int]:
    return [int(number) - 1 for number in re.findall(r"\d+", text) if int(number) > 0]


def test_every_recording_is_replayed_here(answers: dict[Recording, Any]) -> None:
    assert sorted(answers) == sorted(RECORDINGS)
    assert all(len(queries) == 43 for queries in answers.values())


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: "-".join(recording))
def test_the_recorded_ranking_of_every_query_comes_out(
    recording: Recording, answers: dict[Recording, dict[str, list[dict[str, Any]]]]
) -> None:
    """Six recordings go through `Listwise`. The seventh is of a model without training for it, whose answers the
    recorder read as digits only, so that `1. [14] > 2. [15]` put passage 1 first: see below."""
    stage, model = recording
    first = orders(DATA / "dl19" / FIRST[stage], rank=2)
    ours = {}
    for qid, windows in answers[recording].items():
        replay = by_digits if recording == UNTRAINED else replayed
        ours[qid] = replay(first[qid], windows)
    files = sorted(RUNS.glob(f"dl19.{stage}.{model.removesuffix('-verbose')}.*.tsv.gz"))
    finals = [orders(file, rank=2) for file in files]
    assert max(sum(ours[qid] == final[qid] for qid in ours) for final in finals) == 43


def test_where_our_reading_differs_from_digits_only_the_answer_numbers_its_lines(answers: dict[Recording, Any]) -> None:
    differing = 0
    for windows in answers[UNTRAINED].values():
        for window in windows:
            count = len(window["window"])
            order = read_order(window["response"], count)[0]
            if complete(range(count), order) != complete(range(count), digits(window["response"])):
                differing += 1
                assert window["response"].startswith("1. [")
    assert differing == 20


def test_rankvicuna_reaches_its_published_quality(answers: dict[Recording, Any]) -> None:
    """nDCG@10 .6682 over BM25, as in the paper's reproduction."""
    ir_measures = pytest.importorskip("ir_measures")
    first = orders(DATA / "dl19" / "run.tsv.gz", rank=2)
    rankings = {q: replayed(first[q], windows) for q, windows in answers["bm25", "rankvicuna-7b"].items()}
    run = {q: {name: -float(rank) for rank, name in enumerate(names)} for q, names in rankings.items()}
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in lines(DATA / "dl19" / "qrels.tsv.gz"):
        query, name, grade = line.split("\t")[:3]
        if grade.strip().lstrip("-").isdigit():
            qrels[query][name] = int(grade)
    measure = ir_measures.nDCG @ 10
    assert round(ir_measures.calc_aggregate([measure], qrels, run)[measure], 4) == 0.6682


def test_answers_without_any_order_leave_the_order_and_are_counted() -> None:
    """`20 passages are provided.` is no order: nothing moves, and all such windows are told."""
    first = orders(DATA / "dl19" / "run.tsv.gz", rank=2)
    windows_of = recorded(RUNS / "responses_vicuna13b_short.jsonl.gz")[("bm25", "vicuna-13b-v1.5")]
    shares = []
    for qid, windows in windows_of.items():
        said = {window["start"]: window["response"] for window in windows}
        model = Chat(lambda call, said=said: said.get(start_of(call), ""))
        names = first[qid]
        place = {f"document {name}": index for index, name in enumerate(names)}

        def start_of(call: Generate, place: dict[str, int] = place) -> int:
            return min(place[text] for text in passages(call))

        ranking = Listwise(model).rerank("q", [f"document {name}" for name in names])
        assert sorted(ranking.positions) == list(range(100))
        shares.append(ranking.monitors["listwise.degraded"])
        assert ranking.degraded == bool(shares[-1])
    assert len(shares) == 43
    assert sum(shares) / len(shares) > 0.9
