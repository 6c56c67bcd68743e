"""GET /v1/models and GET /v1/models/{id}: every name under which the model answers.

Anthropic's clients, which say so in a header, get them in Anthropic's shape.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from cria.api.anthropic.models import encode_model_info, encode_model_page
from cria.api.models import ModelCard, ModelList, encode_model, encode_models
from cria.config import ServerConfig
from cria.errors import ModelNotFound
from cria.generation.pipeline import Generation
from cria.server.answers import json_response
from cria.server.auth import current_key
from cria.server.dialect import speaks_anthropic
from cria.server.operations import Operation, describe


def make_blueprint(generation: Generation, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("models", __name__)

    @blueprint.get("/models", strict_slashes=False)
    @describe(Operation("List the model, once for each of its names.", answer=ModelList))
    def list_models() -> Response:
        encode = encode_model_page if speaks_anthropic(request) else encode_models
        return json_response(encode(list(cards(generation).values())))

    # Ids may hold slashes and colons, hence the path converter.
    @blueprint.get("/models/<path:model_id>")
    @describe(Operation("Show the model by one of its names.", answer=ModelCard))
    def retrieve_model(model_id: str) -> Response:
        found = find_card(cards(generation), model_id)
        encode = encode_model_info if speaks_anthropic(request) else encode_model
        return json_response(encode(found))

    return blueprint


def cards(generation: Generation) -> dict[str, ModelCard]:
    """One card per name; each name works as `model`. Those that the caller's key may not name are
    not told.
    """
    card, key = generation.model_card(), current_key()
    found = {name: msgspec.structs.replace(card, id=name) for name in generation.model_ids}
    found |= generation.adapters.cards(card)
    return {name: each for name, each in found.items() if key is None or key.may_use(name)}


def find_card(known: dict[str, ModelCard], model_id: str) -> ModelCard:
    """The card of a name, with or without the slash that some clients append."""
    for name in (model_id, model_id.rstrip("/")):
        if name in known:
            return known[name]
    raise ModelNotFound(model_id)
