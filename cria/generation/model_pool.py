"""`ModelPool`: the models of one server, each loaded when it is needed and there is room.

1. One model moves at a time: it is loaded, or its engine is closed. So what is free is known.
2. A request for a model that is not loaded has a place in one line; places of one model share its
   load. The first place whose model is not loaded decides what happens next.
3. To make room, the model that was used longest ago leaves: never a pinned one, never one that is
   busy. If the line has not moved for a while, one that is busy takes no further requests, so that
   it is idle some time; these wait for their model's next load.
4. A server with one model answers while that is loaded for the first time, as there is no other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from cria.config import EngineConfig, ModelEntry, ServerConfig
from cria.errors import (
    CriaError,
    QueueFull,
    RequestError,
    ServerStopping,
)
from cria.generation.admission import MIN_QUEUE, UNKNOWN_SECONDS, Admission
from cria.generation.hosted_model import (
    HostedModel,
    Place,
    Residence,
    Spawn,
    in_a_thread,
    timed_out,
)
from cria.generation.ledger import Ledger
from cria.generation.model_list import ModelList
from cria.generation.pipeline import Generation
from cria.generation.pool_rules import (
    check_together,
    has_to_go,
    in_order_of_leaving,
    may_load,
    next_place,
)
from cria.generation.room import Room
from cria.generation.run import Offload, call

logger = logging.getLogger(__name__)

TURN_SECONDS = 5.0
"""After so long a busy model makes room for one that is waited for."""

Open = Callable[[ModelEntry], Generation]


class ModelPool(ModelList):
    """All methods may be called from any thread; none but `wait...` waits."""

    offload: Offload = staticmethod(call)
    offload_storage: Offload = staticmethod(call)

    def __init__(
        self,
        entries: Sequence[ModelEntry],
        config: ServerConfig,
        open_model: Open,
        *,
        room: Room | None = None,
        spawn: Spawn = in_a_thread,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """SetupError for entries that cannot be together."""
        self._config, self._open, self._spawn, self.clock = config, open_model, spawn, clock
        self._room = room or Room()
        super().__init__([HostedModel(entry, clock()) for entry in entries])
        check_together(self.models, config)
        self.ledger = Ledger(config.num_workers)
        """Of the callers, and with one model of its queue too."""
        self.limits = Admission(config, self.ledger)
        self.changed = threading.Condition(threading.RLock())
        """Notified whenever something is another than before."""
        self._line: list[Place] = []
        self._moving: HostedModel | None = None
        self._load_seconds: float | None = None
        self.has_settled = self.is_closed = False
        self._was_lost = threading.Event()

    @classmethod
    def of(cls, generation: Generation, config: ServerConfig | None = None) -> ModelPool:
        """One model that is there already, and stays."""
        config = config or ServerConfig()
        entry = ModelEntry(EngineConfig(generation.model_path), config, pinned=True)
        pool = cls((entry,), config, lambda _: generation)
        model = pool.models[0]
        pool._welcome(model, generation)
        pool.limits = generation.admission
        pool.offload, pool.offload_storage = generation.offload, generation.offload_storage
        model.residence, pool.has_settled = Residence.LOADED, True
        return pool

    def start(self) -> None:
        """Begin to load; of a single model, SetupError at once if its file is none."""
        if self.is_single:
            generation = self._open(self.first.entry)
            with self.changed:
                self._welcome(self.first, generation)
                self.first.residence, self._moving = Residence.LOADING, self.first
            self._spawn(lambda: self._finish_load(self.first, generation))
        else:
            with self.changed:
                for model in self.models:
                    place = Place(self, model, is_errand=True)
                    place.is_for_start = True
                    self._line.append(place)
                self._advance()
        if any(model.entry.keep_alive is not None for model in self.models):
            self._spawn(self._keep)

    def wait_settled(self) -> None:
        """Wait until all that is loaded at the start is, or is not.

        The failure of a single model, and of the last of several, is raised.
        """
        with self.changed:
            while not self.has_settled:
                self.changed.wait()
            failures = [model.failure for model in self.models]
            if all(failures) and failures[0] is not None:
                raise failures[0]

    def wait_lost(self) -> None:
        """Wait until the engines of a model have ended too often."""
        self._was_lost.wait()

    def enter(self, name: str | None) -> Place:
        """A place for one request: it holds its model at once if that is loaded.

        ModelNotFound, ModelFailed, or QueueFull.
        """
        with self.changed:
            model = self.find_to_ask(name)
            place = Place(self, model)
            generation = model.generation
            if generation is not None and (model.is_open or self._is_first_load):
                model.num_leases += 1
                place.grant(generation)
                return place
            self._check_place(model)
            self._line.append(place)
            self._advance()
            return place

    def leave(self, place: Place, error: Exception) -> None:
        """Free what a place holds, and its place in the line."""
        with self.changed:
            if place in self._line:
                self._line.remove(place)
                place.fail(error)
                self._advance()
            elif place.release():
                place.model.num_leases -= 1
                self._used(place.model)

    def look_at(self, place: Place) -> None:
        """Time has passed for somebody who waits."""
        with self.changed:
            waited, most = self.clock() - place.entered, self._config.queue_timeout
            if place in self._line and waited >= most:
                if place.model.residence is not Residence.LOADING:
                    self._line.remove(place)
                    place.fail(timed_out(most, self._retry_after()))
            self._advance()

    def load(self, name: str) -> None:
        """Load a model, also one that has failed; RequestError if it is loaded."""
        with self.changed:
            model = self.find(name)
            if model.is_open or model.residence is Residence.LOADING:
                raise _wrong_state(name, "is loaded, or being loaded, already")
            if model.residence is Residence.FAILED:
                model.residence, model.failure = Residence.UNLOADED, None
            if not any(place.is_errand and place.model is model for place in self._line):
                self._line.append(Place(self, model, is_errand=True))
            self._advance()

    def unload(self, name: str) -> None:
        """Unload a model when nothing runs on it any more; a load is ended at once."""
        with self.changed:
            model = self.find(name)
            if self._config.num_workers > 1:
                raise _wrong_state(name, "cannot be unloaded: several processes use it")
            self._line = [p for p in self._line if p.model is not model or not p.is_errand]
            if model.residence not in (Residence.LOADED, Residence.LOADING):
                raise _wrong_state(name, "is not loaded")
            if model.residence is Residence.LOADING and self._is_first_load:
                raise _wrong_state(name, "is being loaded for the first time")
            model.is_leaving = True
            if model.residence is Residence.LOADING and model.generation is not None:
                self._spawn(model.generation.close)
            self._advance()

    def close(self) -> None:
        """End all engines; whoever waits is told that the server stops."""
        with self.changed:
            self.is_closed = True
            for place in self._line:
                place.fail(ServerStopping("The server is shutting down."))
            self._line = []
            self.changed.notify_all()
        for model in self.models:
            if model.generation is not None:
                model.generation.close()
        self.ledger.close()

    @property
    def _is_first_load(self) -> bool:
        return self.is_single and not self.has_settled

    def _check_place(self, model: HostedModel) -> None:
        if self.is_closed:
            raise ServerStopping("The server is shutting down.")
        if model.residence is Residence.FAILED:
            raise model.refusal()
        places = self._config.max_queue
        places = MIN_QUEUE if places is None else places
        if sum(place.model is model and not place.is_errand for place in self._line) >= places:
            raise QueueFull(
                f"Too many requests at the moment: {places} wait for this model already. "
                "Try again later.",
                retry_after=self._retry_after(),
            )

    def _retry_after(self) -> float:
        return self._load_seconds or UNKNOWN_SECONDS

    def _used(self, model: HostedModel) -> None:
        """A request has ended."""
        model.last_used = self.clock()
        if self._line or model.is_leaving or model.entry.keep_alive is not None:
            self._advance()

    def _sequence_ended(self, model: HostedModel) -> None:
        with self.changed:
            self._used(model)

    def _advance(self) -> None:
        """Do what can be done now; the lock is held."""
        self._serve_line()
        self.changed.notify_all()
        if self._moving is not None or self.is_closed:
            return
        now = self.clock()
        if leaving := next((m for m in self.models if has_to_go(m, now)), None):
            self._begin_close(leaving)
            return
        while place := next_place(self._line):
            if may_load(place, self.models, self._config.max_loaded_models, self._room):
                self._begin_load(place.model)
                return
            if not place.is_for_start:
                self._make_room(place, now)
                return
            self._line.remove(place)
        if not any(place.is_for_start for place in self._line):
            self.has_settled = True

    def _serve_line(self) -> None:
        waiting = []
        for place in self._line:
            model = place.model
            if model.residence is Residence.FAILED:
                place.fail(model.refusal())
            elif not model.is_open or model.generation is None:
                waiting.append(place)
            elif not place.is_errand:
                model.num_leases += 1
                place.grant(model.generation)
        self._line = waiting

    def _make_room(self, place: Place, now: float) -> None:
        """Unload the one that was used longest ago, or see to it that one will be idle."""
        known = in_order_of_leaving(self.models)
        idle = next((model for model in known if model.is_idle), None)
        if idle is not None:
            self._begin_close(idle)
        elif known and now - place.entered >= TURN_SECONDS:
            if not any(model.is_leaving for model in known):
                known[0].is_leaving = True

    def _begin_load(self, model: HostedModel) -> None:
        logger.info("loading %s", model.names[0])
        model.residence, self._moving = Residence.LOADING, model
        self.changed.notify_all()
        self._spawn(lambda: self._load(model))

    def _load(self, model: HostedModel) -> None:
        try:
            generation = self._open(model.entry)
        except Exception as error:
            self._end_load(model, None, error)
            return
        with self.changed:
            is_wanted = not (model.is_leaving or self.is_closed)
            if is_wanted:
                self._welcome(model, generation)
        if is_wanted:
            self._finish_load(model, generation)
        else:
            self._end_load(model, generation, ServerStopping("The load was ended."))

    def _finish_load(self, model: HostedModel, generation: Generation) -> None:
        begun = self.clock()
        try:
            generation.wait_ready()
        except Exception as error:
            self._end_load(model, generation, error)
            return
        self._load_seconds = max(self.clock() - begun, 1.0)
        self._end_load(model, generation, None)

    def _end_load(
        self, model: HostedModel, generation: Generation | None, error: Exception | None
    ) -> None:
        if error is not None and generation is not None and not self._is_first_load:
            generation.close()
        with self.changed:
            if error is None:
                model.residence = Residence.LOADED
                model.last_used = self.clock()
                if self._config.exit_on_crash_loop and generation is not None:
                    self._spawn(lambda: self._watch_loss(generation))
            else:
                self._note_failure(model, error)
            self._moving = None
            self.has_settled = self.has_settled or self.is_single
            self._advance()

    def _note_failure(self, model: HostedModel, error: Exception) -> None:
        if not self._is_first_load:
            model.generation = None
        was_stopped, model.is_leaving = model.is_leaving, False
        if was_stopped or self.is_closed:
            model.residence = Residence.UNLOADED
            return
        model.residence, model.failure = Residence.FAILED, error
        if isinstance(error, CriaError):
            logger.error("%s could not be loaded: %s", model.names[0], error)
        else:
            logger.error("%s could not be loaded", model.names[0], exc_info=error)

    def _begin_close(self, model: HostedModel) -> None:
        logger.info("unloading %s", model.names[0])
        model.residence, self._moving = Residence.UNLOADING, model
        self.changed.notify_all()
        self._spawn(lambda: self._close(model))

    def _close(self, model: HostedModel) -> None:
        assert model.generation is not None
        model.generation.close()
        with self.changed:
            model.generation, model.is_leaving = None, False
            model.residence, self._moving = Residence.UNLOADED, None
            self._advance()

    def _welcome(self, model: HostedModel, generation: Generation) -> None:
        model.generation, model.created = generation, generation.created
        generation.admission.on_end = lambda: self._sequence_ended(model)

    def _watch_loss(self, generation: Generation) -> None:
        if generation.wait_lost():
            self._was_lost.set()

    def _keep(self) -> None:
        """Unload what has been idle for too long."""
        with self.changed:
            while not self.is_closed:
                self._advance()
                ends = [
                    m.last_used + m.entry.keep_alive - self.clock()
                    for m in self.models
                    if m.entry.keep_alive is not None and m.residence is Residence.LOADED
                ]
                left = min((each for each in ends if each > 0), default=None)
                self.changed.wait(left)


def _wrong_state(name: str, what: str) -> RequestError:
    return RequestError(f"The model `{name}` {what}.", param="model", code="invalid_value")
