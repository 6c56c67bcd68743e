from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.formats.quoted_value import quoted_to_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Qa b Q", "a b "),
        ("5", 5),
        (" true ", True),
        ("bare", "bare"),
        ("{}", {}),
        ("[]", []),
        ("{ a : 1 , QbQ : [ QcQ , {} ] }", {"a": 1, "b": ["c", {}]}),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert quoted_to_value(text, "Q") == value


@pytest.mark.parametrize(
    "text", ["", "Qa", "{a", "{a:1", "[1", "[1 2] 3", "1,2", "{a:}", "[QaQQbQ]"]
)
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(ValueError):
        quoted_to_value(text, "Q")


@given(st.text("Q{}[]:, a1"))
def test_any_text(text: str) -> None:
    try:
        quoted_to_value(text, "Q")
    except (ValueError, RecursionError):
        return
