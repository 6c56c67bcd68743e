"""The grammar of arguments that are keys and values between marks.

Properties come in the order of the schema. Text is enforced as far as `enum`, `const` and a
`pattern` or a length go, JSON as far as its schema does; containers of quoted values by their type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cria.constraint.sources import json_schema_of, of_json_schema
from cria.formats.rules import ANY, Rules, one_of, quoted, re_escape, regex
from cria.formats.tool_format import KeyedArguments, write_value

_KEY = r"[^\s<>\"'=:,(){}\[\]]+"
_MAX_REFERENCES = 8
_PATTERNS = {
    "integer": r"-?(?:0|[1-9][0-9]{0,30})",
    "number": r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?",
}
_WORDS = {
    "python": {"boolean": '"True" | "False"', "null": '"None"'},
    "quoted": {"boolean": '"true" | "false"', "null": '"null"'},
}
_PYTHON_STRING = r"""'(?:[^'\\\n]|\\[\\'"nrt])*'|"(?:[^"\\\n]|\\[\\'"nrt])*\""""
_TYPES = ("string", "number", "boolean", "null", "array", "object")


class ArgumentGrammar:
    """Of one tool. `source` is the grammar of its arguments as JSON: it says what is enforced."""

    def __init__(
        self, rules: Rules, keyed: KeyedArguments, schema: Mapping[str, Any], source: str
    ) -> None:
        self._rules = rules
        self._keyed = keyed
        self._schema = schema
        self._settings = (json_schema_of(source) or {}).get("x-guidance")

    def rule(self) -> str:
        """All arguments of one call."""
        literal, keyed = self._rules.literal, self._keyed
        properties = self._schema.get("properties") or {}
        if properties:
            required = self._schema.get("required") or []
            inside = self._properties(properties, set(required))
        elif self._schema.get("additionalProperties", True) is not False:
            item = self._item(self._rules.terminal(regex(_KEY)), {})
            inside = f"({item} ({literal(keyed.between)} {item})*)?"
        else:
            inside = ""
        return self._rules.add(f"{literal(keyed.open)} {inside} {literal(keyed.close)}".strip())

    def _properties(self, properties: Mapping[str, Any], required: set[str]) -> str:
        """Built from the last to the first: what may follow where nothing, or something, is."""
        empty: str | None = '""'
        after = '""'
        for key, schema in reversed(list(properties.items())):
            item = self._item(quoted(key), schema)
            between = self._rules.literal(self._keyed.between)
            first = f"{item} {after}"
            later = f"{between} {item} {after}"
            if key not in required:
                first, later = f"{first} | {empty}", f"{later} | {after}"
            empty, after = self._rules.add(first), self._rules.add(later)
        return empty or '""'

    def _item(self, key: str, schema: object) -> str:
        schema = self._resolved(schema)
        literal, keyed = self._rules.literal, self._keyed
        options = []
        if keyed.values != "tagged":
            close = literal(keyed.value_close)
            options.append(f"{literal(keyed.key_close)} {self._literal_value(schema)} {close}")
        else:
            if self._may_be_text(schema):
                opening = keyed.key_close_text or keyed.key_close
                options.append(f"{literal(opening)} {self._text(schema)}")
            if keyed.key_close_text or not options:
                options += self._json(schema)
        return self._rules.add(f"{literal(keyed.key_open)} {key} {one_of(options)}")

    def _may_be_text(self, schema: Mapping[str, Any]) -> bool:
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if values is not None:
            return any(isinstance(value, str) for value in values)
        types = self._types(schema)
        return not types or "string" in types

    def _types(self, schema: Mapping[str, Any], depth: int = _MAX_REFERENCES) -> set[str]:
        """Those that the schema names; none if it does not say."""
        named = schema.get("type")
        if named:
            return set(named) if isinstance(named, list) else {str(named)}
        choices = schema.get("anyOf") or schema.get("oneOf") or []
        found = [self._types(self._resolved(each), depth - 1) for each in choices] if depth else []
        return set().union(*found) if all(found) else set()

    def _text(self, schema: Mapping[str, Any]) -> str:
        close = self._keyed.value_close
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if values is not None:
            texts = [write_value(value, "tagged") for value in values]
            if self._keyed.key_close_text:
                texts = [value for value in values if isinstance(value, str)]
            # One that holds the mark could not be read.
            texts = [text for text in texts if close.strip() not in text] or texts
            return one_of(f"{quoted(text)} {self._rules.literal(close)}" for text in texts)
        return self._rules.until(close, self._text_pattern(schema))

    def _text_pattern(self, schema: Mapping[str, Any], depth: int = _MAX_REFERENCES) -> str:
        """What the whole text matches; anything if the schema says it in ways too many."""
        patterns = []
        for each in schema.get("anyOf") or schema.get("oneOf") or [schema]:
            one = self._resolved(each)
            if depth and ("anyOf" in one or "oneOf" in one) and one is not schema:
                patterns.append(self._text_pattern(one, depth - 1))
                continue
            if "enum" in one or "const" in one:
                values = one.get("enum", [one.get("const")])
                patterns += [re_escape(write_value(value, "tagged")) for value in values]
                continue
            types = self._types(one)
            if not types or not types <= {"string", *_TEXTS}:
                return ANY
            patterns += [_string_pattern(one)] if "string" in types else []
            patterns += [_TEXTS[name] for name in sorted(types - {"string"})]
        return "|".join(f"(?:{pattern})" for pattern in patterns)

    def _json(self, schema: Mapping[str, Any]) -> list[str]:
        if self._types(schema) == {"string"}:
            return []
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if values is not None:  # those that are text are written as text
            values = [value for value in values if not isinstance(value, str)]
            schema = {"enum": values}
            if not values:
                return []
        if self._keyed.key_close_text and values is None and not self._types(schema):
            schema = {"type": [name for name in _TYPES if name != "string"]}
        literal, keyed = self._rules.literal, self._keyed
        value = self._json_value(schema)
        return [f"{literal(keyed.key_close)} {value} {literal(keyed.value_close)}"]

    def _json_value(self, schema: Mapping[str, Any]) -> str:
        whole = {name: self._schema[name] for name in _SHARED if name in self._schema}
        whole |= schema
        if self._settings:
            whole["x-guidance"] = self._settings
        return self._rules.grammar(of_json_schema(whole))

    def _literal_value(self, schema: Mapping[str, Any]) -> str:
        """A value of Python, or a quoted one."""
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if values is not None:
            texts = [write_value(value, self._keyed.values) for value in values]
            return one_of(map(self._rules.literal, texts))
        types = self._types(schema)
        if self._keyed.values == "python" and not _PLAIN.issuperset(schema):
            return self._json_value(schema)  # nearly Python too, and its parser takes it
        if types <= {"integer", "number"} and types:
            return self._json_value(schema)
        if types == {"string"}:
            return self._literal_string(_string_pattern(schema))
        return one_of(self._literal_type(name) for name in sorted(types or _TYPES))

    def _literal_type(self, name: str) -> str:
        if name in _PATTERNS:
            return self._rules.terminal(regex(_PATTERNS[name]))
        if name in ("boolean", "null"):
            return self._rules.add(_WORDS[self._keyed.values][name])
        if name == "string":
            return self._literal_string()
        return self._container(name)

    def _literal_string(self, pattern: str = ANY) -> str:
        if self._keyed.values == "python":
            return self._rules.terminal(regex(_PYTHON_STRING))
        quote = '<|"|>'
        return self._rules.add(f"{self._rules.literal(quote)} {self._rules.until(quote, pattern)}")

    def _container(self, name: str) -> str:
        """An object or an array of anything."""
        scalar = one_of(map(self._literal_type, ("string", "number", "boolean", "null")))
        is_python = self._keyed.values == "python"
        key = self._literal_string() if is_python else self._rules.terminal(regex(_KEY))
        comma, colon = ('", "', '": "') if is_python else ('","', '":"')
        # Two levels deep, which is what models are seen to write.
        inner = scalar
        for _ in range(2):
            pair = f"{key} {colon} {inner}"
            array = self._rules.add(f'"[" ({inner} ({comma} {inner})*)? "]"')
            object_ = self._rules.add(f'"{{" ({pair} ({comma} {pair})*)? "}}"')
            inner = one_of([scalar, array, object_])
        return array if name == "array" else object_

    def _resolved(self, schema: object) -> Mapping[str, Any]:
        for _ in range(_MAX_REFERENCES):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self._schema
            for part in reference.removeprefix("#/").split("/"):
                schema = schema.get(part) if isinstance(schema, Mapping) else None
        return {}


_SHARED = ("$defs", "definitions")
"""What references in a property's schema lead to."""


_PLAIN = frozenset("type title description default examples enum const".split())
"""Keywords that say no more of a value than its type, or all."""
_TEXTS = {"null": "null", "boolean": "true|false"}
"""Values that are written like text, and are none."""


def _string_pattern(schema: Mapping[str, Any]) -> str:
    """Of a text; its `format` is not looked at, nor its length beside a pattern."""
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        return _whole(pattern)
    least, most = schema.get("minLength", 0), schema.get("maxLength", "")
    return f"(?s:.{{{least},{most}}})" if least or most != "" else ANY


def _whole(pattern: str) -> str:
    """A pattern for all of the text; JSON Schema looks for it anywhere."""
    begin = "" if pattern.startswith("^") else ANY
    end = "" if re.search(r"(?<!\\)\$$", pattern) else ANY
    return f"{begin}(?:{pattern.removeprefix('^')[: -1 if not end else None]}){end}"
