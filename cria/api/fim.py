"""`POST /v1/fim/completions`: Mistral's form of filling in the middle, which editors speak.

The request is that of a completion, the answer that of a chat (`cria.api.chat`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from cria.api.completions import CompletionRequest
from cria.api.generation_request import TokenLimit
from cria.api.unsupported import Refusal
from cria.errors import RequestError


class FimRequest(CompletionRequest, kw_only=True):
    """Write what stands between `prompt` and `suffix`; there is no limit unless one is given."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        **CompletionRequest.UNSUPPORTED,
        "echo": Refusal((False,), reason="the answer holds the new text alone"),
        "logprobs": Refusal(reason="/v1/completions has them"),
    }

    max_tokens: TokenLimit = -1
    random_seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed is None:
            self.seed = self.random_seed
        elif self.random_seed not in (None, self.seed):
            raise RequestError(
                f"'random_seed' ({self.random_seed}) is another name of 'seed' ({self.seed}). "
                "Send one of them.",
                param="random_seed",
                code="invalid_value",
            )
