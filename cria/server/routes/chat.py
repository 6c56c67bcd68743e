"""POST /v1/chat/completions, and its two forms that always or never stream."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.chat import (
    ChatChunks,
    ChatCompletion,
    ChatCompletionFullRequest,
    ChatCompletionRequest,
    ChatCompletionStreamRequest,
    encode_chat,
)
from cria.config import ServerConfig
from cria.generation.pipeline import Generation
from cria.server.answers import Form, respond
from cria.server.body import read_request
from cria.server.operations import Operation, describe

ANSWERS = Operation(
    "Answer in a conversation, by the model's own chat template.",
    ChatCompletionRequest,
    ChatCompletion,
    streams=True,
)


FORM = Form(ChatChunks, encode_chat)


def make_blueprint(generation: Generation, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("chat", __name__)

    def answer(kind: type[ChatCompletionRequest]) -> Response:
        wanted = read_request(request, kind, config)
        run = generation.start_chat(wanted)
        return respond(generation, run, wanted, FORM, request.environ)

    @blueprint.post("/chat/completions", strict_slashes=False)
    @describe(ANSWERS)
    def create_chat_completion() -> Response:
        return answer(ChatCompletionRequest)

    @blueprint.post("/chat/completions_full", strict_slashes=False)
    @describe(ANSWERS._replace(request=ChatCompletionFullRequest, streams=False))
    def create_full_chat_completion() -> Response:
        return answer(ChatCompletionFullRequest)

    @blueprint.post("/chat/completions_stream", strict_slashes=False)
    @describe(ANSWERS._replace(request=ChatCompletionStreamRequest, answer=None))
    def create_streamed_chat_completion() -> Response:
        return answer(ChatCompletionStreamRequest)

    return blueprint
