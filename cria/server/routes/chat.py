"""POST /v1/chat/completions."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.chat import ChatChunks, ChatCompletionRequest, encode_chat
from cria.config import ServerConfig
from cria.generation.pipeline import Generation
from cria.server.answers import collect, head_of, json_response, stream_response
from cria.server.body import add_warnings, read_request


def make_blueprint(generation: Generation, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("chat", __name__)

    @blueprint.post("/chat/completions", strict_slashes=False)
    def create_chat_completion() -> Response:
        wanted = read_request(request, ChatCompletionRequest, config)
        run = generation.start_chat(wanted)
        add_warnings(run.warnings)
        if wanted.stream:
            usage_so_far = (lambda: run.usage) if wanted.continuous_usage else None
            chunks = ChatChunks(head_of(run), wanted.include_usage, usage_so_far)
            return stream_response(run, chunks, wanted.include_usage, request.environ)
        choices = collect(run, request.environ)
        return json_response(encode_chat(head_of(run), choices, run.usage, run.extras))

    return blueprint
