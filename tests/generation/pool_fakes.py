"""A pool whose loads and ends happen when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cria.config import EngineConfig, ModelEntry, ServerConfig
from cria.generation.engine_status import EngineStatus
from cria.generation.model_pool import ModelPool
from cria.generation.room import Room


class FakeAdmission:
    """Counts what a test says is open."""

    def __init__(self) -> None:
        self.open = 0
        self.on_end: Callable[[], None] = lambda: None

    def num_open(self) -> int:
        return self.open

    def end(self) -> None:
        self.open -= 1
        self.on_end()


class FakeModel:
    """A generation that has been opened."""

    created = 1
    engine_address = ""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model_ids = (name, f"{name}:tuned")
        self.admission = FakeAdmission()
        self.failure: Exception | None = None
        self.is_closed = False

    def wait_ready(self, timeout: float | None = None) -> None:
        if self.failure is not None:
            raise self.failure

    def status(self) -> EngineStatus:
        return EngineStatus("ready", 0.42)

    def wait_lost(self) -> bool:
        return False

    def close(self) -> None:
        assert self.admission.open == 0
        self.is_closed = True


class FakeRoom(Room):
    """So many models fit; all files can be read."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places

    def knows(self, wanted: EngineConfig) -> bool:
        return True

    def fits(self, wanted: EngineConfig, loaded: Sequence[EngineConfig]) -> bool:
        return len(loaded) < self.places


class Bench:
    """A pool, and all that it has begun and a test has to end."""

    def __init__(self, *entries: ModelEntry, places: int = 9, **config: object) -> None:
        self.now = 0.0
        self.jobs: list[Callable[[], None]] = []
        self.opened: list[FakeModel] = []
        self.failures: dict[str, Exception] = {}
        self.pool = ModelPool(
            entries,
            ServerConfig(**config),  # type: ignore[arg-type]
            self._open,  # type: ignore[arg-type]
            room=FakeRoom(places),
            spawn=self._spawn,
            clock=lambda: self.now,
        )

    def _spawn(self, job: Callable[[], None]) -> None:
        if job != self.pool._keep:  # which waits for ever
            self.jobs.append(job)

    def _open(self, entry: ModelEntry) -> FakeModel:
        (name,) = entry.server.aliases
        others = [m for m in self.opened if m.name == name and not m.is_closed]
        assert not others, "two loads of one model"
        model = FakeModel(name)
        model.failure = self.failures.get(name)
        self.opened.append(model)
        return model

    def work(self) -> None:
        """End everything that has begun."""
        while self.jobs:
            self.jobs.pop(0)()

    def started(self) -> Bench:
        self.pool.start()
        self.work()
        return self

    def states(self) -> dict[str, str]:
        return {model.names[0]: model.value for model in self.pool.models}

    def loaded(self) -> set[str]:
        return {name for name, state in self.states().items() if state == "loaded"}


def entry(name: str, *, pinned: bool = False, keep_alive: float | None = None) -> ModelEntry:
    """A model of that name."""
    config = ServerConfig(aliases=(name,))
    return ModelEntry(EngineConfig(f"/{name}.gguf"), config, pinned=pinned, keep_alive=keep_alive)
