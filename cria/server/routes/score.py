"""POST /v1/score."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.score import ScoreList, ScoreRequest, encode_scores
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import collect, head_of, json_response
from cria.server.body import read_request
from cria.server.loading import with_model
from cria.server.operations import Operation, describe

SCORES = Operation("Say how likely continuations of a prompt are.", ScoreRequest, ScoreList)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("score", __name__)

    @blueprint.post("/score", strict_slashes=False)
    @describe(SCORES)
    def create_scores() -> Response:
        wanted = read_request(request, ScoreRequest, config)

        def act(generation: Generation) -> Response:
            run = generation.start_score(wanted)
            choices = collect(run, request.environ)
            body = encode_scores(head_of(run), choices, run.usage, with_tokens=wanted.logprobs)
            return json_response(body)

        return with_model(models, wanted.model, act)

    return blueprint
