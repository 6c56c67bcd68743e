"""POST /v1/completions, and its two forms that always or never stream."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.completions import (
    Completion,
    CompletionChunks,
    CompletionFullRequest,
    CompletionRequest,
    CompletionStreamRequest,
    encode_completion,
)
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import Form, respond
from cria.server.body import read_request
from cria.server.loading import with_model
from cria.server.operations import Operation, describe

CONTINUES = Operation(
    "Go on from a text or from token ids.", CompletionRequest, Completion, streams=True
)


FORM = Form(CompletionChunks, encode_completion)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("completions", __name__)

    def answer(kind: type[CompletionRequest]) -> Response:
        wanted = read_request(request, kind, config)

        def act(generation: Generation) -> Response:
            run = generation.start_completion(wanted)
            return respond(generation, run, wanted, FORM, request.environ)

        return with_model(models, wanted.model, act, streams=wanted.streams)

    @blueprint.post("/completions", strict_slashes=False)
    @describe(CONTINUES)
    def create_completion() -> Response:
        return answer(CompletionRequest)

    @blueprint.post("/completions_full", strict_slashes=False)
    @describe(CONTINUES._replace(request=CompletionFullRequest, streams=False))
    def create_full_completion() -> Response:
        return answer(CompletionFullRequest)

    @blueprint.post("/completions_stream", strict_slashes=False)
    @describe(CONTINUES._replace(request=CompletionStreamRequest, answer=None))
    def create_streamed_completion() -> Response:
        return answer(CompletionStreamRequest)

    return blueprint
