"""Thinking that goes to a client and comes back."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.responses.sealed import opened, sealed


@given(text=st.text())
def test_what_is_sealed_can_be_opened(text: str) -> None:
    assert opened(sealed(text)) == text


@given(text=st.text())
def test_whatever_else_comes_is_none_of_ours(text: str) -> None:
    assert opened(text) is None


@pytest.mark.parametrize("data", [b"", b"cria", b"gAAAA", b"\xff\xfe"])
def test_what_others_have_sealed_is_not_read(data: bytes) -> None:
    assert opened(base64.b64encode(data).decode()) is None
