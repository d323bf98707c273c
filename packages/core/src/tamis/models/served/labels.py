"""From the top tokens a server shows to the log-probabilities of given labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tamis.values.answers import Failure, Logprobs

SPACE_MARKS = " \t\n▁Ġ"


def label_logprobs(top: Iterable[tuple[str, float]], labels: Sequence[str]) -> Logprobs | Failure:
    """Log-probability of each label from (token, log-probability) pairs of the first output position.

    Space marks around tokens are ignored; several tokens of one label add up. Case must match, unless no other label
    differs from this one by case alone. A label that is not among the tokens gets `-inf`; when none is, a `Failure`.

    >>> label_logprobs([(" Yes", -0.1), ("yes", -3.0), ("Maybe", -4.0)], ("Yes", "No")).values[1]
    -inf
    """
    mass = dict.fromkeys(labels, 0.0)
    folded: dict[str, list[str]] = {}
    for label in labels:
        folded.setdefault(label.casefold(), []).append(label)
    for token, logprob in top:
        word = token.strip(SPACE_MARKS)
        same = folded.get(word.casefold(), [])
        meant = word if word in mass else same[0] if len(same) == 1 else None
        if meant is not None and not math.isnan(logprob):
            mass[meant] += math.exp(min(0.0, logprob))
    if not any(mass.values()):
        return Failure("malformed", f"none of the labels {', '.join(labels)} is among the model's likeliest tokens")
    return Logprobs(tuple(math.log(mass[label]) if mass[label] else -math.inf for label in labels))
