"""GET /health, /livez, /readyz: whether to send requests here, and whether to start it again.

The shape is llama-server's, so that its users' probes work: 200 `{"status":"ok"}` with more members
beside it, or 503 with an error object whose code is the number 503. `/readyz` says the same in
short. `/livez` fails only where a new process would help.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from cria.api.health import EngineHealth, Health, Probe, Unready, UnreadyError
from cria.config import ServerConfig
from cria.generation.engine_link import EngineStatus
from cria.generation.pipeline import Generation
from cria.server.answers import json_response
from cria.server.draining import is_draining
from cria.server.operations import Operation, describe

READY = Operation(
    "Say whether the engine is ready; needs no key.", answer=Health, failures={"503": Unready}
)
READY_PROBE = Operation(
    "Say whether requests are welcome; needs no key.", answer=Probe, failures={"503": Unready}
)
LIVE_PROBE = Operation(
    "Say whether the server works or will again; needs no key.",
    answer=Probe,
    failures={"503": Unready},
)
SHUTTING_DOWN = "The server is shutting down"


def make_blueprint(generation: Generation, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health", strict_slashes=False)
    @describe(READY)
    def health() -> Response:
        status = generation.status()
        if reason := why_unready(status):
            return unready(reason)
        return json_response(msgspec.json.encode(ready_body(status)))

    @blueprint.get("/readyz", strict_slashes=False)
    @describe(READY_PROBE)
    def readyz() -> Response:
        if reason := why_unready(generation.status()):
            return unready(reason)
        return json_response(msgspec.json.encode(Probe("ready")))

    @blueprint.get("/livez", strict_slashes=False)
    @describe(LIVE_PROBE)
    def livez() -> Response:
        status = generation.status()
        if is_dead(status):
            return unready(why_unready(status) or SHUTTING_DOWN)
        return json_response(msgspec.json.encode(Probe("live")))

    return blueprint


def unready(reason: str) -> Response:
    """A 503 with llama-server's error object."""
    response = json_response(msgspec.json.encode(Unready(UnreadyError(reason))), 503)
    response.headers["Retry-After"] = "1"
    return response


def is_dead(status: EngineStatus) -> bool:
    """Whether no engine will ever be ready: the first load has failed."""
    return status.state == "down" and status.reason is not None and status.info is None


def ready_body(status: EngineStatus) -> Health:
    """The engine's counters as they were after its last step."""
    stats = status.stats
    engine = EngineHealth(
        running=stats.num_running,
        waiting=stats.num_waiting,
        used_cells=stats.num_used_cells,
        cached_cells=stats.num_cached_cells,
        steps_total=stats.steps_total,
        prefill_tokens_total=stats.prefill_tokens_total,
        decode_tokens_total=stats.decode_tokens_total,
        decode_steps_total=stats.decode_steps_total,
        cached_tokens_total=stats.cached_tokens_total,
        preemptions_total=stats.preemptions_total,
        stalls_ms=status.stalls_ms,
        embedded_inputs_total=stats.embedded_inputs_total,
        embedded_tokens_total=stats.embedded_tokens_total,
        restarts=status.restarts,
    )
    return Health("ok", engine)


def why_unready(status: EngineStatus) -> str | None:
    """Stopping, loading, or down with the reason if one is known; None if it is ready."""
    if is_draining():
        return SHUTTING_DOWN
    if status.state == "ready":
        return None
    if status.state == "down":
        return status.reason or "The engine is down"
    return "Loading model"
