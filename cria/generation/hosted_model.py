"""`HostedModel`: one model of a pool, loaded or not, and a request's `Place` in its line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from cria.config import ModelEntry
from cria.errors import ClientGone, EngineUnavailable, QueueTimeout
from cria.generation.engine_status import EngineStatus
from cria.generation.model_meta import model_name
from cria.generation.pipeline import Generation

LOOK_SECONDS = 1.0
"""A request that waits looks at its time so often."""


class Residence(Enum):
    """Where a model is; the values are told to clients."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"
    FAILED = "failed"


RESIDENT = (Residence.LOADING, Residence.LOADED, Residence.UNLOADING)


class ModelFailed(EngineUnavailable):
    """The model could not be loaded; it is tried again when somebody orders that."""

    may_retry = False


class HostedModel:
    """Everything is read and written under the lock of its pool."""

    def __init__(self, entry: ModelEntry, now: float) -> None:
        self.entry = entry
        self.residence = Residence.UNLOADED
        self.generation: Generation | None = None
        self.failure: Exception | None = None
        self.num_leases = 0
        """Requests that are being prepared, or answered as a whole."""
        self.last_used = now
        self.is_leaving = False
        """No request is let in any more; when nothing runs, it is unloaded."""
        self.created = int(time.time())

    @property
    def names(self) -> tuple[str, ...]:
        """All ids that mean this model."""
        if self.generation is not None:
            return tuple(self.generation.model_ids)
        return self.entry.server.aliases or (model_name(self.entry.engine.model_path),)

    @property
    def is_idle(self) -> bool:
        """No request is prepared, waits in it or is computed."""
        if self.num_leases:
            return False
        return self.generation is None or self.generation.admission.num_open() == 0

    @property
    def is_open(self) -> bool:
        """Requests may come in."""
        return self.residence is Residence.LOADED and not self.is_leaving

    @property
    def progress(self) -> float:
        """Of its load, from 0 to 1."""
        return 0.0 if self.generation is None else self.generation.status().progress

    @property
    def value(self) -> str:
        """Its residence, as clients are told."""
        if self.residence is Residence.LOADED and self.is_leaving:
            return Residence.UNLOADING.value
        return self.residence.value

    def status(self) -> EngineStatus:
        """That of its engine, or why there is none."""
        if self.residence is Residence.FAILED:
            return EngineStatus("down", reason=str(self.failure))
        if self.generation is None:
            loading = self.residence is Residence.LOADING
            return EngineStatus("loading" if loading else "unloaded")
        return self.generation.status()

    def refusal(self) -> ModelFailed:
        """What a request for a model that has failed is told."""
        reason = f"The model {self.names[0]} could not be loaded: {self.failure}"
        return ModelFailed(reason, code="model_failed")


class Line(Protocol):
    """What a place needs of the pool."""

    clock: Callable[[], float]

    def look_at(self, place: Place) -> None: ...
    def leave(self, place: Place, error: Exception) -> None: ...


class Place:
    """A request's, before a model is loaded; afterwards its hold on the model."""

    def __init__(self, pool: Line, model: HostedModel, *, is_errand: bool = False) -> None:
        self._pool, self.model = pool, model
        self.is_errand = is_errand
        """Nobody waits: the model is to be loaded, no more."""
        self.is_for_start = False
        """No other model is unloaded for it."""
        self.entered = pool.clock()
        self._settled = threading.Event()
        self._generation: Generation | None = None
        self._error: Exception | None = None

    @property
    def is_settled(self) -> bool:
        """Whether `take` has an answer."""
        return self._settled.is_set()

    def grant(self, generation: Generation) -> None:
        """Called by the pool, which holds its lock."""
        self._generation = generation
        self._settled.set()

    def fail(self, error: Exception) -> None:
        """Called by the pool, which holds its lock."""
        if not self.is_settled:
            self._error = error
            self._settled.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it is settled within so many seconds; without them, wait for that."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.is_settled:
            left = LOOK_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            self._settled.wait(min(left, LOOK_SECONDS))
            self._pool.look_at(self)
        return True

    def take(self) -> Generation:
        """The loaded model; else what has come in between."""
        if self._error is not None:
            raise self._error
        assert self._generation is not None
        return self._generation

    def cancel(self) -> None:
        """The client has gone: the place is free."""
        self._pool.leave(self, ClientGone("The client closed the connection."))

    def leave(self) -> None:
        """Give the model, or the place, back; may come twice."""
        self._pool.leave(self, ClientGone("Nobody waits for this any more."))

    def release(self) -> bool:
        """Whether it held the model until now; called by the pool."""
        held, self._generation = self._generation is not None, None
        return held

    def told(self) -> str:
        """What happens, in words: `loading smollm2 42%`."""
        if self.model.residence is Residence.LOADING:
            return f"loading {self.model.names[0]} {self.model.progress:.0%}"
        return f"waiting for {self.model.names[0]}"


def timed_out(seconds: float, retry_after: float) -> QueueTimeout:
    """The end of a place whose model could not be loaded in time."""
    text = f"The request has waited {seconds:g} seconds for its model, as long as it may."
    return QueueTimeout(text, retry_after=retry_after)


Spawn = Callable[[Callable[[], None]], object]


def in_a_thread(job: Callable[[], None]) -> None:
    """A greenlet, in a server process."""
    threading.Thread(target=job, name="models", daemon=True).start()
