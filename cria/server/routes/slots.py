"""GET /slots: how many sequences the engine computes, in llama-server's shape.

No prompt, no text and no setting of any request is in it. The engine tells how many slots are busy
and not which, so that the busy ones stand first.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from cria.api.errors import encode_error
from cria.api.server_info import Slot
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import json_response
from cria.server.loading import MODEL_QUERY, asked_model, with_model
from cria.server.operations import Operation, describe

FAIL = "fail_on_no_slot"


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("slots", __name__)

    @blueprint.get("/slots", strict_slashes=False)
    @describe(
        Operation(
            "Show how many sequences are computed.",
            answer=list[Slot],
            query={**MODEL_QUERY, FAIL: "If given and not empty: 503 if all slots are busy."},
        )
    )
    def slots() -> Response:
        def act(generation: Generation) -> Response:
            shown = slots_of(generation)
            if request.args.get(FAIL) and all(slot.is_processing for slot in shown):
                return no_slot()
            return json_response(msgspec.json.encode(shown))

        return with_model(models, asked_model(), act)

    return blueprint


def no_slot() -> Response:
    """The failure of llama-server's probe for a free slot."""
    body = encode_error("No slot is available.", "unavailable_error", None, "no_slot_available")
    response = json_response(body, 503)
    response.headers["Retry-After"] = "1"
    return response


def slots_of(generation: Generation) -> list[Slot]:
    """EngineUnavailable until the model is loaded."""
    info = generation.require_ready()
    num_running = generation.status().stats.num_running
    return [Slot(k, info.context_size, k < num_running) for k in range(info.num_slots)]
