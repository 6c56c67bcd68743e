"""The CPU of this machine: its name and the features that it advertises, which may not all work."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def cpu_identity() -> tuple[str, frozenset[str]]:
    """A name for this CPU, and the features that it advertises (none known outside Linux)."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}", frozenset()
    values = dict(re.findall(r"^([^\t:]+?)\s*:\s*(.*)$", text, re.MULTILINE))
    features = values.get("flags") or values.get("Features") or ""
    name = f"{platform.machine()} {values.get('model name', '')}".strip()
    return name, frozenset(features.split())


def is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64", "i686")
