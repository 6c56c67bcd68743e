"""`TextTools`: what can be asked of a model's text side alone, without generating anything."""

from __future__ import annotations

from typing import Any

from cria.api.apply_template import ApplyTemplateRequest
from cria.api.chat import ChatCompletionRequest
from cria.api.request_settings import RequestSettings
from cria.api.tokens import DetokenizeRequest, TokenizeRequest, TokenPiece, with_pieces
from cria.api.tools import template_tools
from cria.config import ModelSettings
from cria.generation.run import Offload
from cria.prompt.loading import TextSide
from cria.prompt.tokenizer import SpecialTokens


class TextTools:
    """Of one model; RequestError for what is no token, too long or refused by the template."""

    def __init__(
        self, text: TextSide, offload: Offload, settings: RequestSettings | None = None
    ) -> None:
        self._tokenizer, self._template = text.tokenizer, text.template
        self._settings = settings or RequestSettings(ModelSettings())
        self._offload = offload

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._tokenizer.special_tokens

    @property
    def num_tokens(self) -> int:
        """The size of the vocabulary."""
        return self._tokenizer.num_tokens

    @property
    def template_source(self) -> str:
        """The model's chat template; empty if it has none that works."""
        return self._template.source

    @property
    def tool_template_source(self) -> str | None:
        """The template for conversations with tools, if the model has a second one."""
        return self._template.tool_source

    def unused_options(self, request: ChatCompletionRequest) -> tuple[str, ...]:
        """Paths of the fields for the chat template that this one does not look at."""
        return request.unused_options(self._template.variables)

    def tokenize(self, request: TokenizeRequest) -> list[int]:
        """The token ids of the request's text."""
        token_ids: list[int] = self._offload(self._encode, request)
        return token_ids

    def pieces(self, token_ids: list[int]) -> list[int | TokenPiece]:
        """Tokens that are the result of `tokenize` with their texts, control tokens spelled out."""
        pairs: list[int | TokenPiece] = self._offload(self._with_pieces, token_ids)
        return pairs

    def strings(self, token_ids: list[int]) -> list[str]:
        """The texts alone; what is no UTF-8 becomes U+FFFD."""
        texts: list[str] = self._offload(self._strings, token_ids)
        return texts

    def detokenize(self, request: DetokenizeRequest) -> str:
        """The text of the request's tokens; what is no UTF-8 becomes U+FFFD."""
        pieces: list[bytes] = self._offload(self._tokenizer.pieces_of, request.tokens, "tokens")
        return b"".join(pieces).decode("utf-8", "replace")

    def apply_template(self, request: ApplyTemplateRequest) -> str:
        """The prompt of the request's conversation, once the operator's settings are in it."""
        self._settings.apply(request)
        return "".join(self._offload(self.render, request, request.template_messages()))

    def render(
        self, request: ChatCompletionRequest, messages: list[dict[str, Any]]
    ) -> tuple[str, ...]:
        """The segments of the prompt, to be tokenised one by one; it does not yield.

        `messages` are the request's, or what is left of them.
        """
        return self._template.render(
            messages,
            tools=template_tools(request.tool_plan),
            add_generation_prompt=request.opens_answer,
            continue_last=request.continues_last,
            kwargs=request.template_kwargs(),
        )

    def _with_pieces(self, token_ids: list[int]) -> list[int | TokenPiece]:
        return with_pieces(token_ids, self._tokenizer.pieces_of(token_ids, "content"))

    def _strings(self, token_ids: list[int]) -> list[str]:
        pieces = self._tokenizer.pieces_of(token_ids, "prompt")
        return [piece.decode("utf-8", "replace") for piece in pieces]

    def _encode(self, request: TokenizeRequest) -> list[int]:
        return self._tokenizer.encode_parts(
            request.parts,
            request.text_field,
            add_special=request.adds_special,
            parse_special=request.parse_special,
        )
