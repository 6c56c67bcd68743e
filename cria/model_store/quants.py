"""Which file of a repository is meant: by its quantisation, its path, or the usual preference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cria.errors import ModelFileError, shown_name
from cria.model_store.specs import is_safe_path
from cria.model_store.split import set_of, stem_of

PREFERRED = (
    *("Q4_K_M", "Q4_0", "Q4_1", "Q4_K_S", "IQ4_XS", "IQ4_NL", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1"),
    *("Q6_K", "Q8_0", "Q3_K_M", "Q3_K_L", "Q3_K_S", "MXFP4", "Q2_K", "BF16", "F16", "F32"),
)
"""The order without a choice: four bits are the usual compromise."""
MAX_LISTED = 20

_LABEL = re.compile(
    r"(?<![a-z0-9])"
    r"((?:ud-)?(?:i?q[1-8]|tq[12])(?:_(?:[0148]|k|s|m|l|xs|xl|xxs|nl))+|bf16|fp?16|fp?32|mxfp4)"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)


def label_of(path: str) -> str:
    """The quantisation that a file's name tells, such as `Q4_K_M`; empty if it tells none."""
    found = _LABEL.findall(stem_of(path.rpartition("/")[2])) or _LABEL.findall(path)
    return str(found[-1]).upper().replace("FP", "F") if found else ""


def models_among(paths: Iterable[str]) -> list[str]:
    """The files that can be served, of split sets the first; projectors and the like are not."""
    return sorted(path for path in paths if _is_model(path))


def _is_model(path: str) -> bool:
    folder, slash, name = path.rpartition("/")
    side_file = re.search(r"mmproj|imatrix", name, re.IGNORECASE)
    is_gguf = name.lower().endswith(".gguf") and is_safe_path(path)
    return is_gguf and not side_file and set_of(name)[0] == name


def choose(paths: Iterable[str], choice: str, where: str) -> str:
    """The path of the one file that is meant; ModelFileError with the list if it is not one."""
    every = list(paths)
    models = models_among(every)
    if not models:
        raise ModelFileError(f"{where} has no GGUF file.")
    if choice.lower().endswith(".gguf"):
        return _by_path(every, choice, where)
    if choice:
        found = [path for path in models if label_of(path) == choice.upper()]
        return _the_one(found, models, f"{shown_name(choice)} in {where}")
    return _preferred(models, where)


def _by_path(paths: Sequence[str], choice: str, where: str) -> str:
    """A file may be named with its folder or, if it is the only one of its name, without."""
    safe = [path for path in paths if path.lower().endswith(".gguf") and is_safe_path(path)]
    named = [path for path in safe if path == choice] or [
        path for path in safe if path.rpartition("/")[2] == choice
    ]
    path = _the_one(named, models_among(paths), f"{shown_name(choice)} in {where}")
    first = set_of(path.rpartition("/")[2])[0]
    if not path.endswith(first):
        raise ModelFileError(f"{shown_name(choice)} is a part of several; give the first: {first}.")
    return path


def _preferred(models: Sequence[str], where: str) -> str:
    if len(models) == 1:
        return models[0]
    for label in PREFERRED:
        found = [path for path in models if label_of(path) == label]
        if found:
            return _the_one(found, models, f"{label} in {where}")
    return _the_one([], models, f"preferred file in {where}")


def _the_one(found: Sequence[str], models: Sequence[str], what: str) -> str:
    if len(found) == 1:
        return found[0]
    many = "more than one" if found else "no"
    raise ModelFileError(f"There is {many} {what}; there are {listed(found or models)}.")


def listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MAX_LISTED} more" if len(paths) > MAX_LISTED else ""
    return ", ".join(map(shown_name, paths[:MAX_LISTED])) + more
