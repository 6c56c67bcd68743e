"""What a soak does, and what it asks for."""

from __future__ import annotations

from dataclasses import dataclass

KEY = "soak-9c1f4e7ab2"
"""The key of its server; it must not show in the log."""
MARK = "zanzibar"
"""A word of every prompt; it must not show in the log either."""
DISTURBANCES = ("kill", "stop", "schemas", "connections", "restart")


@dataclass(frozen=True)
class Limits:
    """All in milliseconds, but for the memory."""

    health_p99: float = 50.0
    refusal_p99: float = 100.0
    cancel_p99: float = 500.0
    recovery_beyond_load: float = 1000.0
    """From the engine's end to the next one's readiness, beyond the time of a first load."""
    megabytes_per_minute: float = 0.5

    def times(self, factor: float) -> Limits:
        """Those of a machine that is so many times slower, or busy; memory stays as it is."""
        return Limits(
            self.health_p99 * factor,
            self.refusal_p99 * factor,
            self.cancel_p99 * factor,
            self.recovery_beyond_load * factor,
            self.megabytes_per_minute,
        )


@dataclass(frozen=True)
class Settings:
    """One run."""

    minutes: float = 2.0
    num_clients: int = 64
    seed: int = 0
    check_seconds: float = 10.0
    disturb_seconds: float = 60.0
    disturbances: tuple[str, ...] = DISTURBANCES[:-1]
    limits: Limits = Limits()
    num_slots: int = 4
    context_size: int = 512

    @property
    def warm_up_seconds(self) -> float:
        """Before the memory's slope is looked at: five minutes of thirty."""
        return self.minutes * 60 / 6
