"""The Jinja dialect of chat templates, in a sandbox with limits.

Models bring their templates, written for the environment of the `transformers` library: what
differs from plain Jinja is here. A template cannot reach Python's attributes, change what it is
given or read a file. What it may spend is in `render_limits`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from types import BuiltinMethodType, MethodType
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from cria.prompt import render_limits, template_guards
from cria.prompt.render_limits import RenderLimit, fits, take
from cria.prompt.template_compiler import RUNTIME, LimitedCodeGenerator, add_ticks
from cria.prompt.template_filters import limit_filters

_ESCAPED_SEAM = re.compile(r"(?<!\\)((?:\\\\)*)(\\udb[89ab][0-9a-f]\\ud[c-f][0-9a-f]{2})")
"""A private character of `control_text` in ASCII; it has to stay what it is."""
_MAX_INDENT = 16
_LIST_CHANGES = frozenset(("append", "extend", "insert", "pop"))
"""Methods of lists that a few templates use on lists of their own."""


class TemplateRefusal(TemplateError):
    """A template called `raise_exception`: it does not take these messages."""


class _GenerationTag(Extension):
    """`{% generation %}` marks text for training: only its body matters here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Names(Namespace):
    """`namespace` in a template: written, it does not spell out what it holds."""

    def __repr__(self) -> str:
        return "<namespace>"


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """For one template; with `may_append`, one that changes lists.

    It then has to be given copies.
    """

    code_generator_class = LimitedCodeGenerator
    intercepted_binops = frozenset(("*", "**", "%"))

    def __init__(self, *, may_append: bool = False) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_GenerationTag, loopcontrols],
            finalize=template_guards.written,
        )
        self._may_append = may_append
        self.binop_table |= {
            "*": template_guards.multiply,
            "**": template_guards.power,
            "%": template_guards.modulo,
        }
        limit_filters(self.filters)
        self.filters.update(tojson=_to_json, from_json=json.loads)
        self.globals.update(raise_exception=_refuse, strftime_now=_format_now)
        self.globals.update(namespace=_Names, range=_range, dict=_dict)
        del self.globals["lipsum"]

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        add_ticks(source)
        return super()._generate(source, *args, **kwargs) + RUNTIME

    @staticmethod
    def concat(parts: Any) -> str:
        """What macros and blocks make of their pieces."""
        return "".join(template_guards.checked_parts(parts))

    def wrap_str_format(self, value: Any) -> Any:
        """Called for everything that a template looks up; methods get their checks here.

        Those of texts that need no escaping are written in Python.
        """
        if not isinstance(value, (BuiltinMethodType, MethodType)):
            return None
        safe = super().wrap_str_format(value)
        if safe is not None:
            return template_guards.guard_format(str(value.__self__), safe)
        is_change = isinstance(value.__self__, list) and value.__name__ in _LIST_CHANGES
        if is_change and self._may_append:
            return template_guards.guard_change(value)
        return template_guards.guard_method(value)


def make_environment(*, may_append: bool = False) -> TemplateEnvironment:
    """An environment for one template."""
    return TemplateEnvironment(may_append=may_append)


def _refuse(message: object) -> NoReturn:
    raise TemplateRefusal(str(message))


def _format_now(format: str) -> str:
    template_guards.check_percent(format, "")
    return datetime.now().strftime(format)


def _dict(*args: Any, **kwargs: Any) -> Any:
    return template_guards.built(dict(*args, **kwargs))


def _range(*args: int) -> range:
    """At most 100,000 numbers, as in Jinja's sandbox."""
    numbers = range(*args)
    if len(numbers) > 100_000:
        raise RenderLimit("a range is too long")
    return numbers


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes for HTML, which models were not trained on."""
    template_guards.written(value)
    if indent and (not isinstance(indent, int) or indent > _MAX_INDENT):
        raise RenderLimit("it indents too far")
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=_plain,
    )
    if indent is None:
        text: str = fits(encoder.encode(value))
    else:
        text = "".join(_limited(encoder.iterencode(value)))
    return _ESCAPED_SEAM.sub(_unescape, text) if ensure_ascii else text


def _unescape(escaped: re.Match[str]) -> str:
    return escaped[1] + str(json.loads(f'"{escaped[2]}"'))


def _limited(parts: Iterator[str]) -> Iterator[str]:
    """Indented text is longer than its value, by a factor that is not known before."""
    length = 0
    for part in render_limits.watched(parts):
        length += len(part)
        if length > render_limits.MAX_CHARACTERS:
            take(length)
        yield part


def _plain(value: object) -> object:
    return list(value) if isinstance(value, Iterator) else str(value)
