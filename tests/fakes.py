"""The seam of the server's tests: a generation whose runs play a script, without any engine."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterator, Sequence

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.models import ModelCard
from cria.api.usage import Usage
from cria.errors import ClientGone
from cria.generation.engine_client import EngineStatus
from cria.generation.run import ChoiceDelta, ChoiceFinished, Event
from cria.ipc.messages import EngineStats, Ready

SILENCE = "silence"
"""A step of a script: nothing more happens until the run is cancelled."""

Script = Sequence[Event | Exception | str]

READY = Ready(
    num_slots=8,
    context_size=2048,
    num_cells=16384,
    num_parameters=135_000_000,
    model_bytes=98_000_000,
    num_gpu_layers=0,
    device="CPU",
    num_threads=2,
    warnings=[],
)
STATS = EngineStats(1, 2, 3, 4, 5, 6, 7)


def hello_world() -> list[Event]:
    return [ChoiceDelta(0, "Hello"), ChoiceDelta(0, " world"), ChoiceFinished(0, "stop")]


class FakeRun:
    """Plays its script, and remembers whether it was cancelled."""

    def __init__(self, script: Script, number: int) -> None:
        self.id = f"run-{number}"
        self.created = 1_700_000_000
        self.model = "fake"
        self.usage = Usage(3, 2)
        self.num_choices = 1 + max(
            (e.index for e in script if isinstance(e, ChoiceDelta)), default=0
        )
        self.cancelled = False
        self._script = script
        self._wake: queue.Queue[None] = queue.Queue()

    def events(self) -> Iterator[Event]:
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, str):
                self._wake.get(timeout=30)
                raise ClientGone("The client closed the connection.")
            yield step

    def cancel(self) -> None:
        self.cancelled = True
        self._wake.put(None)


class FakeGeneration:
    """Every request gets the next copy of one script; `runs` holds what was started."""

    model_ids = ("fake", "org/fake:1")
    created = 1_700_000_000

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = hello_world() if script is None else script
        self.refusal: Exception | None = None
        self.engine = EngineStatus("ready", 1.0, READY, STATS)
        self.runs: list[FakeRun] = []
        self._numbers = itertools.count()

    def start_completion(self, request: CompletionRequest) -> FakeRun:
        return self._start()

    def start_chat(self, request: ChatCompletionRequest) -> FakeRun:
        return self._start()

    def status(self) -> EngineStatus:
        return self.engine

    def model_card(self) -> ModelCard:
        return ModelCard("fake", self.created, meta={"n_ctx": 2048})

    def wait_ready(self, timeout: float | None = None) -> None:
        if isinstance(self.refusal, Exception):
            raise self.refusal

    def close(self) -> None:
        for run in self.runs:
            run.cancel()

    def _start(self) -> FakeRun:
        if self.refusal is not None:
            raise self.refusal
        run = FakeRun(self.script, next(self._numbers))
        self.runs.append(run)
        return run
