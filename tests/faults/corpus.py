"""Hostile requests as data: what is sent where, and how it has to be refused.

A row is `(path, fields, param, code)`; all are refused with a 400 unless they are in `ALLOWED` or
`NOT_FOUND`. `BODIES` are bytes that are no request at all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES, MESSAGES, SCORE = "/v1/responses", "/v1/messages", "/v1/score"
ROUTES = (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    RESPONSES,
    MESSAGES,
    SCORE,
    "/v1/rerank",
    "/tokenize",
    "/detokenize",
    "/apply-template",
)

HI = {"role": "user", "content": "Hi"}
BASES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "tiny", "messages": [HI], "max_tokens": 2},
    COMPLETIONS: {"model": "tiny", "prompt": "Hi", "max_tokens": 2},
    EMBEDDINGS: {"model": "tiny", "input": "Hi"},
    RESPONSES: {"model": "tiny", "input": "Hi", "max_output_tokens": 16, "store": False},
    MESSAGES: {"model": "tiny", "messages": [HI], "max_tokens": 2},
    SCORE: {"model": "tiny", "prompt": "a", "continuations": ["b"]},
    "/v1/rerank": {"model": "tiny", "query": "a", "documents": ["b"]},
    "/tokenize": {"content": "Hi"},
    "/detokenize": {"tokens": [1]},
    "/apply-template": {"messages": [HI]},
}


class Case(NamedTuple):
    """One request, and the error that has to answer it; a `code` of "" may be any."""

    path: str
    fields: dict[str, Any]
    param: str | None = None
    code: str | None = ""

    @property
    def body(self) -> dict[str, Any]:
        return {**BASES[self.path], **self.fields}

    def __str__(self) -> str:
        return f"{self.path} {str(self.fields)[:60]}"


BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_json"),
    "array": (b"[]", "invalid_json"),
    "text": (b'"x"', "invalid_json"),
    "trailing": (b'{"model":"tiny"} x', "invalid_json"),
    "two": (b"{}{}", "invalid_json"),
    "half": (b'{"model":', "invalid_json"),
    "no-utf8": (b'{"model":"\xff"}', "invalid_json"),
    "no-utf8-unknown": (b'{"zz":"\xed\xa0\x80"}', "invalid_json"),
    "utf16": ('{"model":"tiny"}'.encode("utf-16"), "invalid_json"),
    "surrogate": (b'{"zz":"\\ud800"}', "invalid_json"),
    "surrogate-swapped": (b'{"zz":"\\udc00\\ud800"}', "invalid_json"),
    "nan": (b'{"zz":NaN}', "invalid_json"),
    "infinity": (b'{"temperature":-Infinity}', "invalid_json"),
    "1e999": (b'{"zz":1e999}', "invalid_json"),
    "digits": (b'{"zz":' + b"9" * 5000 + b"}", "invalid_json"),
    "duplicate": (b'{"zz":[{"k":1,"k":1}]}', "invalid_json"),
    "duplicate-escaped": (b'{"zz":{"k":1,"\\u006b":1,"x":"\\u003a"}}', "invalid_json"),
    "deep-65": (b'{"zz":' + b"[" * 65 + b"]" * 65 + b"}", "json_too_deep"),
    "deep-known": (b'{"model":' + b"[" * 1000 + b"]" * 1000 + b"}", "json_too_deep"),
    "deep-1e5": (b'{"zz":' + b"[" * 10**5 + b"]" * 10**5 + b"}", "json_too_deep"),
    "deep-1e6": (b"[" * 10**6, "json_too_deep"),
    "deep-objects": (b'{"a":' * 10**6, "json_too_deep"),
    "deep-schema": (b'{"tools":' + b"[" * 200 + b"]" * 200 + b"}", "json_too_deep"),
    "objects": (b'{"zz":[' + b"{}," * 2 * 10**6 + b"1]}", "json_too_large"),
}

_INTEGERS = {
    COMPLETIONS: "max_tokens n seed top_k logprobs best_of n_keep min_tokens repeat_last_n",
    CHAT: "max_tokens max_completion_tokens n seed top_k top_logprobs",
    RESPONSES: "max_output_tokens top_logprobs",
    MESSAGES: "max_tokens top_k",
    EMBEDDINGS: "dimensions",
}
TYPES = [
    Case(path, {name: value}, name)
    for path, names in _INTEGERS.items()
    for name in names.split()
    for value in (True, "5", 5.5, [], {})
] + [
    Case(path, {name: value}, name)
    for path in (CHAT, COMPLETIONS)
    for name, values in {
        "temperature": ("1", True, []),
        "stop": (1, {}),
        "stream": (1, "true"),
        "logit_bias": ("x", {"a": 1}, {"1": True}),
        "model": (1, None, []),
        "user": (1, {}),
    }.items()
    for value in values
]
NUMBERS = [
    Case(path, {name: value}, name)
    for path, names in _INTEGERS.items()
    for name in names.split()
    for value in (-(2**63) - 1, 2**64, 2**70, 10**30)
] + [
    Case(path, {name: value}, name)
    for path, names in _INTEGERS.items()
    for name in names.split()
    if name != "seed"
    for value in (-(2**31), 2**31, 2**40)
]
RANGES = [
    Case(CHAT, {name: value}, name)
    for name, values in {
        "temperature": (-1, 2.1, 1e38),
        "top_p": (-0.1, 1.5),
        "presence_penalty": (1e9, -1e9),
        "frequency_penalty": (2.1, -2.1),
        "min_p": (2,),
        "n": (0, -1, 129, 10**6),
        "stop": ("", ["a"] * 17, ["a"] * 10**5),
        "max_tokens": (-2, 0),
    }.items()
    for value in values
] + [
    Case(CHAT, {"stop": [""]}, "stop[0]", "empty_string"),
    Case(COMPLETIONS, {"n": 2, "best_of": 1}, "best_of"),
    Case(COMPLETIONS, {"best_of": 10**6}, "best_of"),
    Case(CHAT, {"n_discard": -1}, "n_discard"),
    Case(CHAT, {"metadata": {str(i): "x" for i in range(17)}}, "metadata"),
    Case(CHAT, {"metadata": {"a": "x" * 513}}, "metadata"),
]
BIASES = [
    Case(CHAT, {"logit_bias": {str(i): 1 for i in range(10**6)}}, "logit_bias"),
    Case(CHAT, {"logit_bias": {str(i): 1 for i in range(1025)}}, "logit_bias"),
    Case(CHAT, {"logit_bias": {"512": 1}}, "logit_bias", "invalid_value"),
    Case(CHAT, {"logit_bias": {"5.5": 1}}, "logit_bias"),
    Case(CHAT, {"logit_bias": {"-1": 1}}, "logit_bias"),
    Case(CHAT, {"logit_bias": {"1": 101}}, "logit_bias"),
    Case(CHAT, {"logit_bias": {str(i): -100 for i in range(512)}}, "logit_bias"),
]
_TOKEN_FIELDS = {COMPLETIONS: "prompt", EMBEDDINGS: "input", "/tokenize": "content"}
TOKENS = [
    Case(path, {name: [1, 2, 3, value]}, f"{name}[3]")
    for path, name in {**_TOKEN_FIELDS, "/detokenize": "tokens"}.items()
    for value in (-1, 512, 2**31, 2**40, 2**63, 2**70)
] + [
    Case(path, {name: value}, param)
    for path, name in _TOKEN_FIELDS.items()
    for value, param in (([1.5], f"{name}[0]"), ([True], f"{name}[0]"), ({}, name))
]
PROMPTS = [
    Case(COMPLETIONS, {"prompt": value}, "prompt" + rest)
    for value, rest in (
        ([], ""),
        ([[]], "[0]"),
        ([[1], []], "[1]"),
        ([[[1]]], "[0][0]"),
        (["a", 1], ""),
        ([1, "a"], ""),
        (["a"] * 3000, ""),
    )
]
CONVERSATIONS = [
    Case(CHAT, {"messages": value}, param)
    for value, param in (
        ([], "messages"),
        (None, "messages"),
        ("x", "messages"),
        ([1], "messages[0]"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": [1]}], "messages[0].content[0]"),
        ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        ([{"role": "user\r\nX: y", "content": "x"}], "messages[0].role"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
    )
] + [
    Case(MESSAGES, {"messages": []}),
    Case(MESSAGES, {"messages": [{"role": "x\r\n", "content": "a"}]}),
    Case(RESPONSES, {"input": [{"role": "user\r\n", "content": "x"}]}, "input[0].role"),
    Case("/apply-template", {"messages": []}, "messages"),
    Case(SCORE, {"continuations": []}, "continuations"),
    Case(SCORE, {"continuations": [[2**40]]}, "continuations[0][0]"),
    Case("/v1/rerank", {"documents": [1]}, "documents[0]"),
    Case(EMBEDDINGS, {"input": ["a"] * 2049}, "input"),
]
_LONG = "a " * 10**6
_MANY = [HI] * 10_000
TOO_LONG = [
    Case(path, fields, param, "context_length_exceeded")
    for path, fields, param in (
        (COMPLETIONS, {"prompt": "a " * 510}, "prompt"),
        (COMPLETIONS, {"prompt": "a " * 3000}, "prompt"),
        (COMPLETIONS, {"prompt": _LONG}, "prompt"),
        (COMPLETIONS, {"prompt": [1] * 10**6}, "prompt"),
        (CHAT, {"messages": _MANY}, "messages"),
        (CHAT, {"messages": [{"role": "user", "content": _LONG}]}, "messages"),
        (RESPONSES, {"input": _MANY}, "input"),
        (EMBEDDINGS, {"input": _LONG}, "input"),
        ("/tokenize", {"content": _LONG}, "content"),
        ("/detokenize", {"tokens": [1] * 10**6}, "tokens"),
    )
]
RUNS = [
    Case(COMPLETIONS, {"prompt": char * (90_000 // len(char.encode()))}, "prompt")
    for char in ("a", "A", "1", " ", "\n", "!", "\u4e2d", "\u00e9", "\u0301", "\U0001f642", "\x01")
]


def _tool(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


TOOLS = [
    Case(CHAT, {"tools": value}, param)
    for value, param in (
        ([_tool(f"f{i}") for i in range(1000)], "tools"),
        ([_tool("a\r\nb")], "tools[0].function.name"),
        ([_tool("{{")], "tools[0].function.name"),
        ([_tool("a" * 65)], "tools[0].function.name"),
        ([_tool("")], "tools[0].function.name"),
        ([_tool(), _tool()], "tools[1].function.name"),
        ([_tool(parameters={"type": "wat"})], "tools[0].function.parameters"),
        ([_tool(parameters={"$ref": "#"}, strict=True)], "tools[0].function.parameters"),
        ([_tool(parameters=5)], "tools[0].function.parameters"),
        ([{"type": "x"}], "tools[0].type"),
        ("x", "tools"),
    )
] + [
    Case(CHAT, {"tools": [_tool()], "tool_choice": value}, param)
    for value, param in (
        ("x", "tool_choice"),
        (5, "tool_choice"),
        ({"type": "function", "function": {"name": "g"}}, "tool_choice"),
        ({"type": "function"}, "tool_choice.function"),
    )
]
FULL_OF_TOOLS = [
    {"tools": [_tool(description="x" * 2**20)]},
    {"tools": [_tool(f"f{i}", description="Does something. " * 10) for i in range(100)]},
]
TEMPLATES = [
    Case(CHAT, {"chat_template": "{{ 7 * 7 }}"}, "chat_template"),
    Case("/apply-template", {"chat_template": "x"}, "chat_template"),
    Case(CHAT, {"chat_template_kwargs": {"messages": "x"}}, "chat_template_kwargs.messages"),
    Case(CHAT, {"chat_template_kwargs": {"tools": 1}}, "chat_template_kwargs.tools"),
    Case(CHAT, {"chat_template_kwargs": {"bos_token": "x"}}, "chat_template_kwargs.bos_token"),
    Case(CHAT, {"chat_template_kwargs": {"a": [1]}}, "chat_template_kwargs"),
    Case(CHAT, {"chat_template_kwargs": 5}, "chat_template_kwargs"),
    Case(CHAT, {"stream": True, "stream_options": 5}, "stream_options"),
]


def _chain(make: Any, size: int = 30) -> dict[str, Any]:
    names = {f"a{i}": make({"$ref": f"#/$defs/a{i + 1}"}) for i in range(size)}
    return {"$defs": {**names, f"a{size}": {"type": "string"}}, "$ref": "#/$defs/a0"}


BAD_SCHEMAS: list[Any] = [
    {"type": "wat"},
    {"$ref": "#"},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    {"allOf": [{"$ref": "#"}]},
    {"anyOf": [{"$ref": "#"}]},
    {"$ref": "file:///etc/passwd"},
    {"enum": list(range(10**5))},
    {"enum": []},
    {"type": "string", "pattern": "("},
    {"type": "string", "pattern": "(?=a)b"},
    {"type": "number", "multipleOf": 0},
    {"type": "number", "minimum": 2, "maximum": 1},
    {"not": {}},
    {"if": {}},
    False,
    5,
    [],
]
HARD_SCHEMAS: list[Any] = [
    {"anyOf": [{"$ref": "#"}, {"type": "string"}]},
    {"type": "array", "minItems": 10**6},
    {"type": "string", "maxLength": 10**9},
    {"type": "string", "pattern": "(a+)+b"},
    {"type": "string", "pattern": "(a|a)*b"},
    {"type": "string", "pattern": "(.*){50}"},
    {"type": "string", "pattern": "[a-z]{1,1000}{1,1000}"},
    {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    _chain(lambda next_one: {"anyOf": [next_one, next_one]}),
    _chain(
        lambda next_one: {
            "type": "object",
            "properties": {"x": next_one, "y": next_one},
            "required": ["x", "y"],
            "additionalProperties": False,
        }
    ),
]
"""They may be honoured, for as long as they may be followed, or refused."""
BAD_GRAMMARS = (
    "root ::= " + "(" * 5000 + '"a"' + ")" * 5000,
    'root ::= "a"{1000000}',
    "root ::= foo",
    "root ::= root",
    "root ::= " + '"a" ' * 2 * 10**6,
    "x",
    '{"grammars": []}',
)
HARD_GRAMMARS = ('root ::= root "a" | "b"', 'root ::= (("a"*)*)*', 'root ::= ""', 'root ::= "a"*')
BAD_PATTERNS = ("(", "(?=a)", "a{1000000}")
HARD_PATTERNS = ("(a+)+b", "(a|a)*b", "(.*){50}", "[a-z]{1,1000}{1,1000}")

REFUSED = [
    *TYPES,
    *NUMBERS,
    *RANGES,
    *BIASES,
    *TOKENS,
    *PROMPTS,
    *CONVERSATIONS,
    *TOO_LONG,
    *RUNS,
    *TOOLS,
    *TEMPLATES,
]
ALLOWED = [
    Case(COMPLETIONS, {"prompt": ""}),
    Case(COMPLETIONS, {"prompt": [""]}),
    Case(COMPLETIONS, {"prompt": "\x00"}),
    Case(COMPLETIONS, {"prompt": "\ufffe\u202e"}),
    Case(COMPLETIONS, {"max_tokens": None, "n": None, "stop": None, "logit_bias": None}),
    Case(COMPLETIONS, {"max_tokens": 2.0, "seed": 2**53}),
    Case(COMPLETIONS, {"max_tokens": 2**31 - 1, "n": 2}),
    Case(CHAT, {"stop": ["a" * 2**20, "b", "c", "d"]}),
    Case(CHAT, {"top_p": 0, "temperature": -0.0}),
    Case(CHAT, {"logit_bias": {str(i): -100 for i in range(511)}}),
    Case(CHAT, {"messages": [{"role": "user", "content": []}]}),
    Case(CHAT, {"messages": [{"role": "user", "content": "\u0301" * 200}]}),
    Case(CHAT, {"tools": [_tool(description="{{ 7 * 7 }}{% raw %}\u2028")]}),
]
MODELS = ("nope", "../../etc/passwd", "m" * 2**20, "", "\u202eevil\r\n\x00", "\x1b[31m", "tiny\n")
