"""POST /v1/responses, and how many tokens one would take: POST /v1/responses/input_tokens."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.responses.request import InputTokensRequest, ResponsesRequest
from cria.api.responses.response_object import Response as ResponseObject
from cria.api.tokens import InputTokens
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.auth import current_owner
from cria.server.body import read_request
from cria.server.operations import Operation, describe
from cria.server.response_service import attach, service


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("responses", __name__)
    blueprint.record(lambda state: attach(state.app, models, config))

    @blueprint.post("/responses", strict_slashes=False)
    @describe(
        Operation(
            "Answer in a conversation that the server may keep.",
            ResponsesRequest,
            ResponseObject,
            streams=True,
        )
    )
    def create_response() -> Response:
        wanted = read_request(request, ResponsesRequest, config)
        owner = current_owner()
        return service().create(wanted, owner, request.environ)

    @blueprint.post("/responses/input_tokens", strict_slashes=False)
    @describe(
        Operation("Count the tokens of a response's prompt.", InputTokensRequest, InputTokens)
    )
    def count_response_tokens() -> Response:
        wanted = read_request(request, InputTokensRequest, config)
        owner = current_owner()
        return service().count(wanted, owner)

    return blueprint
