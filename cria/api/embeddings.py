"""`POST /v1/embeddings`: the request and the answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from cria.api.decoding import RequestBody
from cria.api.sampling_fields import MAX_INT32, TokenId
from cria.api.token_input import TokenIds, as_list, check_same_kind
from cria.api.unsupported import Refusal
from cria.errors import RequestError

MAX_INPUTS = 2048

Text = Annotated[str, Meta(min_length=1)]
Vectors = npt.NDArray[np.float32]
Encoding = Literal["float", "base64"]

# Fields of other servers that would change the vectors.
_UNSUPPORTED: Mapping[str, Refusal] = {
    "add_special_tokens": Refusal((True,)),
    "embd_normalize": Refusal((2,), reason="vectors always have the length 1"),
    "input_type": Refusal(reason="put what the model was trained with before the text"),
    "normalize": Refusal((True,), reason="vectors always have the length 1"),
    "task": Refusal(reason="put what the model was trained with before the text"),
    "truncate": Refusal((False, "NONE")),
    "truncate_prompt_tokens": Refusal(),
}


class EmbeddingRequest(RequestBody, kw_only=True):
    """Make a vector of each input."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = _UNSUPPORTED
    NOTED: ClassVar[frozenset[str]] = frozenset({"user"})

    model: str
    input: Text | Annotated[list[Text | TokenId | TokenIds], Meta(min_length=1)]
    encoding_format: Encoding = "float"
    dimensions: Annotated[int, Meta(ge=1, le=MAX_INT32)] | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        check_same_kind(self.input, "input")
        if len(self.inputs()) > MAX_INPUTS:
            raise RequestError(
                f"Invalid 'input': array too long. Expected at most {MAX_INPUTS} items.",
                param="input",
                code="array_above_max_length",
            )

    def inputs(self) -> list[str] | list[list[int]]:
        """One item a vector."""
        return as_list(self.input)


class PromptUsage(msgspec.Struct, frozen=True):
    """Nothing was generated."""

    prompt_tokens: int
    total_tokens: int


class Embedding(msgspec.Struct, frozen=True):
    """Of one input; base64 holds little-endian 32-bit floats."""

    object: str
    index: int
    embedding: list[float] | str


class EmbeddingList(msgspec.Struct, frozen=True):
    """In the order of the inputs."""

    object: str
    data: list[Embedding]
    model: str
    usage: PromptUsage


def encode_embeddings(
    model: str, vectors: Vectors, encoding: Encoding, num_prompt_tokens: int
) -> bytes:
    """The body of the answer; `vectors` are [input, dimension]."""
    encoded = [_as_base64(v) if encoding == "base64" else v.tolist() for v in vectors]
    return msgspec.json.encode(
        EmbeddingList(
            object="list",
            data=[Embedding("embedding", index, each) for index, each in enumerate(encoded)],
            model=model,
            usage=PromptUsage(num_prompt_tokens, num_prompt_tokens),
        )
    )


def _as_base64(vector: Vectors) -> str:
    """Of little-endian 32-bit floats, which is what the official client asks for by default."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
