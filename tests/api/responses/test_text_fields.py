from __future__ import annotations

from typing import Any

import pytest

from cria.api import constraints as chat
from cria.errors import RequestError
from tests.api.responses.making import made

SCHEMA = {"type": "object"}
JSON = {"type": "json_schema", "name": "n", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({}, None),
        ({"format": None, "verbosity": "low"}, None),
        ({"format": {"type": "text"}}, None),
        ({"format": {"type": "json_object"}}, chat.JsonObjectFormat()),
        (
            {"format": {**JSON, "strict": False, "description": "d"}},
            chat.JsonSchemaFormat(chat.JsonSchema("n", "d", SCHEMA, False)),
        ),
    ],
)
def test_formats(text: dict[str, Any], expected: object) -> None:
    assert made(text=text).text.chat_format == expected


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ({"format": {"type": "xml"}}, "text.format.type"),
        ({"format": {"type": "json_schema", "schema": {}}}, "text.format.name"),
        ({"format": {"type": "json_schema", "name": "n"}}, "text.format.schema"),
        ({"verbosity": "loud"}, "text.verbosity"),
    ],
)
def test_what_does_not_fit_is_named(text: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        made(text=text)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [({}, None), ({"summary": "auto"}, "auto"), ({"generate_summary": "concise"}, "concise")],
)
def test_a_summary_has_two_names(reasoning: dict[str, Any], expected: str | None) -> None:
    assert made(reasoning=reasoning).reasoning.wanted_summary == expected
