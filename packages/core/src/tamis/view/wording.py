"""How values are written for people, in HTML and elsewhere."""

from __future__ import annotations

from html import escape

from tamis.values.scale import Scale

WHY = {
    "below_relevance_gate": "below the relevance gate",
    "below_threshold": "below the threshold",
    "top_n": "after the first n",
    "policy_cut": "cut by the policy",
    "budget": "over the budget",
    "duplicate": "duplicate of another",
    "not_listed": "not listed by the model",
    "abstained": "nothing was good enough",
}
"""Why a candidate was dropped, in words."""

MINUS = "\N{MINUS SIGN}"


def safe(value: object, length: int | None = None) -> str:
    """Text from outside as HTML: `cut` and escaped.

    >>> safe("a < b", 3)
    'a &lt;…'
    """
    return escape(cut(value, length))


def cut(value: object, length: int | None = None) -> str:
    """Text from outside, cut to `length` characters, without characters no encoding can write.

    >>> cut("a < b", 3)
    'a <…'
    """
    text = str(value)
    if length is not None and len(text) > length:
        text = text[:length].rstrip() + "…"
    return text.encode("utf-8", "replace").decode("utf-8")


def number(value: float | None) -> str:
    """A score with as many digits as tell something: four decimals below 0.1, fewer above; `–` for none.

    >>> number(0.25), number(-1234.5), number(None)
    ('0.25', '−1,234', '–')
    """
    if value is None:
        return "–"
    size = abs(value)
    if size >= 1000:
        text = f"{size:,.0f}"
    elif size >= 100:
        text = f"{size:.1f}"
    elif size and size < 0.001:
        text = f"{size:.2g}"
    else:
        decimals = 4 if size < 0.1 else 3 if size < 1 else 2
        text = f"{size:.{decimals}f}".rstrip("0").rstrip(".")
    return (MINUS if value < 0 else "") + text


def large(value: float) -> str:
    """A count with a unit prefix.

    >>> large(950), large(12_300), large(4.2e12)
    ('950', '12.3k', '4.2T')
    """
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if prefix == 'k' else size):.3g}{prefix}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def scale_words(scale: Scale) -> str:
    """What the scores mean, in a few words.

    >>> from tamis.values.scale import graded
    >>> scale_words(graded(0, 10))
    'graded 0 to 10'
    """
    words = {
        "unknown": "as the retriever gave them",
        "ordinal": "order only",
        "fusion": "fused, comparable within one query",
        "lexical": "lexical, comparable within one query",
        "probability": "probability",
        "logit": "logit",
        "cosine": "cosine",
        "log_likelihood": "log-likelihood",
    }
    if scale.kind == "graded":
        return f"graded {number(scale.low)} to {number(scale.high)}"
    return words.get(scale.kind, scale.kind)
