"""Shared settings of all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from support.examples import SOAK, USUAL

pytest_plugins = ["support.fixtures"]

# The suite runs in one process per core. More threads per process only wait for each other: the default reranker took
# five times the CPU time. Set before numpy and torch are imported; worker processes and subprocesses inherit it.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# `make soak` loads the second one by `--hypothesis-profile`.
settings.register_profile("tamis", max_examples=USUAL, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("tamis"), max_examples=SOAK)
settings.load_profile("tamis")
