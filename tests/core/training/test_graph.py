"""Training a graph network: what it must learn, what it must not, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.graphs import bridges, chunked, word_counter
from tamis import Embedding, Engine
from tamis.errors import ConfigError, DataError, ModelError
from tamis.evaluate import Dataset, Question, evaluate
from tamis.graph import Concepts
from tamis.graph.networks.hybrank import HybRank
from tamis.graph.networks.network import GRAG
from tamis.graph.networks.trained import Trained
from tamis.graph.networks.trained_graph import TrainedGraph
from tamis.models import Function
from tamis.training import TrainingReport, train_graph
from tamis.values.answers import Failure
from tamis.values.ranking import Candidate, Query

pytest.importorskip("torch")
EMBEDDER = word_counter()
EDGES = (Concepts(max_share=1.0),)
QUICK: dict[str, Any] = {"steps": 100, "patience": 4}


def quality(*reports: TrainingReport, seed: int = 99) -> list[float]:
    """Mean MRR over all relevant passages on queries nobody saw."""
    stages = {str(n): TrainedGraph(report.trained, EMBEDDER) for n, report in enumerate(reports)}
    measured = evaluate(stages, bridges(seed=seed), names=["MRR_all"], alone=0, bounds=False)
    return [measured.evaluations[0].system(name).means["MRR_all"].mean for name in stages]


@pytest.mark.parametrize("loss", ["rank", "cross_entropy"])
def test_the_graph_finds_what_shares_nothing_with_the_query(loss: Any) -> None:
    """Best possible: (1 + 1/2 + 1/3) / 3 = .611. Who knows only the query's word gets the bridge and then guesses."""
    with_graph = train_graph(bridges(), EMBEDDER, edges=EDGES, loss=loss, **QUICK)
    without = train_graph(bridges(), EMBEDDER, edges=(), loss=loss, **QUICK)
    own, blind = quality(with_graph, without)
    assert own > 0.6
    assert blind < 0.48
    assert without.before < 0.48 < 0.6 < with_graph.after


def test_embeddings_alone_do_not_teach_it_either() -> None:
    """The paper's features, on words that mean something else in every query."""
    blind = train_graph(bridges(), EMBEDDER, network=GRAG((), features="embedding"), **QUICK)
    assert quality(blind)[0] < 0.48


def test_hybrank_learns_it_from_who_resembles_whom() -> None:
    report = train_graph(
        bridges(60), EMBEDDER, network=HybRank(hidden=16, layers=1), lr=5e-3, dropout=0.0, steps=200, patience=4
    )
    assert report.after > report.before + 0.03
    assert quality(report)[0] > 0.5


def test_ebcar_learns_that_the_opening_of_a_document_is_what_is_asked_for() -> None:
    """Which chunk comes first is in no word of it. Texts have a direction in common here, as real embeddings
    do. Best possible: (1 + 1/2 + 1/3 + 1/4) / 4 = .521."""
    words = word_counter()
    embedder = Function(lambda call: [2.0, *words.embed([call])[0].values], "embed", name="words")
    report = train_graph(chunked(), embedder, network="ebcar", hidden=16, lr=5e-3, steps=75)
    assert report.before < 0.35 < 0.45 < report.after


