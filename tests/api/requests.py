"""Short forms for requests and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from cria.api.chat import ChatCompletionRequest
from cria.api.completions import CompletionRequest
from cria.api.decoding import decode
from cria.errors import RequestError

USER = {"role": "user", "content": "hi"}
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text('a5"\\é🙂\0', max_size=5)
    | st.sampled_from(["user", "assistant", "text", "function", "custom", "{}", "none"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "tool_calls", "function", "custom", "name", "5"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
"""Any JSON, with the words of a conversation in likely places."""


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
