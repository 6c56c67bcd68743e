"""Text to token ids and back, and how many a conversation has: requests and answers.

`POST /tokenize` and `POST /detokenize` take llama-server's fields and vLLM's: `content` or `prompt`
holds the text, and the answer has the shape that goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from cria.api.decoding import RequestBody
from cria.api.sampling_fields import TokenId
from cria.errors import RequestError

Piece = str | list[int]
"""A token's text, or its bytes where they are no whole UTF-8."""
Content = str | list[str | TokenId]


class TokenizeRequest(RequestBody, kw_only=True):
    """Text to token ids; `content` asks for llama-server's answer, `prompt` for vLLM's."""

    model: str | None = None
    content: Content | None = None
    """Text, or texts and token ids in turns."""
    add_special: bool | None = None
    """Begin, and end, `content` as the model was trained; it is not done by itself."""
    with_pieces: bool | None = None
    """With each token of `content` its text."""
    prompt: str | None = None
    """Text, in place of `content`."""
    add_special_tokens: bool | None = None
    """Begin, and end, `prompt` as the model was trained; it is done by itself."""
    return_token_strs: bool | None = None
    """With the tokens of `prompt` their texts."""
    parse_special: bool = True
    """The text of a control token becomes that token."""

    def __post_init__(self) -> None:
        if self.content is None and self.prompt is None:
            raise RequestError(
                "Missing required parameter: 'content'. Send a text as 'content' or as 'prompt'.",
                param="content",
                code="missing_required_parameter",
            )
        if self.content is not None and self.prompt is not None:
            raise RequestError(
                "Invalid 'prompt': the text is in 'content' already. Send one of them.",
                param="prompt",
                code="invalid_value",
            )

    @property
    def text_field(self) -> str:
        """The name of the field that holds the text."""
        return "content" if self.prompt is None else "prompt"

    @property
    def parts(self) -> list[str | int]:
        """What is to be tokenised, one after another."""
        text = self.content if self.prompt is None else self.prompt
        return [text] if isinstance(text, str) else list(text or ())

    @property
    def adds_special(self) -> bool:
        """Whether the tokens are added with which the model begins, and ends, a text."""
        if self.prompt is not None:
            return self.add_special_tokens is not False
        return bool(self.add_special)

    def without_effect(self) -> Iterator[str]:
        others = ("add_special_tokens", "return_token_strs")
        for name in others if self.prompt is None else ("add_special", "with_pieces"):
            if getattr(self, name) is not None:
                yield name


class TokenPiece(msgspec.Struct):
    """A token and its text, as bytes where it is no whole UTF-8."""

    id: int
    piece: Piece


class TokenizeAnswer(msgspec.Struct, omit_defaults=True):
    """`tokens` are ids, with `with_pieces` ids and pieces; the rest is there for a `prompt`."""

    tokens: list[int | TokenPiece]
    count: int | None = None
    max_model_len: int | None = None
    """The tokens that one sequence may hold."""
    token_strs: list[str] | None = None


class DetokenizeRequest(RequestBody, kw_only=True):
    """Token ids to text."""

    tokens: list[TokenId]
    model: str | None = None


class DetokenizeAnswer(msgspec.Struct):
    """The text under llama-server's name and under vLLM's; control tokens are spelled out."""

    content: str
    prompt: str


class InputTokens(msgspec.Struct, tag_field="object", tag="response.input_tokens"):
    """What `usage.prompt_tokens` would say."""

    input_tokens: int


def with_pieces(token_ids: Sequence[int], pieces: Sequence[bytes]) -> list[int | TokenPiece]:
    """Each token beside its text."""
    return [TokenPiece(i, piece_of(piece)) for i, piece in zip(token_ids, pieces, strict=True)]


def piece_of(data: bytes) -> Piece:
    """Text if the bytes are whole code points."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)