def test_an_adapter_learns_what_every_relevant_passage_has_in_its_vector() -> None:
    """Half of the passages that share the query's word also hold w0, and those are relevant."""

    def marked(queries: int, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        corpus: dict[str, Candidate] = {}
        questions, qrels, run = {}, {}, {}
        for number in range(queries):
            word, query = f"w{rng.integers(1, 60)}", f"q{number}"
            ids = [f"{number}-{place}" for place in range(8)]
            for place, identity in enumerate(ids):
                corpus[identity] = Candidate(f"{word} {'w0' if place < 4 else f'w{60 + place % 4}'}", identity)
            questions[query] = Question(query, Query(word))
            qrels[query] = dict.fromkeys(ids[:4], 1)
            run[query] = tuple((ids[place], 0.0) for place in rng.permutation(8))
        return Dataset("marked", questions, corpus, qrels, run)

    report = train_graph(marked(40, 0), EMBEDDER, network="adapter", loss="cross_entropy", hidden=16, **QUICK)
    stages = {"adapter": TrainedGraph(report.trained, EMBEDDER), "embedder": Embedding(EMBEDDER)}
    found = evaluate(stages, marked(40, 1), names=["MRR_all"], alone=0, bounds=False).evaluations[0]
    best = (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4
    assert found.system("adapter").means["MRR_all"].mean == pytest.approx(best)
    assert found.system("embedder").means["MRR_all"].mean < best - 0.1


def test_the_same_seed_gives_the_same_file_and_another_one_another(tmp_path: Path) -> None:
    def file(name: str, seed: int) -> bytes:
        train_graph(bridges(12), EMBEDDER, edges=EDGES, steps=20, every=10, seed=seed, out=tmp_path / name)
        return (tmp_path / name).read_bytes()

    assert file("a.npz", 1) == file("b.npz", 1)
    assert file("c.npz", 2) != file("a.npz", 1)


def test_the_file_says_how_it_was_made_and_the_stage_ranks_as_validation_did(tmp_path: Path) -> None:
    report = train_graph(bridges(12), EMBEDDER, edges=EDGES, steps=50, validation=0.5, out=tmp_path / "grag.npz")
    read = Trained.read(tmp_path / "grag.npz")
    assert read.network == GRAG(EDGES)
    assert (read.embedder, read.dims) == ("words", 64)
    told = json.loads(json.dumps(read.training))
    assert told["data"] == ["bridges"]
    assert (told["queries"], told["loss"], told["seed"], told["step"]) == (6, "rank", 0, report.step)
    assert told["held back"] == {"queries": 6, "MRR_all before": report.before, "MRR_all after": report.after}
    assert report.path == tmp_path / "grag.npz"
    assert f"{report.before:.4f} -> {report.after:.4f}" in str(report)
    data = bridges(12)
    order = np.random.default_rng(0).permutation(12)
    held = {f"q{number}": data.questions[f"q{number}"] for number in sorted(order[:6])}
    stages = {"trained": TrainedGraph(tmp_path / "grag.npz", EMBEDDER), "before": Embedding(EMBEDDER)}
    found = evaluate(stages, replace(data, questions=held), names=["MRR_all"], alone=0, bounds=False).evaluations[0]
    assert found.system("trained").means["MRR_all"].mean == pytest.approx(report.after, abs=1e-6)
    assert found.system("before").means["MRR_all"].mean == pytest.approx(report.before, abs=1e-6)


def test_the_untrained_network_is_kept_where_training_only_did_harm() -> None:
    report = train_graph(bridges(12), EMBEDDER, edges=(), steps=50, every=10, patience=2)
    assert (report.step, report.after) == (0, report.before)
    assert len(report.curve) == 3, "it ends after 2 looks without gain"
    assert "no better than the embedder alone" in str(report)


def test_progress_is_told_at_each_look() -> None:
    seen: list[tuple[int, int, float]] = []
    train_graph(
        bridges(10),
        EMBEDDER,
        edges=(),
        steps=30,
        every=10,
        on_progress=lambda done, of, best: seen.append((done, of, best)),
    )
    assert [entry[:2] for entry in seen] == [(10, 30), (20, 30), (30, 30)]


def test_several_sets_and_folders_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    data = bridges(10)
    rows = {
        "corpus.jsonl": [json.dumps({"_id": i, "text": c.text}) for i, c in data.corpus.items()],
        "queries.jsonl": [json.dumps({"_id": i, "text": q.query.text}) for i, q in data.questions.items()],
        "qrels.tsv": [f"{q}\t{d}\t{g}" for q, grades in data.qrels.items() for d, g in grades.items()],
        "run.tsv": [f"{q}\t{d}\t{n}\t0" for q, found in data.run.items() for n, (d, _) in enumerate(found)],
    }
    for name, lines in rows.items():
        (folder / name).write_text("\n".join(lines))
    report = train_graph([folder, bridges(8, seed=1, name="more")], EMBEDDER, edges=(), steps=5, every=5)
    assert report.queries + report.validation_queries == 18
    assert report.trained.training["data"] == ["tiny", "more"]


def test_queries_that_teach_nothing_are_left_out_and_counted() -> None:
    data = bridges(10)
    run = {**data.run, "q0": tuple(entry for entry in data.run["q0"] if data.qrels["q0"].get(entry[0], 0) == 0)}
    report = train_graph(replace(data, run=run), EMBEDDER, edges=(), steps=5, every=5)
    assert report.queries + report.validation_queries == 9
    assert report.left_out == 1
    assert "1 left out" in str(report)


def test_relevant_passages_that_are_not_in_the_pool_count_as_not_found() -> None:
    data = bridges(10)
    lost = replace(data, qrels={query: {**grades, "elsewhere": 1} for query, grades in data.qrels.items()})
    lost = replace(lost, corpus={**data.corpus, "elsewhere": Candidate("w0", "elsewhere")})
    before = [train_graph(item, EMBEDDER, edges=(), steps=1).before for item in (data, lost)]
    assert before[1] == pytest.approx(before[0] * 3 / 4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "hinge"}, ConfigError, r"loss: .*'rank' or 'cross_entropy' \(got 'hinge'\)"),
        ({"network": "gragg"}, ConfigError, "unknown network 'gragg'. Did you mean 'grag'"),
        ({"network": "hybrank", "edges": EDGES}, ConfigError, "HybRank has no edges"),
        ({"edges": ["concept"]}, ConfigError, "unknown kind of edge 'concept'. Did you mean 'concepts'"),
        ({"hidden": 0}, ConfigError, r"GRAG: hidden: .* \(got 0\)"),
        ({"validation": 1.0}, ConfigError, r"validation: .* less than 1 \(got 1.0\)"),
        ({"batch": 0}, ConfigError, r"batch: .* greater than 0 \(got 0\)"),
        ({"data": 3}, ConfigError, "data must be a folder, a Dataset or a list of these, got int"),
        ({"data": bridges(4)}, DataError, "at least 5 queries .* found 4 of 4 in bridges"),
    ],
)
def test_what_cannot_be_trained_is_said(options: dict[str, Any], error: Any, message: str) -> None:
    data = options.pop("data", bridges(6))
    with pytest.raises(error, match=message):
        train_graph(data, EMBEDDER, **options)


def test_an_embedder_that_fails_ends_the_training() -> None:
    broken = Function(lambda call: Failure("error", "down"), "embed", name="words")
    with pytest.raises(ModelError, match=r"could not be embedded \(error: down\)"):
        train_graph(bridges(6), broken, engine=Engine(retries=0))


def test_without_torch_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from tamis.training import train_graph\n"
        "from tamis.models import Function\n"
        "train_graph('nowhere', Function(lambda call: [1.0], 'embed'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra: Training a network needs a package that is not installed (torch)" in found.stderr
    assert "pip install './packages/core[train]'" in found.stderr
