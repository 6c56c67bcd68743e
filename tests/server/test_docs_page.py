from __future__ import annotations

from html.parser import HTMLParser

import pytest

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from cria.server.docs_page import default_of, make_page, words
from cria.server.openapi import make_document
from tests.fakes import FakeGeneration


class Page(HTMLParser):
    """Its text, links and elements; void elements need no end."""

    VOID = {"meta"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert name in {"lang", "charset", "name", "content", "id", "href"}
            if name == "id":
                self.ids.append(str(value))
            if name == "href":
                self.links.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def real_page() -> Page:
    app = create_app(ModelPool.of(FakeGeneration()), ServerConfig())  # type: ignore[arg-type]
    return Page(make_page(make_document(app, needs_key=False)))


def test_it_is_well_formed_without_scripts_or_anything_from_elsewhere() -> None:
    page = real_page()
    assert page.open == []
    assert not page.seen & {"script", "link", "img", "iframe", "form"}
    assert set(page.links) - {"#" + name for name in page.ids} == {"openapi.json"}
    assert len(page.ids) == len(set(page.ids))


def test_it_has_routes_fields_and_ranges() -> None:
    text = real_page().text
    for words_ in (
        "POST /chat/completions",
        "Go on from a text or from token ids.",
        "number, at least 0, at most 2",
        "default 1.0",
        "required",
        "Text, in place of `content`.",
        "Refused, unless they ask for nothing:",
    ):
        assert words_ in text


def test_every_text_is_escaped() -> None:
    evil = "<script>alert('&')</script>"
    schema = {
        "description": evil,
        "properties": {evil: {"type": evil, "description": evil, "default": evil}},
        "x-cria-refused": [evil],
        "x-cria-noted": [evil],
    }
    operation = {
        "summary": evil,
        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": evil}}}}},
    }
    document = {
        "info": {"title": evil, "version": evil, "description": evil},
        "paths": {evil: {"get": operation}},
        "components": {"schemas": {evil: schema}},
    }
    page = Page(make_page(document))
    assert "script" not in page.seen
    assert page.open == []
    assert page.text.count(evil) >= 10


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 3}, "integer, at least 1, at most 3"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string"),
        ({"enum": ["a", 1]}, '"a" or 1'),
        (
            {"type": "array", "items": {"$ref": "#/x/Y"}, "maxItems": 2},
            "array of (Y), at most 2 items",
        ),
        ({}, "anything"),
    ],
)
def test_a_type_in_words(schema: dict[str, object], text: str) -> None:
    assert words(schema) == text


def test_a_default() -> None:
    schema = {
        "properties": {"a": {"default": False}, "b": {"default": None}, "c": {}},
        "required": ["c"],
    }
    assert [default_of(schema, name) for name in "abc"] == ["default false", "", "required"]
