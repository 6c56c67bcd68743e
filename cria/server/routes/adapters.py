"""GET and POST /lora-adapters, as llama-server has them; loading and unloading, as vLLM has it."""

from __future__ import annotations

from flask import Blueprint, Response, request

from cria.api.lora import (
    AdapterEntry,
    DefaultScales,
    LoadAdapterRequest,
    UnloadAdapterRequest,
    encode_adapters,
)
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import json_response
from cria.server.body import read_request
from cria.server.loading import MODEL_QUERY, asked_model, with_model
from cria.server.operations import Operation, describe

TEXT = "text/plain; charset=utf-8"


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("adapters", __name__)

    @blueprint.get("/lora-adapters", strict_slashes=False)
    @describe(Operation("List the adapters.", answer=list[AdapterEntry], query=MODEL_QUERY))
    def list_adapters() -> Response:
        return with_model(models, asked_model(), _listed)

    @blueprint.post("/lora-adapters", strict_slashes=False)
    @describe(
        Operation(
            "Say which adapters act on requests that ask for none.",
            DefaultScales,
            list[AdapterEntry],
        )
    )
    def set_adapters() -> Response:
        wanted = read_request(request, DefaultScales, config)

        def act(generation: Generation) -> Response:
            generation.require_ready(wanted.model)
            generation.adapters.set_defaults(wanted.adapters)
            return _listed(generation)

        return with_model(models, wanted.model, act)

    @blueprint.post("/load_lora_adapter", strict_slashes=False)
    @describe(Operation("Load an adapter.", LoadAdapterRequest, media_type=TEXT))
    def load_adapter() -> Response:
        wanted = read_request(request, LoadAdapterRequest, config)

        def act(generation: Generation) -> Response:
            generation.require_ready(wanted.model)
            name = generation.adapters.load(wanted, generation.model_path)
            return _said(
                f"Success: LoRA adapter '{wanted.lora_name}' added successfully as {name}."
            )

        return with_model(models, wanted.model, act)

    @blueprint.post("/unload_lora_adapter", strict_slashes=False)
    @describe(Operation("Let an adapter go.", UnloadAdapterRequest, media_type=TEXT))
    def unload_adapter() -> Response:
        wanted = read_request(request, UnloadAdapterRequest, config)

        def act(generation: Generation) -> Response:
            generation.require_ready(wanted.model)
            generation.adapters.unload(wanted.lora_name)
            return _said(f"Success: LoRA adapter '{wanted.lora_name}' removed successfully.")

        return with_model(models, wanted.model, act)

    return blueprint


def _listed(generation: Generation) -> Response:
    return json_response(encode_adapters(generation.adapters.entries))


def _said(sentence: str) -> Response:
    return Response(sentence, content_type=TEXT)
