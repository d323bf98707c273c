"""The demo's questions with their judgements, and nDCG to measure with."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Question:
    """A question with the grade (0..3) of every judged passage, by passage id."""

    id: str
    text: str
    grades: Mapping[str, int]


def load_questions(known_ids: set[str]) -> list[Question]:
    """All questions; judgements of passages that this Python does not have are left out."""
    grades: dict[str, dict[str, int]] = {}
    with (DATA / "judgements.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["passage_id"] in known_ids:
                grades.setdefault(row["question_id"], {})[row["passage_id"]] = int(row["grade"])
    with (DATA / "questions.jsonl").open(encoding="utf-8") as lines:
        asked = [json.loads(line) for line in lines]
    return [Question(row["id"], row["text"], grades[row["id"]]) for row in asked]


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], k: int = 10) -> float:
    """nDCG@k with gains 2**grade - 1 (Burges et al., 2005); an unjudged passage has grade 0.

    >>> ndcg(["good", "bad"], {"good": 3, "bad": 0})
    1.0
    """
    ideal = _dcg(sorted(grades.values(), reverse=True)[:k])
    return _dcg([grades.get(passage, 0) for passage in ranked[:k]]) / ideal if ideal else 0.0


def _dcg(grades: Sequence[int]) -> float:
    return sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(grades))
