"""The command `tamis`. Its parts are loaded when it runs."""

from __future__ import annotations

import codecs
import sys

from tamis.errors import MissingExtra

PLAIN = str.maketrans({"−": "-", "–": "-", "—": "-", "…": "...", "→": "->", "▲": "^", "▼": "v", "’": "'", "·": "-"})


def main() -> None:
    """Entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        writable(stream)
    try:
        from tamis.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "click", "rich"):
            raise
        sys.exit(str(MissingExtra("The tamis command", "eval", error.name)))
    app()


def writable(stream: object) -> None:
    """Let a stream replace what its encoding has no sign for (`cp1252`, ASCII), where it would raise an error."""
    codecs.register_error("tamis", _replaced)
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="tamis")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end].translate(PLAIN)
    return "".join(sign if sign.isascii() else "?" for sign in signs), error.end
