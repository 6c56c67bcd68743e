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
from cria.generation.engine_status import EngineStatus
from cria.generation.model_pool import ModelPool
from cria.generation.unavailable import unavailable
from cria.server.answers import json_response
from cria.server.draining import is_draining
from cria.server.errors import error_headers
from cria.server.loading import MODEL_QUERY, asked_model
from cria.server.operations import Operation, describe

READY = Operation(
    "Say whether the engine is ready; needs no key.",
    answer=Health,
    failures={"503": Unready},
    query=MODEL_QUERY,
)
READY_PROBE = Operation(
    "Say whether requests are welcome; needs no key.",
    answer=Probe,
    failures={"503": Unready},
    query=MODEL_QUERY,
)
LIVE_PROBE = Operation(
    "Say whether the server works or will again; needs no key.",
    answer=Probe,
    failures={"503": Unready},
)
ORDER = ("ready", "unloaded", "loading", "unresponsive", "down")
SHUTTING_DOWN = "The server is shutting down"


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health", strict_slashes=False)
    @describe(READY)
    def health() -> Response:
        status = status_of(models, asked_model())
        if is_unready(status):
            return unready(status)
        return json_response(msgspec.json.encode(ready_body(status)))

    @blueprint.get("/readyz", strict_slashes=False)
    @describe(READY_PROBE)
    def readyz() -> Response:
        status = status_of(models, asked_model())
        if is_unready(status):
            return unready(status)
        return json_response(msgspec.json.encode(Probe("ready")))

    @blueprint.get("/livez", strict_slashes=False)
    @describe(LIVE_PROBE)
    def livez() -> Response:
        statuses = [model.status() for model in models.models]
        if all(map(is_dead, statuses)):
            return unready(statuses[0])
        return json_response(msgspec.json.encode(Probe("live")))

    return blueprint


def status_of(models: ModelPool, name: str | None) -> EngineStatus:
    """That of a model; without a name, of the one that is best able to answer.

    As long as the models of the start are being loaded, that is not told of the others.
    """
    if name is not None:
        return models.find(name).status()
    statuses = [model.status() for model in models.models]
    if not models.has_settled:
        return next((status for status in statuses if status.state != "ready"), statuses[0])
    return min(statuses, key=lambda status: ORDER.index(status.state))


def unready(status: EngineStatus) -> Response:
    """A 503 with llama-server's error object."""
    response = json_response(msgspec.json.encode(Unready(unready_error(status))), 503)
    response.headers.update(error_headers(unavailable(status)))
    return response


def is_dead(status: EngineStatus) -> bool:
    """Whether no engine will be ready soon: the first load has failed, or too many have ended."""
    failed = status.state == "down" and status.reason is not None and status.info is None
    return failed or status.gave_up


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


def is_unready(status: EngineStatus) -> bool:
    """Stopping, loading, silent or down."""
    return is_draining() or status.state not in ("ready", "unloaded")


def unready_error(status: EngineStatus) -> UnreadyError:
    """Why, with the reason if one is known."""
    if is_draining():
        return UnreadyError(SHUTTING_DOWN, reason="server_shutting_down")
    message = "Loading model"
    if status.state == "down":
        message = status.reason or "The engine is down"
    elif status.state == "unresponsive":
        message = "The engine gives no sign of life"
    return UnreadyError(message, reason=unavailable(status).code or "model_loading")
