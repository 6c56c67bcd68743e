from __future__ import annotations

import pytest

from cria.chat import sampling
from cria.errors import SetupError


@pytest.mark.parametrize("name", sampling.NAMES)
def test_every_name_is_a_field_of_a_request(name: str) -> None:
    with pytest.raises(SetupError, match=f"{name} cannot be"):
        sampling.parse(name, '{"a": 1}')


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.2", 0.2),
        ("top_k", "40", 40),
        ("stop", "END", "END"),
        ("stop", '["a", "b"]', ["a", "b"]),
        ("reasoning_effort", "low", "low"),
        ("enable_thinking", "false", False),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    assert sampling.parse(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("temperature", "3", "<= 2.0"),
        ("temperature", "warm", "temperature cannot be warm"),
        ("messages", "[]", "There is no messages to set"),
    ],
)
def test_mistakes(name: str, text: str, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        sampling.parse(name, text)
