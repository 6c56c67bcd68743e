"""GET /props: what the server is, with llama-server's names, as far as it is true here."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response

from cria.api.chat import ChatCompletionRequest
from cria.api.server_info import GenerationSettings, Props
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import SYSTEM_FINGERPRINT, json_response
from cria.server.loading import MODEL_QUERY, asked_model, with_model
from cria.server.operations import Operation, describe


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("props", __name__)

    @blueprint.get("/props", strict_slashes=False)
    @describe(
        Operation(
            "Describe the model and the defaults of requests.", answer=Props, query=MODEL_QUERY
        )
    )
    def props() -> Response:
        def act(generation: Generation) -> Response:
            return json_response(msgspec.json.encode(props_of(generation)))

        return with_model(models, asked_model(), act)

    return blueprint


def props_of(generation: Generation) -> Props:
    """EngineUnavailable until the model is loaded."""
    info = generation.require_ready()
    special = generation.text.special_tokens
    return Props(
        default_generation_settings=GenerationSettings(
            info.context_size, default_params(generation.settings.bare_chat())
        ),
        total_slots=info.num_slots,
        model_alias=generation.model_ids[0],
        model_path=generation.model_path,
        chat_template=generation.text.template_source,
        bos_token=special.bos or "",
        eos_token=special.eos or "",
        build_info=SYSTEM_FINGERPRINT,
        chat_template_tool_use=generation.text.tool_template_source or msgspec.UNSET,
    )


def default_params(bare: ChatCompletionRequest) -> dict[str, Any]:
    """How tokens are chosen unless a request says otherwise; `bare` is one that does not."""
    params = msgspec.structs.asdict(bare.sampling_params())
    limit = bare.token_limit()
    return params | {
        "max_tokens": limit,
        "n_predict": limit,
        "stop": [*bare.stop],
        "stream": False,
    }
