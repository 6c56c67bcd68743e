from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cria.formats.json_end import JsonEnd

VALUES = st.recursive(
    st.none() | st.integers() | st.text('"\\{}[]a', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=3) | st.dictionaries(st.text(max_size=4), VALUES), st.text())
def test_the_end_of_any_value(value: Any, behind: str) -> None:
    text = json.dumps(value)
    assert JsonEnd().find(text + behind) == len(text)
    ending = JsonEnd()
    found = [ending.find(character) for character in text]
    assert found == [None] * (len(text) - 1) + [1]


def test_a_value_that_goes_on() -> None:
    ending = JsonEnd()
    assert ending.find('{"a": "\\') is None
    assert ending.find('"}') is None
    assert ending.find('x"}', 1) == 3
