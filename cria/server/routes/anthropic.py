"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's API over the same generation."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from cria.api.anthropic.chat_request import Origins, chat_request
from cria.api.anthropic.errors import AnthropicErrorBody
from cria.api.anthropic.message import MessageHead, MessageObject, TokenCount, message_id
from cria.api.anthropic.request import CountTokensRequest, MessagesRequest
from cria.api.chat import ChatCompletionRequest
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server.answers import json_response
from cria.server.body import add_warnings, is_strict, read_request
from cria.server.headers import current_id
from cria.server.loading import with_model
from cria.server.messages import failure_event, message_response, message_stream
from cria.server.operations import Operation, describe

FAILURES = {"4XX": AnthropicErrorBody, "5XX": AnthropicErrorBody}
ANSWERS = Operation(
    "Answer in a conversation, as Anthropic's API has it.",
    MessagesRequest,
    MessageObject,
    streams=True,
    events="Named events of one JSON object each; the last one is `message_stop` or `error`.",
    failures=FAILURES,
)
COUNTS = Operation(
    "Count a conversation's tokens, as Anthropic's API has it.",
    CountTokensRequest,
    TokenCount,
    failures=FAILURES,
)


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("anthropic", __name__)

    def as_chat(wanted: CountTokensRequest) -> tuple[ChatCompletionRequest, Origins]:
        chat, origins = chat_request(wanted)
        if is_strict(request, config):
            with origins.translating():
                chat.check_strictly()
        return chat, origins

    @blueprint.post("/messages", strict_slashes=False)
    @describe(ANSWERS)
    def create_message() -> Response:
        wanted = read_request(request, MessagesRequest, config)
        chat, origins = as_chat(wanted)

        def act(generation: Generation) -> Response:
            with origins.translating():
                run = generation.start_chat(chat)
            _warn(chat, origins, run.warnings)
            limit = chat.token_limit()
            head = MessageHead(message_id(run.id), run.model, limit, wanted.hides_thinking)
            respond = message_stream if wanted.stream else message_response
            return respond(run, head, origins, request.environ)

        streams, failed = bool(wanted.stream), failure_event(current_id())
        return with_model(models, wanted.model, act, streams=streams, failed=failed)

    @blueprint.post("/messages/count_tokens", strict_slashes=False)
    @describe(COUNTS)
    def count_message_tokens() -> Response:
        wanted = read_request(request, CountTokensRequest, config)
        chat, origins = as_chat(wanted)

        def act(generation: Generation) -> Response:
            with origins.translating():
                num_tokens = generation.count_chat_tokens(chat)
            _warn(chat, origins, generation.text.unused_options(chat))
            return json_response(msgspec.json.encode(TokenCount(num_tokens)))

        return with_model(models, wanted.model, act)

    return blueprint


def _warn(chat: ChatCompletionRequest, origins: Origins, found: tuple[str, ...]) -> None:
    """What the chat request does not do, by the names of this one."""
    paths = chat.settled.told((*chat.without_effect(), *found))
    add_warnings(tuple(dict.fromkeys(map(origins.path, paths))))
