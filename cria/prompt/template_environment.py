"""The Jinja dialect of chat templates, in a sandbox.

Models bring their templates, written for the environment of the `transformers` library: what
differs from plain Jinja is here. A template cannot reach Python's attributes, change what it is
given or read a file. Its time and memory are not bounded here: see `template_trial`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class TemplateRefusal(TemplateError):
    """A template called `raise_exception`: it does not take these messages."""


class _GenerationTag(Extension):
    """`{% generation %}` marks text for training: only its body matters here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def make_environment() -> ImmutableSandboxedEnvironment:
    """An environment for one template."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
    )
    environment.filters.update(tojson=_to_json, from_json=json.loads)
    environment.globals.update(raise_exception=_refuse, strftime_now=_format_now)
    return environment


def _refuse(message: object) -> NoReturn:
    raise TemplateRefusal(str(message))


def _format_now(format: str) -> str:
    return datetime.now().strftime(format)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes for HTML, which models were not trained on."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=_plain,
    )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, Iterator) else str(value)
