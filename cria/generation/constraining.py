"""`Constraining`: from what a request asks for to a grammar that the engine can use, or a refusal.

The grammar is compiled here once, to find out whether it can be; the engine compiles it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from cria.api.constraints import ANY_OBJECT, Constraint
from cria.api.decoding import MAX_WARNINGS, printable
from cria.api.tools import ToolSpec
from cria.constraint import sources
from cria.constraint.compiler import GrammarCompiler
from cria.constraint.sources import GrammarError
from cria.errors import RequestError


class Grammar(NamedTuple):
    """In the form that crosses to the engine."""

    source: str
    warnings: tuple[str, ...] = ()
    """Paths of what it does not enforce."""
    param: str = ""
    """Where it came from."""


NO_GRAMMAR = Grammar("")

_NAMING = frozenset({"format", "type", "$ref", "pattern"})
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
"""Keywords whose keys are names, and no keywords."""
_DATA = frozenset({"enum", "const", "default", "examples"})
"""Keywords whose values are no schemas."""


class Constraining:
    """Of one vocabulary, for which the tokenizer is made when it is first needed."""

    def __init__(self, make_compiler: Callable[[], GrammarCompiler]) -> None:
        self._make_compiler = make_compiler

    def grammar(self, constraint: Constraint) -> Grammar:
        """RequestError if it is no such thing, or cannot be enforced; takes up to a second."""
        try:
            return self._compiled(constraint)
        except GrammarError as error:
            raise _refusal(constraint, error) from None

    def _compiled(self, constraint: Constraint) -> Grammar:
        try:
            source = _source(constraint, lenient=False)
            self._compiler.matcher(source)
        except GrammarError:
            if not (constraint.is_lenient and constraint.kind == "schema"):
                raise
        else:
            return Grammar(source, (), constraint.param)
        source = _source(constraint, lenient=True)
        self._compiler.matcher(source)
        paths = paths_of(constraint.value, " ".join(self._compiler.ignored(source)))
        found = tuple(printable(constraint.param + path) for path in islice(paths, MAX_WARNINGS))
        return Grammar(source, found or (constraint.param,), constraint.param)

    def tool(self, tool: ToolSpec) -> Grammar:
        """Of the arguments of a tool, or of its text. RequestError if that has to be enforced and
        cannot be; what does not have to is listed in the warnings.
        """
        if tool.grammar is not None:
            return self.grammar(Constraint("grammar", tool.grammar.definition, tool.param))
        is_lenient = tool.kind == "function" and not tool.strict
        constraint = Constraint("schema", tool.schema, tool.param, tool.name, is_lenient)
        try:
            return self._compiled(constraint)
        except GrammarError as error:
            if not is_lenient:
                raise _refusal(constraint, error) from None
        return Grammar(sources.from_json_schema(ANY_OBJECT), (tool.param,), tool.param)

    def whole(self, make: Callable[[], str], warnings: tuple[str, ...], param: str) -> Grammar:
        """The grammar, made of several, if it can be made and used."""
        try:
            source = make()
            sources.check_size(source)
            self._compiler.matcher(source)
        except GrammarError as error:
            raise RequestError(
                f"Invalid '{param}': {str(error).rstrip('.')}.", param=param, code="invalid_value"
            ) from None
        return Grammar(source, warnings, param)

    def prepare(self) -> None:
        """Make the tokenizer now: that holds up all threads, and later there may be streams."""
        with suppress(GrammarError):  # whoever wants a grammar is told
            _ = self._compiler

    @cached_property
    def _compiler(self) -> GrammarCompiler:
        try:
            return self._make_compiler()
        except ValueError as error:
            raise GrammarError(str(error)) from None


def _source(constraint: Constraint, *, lenient: bool) -> str:
    if constraint.kind == "schema":
        return sources.from_json_schema(constraint.value, lenient=lenient)
    if constraint.kind == "regex":
        return sources.from_regex(constraint.value)
    if constraint.kind == "choice":
        return sources.from_choice(constraint.value)
    return sources.from_grammar(constraint.value)


def paths_of(schema: Any, remark: str) -> Iterator[str]:
    """Where in the schema the keywords stand that the remark is about, in order.

    It names a keyword in quotes, or repeats the value of one whose values are names.
    """
    for path, keyword, value in _keywords(schema):
        if f'"{keyword}"' in remark or (
            keyword in _NAMING and isinstance(value, str) and value and value in remark
        ):
            yield f"{path}.{keyword}"


def _keywords(schema: Any) -> Iterator[tuple[str, str, Any]]:
    """All keywords of a schema, of any depth, with the path before them."""
    pending: list[tuple[str, Any, bool]] = [("", schema, False)]
    while pending:
        path, value, holds_names = pending.pop()
        inner: list[tuple[str, Any, bool]] = []
        if isinstance(value, dict):
            for key, each in value.items():
                if not holds_names:
                    yield path, key, each
                if holds_names or key not in _DATA:
                    inner.append((f"{path}.{key}", each, not holds_names and key in _MAPS))
        elif isinstance(value, list):
            inner = [(f"{path}[{index}]", each, False) for index, each in enumerate(value)]
        pending += reversed(inner)


def _refusal(constraint: Constraint, error: GrammarError) -> RequestError:
    param, reason = constraint.param, str(error).rstrip(".")
    if constraint.kind != "schema":
        sentence = f"Invalid '{param}': {reason}."
        return RequestError(sentence, param=param, code="invalid_value")
    where = next(paths_of(constraint.value, reason), "").lstrip(".")
    at = f"In context=({where}), " if where else ""
    subject, code = _subject(param)
    name = f" '{constraint.name}'" if constraint.name else ""
    hint = " What cannot be enforced is refused, unless 'strict' is false." if name else ""
    return RequestError(
        f"Invalid schema for {subject}{name}: {at}{reason}.{hint}", param=param, code=code
    )


def _subject(param: str) -> tuple[str, str]:
    """What OpenAI calls it, and the code of its errors."""
    if param.startswith("response_format"):
        return "response_format", "invalid_value"
    if param.startswith(("tools[", "functions[")):
        return "function", "invalid_function_parameters"
    return f"'{param}'", "invalid_value"
