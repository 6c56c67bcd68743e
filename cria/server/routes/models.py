"""GET /v1/models and GET /v1/models/{id}: every name under which the model answers.

Anthropic's clients, which say so in a header, get them in Anthropic's shape.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from cria.api.anthropic.models import encode_model_info, encode_model_page
from cria.api.managing import LoadProgress, ModelStatus
from cria.api.models import ModelCard, ModelList, encode_model, encode_models
from cria.config import ServerConfig
from cria.errors import ModelNotFound
from cria.generation.hosted_model import HostedModel, Residence
from cria.generation.model_meta import describe_file
from cria.generation.model_pool import ModelPool
from cria.server.answers import json_response
from cria.server.auth import current_key
from cria.server.dialect import speaks_anthropic
from cria.server.operations import Operation, describe


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("models", __name__)

    @blueprint.get("/models", strict_slashes=False)
    @describe(Operation("List the models, once for each of their names.", answer=ModelList))
    def list_models() -> Response:
        encode = encode_model_page if speaks_anthropic(request) else encode_models
        return json_response(encode(list(cards(models).values())))

    # Ids may hold slashes and colons, hence the path converter.
    @blueprint.get("/models/<path:model_id>")
    @describe(Operation("Show a model by one of its names.", answer=ModelCard))
    def retrieve_model(model_id: str) -> Response:
        found = find_card(cards(models), model_id)
        encode = encode_model_info if speaks_anthropic(request) else encode_model
        return json_response(encode(found))

    return blueprint


def cards(models: ModelPool) -> dict[str, ModelCard]:
    """One card per name; each name works as `model`. Those that the caller's key may not name are
    not told.
    """
    key = current_key()
    found: dict[str, ModelCard] = {}
    for model in models.models:
        card = card_of(model)
        found |= {name: msgspec.structs.replace(card, id=name) for name in model.names}
        if model.generation is not None:
            found |= model.generation.adapters.cards(card)
    return {name: each for name, each in found.items() if key is None or key.may_use(name)}


def card_of(model: HostedModel) -> ModelCard:
    """What its engine tells, or, without one, what its file does."""
    if model.generation is not None:
        card = model.generation.model_card()
    else:
        meta = describe_file(model.entry.engine.model_path)
        card = ModelCard(model.names[0], model.created, meta=meta)
    return msgspec.structs.replace(card, status=status_of(model))


def status_of(model: HostedModel) -> ModelStatus:
    """As llama-server's router tells it."""
    if model.residence is Residence.FAILED:
        return ModelStatus(model.value, failed=True, reason=str(model.failure))
    if model.residence is Residence.LOADING:
        return ModelStatus(
            model.value, LoadProgress(round(model.progress, 3), ["text_model"], "text_model")
        )
    return ModelStatus(model.value)


def find_card(known: dict[str, ModelCard], model_id: str) -> ModelCard:
    """The card of a name, with or without the slash that some clients append."""
    for name in (model_id, model_id.rstrip("/")):
        if name in known:
            return known[name]
    raise ModelNotFound(model_id)
