from __future__ import annotations

from typing import Any

import pytest

from cria.api.token_input import as_list, check_same_kind
from cria.errors import RequestError


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a", ["a"]),
        ("", [""]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
    ],
)
def test_one_item_a_text_or_an_array_of_ids(value: Any, items: list[Any]) -> None:
    assert as_list(value) == items
    check_same_kind(value, "input")


@pytest.mark.parametrize("value", [["a", 1], [1, [2]], [[1], "a"]])
def test_a_mixture_is_refused_by_name(value: list[Any]) -> None:
    with pytest.raises(RequestError, match="Invalid type for 'input'") as caught:
        check_same_kind(value, "input")
    assert (caught.value.param, caught.value.code) == ("input", "invalid_type")
