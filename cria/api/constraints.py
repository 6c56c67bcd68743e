"""What the answer has to look like: `response_format`, and what other servers' users send for it.

OpenAI knows text, any JSON object, and JSON of a schema. llama.cpp has `grammar` and `json_schema`
beside it, vLLM `structured_outputs` and, earlier, `guided_*`, SGLang `regex` and `ebnf`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from cria.api.decoding import RequestBody
from cria.errors import RequestError

Schema = dict[str, Any] | bool
Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Source = Annotated[str, Meta(min_length=1)]
Options = Annotated[list[Source], Meta(min_length=1, max_length=4096)]

ANY_OBJECT: dict[str, Any] = {"type": "object"}


class Constraint(NamedTuple):
    """One shape; whether it can be enforced is found out when it is compiled."""

    kind: Literal["schema", "regex", "choice", "grammar"]
    value: Any
    """A JSON schema, a pattern, a list of texts or the text of a grammar."""
    param: str
    """The path of the field that it came from."""
    name: str = ""
    """Of a schema, if it has one."""
    is_lenient: bool = False
    """What cannot be enforced is ignored, and reported."""


class TextFormat(msgspec.Struct, tag_field="type", tag="text"):
    """Anything."""


class JsonObjectFormat(msgspec.Struct, tag_field="type", tag="json_object"):
    """Any JSON object, or, as llama.cpp has it, JSON of a schema."""

    schema: Schema | None = None


class JsonSchema(msgspec.Struct):
    """A schema and its name; `strict: false` takes what cannot be enforced for a hint."""

    name: Name
    description: str | None = None
    schema: Schema | None = None
    strict: bool | None = None


class JsonSchemaFormat(msgspec.Struct, tag_field="type", tag="json_schema"):
    """JSON of a schema; llama.cpp's users leave the inner object out."""

    json_schema: JsonSchema | None = None
    schema: Schema | None = None


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaFormat


class StructuredOutputs(msgspec.Struct):
    """vLLM's: one of these."""

    json: Schema | str | None = None
    regex: Source | None = None
    choice: Options | None = None
    grammar: Source | None = None
    json_object: bool | None = None


class ConstraintFields(RequestBody, kw_only=True):
    """At most one of these says something."""

    response_format: ResponseFormat | None = None
    """What the answer has to look like."""
    grammar: str | None = None
    """GBNF, or llguidance's Lark."""
    json_schema: Schema | None = None
    """The answer is JSON of this schema."""
    structured_outputs: StructuredOutputs | None = None
    guided_json: Schema | str | None = None
    guided_regex: str | None = None
    guided_choice: Options | None = None
    guided_grammar: str | None = None
    regex: str | None = None
    """All of the answer matches this pattern."""
    ebnf: str | None = None
    """Another name of `grammar`."""

    def __post_init__(self) -> None:
        found = list(self._constraints())
        if len(found) > 1:
            raise RequestError(
                f"'{found[1].param}' contradicts '{found[0].param}': an answer has one shape. Send "
                "one of them.",
                param=found[1].param,
                code="invalid_value",
            )

    def refuse_beside_constraint(self, name: str) -> None:
        """Raise if the answer has a shape, which says when it ends, so that `name` cannot."""
        if self.shaped_by is not None:
            raise RequestError(
                f"Invalid '{name}': the answer ends where '{self.shaped_by}' says. Send one of "
                "them.",
                param=name,
                code="invalid_value",
            )

    @property
    def shaped_by(self) -> str | None:
        """The path of the field that says what the answer looks like, if one does."""
        return None if self.constraint is None else self.constraint.param

    @property
    def constraint(self) -> Constraint | None:
        """What was asked for, if anything."""
        return next(self._constraints(), None)

    def _constraints(self) -> Iterator[Constraint]:
        if self.response_format is not None:
            yield from _of_format(self.response_format)
        if self.structured_outputs is not None:
            yield from _of_structured(self.structured_outputs)
        if self.json_schema not in (None, {}):
            yield Constraint("schema", self.json_schema, "json_schema")
        if self.guided_json not in (None, {}, ""):
            yield Constraint("schema", _schema(self.guided_json, "guided_json"), "guided_json")
        if self.guided_choice:
            yield Constraint("choice", self.guided_choice, "guided_choice")
        for param in ("grammar", "guided_grammar", "ebnf"):
            if text := getattr(self, param):
                yield Constraint("grammar", text, param)
        for param in ("regex", "guided_regex"):
            if pattern := getattr(self, param):
                yield Constraint("regex", pattern, param)


def _of_format(wanted: ResponseFormat) -> Iterator[Constraint]:
    path = "response_format"
    if isinstance(wanted, JsonObjectFormat):
        if wanted.schema is None:
            yield Constraint("schema", ANY_OBJECT, path)
        else:
            yield Constraint("schema", wanted.schema, f"{path}.schema")
    elif isinstance(wanted, JsonSchemaFormat):
        inner = wanted.json_schema
        if inner is not None:
            schema = ANY_OBJECT if inner.schema is None else inner.schema
            yield Constraint(
                "schema", schema, f"{path}.json_schema.schema", inner.name, inner.strict is False
            )
        if wanted.schema is not None:
            yield Constraint("schema", wanted.schema, f"{path}.schema")
        elif inner is None:
            raise RequestError(
                f"Missing required parameter: '{path}.json_schema'.",
                param=f"{path}.json_schema",
                code="missing_required_parameter",
            )


def _of_structured(wanted: StructuredOutputs) -> Iterator[Constraint]:
    path = "structured_outputs"
    if wanted.json is not None:
        yield Constraint("schema", _schema(wanted.json, f"{path}.json"), f"{path}.json")
    if wanted.regex is not None:
        yield Constraint("regex", wanted.regex, f"{path}.regex")
    if wanted.choice is not None:
        yield Constraint("choice", wanted.choice, f"{path}.choice")
    if wanted.grammar is not None:
        yield Constraint("grammar", wanted.grammar, f"{path}.grammar")
    if wanted.json_object:
        yield Constraint("schema", ANY_OBJECT, f"{path}.json_object")


def _schema(given: Schema | str | None, param: str) -> Any:
    """vLLM takes the schema as JSON text too."""
    if not isinstance(given, str):
        return given
    try:
        schema = msgspec.json.decode(given)
    except (msgspec.DecodeError, ValueError, RecursionError):
        schema = None
    if not isinstance(schema, (dict, bool)):
        raise RequestError(
            f"Invalid '{param}': a text has to be a JSON schema.", param=param, code="invalid_value"
        )
    return schema
