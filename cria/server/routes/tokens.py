"""Text to token ids and back, the prompt of a conversation, and how many tokens it has.

POST /tokenize, /detokenize, /apply-template, /chat/completions/input_tokens; GET /tokenizer_info.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from cria.api.apply_template import ApplyTemplateRequest, TemplateAnswer
from cria.api.chat import ChatCompletionRequest
from cria.api.server_info import TokenizerInfo
from cria.api.tokens import (
    DetokenizeAnswer,
    DetokenizeRequest,
    InputTokens,
    TokenizeAnswer,
    TokenizeRequest,
)
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.generation.text_tools import TextTools
from cria.server.answers import json_response
from cria.server.body import add_warnings, read_request
from cria.server.loading import MODEL_QUERY, asked_model, with_model
from cria.server.operations import Operation, describe


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("tokens", __name__)

    @blueprint.post("/tokenize", strict_slashes=False)
    @describe(Operation("Turn text into token ids.", TokenizeRequest, TokenizeAnswer))
    def tokenize() -> Response:
        wanted = read_request(request, TokenizeRequest, config)

        def act(generation: Generation) -> Response:
            context_size = generation.require_ready(wanted.model).context_size
            token_ids = generation.text.tokenize(wanted)
            return _json(tokenize_answer(wanted, token_ids, generation.text, context_size))

        return with_model(models, wanted.model, act)

    @blueprint.post("/detokenize", strict_slashes=False)
    @describe(Operation("Turn token ids into text.", DetokenizeRequest, DetokenizeAnswer))
    def detokenize() -> Response:
        wanted = read_request(request, DetokenizeRequest, config)

        def act(generation: Generation) -> Response:
            generation.require_ready(wanted.model)
            found = generation.text.detokenize(wanted)
            return _json(DetokenizeAnswer(found, found))

        return with_model(models, wanted.model, act)

    @blueprint.post("/apply-template", strict_slashes=False)
    @describe(Operation("Show the prompt of a conversation.", ApplyTemplateRequest, TemplateAnswer))
    def apply_template() -> Response:
        wanted = read_request(request, ApplyTemplateRequest, config)

        def act(generation: Generation) -> Response:
            generation.require_ready(wanted.model)
            prompt = generation.text.apply_template(wanted)
            add_warnings(wanted.settled.told(generation.text.unused_options(wanted)))
            return _json(TemplateAnswer(prompt))

        return with_model(models, wanted.model, act)

    @blueprint.post("/chat/completions/input_tokens", strict_slashes=False)
    @describe(Operation("Count a conversation's tokens.", ChatCompletionRequest, InputTokens))
    def count_input_tokens() -> Response:
        wanted = read_request(request, ChatCompletionRequest, config)

        def act(generation: Generation) -> Response:
            count = generation.count_chat_tokens(wanted)
            add_warnings(wanted.settled.told(generation.text.unused_options(wanted)))
            return _json(InputTokens(count))

        return with_model(models, wanted.model, act)

    @blueprint.get("/tokenizer_info", strict_slashes=False)
    @describe(Operation("Describe the tokenizer.", answer=TokenizerInfo, query=MODEL_QUERY))
    def tokenizer_info() -> Response:
        return with_model(models, asked_model(), lambda found: _json(info_of(found)))

    return blueprint


def tokenize_answer(
    wanted: TokenizeRequest, token_ids: list[int], text: TextTools, context_size: int
) -> TokenizeAnswer:
    """llama-server's answer to `content`, vLLM's to `prompt`."""
    if wanted.prompt is None:
        return TokenizeAnswer(text.pieces(token_ids) if wanted.with_pieces else [*token_ids])
    answer = TokenizeAnswer([*token_ids], len(token_ids), context_size)
    if wanted.return_token_strs:
        answer.token_strs = text.strings(token_ids)
    return answer


def info_of(generation: Generation) -> TokenizerInfo:
    """The special tokens by name, and the chat template."""
    context_size, text = generation.require_ready().context_size, generation.text
    special = text.special_tokens
    return TokenizerInfo(
        vocab_size=text.num_tokens,
        model_max_length=context_size,
        bos_token=special.bos,
        eos_token=special.eos,
        pad_token=special.pad,
        add_bos_token=special.add_bos,
        add_eos_token=special.add_eos,
        chat_template=text.template_source or None,
    )


def _json(answer: msgspec.Struct) -> Response:
    return json_response(msgspec.json.encode(answer))
