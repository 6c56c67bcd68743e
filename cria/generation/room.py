"""`Room`: whether one more model fits into memory.

What is free is the machine's word at this moment. Weights that are mapped count as free there, as
the machine could drop them: those of loaded models are not given away again. A GPU's memory only an
engine can see, so that there nothing is known before a load is tried.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from cria.config import EngineConfig
from cria.errors import CriaError
from cria.model_file import check_model_file
from cria.model_file.check import parts_of
from cria.model_file.memory import MemoryNeed, memory_needed

logger = logging.getLogger(__name__)

MEMINFO = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")


class Room:
    """Of this machine; `free` gives bytes."""

    def __init__(self, free: Callable[[], int] | None = None) -> None:
        self._free = free or free_bytes

    def knows(self, wanted: EngineConfig) -> bool:
        """Whether the file can be read at all."""
        return need_of(wanted) is not None

    def fits(self, wanted: EngineConfig, loaded: Sequence[EngineConfig]) -> bool:
        """Whether it fits beside the others, as far as that can be known."""
        need = need_of(wanted)
        if need is None:
            return True  # loading it will say what is wrong
        mapped = [need_of(each) for each in loaded if each.use_mmap]
        kept = sum(each.weights for each in mapped if each is not None)
        return need.total <= self._free() - kept


@cache
def need_of(config: EngineConfig) -> MemoryNeed | None:
    """By its file; None if that cannot be read."""
    try:
        header = check_model_file(config.model_path)
        need = memory_needed(
            header,
            config.context_size,
            config.num_slots,
            config.cache_type_k,
            config.cache_type_v,
        )
        others = parts_of(Path(config.model_path))[1:]
        return need._replace(weights=need.weights + sum(p.stat().st_size for p in others))
    except (CriaError, OSError) as error:
        logger.debug("%s: %s", config.model_path, error)
        return None


def free_bytes() -> int:
    """That a further process may take, within the limit of a container."""
    try:
        values = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        free = int(values["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux
        return sys.maxsize
    return min(free, _control_group_bytes())


def _control_group_bytes() -> int:
    try:
        limit = (CONTROL_GROUP / "memory.max").read_text().strip()
        used = int((CONTROL_GROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return sys.maxsize
    return sys.maxsize if limit == "max" else max(0, int(limit) - used)
