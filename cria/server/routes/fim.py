"""POST /v1/fim/completions."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.chat import ChatChunks, ChatCompletion, encode_chat
from cria.api.fim import FimRequest
from cria.config import ServerConfig
from cria.generation.pipeline import Generation
from cria.server.answers import collect, head_of, json_response, stream_response
from cria.server.body import add_warnings, read_request
from cria.server.operations import Operation, describe

FILLS = Operation("Fill the gap between two texts.", FimRequest, ChatCompletion, streams=True)


def make_blueprint(generation: Generation, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("fim", __name__)

    @blueprint.post("/fim/completions", strict_slashes=False)
    @describe(FILLS)
    def create_fim_completion() -> Response:
        wanted = read_request(request, FimRequest, config)
        run = generation.start_completion(wanted)
        add_warnings(run.warnings)
        if wanted.streams:
            usage_so_far = (lambda: run.usage) if wanted.continuous_usage else None
            chunks = ChatChunks(head_of(run), wanted.include_usage, usage_so_far)
            return stream_response(run, chunks, wanted.include_usage, request.environ)
        choices = wanted.answered(collect(run, request.environ))
        return json_response(encode_chat(head_of(run), choices, run.usage, run.extras))

    return blueprint
