"""The soak itself runs only if `-m` names its marker; the tests of its parts always do."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_wanted = "soak" in config.option.markexpr.replace("not soak", "")
    return True if collection_path.name == "test_soak.py" and not is_wanted else None
