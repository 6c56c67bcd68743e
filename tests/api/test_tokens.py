from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.decoding import decode
from cria.api.tokens import TokenizeRequest, TokenPiece, piece_of, with_pieces
from cria.errors import RequestError


def tokenize(**fields: object) -> tuple[TokenizeRequest, tuple[str, ...]]:
    return decode(json.dumps(fields).encode(), TokenizeRequest)


def test_the_two_servers_whose_fields_these_are_differ_in_their_defaults() -> None:
    assert not tokenize(content="a")[0].adds_special
    assert tokenize(prompt="a")[0].adds_special
    assert tokenize(content="a", add_special=True)[0].adds_special
    assert not tokenize(prompt="a", add_special_tokens=False)[0].adds_special


@pytest.mark.parametrize(
    ("fields", "name", "parts"),
    [
        ({"content": "a"}, "content", ["a"]),
        ({"content": ""}, "content", [""]),
        ({"content": []}, "content", []),
        ({"content": ["a", 5]}, "content", ["a", 5]),
        ({"prompt": ""}, "prompt", [""]),
    ],
)
def test_the_text_in_parts(fields: dict[str, object], name: str, parts: list[object]) -> None:
    request = tokenize(**fields)[0]
    assert (request.text_field, request.parts) == (name, parts)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "content", "missing_required_parameter"),
        ({"content": "a", "prompt": "a"}, "prompt", "invalid_value"),
        ({"content": 5}, "content", "invalid_type"),
        ({"content": ["a", -1]}, "content[1]", "integer_below_min_value"),
        ({"prompt": ["a"]}, "prompt", "invalid_type"),
        ({"content": "a", "with_pieces": 1}, "with_pieces", "invalid_type"),
    ],
)
def test_refused(fields: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        tokenize(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_fields_of_the_other_server_are_reported() -> None:
    assert tokenize(content="a", return_token_strs=True)[1] == ("return_token_strs",)
    assert tokenize(prompt="a", with_pieces=True)[1] == ("with_pieces",)
    assert tokenize(prompt="a", return_token_strs=True, parse_special=False)[1] == ()


@given(st.binary())
def test_a_piece_is_text_or_the_very_bytes(data: bytes) -> None:
    piece = piece_of(data)
    assert (piece.encode() if isinstance(piece, str) else bytes(piece)) == data


def test_pieces_stand_beside_their_ids() -> None:
    assert with_pieces([7, 8], [b"a", b"\xc3"]) == [TokenPiece(7, "a"), TokenPiece(8, [0xC3])]
