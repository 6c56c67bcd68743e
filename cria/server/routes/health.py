"""GET /health: whether an engine is ready, and its counters.

The shape is llama-server's, so that its users' probes work: 200 `{"status":"ok"}` with more members
beside it, or 503 with an error object whose code is the number 503.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from cria.api.health import EngineHealth, Health, Unready, UnreadyError
from cria.config import ServerConfig
from cria.generation.engine_status import EngineStatus
from cria.generation.pipeline import Generation
from cria.generation.unavailable import unavailable
from cria.server.answers import json_response
from cria.server.errors import error_headers
from cria.server.operations import Operation, describe

READY = Operation(
    "Say whether the engine is ready; needs no key.", answer=Health, failures={"503": Unready}
)


def make_blueprint(generation: Generation, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health", strict_slashes=False)
    @describe(READY)
    def health() -> Response:
        status = generation.status()
        if status.state == "ready":
            return json_response(msgspec.json.encode(ready_body(status)))
        response = json_response(msgspec.json.encode(unready_body(status)), 503)
        response.headers.update(error_headers(unavailable(status)))
        return response

    return blueprint


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


def unready_body(status: EngineStatus) -> Unready:
    """Loading, silent, or down with the reason if one is known."""
    message = "Loading model"
    if status.state == "down":
        message = status.reason or "The engine is down"
    elif status.state == "unresponsive":
        message = "The engine gives no sign of life"
    return Unready(UnreadyError(message, reason=unavailable(status).code or "model_loading"))
