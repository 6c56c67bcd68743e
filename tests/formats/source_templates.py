"""The chat templates that come with llama.cpp's source, rendered in the ways that they take."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError
from jinja2.sandbox import SandboxedEnvironment

from cria.formats.draw import Draw
from cria.native.library import LIBRARY_DIR
from cria.prompt.template_environment import make_environment


def template_source(name: str) -> str:
    """Of one template, if llama.cpp's source is at hand."""
    path = LIBRARY_DIR / "BUILD_INFO.json"
    info = json.loads(path.read_text()) if path.is_file() else {}
    tree = Path(info.get("flags", {}).get("LLAMA_CPP_DIR", "/nonexistent"))
    for folder in (tree / "models", tree / "vendor" / "llama.cpp" / "models"):
        if (folder / "templates" / f"{name}.jinja").is_file():
            return (folder / "templates" / f"{name}.jinja").read_text()
    pytest.skip("llama.cpp's source is not at hand")


def drawing(source: str) -> Draw:
    """Renders as a normaliser would: arguments as a dict or as text, lists that can be changed."""
    immutable = make_environment()
    mutable = SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[type(e) for e in _extensions(immutable)]
    )
    mutable.filters.update(immutable.filters)
    mutable.globals.update(immutable.globals)
    templates = [each.from_string(source) for each in (immutable, mutable)]

    def draw(
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        variables = {"tools": tools} if tools is not None else {}
        variables |= {"functions": "", "datetime": "", "bos_token": "<s>", "eos_token": "</s>"}
        variables |= {"add_generation_prompt": add_generation_prompt, **(kwargs or {})}
        for form in _forms(messages):
            for template in templates:
                try:
                    text = template.render(copy.deepcopy(variables | {"messages": form}))
                except (TemplateError, TypeError, ValueError, KeyError):
                    continue
                if not re.search(r"\{'\w+': '(zqval|Oslo)", text):
                    return text
        return ""

    return draw


def _extensions(environment: Any) -> list[Any]:
    return list(environment.extensions.values())


def _forms(messages: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    yield messages
    changed = copy.deepcopy(messages)
    for message in changed:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    yield changed
