"""The raw limit as a subject beside the servers: the same load, without a server.

The engine computes it in a process of its own; nothing of it is imported here.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import msgspec

from cria.bench.child import Child
from cria.bench.messages import Outcome, Trace
from cria.bench.pool import WorkerPool
from cria.bench.prompts import make_prompts
from cria.bench.results import Run
from cria.bench.settings import Load, Settings
from cria.bench.statistics import Summary, summarize
from cria.config import EngineConfig
from cria.engine_environment import engine_environment
from cria.errors import SetupError


class EngineLimit:
    """A loaded model in a child process."""

    name = "limit"

    def __init__(self, config: EngineConfig) -> None:
        text = msgspec.json.encode(config).decode()
        self._child = Child("cria.engine.raw_limit", text, env=engine_environment())

    def __enter__(self) -> EngineLimit:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def check(self, settings: Settings) -> None:
        """Wait until the model is loaded; SetupError if it cannot be."""
        self._receive()

    def warm_up(self, pool: WorkerPool, settings: Settings, load: Load) -> None:
        """The process warms up by itself, for each case."""

    def measure(
        self, pool: WorkerPool, settings: Settings, load: Load, round_number: int
    ) -> list[Run]:
        prompt = make_prompts(settings, 1, f"{load.title}/{round_number}/{self.name}")[0]
        case = {"clients": load.clients, "prompt": prompt, "max_tokens": settings.max_tokens}
        self._child.send(msgspec.json.encode(case))
        timing = self._receive()
        outcome = Outcome(traces(load.clients, timing))
        return [Run(self.name, False, round_number, summarize_limit(outcome, timing), outcome)]

    def _receive(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self._child.receive())
        if "error" in found:
            raise SetupError(f"The raw limit cannot be measured: {found['error']}")
        return found


def traces(clients: int, timing: dict[str, Any]) -> list[Trace]:
    """In the terms of a run over HTTP: every sequence has its first token after all prompts."""
    arrivals = list(accumulate(timing["steps"], initial=timing["prefill"]))
    one = Trace(
        start=0.0,
        end=arrivals[-1],
        arrivals=arrivals,
        prompt_tokens=timing["prompt_tokens"],
        generated_tokens=len(arrivals),
        counted=True,
    )
    return [one] * clients


def summarize_limit(outcome: Outcome, timing: dict[str, Any]) -> Summary:
    summary = summarize(outcome)
    summary.prefill_per_s = summary.prompt_tokens / timing["prefill"]
    if timing["steps"]:
        after = summary.generated_tokens - summary.requests
        summary.decode_per_s = after / sum(timing["steps"])
    return summary
