"""The grammar of arguments that are keys and values between marks.

Properties come in the order of the schema. Text is enforced as far as `enum`, `const`, a `pattern`
and a length go, JSON as far as its schema does, quoted values as far as their texts, numbers, items
and properties do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cria.constraint.sources import GrammarError, json_schema_of, of_json_schema
from cria.formats.marked_formats import QUOTE
from cria.formats.rules import Rules, one_of, quoted, re_escape, regex
from cria.formats.schema_parts import merged, standalone, without_text
from cria.formats.schema_types import leaves, own_types, values_of
from cria.formats.text_pattern import ANY, string_patterns
from cria.formats.tool_format import KeyedArguments, write_value

_KEY = r"[^\s<>\"'=:,(){}\[\]]{1,64}"
_MAX_DEPTH = 5
"""Of values inside of values whose parts are enforced; JSON has no such limit."""
_MAX_ITEMS = 64
"""That are counted."""
_NUMBERS = {
    "integer": r"-?(?:0|[1-9][0-9]{0,30})",
    "number": r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?",
}
_TEXTS = {"null": "null", "boolean": "true|false", **_NUMBERS}
"""Values that are written like text, and are none."""
_WORDS = {
    "python": {"boolean": '"True" | "False"', "null": '"None"'},
    "quoted": {"boolean": '"true" | "false"', "null": '"null"'},
}
_PYTHON_STRING = r"""'(?:[^'\\\n]|\\[\\'"nrt])*'|"(?:[^"\\\n]|\\[\\'"nrt])*\""""
_TYPES = ("string", "number", "boolean", "null", "array", "object")
_PLAIN = frozenset("type title description default examples enum const".split())
"""Keywords that say no more of a value than its type, or all."""


class ArgumentGrammar:
    """Of one tool. `source` is the grammar of its arguments as JSON: it says what is enforced."""

    def __init__(self, rules: Rules, keyed: KeyedArguments, source: str) -> None:
        self._rules = rules
        self._keyed = keyed
        schema = dict(json_schema_of(source) or {})
        self._settings = schema.pop("x-guidance", None) or {}
        self._schema: Mapping[str, Any] = schema
        self._depth = 0
        self._known: dict[tuple[int, int], str] = {}

    def rule(self) -> str:
        """All arguments of one call."""
        return self._object(self._schema)

    def _object(self, schema: Mapping[str, Any]) -> str:
        literal, keyed = self._rules.literal, self._keyed
        inside = one_of(map(self._members, merged(schema, self._schema)))
        return self._rules.add(f"{literal(keyed.open)} {inside} {literal(keyed.close)}".strip())

    def _members(self, schema: Mapping[str, Any]) -> str:
        properties = schema.get("properties") or {}
        is_empty = not schema.get("minProperties")
        if properties:
            return self._properties(properties, schema.get("required") or [], is_empty)
        others = schema.get("additionalProperties", True)
        if others is False:
            return '""'
        item = self._item(self._rules.terminal(regex(_KEY)), others)
        several = f"{item} ({self._rules.literal(self._keyed.between)} {item})*"
        return f"({several})?" if is_empty else several

    def _properties(
        self, properties: Mapping[str, Any], required: Sequence[str], may_be_empty: bool
    ) -> str:
        """Built from the last to the first: what may follow where nothing, or something, is."""
        empty = '""' if may_be_empty else ""
        after = '""'
        for key, schema in reversed(list(properties.items())):
            item = self._item(self._key(key), schema)
            between = self._rules.literal(self._keyed.between)
            first = f"{item} {after}"
            later = f"{between} {item} {after}"
            if key not in required:
                first, later = f"{first} | {empty}" if empty else first, f"{later} | {after}"
            empty, after = self._rules.add(first), self._rules.add(later)
        return empty

    def _key(self, key: str) -> str:
        """Inside of a quoted value its brackets and commas would be the value's."""
        is_bare = not self._depth or re.fullmatch(_KEY, key)
        return quoted(key) if is_bare else self._rules.literal(write_value(key, "quoted"))

    def _item(self, key: str, schema: object) -> str:
        literal, keyed = self._rules.literal, self._keyed
        choices = leaves(schema, self._schema)
        options = []
        if keyed.values == "quoted":
            close = literal(keyed.value_close)
            options.append(f"{literal(keyed.key_close)} {self._quoted(choices)} {close}")
        elif keyed.values == "python":
            close = literal(keyed.value_close)
            options.append(f"{literal(keyed.key_close)} {self._python(schema, choices)} {close}")
        else:
            if any(map(self._may_be_text, choices)):
                opening = keyed.key_close_text or keyed.key_close
                options.append(f"{literal(opening)} {self._text(choices)}")
            if keyed.key_close_text or not options:
                options += self._json(schema, choices)
        return self._rules.add(f"{literal(keyed.key_open)} {key} {one_of(options)}")

    def _types(self, schema: Mapping[str, Any]) -> frozenset[str]:
        return own_types(schema, self._schema)

    def _may_be_text(self, schema: Mapping[str, Any]) -> bool:
        types = self._types(schema)
        return not types or "string" in types

    def _text(self, choices: Sequence[Mapping[str, Any]]) -> str:
        close = self._keyed.value_close
        values = values_of(choices[0]) if len(choices) == 1 else None
        if values is not None:
            return self._one_text(self._value_texts(values), close)
        patterns = [pattern for choice in choices for pattern in self._text_patterns(choice)]
        return self._rules.until(close, *patterns)

    def _one_text(self, texts: Sequence[str], close: str) -> str:
        """One of some texts, all in one pattern: schemas are seen that list thousands."""
        # One that holds the mark could not be read.
        readable = [text for text in texts if close.strip() not in text]
        if not readable:
            raise GrammarError(f"this model's calls can hold none of the texts {list(texts)}"[:300])
        return self._rules.until(close, ("|".join(map(re_escape, readable)),))

    def _value_texts(self, values: Sequence[Any]) -> list[str]:
        """Of all values; of the strings alone if the format tells text from JSON."""
        is_told = self._keyed.key_close_text is not None
        return [write_value(v, "tagged") for v in values if isinstance(v, str) or not is_told]

    def _text_patterns(self, schema: Mapping[str, Any]) -> list[tuple[str, ...]]:
        values = values_of(schema)
        if values is not None:
            return [(re_escape(text),) for text in self._value_texts(values)]
        types = self._types(schema)
        others = types - {"string"} if self._keyed.key_close_text is None else frozenset()
        if not types or not others <= _TEXTS.keys():
            return [(ANY,)]
        texts = [self._string_patterns(schema)] if "string" in types else []
        return texts + [(_TEXTS[name],) for name in sorted(others)]

    def _string_patterns(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        return string_patterns(schema, is_lenient=bool(self._settings.get("lenient")))

    def _json(self, schema: object, choices: Sequence[Mapping[str, Any]]) -> list[str]:
        if self._keyed.key_close_text:  # what is text is written as text
            kept = [without_text(choice, self._types(choice)) for choice in choices]
            others = [choice for choice in kept if choice is not None]
            if not others:
                return []
            schema = others[0] if len(others) == 1 else {"anyOf": others}
        literal, keyed = self._rules.literal, self._keyed
        value = self._json_value(schema)
        return [f"{literal(keyed.key_close)} {value} {literal(keyed.value_close)}"]

    def _json_value(self, schema: object) -> str:
        whole = standalone(schema, self._schema)
        if self._settings:
            whole["x-guidance"] = self._settings
        return self._rules.grammar(of_json_schema(whole))

    def _python(self, schema: object, choices: Sequence[Mapping[str, Any]]) -> str:
        choice = choices[0]
        values = values_of(choice)
        if len(choices) > 1 or (values is None and not _PLAIN.issuperset(choice)):
            return self._json_value(schema)  # nearly Python too, and its parser takes it
        if values is not None:
            return one_of(self._rules.literal(write_value(value, "python")) for value in values)
        return one_of(map(self._of_type, sorted(self._types(choice) or _TYPES)))

    def _quoted(self, choices: Sequence[Mapping[str, Any]]) -> str:
        return one_of(map(self._quoted_choice, choices))

    def _quoted_choice(self, schema: Mapping[str, Any]) -> str:
        """A value, or one inside of another; what is the same is made once."""
        key = (id(schema), self._depth)
        if schema and key in self._known:
            return self._known[key]
        values = values_of(schema)
        if values is not None:
            texts = [value for value in values if isinstance(value, str)]
            others = [value for value in values if not isinstance(value, str)]
            options = [self._rules.literal(write_value(value, "quoted")) for value in others]
            if texts:
                options.append(f"{self._rules.literal(QUOTE)} {self._one_text(texts, QUOTE)}")
        else:
            types = self._types(schema) or _TYPES
            options = [self._quoted_type(schema, name) for name in sorted(types)]
        self._known[key] = self._rules.add(one_of(options))
        return self._known[key]

    def _quoted_type(self, schema: Mapping[str, Any], name: str) -> str:
        if name in _NUMBERS and not _PLAIN.issuperset(schema):
            return self._json_value({**schema, "type": name})
        if name == "string":
            return self._quoted_string(*[self._string_patterns(schema)])
        is_deep = self._depth == _MAX_DEPTH
        if name not in ("array", "object") or is_deep or not self._types(schema):
            return self._of_type(name)
        self._depth += 1
        inside = self._array(schema) if name == "array" else self._object(schema)
        self._depth -= 1
        return inside

    def _quoted_string(self, *patterns: tuple[str, ...]) -> str:
        text = self._rules.until(QUOTE, *patterns)
        return self._rules.add(f"{self._rules.literal(QUOTE)} {text}")

    def _array(self, schema: Mapping[str, Any]) -> str:
        item = self._quoted(leaves(schema.get("items", {}), self._schema))
        least = min(schema.get("minItems", 0), _MAX_ITEMS)
        most = max(least, schema.get("maxItems", _MAX_ITEMS))
        more = f'("," {item})' + ("*" if most >= _MAX_ITEMS else f"{{0,{most - 1}}}")
        if least > 1:
            upper = "" if most >= _MAX_ITEMS else most - 1
            more = f'("," {item}){{{least - 1},{upper}}}'
        inside = f"({item} {more})" + ("" if least else "?") if most else ""
        return self._rules.add(f'"[" {inside} "]"')

    def _of_type(self, name: str) -> str:
        """Any value of this type."""
        if name in _NUMBERS:
            return self._rules.terminal(regex(_NUMBERS[name]))
        if name in ("boolean", "null"):
            return self._rules.add(_WORDS[self._keyed.values][name])
        if name == "string":
            return self._string()
        return self._container(name)

    def _string(self) -> str:
        if self._keyed.values == "python":
            return self._rules.terminal(regex(_PYTHON_STRING))
        return self._quoted_string()

    def _container(self, name: str) -> str:
        """An object or an array of anything."""
        scalar = one_of(map(self._of_type, ("string", "number", "boolean", "null")))
        is_python = self._keyed.values == "python"
        key = self._string() if is_python else self._rules.terminal(regex(_KEY))
        comma, colon = ('", "', '": "') if is_python else ('","', '":"')
        # Two levels deep, which is what models are seen to write.
        inner = scalar
        for _ in range(2):
            pair = f"{key} {colon} {inner}"
            array = self._rules.add(f'"[" ({inner} ({comma} {inner})*)? "]"')
            object_ = self._rules.add(f'"{{" ({pair} ({comma} {pair})*)? "}}"')
            inner = one_of([scalar, array, object_])
        return array if name == "array" else object_
