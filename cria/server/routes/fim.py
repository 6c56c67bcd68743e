"""POST /v1/fim/completions."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.chat_answer import ChatChunks, ChatCompletion, encode_chat
from cria.api.fim import FimRequest
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import Form, respond
from cria.server.body import read_request
from cria.server.loading import with_model
from cria.server.operations import Operation, describe

FILLS = Operation("Fill the gap between two texts.", FimRequest, ChatCompletion, streams=True)


FORM = Form(ChatChunks, encode_chat)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("fim", __name__)

    @blueprint.post("/fim/completions", strict_slashes=False)
    @describe(FILLS)
    def create_fim_completion() -> Response:
        wanted = read_request(request, FimRequest, config)

        def act(generation: Generation) -> Response:
            run = generation.start_completion(wanted)
            return respond(generation, run, wanted, FORM, request.environ)

        return with_model(models, wanted.model, act, streams=wanted.streams)

    return blueprint
