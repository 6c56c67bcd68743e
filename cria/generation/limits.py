"""What one request may ask of the context and of the server's memory."""

from __future__ import annotations

from collections.abc import Sequence

from cria.api.generation_request import GenerationRequest
from cria.errors import ContextLengthExceeded, RequestError
from cria.generation.answer_tokens import Display
from cria.generation.overflow import Prompt
from cria.ipc.messages import Ready

MAX_SHOWN_LOGPROBS = 4_000_000
"""In one answer: some 500 MB of the server's memory."""


def check_length(
    info: Ready, token_ids: Sequence[int], param: str, num_more: int = 1, *, made_of: str = ""
) -> None:
    """Raise if the context does not hold the tokens and so many more."""
    if len(token_ids) + num_more > info.context_size:
        raise ContextLengthExceeded(len(token_ids), info.context_size, param=param, made_of=made_of)


def prompt_source(request: GenerationRequest) -> str:
    """What the prompt is made of, in words; empty if the field says it."""
    tools = getattr(request, "tools", None) or getattr(request, "functions", None)
    return "messages and tools" if tools else ""


def check_num_shown(
    info: Ready, request: GenerationRequest, prompts: Sequence[tuple[Prompt, Display]]
) -> None:
    """Raise if the answer could have too many log probabilities."""
    params = request.sampling_params()
    if params.logprobs is None:
        return
    num_tokens = sum(
        len(prompt.token_ids) * display.echo
        + min(params.max_tokens, max(0, info.context_size - len(prompt.token_ids)))
        for prompt, display in prompts
    )
    num_shown = num_tokens * request.num_candidates * (params.logprobs + 1)
    if num_shown > MAX_SHOWN_LOGPROBS:
        raise _too_many(request.logprobs_field, num_shown)


def check_num_scored(num_tokens: int) -> None:
    """The same for continuations with so many tokens together, each beside the likeliest one."""
    if 2 * num_tokens > MAX_SHOWN_LOGPROBS:
        raise _too_many("continuations", 2 * num_tokens)


def clamped(info: Ready, request: GenerationRequest, num_prompt_tokens: int) -> tuple[str, ...]:
    """The numbers of tokens in the request that the context ends before."""
    if request.overflow.shifts:
        return ()
    newer = getattr(request, "max_completion_tokens", None)
    limits = {
        "max_tokens" if newer is None else "max_completion_tokens": request.token_limit(),
        "min_tokens": request.min_tokens,
    }
    room = info.context_size - num_prompt_tokens
    return tuple(name for name, limit in limits.items() if limit > room)


def cannot_generate(model: str) -> RequestError:
    """It only embeds."""
    return RequestError(
        f"The model `{model}` cannot generate text, it only embeds. Use /v1/embeddings.",
        param="model",
        code="unsupported_value",
    )


def _too_many(param: str, num_shown: int) -> RequestError:
    return RequestError(
        f"Invalid '{param}': the answer could have {num_shown} log probabilities, and "
        f"{MAX_SHOWN_LOGPROBS} are the most. Ask for fewer, set a token limit, or send several "
        "requests.",
        param=param,
        code="invalid_value",
    )
