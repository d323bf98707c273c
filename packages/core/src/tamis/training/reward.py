"""How good an answer from a chosen set is: the reward DynamicRAG is trained towards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from tamis.prompts.parsing import number
from tamis.text.normal import folded
from tamis.text.terms import terms

Likeness = Callable[[str, str], float]
"""How like an answer is to a gold answer, 1 for the same."""


def answer_reward(
    answer: str,
    golds: Sequence[str],
    selected: int,
    *,
    judge: float | str | None = None,
    similarity: Likeness | None = None,
) -> float:
    """DynamicRAG's reward of an answer: the mean over gold answers of five terms.

    Containment either way (0 or 1), `similarity` (default: F1 of words; the paper takes BERTScore's F1), ROUGE-L, a
    length term 1 / (1 + `selected`), and the verdict of a `judge` on 0..100, as a number or as it wrote it. Without a
    judge, or where it wrote no number, the other four count a quarter each. Source: Sun et al. (2025).
    """
    like = similarity or word_f1
    return fmean(
        reward(contains(answer, gold), like(answer, gold), rouge_l(answer, gold), selected, judge) for gold in golds
    )


def reward(exact: float, similarity: float, fluency: float, selected: int, judge: float | str | None = None) -> float:
    """The mean of the terms; `selected` is how many candidates were chosen, `judge` a verdict on 0..100.

    >>> round(reward(1, 0.8, 0.6, 3, "85"), 9)
    0.7
    """
    parts = [exact, similarity, fluency, 1.0 / (1 + selected)]
    verdict = number(judge)
    if verdict is not None:
        parts.append(min(100.0, max(0.0, verdict)) / 100)
    return fmean(parts)


def contains(answer: str, gold: str) -> float:
    """1 when one of the two holds the other, case and white space aside; never for empty ones."""
    a, b = " ".join(folded(answer).split()), " ".join(folded(gold).split())
    return float(bool(a and b) and (a in b or b in a))


def word_f1(answer: str, gold: str) -> float:
    """F1 of the words two texts share, each as often as in both."""
    a, b = terms(answer), terms(gold)
    shared = sum(min(a.count(term), b.count(term)) for term in set(a))
    return 2 * shared / (len(a) + len(b)) if shared else 0.0


def rouge_l(answer: str, gold: str) -> float:
    """F1 of the longest common subsequence of words (Lin, 2004).

    >>> rouge_l("the cat sat", "the big cat sat down")
    0.75
    """
    a, b = terms(answer), terms(gold)
    row = [0] * (len(b) + 1)
    for word in a:
        above = row[:]
        for place, other in enumerate(b, 1):
            row[place] = above[place - 1] + 1 if word == other else max(above[place], row[place - 1])
    return 2 * row[-1] / (len(a) + len(b)) if row[-1] else 0.0
