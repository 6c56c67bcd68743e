"""`Constraining`: from what a request asks for to a grammar that the engine can use, or a refusal.

The grammar is compiled here once, to find out whether it can be; the engine compiles it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

from cria.api.constraints import Constraint
from cria.constraint import sources
from cria.constraint.compiler import GrammarCompiler
from cria.constraint.sources import GrammarError
from cria.errors import RequestError


class Grammar(NamedTuple):
    """In the form that crosses to the engine."""

    source: str
    warnings: tuple[str, ...] = ()
    """Paths of what it does not enforce."""


NO_GRAMMAR = Grammar("")


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
            return Grammar(source)
        source = _source(constraint, lenient=True)
        self._compiler.matcher(source)
        paths = paths_of(constraint.value, " ".join(self._compiler.ignored(source)))
        found = tuple(f"{constraint.param}{path}" for path in paths)
        return Grammar(source, found or (constraint.param,))

    @cached_property
    def _compiler(self) -> GrammarCompiler:
        return self._make_compiler()


def _source(constraint: Constraint, *, lenient: bool) -> str:
    if constraint.kind == "schema":
        return sources.from_json_schema(constraint.value, lenient=lenient)
    if constraint.kind == "regex":
        return sources.from_regex(constraint.value)
    if constraint.kind == "choice":
        return sources.from_choice(constraint.value)
    return sources.from_grammar(constraint.value)


def paths_of(schema: Any, remark: str) -> Iterator[str]:
    """Where in the schema the keywords stand that the remark names in quotes."""
    for path, keyword in _keywords(schema, ""):
        if f'"{keyword}"' in remark:
            yield f"{path}.{keyword}"


def _keywords(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path, key
            yield from _keywords(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _keywords(inner, f"{path}[{index}]")


def _refusal(constraint: Constraint, error: GrammarError) -> RequestError:
    param, reason = constraint.param, str(error).rstrip(".")
    if constraint.kind != "schema":
        sentence = f"Invalid '{param}': {reason}."
        return RequestError(sentence, param=param, code="invalid_value")
    where = next(paths_of(constraint.value, reason), "")
    name = constraint.name or param.partition(".")[0]
    at = f"In context=({where.lstrip('.')}), " if where else ""
    return RequestError(
        f"Invalid schema for response_format '{name}': {at}{reason}. What cannot be enforced is "
        "refused, unless 'strict' is false.",
        param=param,
    )
