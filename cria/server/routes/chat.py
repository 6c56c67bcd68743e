"""POST /v1/chat/completions, and its two forms that always or never stream."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, request

from cria.api.chat import (
    ChatCompletionFullRequest,
    ChatCompletionRequest,
    ChatCompletionStreamRequest,
)
from cria.api.chat_answer import ChatChunks, ChatCompletion, ChatStyle, encode_chat
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import Form, respond
from cria.server.body import read_request
from cria.server.loading import with_model
from cria.server.operations import Operation, describe

REASONING_NAMES = {
    "reasoning_content": ("reasoning_content",),
    "reasoning": ("reasoning",),
    "both": ("reasoning_content", "reasoning"),
    # Of a request that asks for thinking by itself.
    "none": ("reasoning_content",),
}
"""The members that hold the thinking, by the server's option."""

ANSWERS = Operation(
    "Answer in a conversation, by the model's own chat template.",
    ChatCompletionRequest,
    ChatCompletion,
    streams=True,
)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("chat", __name__)

    def answer(kind: type[ChatCompletionRequest]) -> Response:
        wanted = read_request(request, kind, config)
        if config.reasoning_field == "none":
            wanted.keep_thinking_inline()

        def act(generation: Generation) -> Response:
            run = generation.start_chat(wanted)
            form = form_of(wanted, config.reasoning_field)
            return respond(generation, run, wanted, form, request.environ)

        return with_model(models, wanted.model, act, streams=wanted.streams)

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


def form_of(wanted: ChatCompletionRequest, reasoning_field: str) -> Form:
    """How to answer this request, `reasoning_field` being the server's option."""
    names = REASONING_NAMES[reasoning_field] if wanted.shows_thinking else ()
    style = ChatStyle(names, wanted.tool_plan.is_legacy)
    chunks, encode = partial(ChatChunks, style=style), partial(encode_chat, style=style)
    return Form(chunks, encode, wanted.shows_thinking)
