"""The environment variables of a process that computes: the engine, or the raw limit beside it."""

from __future__ import annotations

import os

SPIN_COUNT = "1000"
"""How long a compute thread of OpenMP spins for the others before it sleeps. Its own default is
milliseconds, which is too long wherever anything else wants a core: the thread that all wait for
then waits for a core that is busy waiting for it."""


def engine_environment() -> dict[str, str]:
    """What this process has, and more; take it before the server hides the GPUs from itself."""
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    return environment
