"""POST /v1/embeddings."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.embeddings import EmbeddingList, EmbeddingRequest
from cria.config import ServerConfig
from cria.generation.pipeline import Generation
from cria.server.answers import json_response, watched
from cria.server.body import add_warnings, read_request
from cria.server.operations import Operation, describe

EMBEDS = Operation("Make a vector of each input.", EmbeddingRequest, EmbeddingList)


def make_blueprint(generation: Generation, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("embeddings", __name__)

    @blueprint.post("/embeddings", strict_slashes=False)
    @describe(EMBEDS)
    def create_embeddings() -> Response:
        wanted = read_request(request, EmbeddingRequest, config)
        run = generation.embeddings.start(wanted)
        add_warnings(run.warnings)
        with watched(run, request.environ):
            return json_response(generation.embeddings.answer(run, wanted, generation.model_ids[0]))

    return blueprint
