"""CUDA's compute capabilities: how they are spelled, and which toolkits know them.

Text and tables only; what is on this machine is asked in `backends`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cria_build.errors import BuildError

# fmt: off
# First and last CUDA toolkit for each compute capability; None: still supported.
CUDA_ARCHS: dict[int, tuple[tuple[int, int], tuple[int, int] | None]] = {
    35: ((5, 0), (11, 8)), 37: ((6, 5), (11, 8)), 50: ((6, 0), (12, 9)), 52: ((6, 5), (12, 9)),
    53: ((7, 0), (12, 9)), 60: ((8, 0), (12, 9)), 61: ((8, 0), (12, 9)), 62: ((8, 0), (12, 9)),
    70: ((9, 0), (12, 9)), 72: ((9, 2), (12, 9)), 75: ((10, 0), None), 80: ((11, 0), None),
    86: ((11, 1), None), 87: ((11, 4), None), 88: ((13, 0), None), 89: ((11, 8), None),
    90: ((11, 8), None), 100: ((12, 8), None), 101: ((12, 8), (12, 9)), 103: ((12, 9), None),
    110: ((13, 0), None), 120: ((12, 8), None), 121: ((12, 9), None),
}
# fmt: on


def parse_cuda_archs(texts: Iterable[str]) -> tuple[str, ...]:
    """Lists of 75, sm_75, compute_75, 7.5, 90a or native, to 75 and so on, each once."""
    found: dict[str, None] = {}
    for text in texts:
        words = [word for word in re.split(r"[;,\s]+", text) if word]
        if not words:
            raise BuildError("--cuda-arch is empty: give for instance 75, 86 or native.")
        found.update((parse_cuda_arch(word), None) for word in words)
    return tuple(found)


def parse_cuda_arch(word: str) -> str:
    text = word.lower()
    if text == "native":
        return text
    match = re.fullmatch(r"(?:sm_?|compute_?)?([0-9]{2,3})([af]?)", text) or re.fullmatch(
        r"([0-9]{1,2}\.[0-9])([af]?)", text
    )
    number, suffix = (int(match[1].replace(".", "")), match[2]) if match else (0, "")
    # 90a and 100f name features of one architecture or family; older ones have no such variants.
    if number not in CUDA_ARCHS or (suffix and number < {"a": 90, "f": 100}[suffix]):
        known = ", ".join(map(str, CUDA_ARCHS))
        raise BuildError(f"'{word}' is no CUDA architecture: give native or one of {known}.")
    return f"{number}{suffix}"


def check_cuda_archs(archs: Iterable[str], toolkit: tuple[int, int]) -> None:
    for arch in archs:
        first, last = CUDA_ARCHS[int(arch.rstrip("af"))]
        name = f"CUDA {toolkit[0]}.{toolkit[1]}"
        if toolkit < first:
            need = f"{first[0]}.{first[1]} or newer"
            raise BuildError(f"{name} is too old for architecture {arch}: install CUDA {need}.")
        if last and toolkit > last:
            need = f"{last[0]}.{last[1]} or older"
            raise BuildError(f"{name} is too new for architecture {arch}: install CUDA {need}.")
