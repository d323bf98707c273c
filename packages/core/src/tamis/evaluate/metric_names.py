"""Metrics by the names people type: `ndcg@10`, `mrr`, `Hit Rate@5`, `recall_100`."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress

from tamis.errors import ConfigError, installed
from tamis.evaluate.own_metrics import PLAIN, SHAPES, own

FAMILIAR = (
    "nDCG@10",
    "RR@10",
    "AP",
    "R@100",
    "P@10",
    "Success@5",
    "Judged@10",
    "Rprec",
    "kept",
    "kept_F1",
    *SHAPES[:3],
)

SPELLED = {
    "nDCG": "ndcg normalizeddiscountedcumulativegain normaliseddiscountedcumulativegain ndcgcut",
    "AP": "ap map averageprecision meanaverageprecision mapcut",
    "RR": "rr mrr reciprocalrank meanreciprocalrank reciprank recipranks",
    "R": "r recall rec",
    "P": "p precision prec",
    "Success": "success hit hits hitrate hitratio hr topkaccuracy topaccuracy acc",
    "Judged": "judged",
    "Rprec": "rprec rprecision",
    "Bpref": "bpref",
    "ERR": "err expectedreciprocalrank",
    "RBP": "rbp rankbiasedprecision",
    "NumRet": "numret",
    "NumRel": "numrel",
    "SetP": "setp",
    "SetR": "setr",
    "SetF": "setf",
}
"""How the measures of ir_measures are called elsewhere, in small letters without anything between the words."""
BY_SPELLING = {spelling: name for name, spellings in SPELLED.items() for spelling in spellings.split()}
OWN = {re.sub(r"\W|_", "", name).casefold(): name for name in PLAIN}
OWN_CUT = {"mhits": "MHits", "tmhits": "TMHits", "answers": "answers", "wronganswers": "wrong_answers"}
NOT_HERE = {
    "f1": "kept_F1",
    "f": "SetF",
    "fscore": "SetF",
    "fmeasure": "SetF",
    "accuracy": "Success",
    "dcg": "nDCG",
    "hitsatk": "Success",
}
"""What is measured otherwise here: suggested, not taken."""

TYPED = re.compile(r"(?P<name>.*?[^\W\d_])[\s_@.:-]*(?:[kn]\s*=\s*)?(?P<k>[1-9]\d*)?\s*", re.DOTALL)
"""A name, something between, and a cut-off."""


def canonical(name: str) -> str:
    """The metric's own name for one that people type. A name that is none is returned as it is.

    >>> [canonical(name) for name in ("ndcg@10", "MRR", "hit_rate@5", "recall_100", "Kept F1")]
    ['nDCG@10', 'RR', 'Success@5', 'R@100', 'kept_F1']
    """
    if not isinstance(name, str) or own(name) is not None:
        return name
    if (found_as := _in_library(name)) is not None:
        return found_as
    if (whole := _plain(name)) in OWN:
        return OWN[whole]
    found = TYPED.fullmatch(name.strip())
    if found is None:
        return name
    plain, cut = _plain(found["name"]), f"@{found['k']}" if found["k"] else ""
    known = BY_SPELLING.get(plain) or (OWN_CUT.get(plain) if cut or plain.endswith("answers") else None)
    return f"{known}{cut}" if known else name


def meant(name: str) -> str:
    """What a user may have meant by a name that is no metric, as a sentence."""
    found = None if _plain(str(name)) in NOT_HERE else TYPED.fullmatch(str(name).strip())
    plain, cut = (_plain(found["name"]), found["k"]) if found else (_plain(str(name)), None)
    spellings = {**OWN, **OWN_CUT, **BY_SPELLING, **NOT_HERE}
    near = [plain] if plain in spellings else difflib.get_close_matches(plain, spellings, n=1, cutoff=0.7)
    if not near:
        return f"Known are, among others: {', '.join(FAMILIAR)}."
    suggested = spellings[near[0]]
    with_cut = (
        f"{suggested}@{cut or 10}" if suggested not in PLAIN and (cut or suggested in ("P", "Success")) else suggested
    )
    return f"Did you mean {with_cut!r}?"


def _plain(name: str) -> str:
    return re.sub(r"\W|_", "", name).casefold()


def _in_library(name: str) -> str | None:
    """The library's name for what it can read: its measures have second names, such as MRR."""
    with installed("Evaluation", "eval"):
        import ir_measures

    with suppress(ValueError, NameError, SyntaxError, KeyError, TypeError, ConfigError):
        return str(ir_measures.parse_measure(name))
    return None
