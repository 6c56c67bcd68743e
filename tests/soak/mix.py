"""What the clients ask: a mix of requests, the same for the same seed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.soak.abuse import ABUSES, Abuse
from tests.soak.settings import MARK

MODEL = "tiny"
KINDS = {
    "chat stream": 35,
    "chat": 20,
    "completion": 10,
    "schema": 10,
    "tools": 5,
    "beside": 5,
    "invalid": 10,
    "abuse": 5,
}
"""In per cent."""
CANCELLED, SLOW = 0.3, 0.05
PHASES = ("queued", "prefill", "stream", "end")
SUCCESS = frozenset({200})
LATER = frozenset({429})
"""Overload is no failure of a request that was fine."""

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_TOWN = {"type": "object", "properties": {"town": {"type": "string", "maxLength": 8}}}
TOOLS = [{"type": "function", "function": {"name": "rain", "parameters": _TOWN}}]
_OVER = {"role": "user", "content": f"{MARK} " * 2000}
INVALID: tuple[tuple[str, bytes | dict[str, Any], int], ...] = (
    (CHAT, b"", 400),
    (CHAT, b"{", 400),
    (CHAT, b"[]", 400),
    (CHAT, b'"x"', 400),
    (CHAT, b'{"model": "tiny", "messages": [{"role": "user", "content": "\xff"}]}', 400),
    (CHAT, b"[" * 100_000, 400),
    (CHAT, {"messages": "hello"}, 400),
    (CHAT, {"messages": [{"role": "user", "content": 5}]}, 400),
    (CHAT, {"messages": [_OVER]}, 400),
    (CHAT, {"messages": [{"role": "user", "content": MARK}], "temperature": "hot"}, 400),
    (CHAT, {"messages": [{"role": "user", "content": MARK}], "temperature": -1}, 400),
    (CHAT, {"messages": [{"role": "user", "content": MARK}], "top_p": 7}, 400),
    (CHAT, {"messages": [{"role": "user", "content": MARK}], "n": 100_000}, 400),
    (CHAT, {"messages": [{"role": "user", "content": MARK}], "tools": [{"type": 3}]}, 400),
    (
        CHAT,
        {
            "messages": [{"role": "user", "content": MARK}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "nothing"}},
            },
        },
        400,
    ),
    (COMPLETIONS, {"prompt": MARK, "max_tokens": -2}, 400),
    (COMPLETIONS, {"prompt": MARK, "max_tokens": 2**40}, 400),
    (COMPLETIONS, {"prompt": MARK, "stop": ["x"] * 1000}, 400),
    (COMPLETIONS, {"prompt": [2**40]}, 400),
    (COMPLETIONS, {"prompt": [-1]}, 400),
    (COMPLETIONS, {"prompt": MARK, "logit_bias": {"x": 1}}, 400),
    (COMPLETIONS, {"prompt": MARK, "model": "../../etc/passwd"}, 404),
    ("/v1/nothing", {"prompt": MARK}, 404),
)


@dataclass(frozen=True)
class Plan:
    """One request and how its client behaves."""

    kind: str
    path: str = ""
    body: bytes = b""
    expected: frozenset[int] = SUCCESS | LATER
    """Statuses that are right while nothing is broken."""
    stream: bool = False
    num_choices: int = 1
    counts: bool = False
    """The tokens can be counted, and compared with the usage."""
    leaves: str | None = None
    """The phase in which the client hangs up."""
    patience: float = 0.0
    """Seconds until then, or events of a stream."""
    is_slow: bool = False
    abuse: Abuse | None = field(default=None, repr=False)


def make_plan(rng: random.Random) -> Plan:
    """The next request of a client."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "abuse":
        return Plan(kind, abuse=rng.choice(ABUSES))
    if kind == "invalid":
        return _invalid(rng)
    path, body = _ask(kind, rng)
    leaves = rng.choice(PHASES) if rng.random() < CANCELLED else None
    body["model"] = MODEL
    stream = bool(body.get("stream"))
    if leaves == "stream" and not stream:
        leaves = "prefill"
    return Plan(
        kind,
        path,
        json.dumps(body).encode(),
        stream=stream,
        num_choices=body.get("n", 1),
        counts="return_token_ids" in body,
        leaves=leaves,
        patience=_patience(leaves, rng),
        is_slow=rng.random() < SLOW,
    )


def _patience(leaves: str | None, rng: random.Random) -> float:
    if leaves == "stream":
        return rng.randint(1, 8)
    return rng.uniform(0.0, 0.02) if leaves == "queued" else rng.uniform(0.02, 0.3)


def _invalid(rng: random.Random) -> Plan:
    path, body, status = rng.choice(INVALID)
    if isinstance(body, dict):
        body = json.dumps({"model": MODEL, **body}).encode()
    return Plan("invalid", path, body, expected=frozenset({status}) | LATER)


def _ask(kind: str, rng: random.Random) -> tuple[str, dict[str, Any]]:
    """The path and the body, but for the model."""
    if kind == "completion":
        body = {"prompt": _prompt(rng), "n": rng.randint(1, 4), "stream": rng.random() < 0.5}
        return COMPLETIONS, _generating(body, rng)
    if kind == "beside":
        return _beside(rng)
    # Tools are written into the prompt, a token for nearly each letter: it has to be short.
    prompt = MARK if kind == "tools" else _prompt(rng)
    body = {"messages": [{"role": "user", "content": prompt}]}
    body["stream"] = kind == "chat stream" or rng.random() < 0.3 and kind != "chat"
    if kind == "schema":
        # Constrained text may end before its first token that counts: it is not counted.
        body |= {"response_format": _format(rng), "max_tokens": rng.randint(8, 60)}
        return CHAT, _with_usage(body)
    if kind == "tools":
        body |= {"tools": TOOLS, "max_tokens": 24}
        body["tool_choice"] = rng.choice(("auto", "required", "none"))
        return CHAT, _with_usage(body)
    return CHAT, _generating(body, rng)


def _generating(body: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Texts of some length; the random model seldom ends one by itself."""
    body["max_tokens"] = rng.choice((1, 4, 16, 32, 64, 128))
    body["temperature"] = rng.choice((0, 1))
    body["seed"] = rng.randrange(1000)
    body["return_token_ids"] = True
    return _with_usage(body)


def _with_usage(body: dict[str, Any]) -> dict[str, Any]:
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    return body


def _prompt(rng: random.Random) -> str:
    """Some begin alike, so that the prefix cache has work."""
    head = rng.choice((f"{MARK} one two", f"{MARK} the cat and the dog", MARK))
    return f"{head} {rng.randrange(50)} " + "hello world " * rng.randint(0, 40)


def _format(rng: random.Random) -> dict[str, Any]:
    """One of twenty schemas, or, one time of twenty, one that nobody has sent before."""
    number = rng.randrange(20) if rng.random() < 0.95 else rng.randrange(20, 2**40)
    return schema_format(number)


def schema_format(number: int) -> dict[str, Any]:
    """The `response_format` of this number."""
    schema = {
        "type": "object",
        "properties": {
            f"field_{number}": {"type": "string", "maxLength": 4},
            "count": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": [f"field_{number}", "count"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}


def _beside(rng: random.Random) -> tuple[str, dict[str, Any]]:
    text = _prompt(rng)
    return rng.choice((("/v1/embeddings", {"input": text}), ("/tokenize", {"content": text})))
