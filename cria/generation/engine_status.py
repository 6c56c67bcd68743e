"""`EngineStatus`: how an engine is, at one moment."""

from __future__ import annotations

import msgspec

from cria.ipc.messages import STALL_BOUNDS_MS, EngineStats, Ready


class EngineStatus(msgspec.Struct, frozen=True):
    """A snapshot, for `/health` and for start-up."""

    state: str
    """`loading`, `ready`, `unresponsive`, `down`, or, without an engine, `unloaded`."""
    progress: float = 0.0
    info: Ready | None = None
    stats: EngineStats = EngineStats()
    reason: str | None = None
    """Why the model could not be loaded; after the first load the engine is not started again."""
    restarts: int = 0
    pid: int = 0
    """0 also for those who did not start it."""
    restart_seconds: float = 1.0
    """From a death to the next engine that is ready, as it was the last time."""
    gave_up: bool = False
    """It ended too often in a short time, and is down for longer."""

    @property
    def stalls_ms(self) -> dict[str, int]:
        """How many pauses between two tokens of a sequence were not longer than so many ms."""
        bounds = [*map(str, STALL_BOUNDS_MS), "longer"]
        return dict(zip(bounds, self.stats.stalls, strict=False))
