"""Short forms for requests of the Messages API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cria.api.anthropic.chat_request import Origins, chat_request
from cria.api.anthropic.request import MessagesRequest
from cria.api.chat import ChatCompletionRequest
from cria.api.decoding import decode
from cria.errors import RequestError

HI = {"role": "user", "content": "hi"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def decode_message(**fields: Any) -> tuple[MessagesRequest, tuple[str, ...]]:
    """The smallest request with some more fields, and its warnings."""
    body = {"model": "m", "max_tokens": 5, "messages": [HI], **fields}
    return decode(json.dumps(body).encode(), MessagesRequest)


def as_chat(**fields: Any) -> tuple[ChatCompletionRequest, Origins]:
    """What becomes of it."""
    return chat_request(decode_message(**fields)[0])


def refused(**fields: Any) -> RequestError:
    """The error that such a request gives."""
    with pytest.raises(RequestError) as caught:
        as_chat(**fields)
    return caught.value
