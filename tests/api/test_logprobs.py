"""The two shapes of log probabilities."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.logprobs import LEAST, ScoredToken, chat_logprobs, completion_logprobs

EURO = "€".encode()


def token(
    piece: bytes,
    logprob: float | None = -1.0,
    top: list[tuple[bytes, float]] | None = None,
    start: int = 0,
    *,
    is_text: bool = True,
) -> ScoredToken:
    return ScoredToken(piece, is_text, logprob, top or [], start)


def test_nobody_asked() -> None:
    assert chat_logprobs(None) is None
    assert completion_logprobs(None) is None


def test_a_chats_shape() -> None:
    found = chat_logprobs([token(b" Hi", -0.5, [(b" Hi", -0.5), (EURO[:2], -2.0)])])
    assert json.loads(msgspec.json.encode(found)) == {
        "content": [
            {
                "token": " Hi",
                "logprob": -0.5,
                "bytes": [32, 72, 105],
                "top_logprobs": [
                    {"token": " Hi", "logprob": -0.5, "bytes": [32, 72, 105]},
                    {"token": "\ufffd", "logprob": -2.0, "bytes": [0xE2, 0x82]},
                ],
            }
        ],
        "refusal": None,
    }


def test_a_control_token_has_a_name_and_no_bytes() -> None:
    found = chat_logprobs([token(b"<|x|>", is_text=False)])
    assert found is not None
    assert (found.content[0].token, found.content[0].bytes) == ("<|x|>", None)


def test_the_older_shape() -> None:
    found = completion_logprobs(
        [token(b"One", None), token(b" a", -2.0, [(b" the", -0.5)], start=3)]
    )
    assert found is not None
    assert found.tokens == ["One", " a"]
    assert found.token_logprobs == [None, -2.0]
    assert found.top_logprobs == [None, {" the": -0.5, " a": -2.0}]
    assert found.text_offset == [0, 3]


def test_parts_of_a_code_point_stay_apart() -> None:
    found = completion_logprobs([token(EURO[:1], -1.0, [(EURO[1:2], -0.1), (EURO[2:], -3.0)])])
    assert found is not None
    assert found.tokens == ["bytes:\\xe2"]
    assert found.top_logprobs == [{"bytes:\\x82": -0.1, "bytes:\\xac": -3.0, "bytes:\\xe2": -1.0}]


def test_of_two_tokens_with_one_text_the_likelier_one_is_shown() -> None:
    found = completion_logprobs([token(b"a", -2.0, [(b"a", -1.0)])])
    assert found is not None and found.top_logprobs == [{"a": -1.0}]


@pytest.mark.parametrize("value", [-math.inf, -1e30, math.nan])
def test_json_has_neither_infinity_nor_nan(value: float) -> None:
    scored = [token(b"a", value, [(b"b", value)])]
    chat, older = chat_logprobs(scored), completion_logprobs(scored)
    assert chat is not None and older is not None
    assert chat.content[0].logprob == chat.content[0].top_logprobs[0].logprob == LEAST
    assert older.token_logprobs == [LEAST] and older.top_logprobs == [{"b": LEAST, "a": LEAST}]


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_any_bytes_become_json_and_names_differ_as_the_bytes_do(one: bytes, other: bytes) -> None:
    found = completion_logprobs([token(one), token(other)])
    assert found is not None
    assert json.loads(msgspec.json.encode(found))["tokens"] == found.tokens
    if not (one.startswith(b"bytes:") or other.startswith(b"bytes:")):
        assert (found.tokens[0] == found.tokens[1]) == (one == other)
    chat = chat_logprobs([token(one)])
    assert chat is not None and bytes(chat.content[0].bytes or []) == one
