"""POST /v1/embeddings."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.embeddings import EmbeddingList, EmbeddingRequest
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import json_response, watched
from cria.server.body import add_warnings, read_request
from cria.server.loading import with_model
from cria.server.operations import Operation, describe

EMBEDS = Operation("Make a vector of each input.", EmbeddingRequest, EmbeddingList)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("embeddings", __name__)

    @blueprint.post("/embeddings", strict_slashes=False)
    @describe(EMBEDS)
    def create_embeddings() -> Response:
        wanted = read_request(request, EmbeddingRequest, config)

        def act(generation: Generation) -> Response:
            run = generation.embeddings.start(wanted)
            add_warnings(run.warnings)
            with watched(run, request.environ):
                name = generation.model_ids[0]
                return json_response(generation.embeddings.answer(run, wanted, name))

        return with_model(models, wanted.model, act)

    return blueprint
