"""What there is to compute on, and how much memory is free."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path
from typing import NamedTuple

from cria.native.library import Library
from cria.native.structs import ENUMS

GPU_TYPES = (ENUMS["GGML_BACKEND_DEVICE_TYPE_GPU"], ENUMS["GGML_BACKEND_DEVICE_TYPE_IGPU"])


class Device(NamedTuple):
    """A GPU."""

    name: str
    description: str
    free_bytes: int


def gpus(library: Library) -> list[Device]:
    """The GPUs that this build of llama.cpp can use, as they are now."""
    pointers = [library.ggml_backend_dev_get(i) for i in range(library.ggml_backend_dev_count())]
    return [_device(library, p) for p in pointers if library.ggml_backend_dev_type(p) in GPU_TYPES]


def free_main_memory() -> int:
    """Bytes that can be had without swapping, within the limits of control group and process."""
    return min(_available_bytes(), _control_group_bytes(), _address_space_bytes())


def num_cores() -> int:
    """Physical cores that this process may use; a second thread on a core gains nothing."""
    allowed = _allowed_cpus()
    siblings = {_siblings(cpu) for cpu in allowed}
    return max(1, len(siblings))


def _device(library: Library, pointer: object) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library.ggml_backend_dev_memory(pointer, ctypes.byref(free), ctypes.byref(total))
    return Device(
        library.ggml_backend_dev_name(pointer).decode(),
        library.ggml_backend_dev_description(pointer).decode(),
        free.value,
    )


def _available_bytes() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    values = dict(line.split(":", 1) for line in lines)
    return int(values["MemAvailable"].split()[0]) * 1024


def _control_group_bytes() -> int:
    """What a container's limit leaves (cgroup v2); a huge number if there is no limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except OSError:
        return 2**63
    return 2**63 if limit == "max" else max(0, int(limit) - used)


def _address_space_bytes() -> int:
    """What `ulimit -v` leaves; a huge number if there is no limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return 2**63
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux
        return limit
    return max(0, limit - used)


def _allowed_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _siblings(cpu: int) -> str:
    try:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        return path.read_text().strip()
    except OSError:
        return str(cpu)
