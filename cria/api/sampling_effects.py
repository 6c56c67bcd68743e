"""Which sampling fields of a request do nothing, because of what its other fields say.

A *switch* turns a sampler on; a *setting* says how it works, and is without effect while none of
its switches is on. A switch is without effect where its sampler is not among those that are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec


class Switch(NamedTuple):
    """The sampler that a field turns on, and the values that do."""

    sampler: str
    asks: Callable[[Any], bool]


def _is_penalty(factor: float | None) -> bool:
    return factor not in (None, 1)


def _is_positive(value: float | None) -> bool:
    return value is not None and value > 0


def _is_below_one(share: float) -> bool:
    return share < 1


SWITCHES: Mapping[str, Switch] = {
    "repeat_penalty": Switch("penalties", _is_penalty),
    "repetition_penalty": Switch("penalties", _is_penalty),
    "presence_penalty": Switch("penalties", bool),
    "frequency_penalty": Switch("penalties", bool),
    "dry_multiplier": Switch("dry", bool),
    "top_n_sigma": Switch("top_n_sigma", _is_positive),
    "top_k": Switch("top_k", _is_positive),
    "typical_p": Switch("typ_p", _is_below_one),
    "top_p": Switch("top_p", _is_below_one),
    "min_p": Switch("min_p", bool),
    "xtc_probability": Switch("xtc", bool),
    "temperature": Switch("temperature", lambda temperature: temperature != 1),
    "dynatemp_range": Switch("temperature", bool),
    "mirostat": Switch("mirostat", _is_positive),
    "mirostat_mode": Switch("mirostat", _is_positive),
    "adaptive_target": Switch("adaptive_p", lambda target: target >= 0),
}

_DRY, _MIROSTAT = ("dry_multiplier",), ("mirostat", "mirostat_mode")
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "repeat_last_n": ("repeat_penalty", "repetition_penalty"),
    "dry_base": _DRY,
    "dry_allowed_length": _DRY,
    "dry_penalty_last_n": _DRY,
    "dry_sequence_breakers": _DRY,
    "min_keep": ("typical_p", "top_p", "min_p", "xtc_probability"),
    "xtc_threshold": ("xtc_probability",),
    "dynatemp_exponent": ("dynatemp_range",),
    "mirostat_tau": _MIROSTAT,
    "mirostat_eta": _MIROSTAT,
    "adaptive_decay": ("adaptive_target",),
}
"""Settings, and the switches of which one has to be on."""


def fields_without_effect(fields: msgspec.Struct, order: tuple[str, ...]) -> Iterator[str]:
    """The names of those that were given; `order` are the samplers that are used."""
    asked = {name for name, switch in SWITCHES.items() if switch.asks(getattr(fields, name))}
    on = {name for name in asked if SWITCHES[name].sampler in order}
    yield from (name for name in SWITCHES if name in asked - on)
    defaults = _defaults(type(fields))
    for name, switches in SETTINGS.items():
        if on.isdisjoint(switches) and getattr(fields, name) != defaults[name]:
            yield name


@cache
def _defaults(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Of the settings."""
    found = {}
    for field in msgspec.structs.fields(kind):
        if field.name in SETTINGS:
            made = field.default_factory
            found[field.name] = field.default if made is msgspec.NODEFAULT else made()
    return found
