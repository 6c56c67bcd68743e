"""POST /v1/rerank, under all the names that it has elsewhere."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.rerank import Ranking, RerankRequest
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import json_response, watched
from cria.server.body import read_request
from cria.server.loading import with_model
from cria.server.operations import Operation, describe

RANKS = Operation("Say which documents answer a query best.", RerankRequest, Ranking)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("rerank", __name__)

    def answer() -> Response:
        wanted = read_request(request, RerankRequest, config)

        def act(generation: Generation) -> Response:
            run = generation.embeddings.start_rerank(wanted)
            with watched(run, request.environ):
                name = generation.model_ids[0]
                return json_response(generation.embeddings.answer_rerank(run, wanted, name))

        return with_model(models, wanted.model, act)

    @blueprint.post("/rerank", strict_slashes=False)
    @describe(RANKS)
    def rerank() -> Response:
        return answer()

    @blueprint.post("/reranking", strict_slashes=False)
    @describe(RANKS)
    def reranking() -> Response:
        return answer()

    return blueprint
