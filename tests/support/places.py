"""Where the repository and the test sets are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TAMIS_DATA", ROOT.parent / "shared" / "data"))
