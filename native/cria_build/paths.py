"""Where things are in this repository. Used as `paths.LIB`, so that a test can move them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "native"
LIB = ROOT / "cria" / "native" / "lib"
