"""The field `samplers`: llama.cpp's names of its samplers, or a letter for each, in any order."""

from __future__ import annotations

from collections.abc import Sequence

from cria.errors import RequestError
from cria.sampling_params import SAMPLER_ORDER

ADAPTIVE_P = "adaptive_p"
"""Makes the choice: its place in the order is always the last one."""
LETTERS = dict(zip("edskypmxt", SAMPLER_ORDER, strict=True)) | {"a": ADAPTIVE_P}


def _spellings() -> dict[str, str]:
    """Every way that llama.cpp reads to write a name, and the field's own name."""
    names = [*SAMPLER_ORDER, ADAPTIVE_P]
    found = {spelling: name for name in names for spelling in (name, name.replace("_", ""))}
    found |= {name.replace("_", "-"): name for name in names}
    return found | {
        "nucleus": "top_p",
        "temp": "temperature",
        "typ": "typ_p",
        "typical_p": "typ_p",
    }


SPELLINGS = _spellings()


def sampler_order(samplers: str | Sequence[str]) -> tuple[str, ...]:
    """The names, as `SAMPLER_ORDER` has them; RequestError for the first unknown one."""
    table = LETTERS if isinstance(samplers, str) else SPELLINGS
    names = []
    for index, written in enumerate(samplers):
        name = table.get(written if isinstance(samplers, str) else written.lower())
        if name is None:
            raise _unknown(written, index, samplers)
        names.append(name)
    return tuple(names)


def _unknown(written: str, index: int, samplers: str | Sequence[str]) -> RequestError:
    is_text = isinstance(samplers, str)
    param = "samplers" if is_text else f"samplers[{index}]"
    known = ", ".join(f"'{name}'" for name in (LETTERS if is_text else LETTERS.values()))
    return RequestError(
        f"Invalid value for '{param}': {written[:60]!r}. Supported values are: {known}.",
        param=param,
        code="invalid_value",
    )
