"""The command `tamis`. Its parts are loaded when it runs."""

from __future__ import annotations

import sys

from tamis.errors import MissingExtra


def main() -> None:
    """Entry point of the command."""
    try:
        from tamis.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "click", "rich"):
            raise
        sys.exit(str(MissingExtra("The tamis command", "eval", error.name)))
    app()
