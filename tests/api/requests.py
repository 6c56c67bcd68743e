"""Short forms for requests and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.decoding import decode
from cria.errors import RequestError

USER = {"role": "user", "content": "hi"}


def decode_chat(**fields: Any) -> tuple[ChatCompletionRequest, tuple[str, ...]]:
    """The smallest chat request with some more fields."""
    body = {"model": "m", "messages": [USER], **fields}
    return decode(json.dumps(body).encode(), ChatCompletionRequest)


def decode_completion(**fields: Any) -> tuple[CompletionRequest, tuple[str, ...]]:
    """The smallest completion request with some more fields."""
    body = {"model": "m", "prompt": "hi", **fields}
    return decode(json.dumps(body).encode(), CompletionRequest)


def refused_chat(**fields: Any) -> RequestError:
    """The error that such a chat request gives."""
    with pytest.raises(RequestError) as caught:
        decode_chat(**fields)
    return caught.value


def refused_completion(**fields: Any) -> RequestError:
    """The error that such a completion request gives."""
    with pytest.raises(RequestError) as caught:
        decode_completion(**fields)
    return caught.value
