"""The command `tamis`. Its parts are loaded when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the command."""
    try:
        from tamis.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "click", "rich"):
            raise
        sys.exit("The tamis command needs packages that are not installed. Run: pip install 'tamis[eval]'")
    app()
