"""Hypothesis strategies from a JSON schema: values that fit it, and values that just do not.

Small ones, so that a server has little to do with them. Knows the part of JSON Schema that an
OpenAPI document of ours uses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

Schema = Mapping[str, Any]
Values = st.SearchStrategy[Any]

MAX_TEXT, MAX_ITEMS = 6, 3
ODD_NUMBERS: list[Any] = [True, 0, -1, 1.5, 1e300]
ODD_TEXTS: list[Any] = ["", "odd"]
ODD_LISTS: list[Any] = [[], [5], ["odd"], [None], [[]]]
ODD_OBJECTS: list[Any] = [{}, {"odd": 1}, {"odd": None}]
ODD_VALUES = ODD_NUMBERS + ODD_TEXTS + ODD_LISTS + ODD_OBJECTS


class SchemaValues:
    """Strategies for the schemas of one document, which may refer to each other."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def is_valid(self, schema: Schema, value: object) -> bool:
        """Whether the value fits."""
        whole = {**schema, "components": self._document["components"]}
        return bool(Draft202012Validator(whole).is_valid(value))

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself in place of a reference to it."""
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def fitting(self, schema: Schema) -> Values:
        """Any value that fits."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            return st.one_of(*map(self.fitting, schema["anyOf"]))
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        make = getattr(self, "_" + schema.get("type", "anything"))
        values: Values = make(schema)
        return values

    def odd(self, schema: Schema) -> Values:
        """Values of a wrong type, out of range, or with one such value inside; never null."""
        return st.one_of(*self._odd(schema)).filter(
            lambda value: value is not None and not self.is_valid(schema, value)
        )

    def body(self, schema: Schema, special: Mapping[str, Values], always: set[str]) -> Values:
        """An object, some of its properties from strategies of their own, some of them always."""
        properties = self.resolve(schema)["properties"]
        values = {
            name: special[name] if name in special else self.fitting(each)
            for name, each in properties.items()
        }
        needed = {*self.resolve(schema)["required"], *always} & set(values)
        return st.fixed_dictionaries(
            {name: values[name] for name in needed},
            optional={name: v for name, v in values.items() if name not in needed},
        )

    def _odd(self, schema: Schema) -> Iterator[Values]:
        schema = self.resolve(schema)
        yield st.sampled_from([*ODD_VALUES, *_beyond(schema)])
        for each in schema.get("anyOf", ()):
            yield from self._odd(each)
        if schema.get("items"):
            yield self.odd(schema["items"]).map(lambda value: [value])
        for name, inner in schema.get("properties", {}).items():
            if not self.resolve(inner).get("enum"):
                yield st.builds(
                    lambda base, value, name=name: {**base, name: value},
                    self.body(schema, {}, set()),
                    self.odd(inner),
                )

    def _null(self, schema: Schema) -> Values:
        return st.none()

    def _boolean(self, schema: Schema) -> Values:
        return st.booleans()

    def _integer(self, schema: Schema) -> Values:
        return st.integers(schema.get("minimum", -(2**40)), schema.get("maximum", 2**40))

    def _number(self, schema: Schema) -> Values:
        return st.floats(schema.get("minimum", -1e6), schema.get("maximum", 1e6))

    def _string(self, schema: Schema) -> Values:
        if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True)
        return st.text(min_size=schema.get("minLength", 0), max_size=MAX_TEXT)

    def _array(self, schema: Schema) -> Values:
        if "prefixItems" in schema:
            return st.tuples(*map(self.fitting, schema["prefixItems"])).map(list)
        items = self.fitting(schema.get("items", {}))
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=MAX_ITEMS)

    def _object(self, schema: Schema) -> Values:
        if "properties" in schema:
            return self.body(schema, {}, set())
        values = self.fitting(schema.get("additionalProperties", {}))
        return st.dictionaries(st.text(max_size=MAX_TEXT), values, max_size=MAX_ITEMS)

    def _anything(self, schema: Schema) -> Values:
        return st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=MAX_TEXT)


def _beyond(schema: Schema) -> Iterator[Any]:
    """Values next to each limit, on its wrong side."""
    if "minimum" in schema:
        yield schema["minimum"] - 1
        yield math.nextafter(float(schema["minimum"]), -math.inf)
    if "maximum" in schema:
        yield schema["maximum"] + 1
        yield math.nextafter(float(schema["maximum"]), math.inf)
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
    if "maxItems" in schema:
        yield ["x"] * (schema["maxItems"] + 1)
    if "maxProperties" in schema:
        yield {str(number): 1 for number in range(schema["maxProperties"] + 1)}
