"""What must not reach a message, a log or a file: values of fields that hold secrets, and pieces of the values."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

HIDDEN = "***"
NAMES = re.compile(
    "api_?key|access_?key|private_?key|secret|(?<!max_)token(?!s|iz)|passw|passphrase|authoriz|credential|bearer|cookie"
)
WHOLE = frozenset({"key", "auth", "headers", "header", "pwd", "sig", "signature"})
PIECE = 8
"""Characters of a secret that are hidden when they occur together; a server that shows the rest of it shows little."""
LEAST = 4
SHOWN = 80
SECRET_LIKE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|hf|r8|gsk|nvapi|pplx|xai|jina|voyage|pat|glpat|xox[a-z]|gh[a-z]|github_pat)[-_]|AKIA|ASIA"
    r"|AIza|eyJ|Bearer\s+)[\w.~+/=-]{8,}"
    r"|(?<![A-Za-z0-9])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z]{0,40}[0-9])(?=[0-9]{0,40}[A-Za-z])[A-Za-z0-9]{20,}[\w+/=-]*"
)
"""How keys of common services begin, and long runs of letters and digits that are no name."""
_USER = re.compile(r"//[^/\s]*@")


def is_secret(name: Any) -> bool:
    """Whether a field of this name holds a secret, however its words are joined.

    >>> is_secret("X-Api-Key"), is_secret("headers"), is_secret("max_tokens")
    (True, True, False)
    """
    bare = re.sub(r"[^a-z]+", "_", str(name).lower()).strip("_")
    return bare in WHOLE or NAMES.search(bare) is not None


def veiled(text: str) -> str:
    """`text` without what looks like a key: one is often pasted into the wrong field.

    >>> veiled("model 'sk-proj-1234abcd'"), veiled("mixedbread-ai/mxbai-rerank-large-v2")
    ("model '***'", 'mixedbread-ai/mxbai-rerank-large-v2')
    """
    return SECRET_LIKE.sub(HIDDEN, text)


def shown(value: Any) -> str:
    """A wrong value for a message. Of a container only its size or its keys, since anything can be in it. What looks
    like a key of a service is hidden.

    >>> shown("x"), shown({"model": "m", "api_key": "sk-1"}), shown([1, 2])
    ("'x'", "a mapping with 'model', 'api_key'", 'a list of 2')
    """
    if isinstance(value, Mapping):
        keys = ", ".join(f"{shown(key):.40}" for key in [*value][:6])
        return f"a mapping with {keys}" if keys else "{}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, (str, bytes)):
        return veiled(_USER.sub(f"//{HIDDEN}@", repr(value[: 4 * SHOWN])))[:SHOWN]
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length():,} bits"  # Python writes no number of over 4300 digits.
    if value is None or isinstance(value, (bool, int, float)):
        return f"{value!r:.{SHOWN}}"
    return f"an object of type {type(value).__name__}"


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, whole, in pieces of at least `PIECE` characters, as base64 or quoted for a URL.

    >>> masked("the key sk-12345678 is unknown", ["sk-12345678"])
    'the key *** is unknown'
    """
    hidden = bytearray(len(text))
    for form in {form for secret in secrets for form in _forms(secret)}:
        size = min(len(form), PIECE)
        pieces = {form[start : start + size] for start in range(len(form) - size + 1)}
        for start in range(len(text) - size + 1):
            if text[start : start + size] in pieces:
                hidden[start : start + size] = b"\x01" * size
    parts = [HIDDEN if hidden[run.start()] else text[run.start() : run.end()] for run in _RUNS.finditer(hidden)]
    return "".join(parts)


_RUNS = re.compile(rb"\x00+|\x01+")


def _forms(secret: str) -> list[str]:
    packed = base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=")
    return [form for form in (secret, packed, quote(secret)) if len(form) >= LEAST and len(secret) >= LEAST]
