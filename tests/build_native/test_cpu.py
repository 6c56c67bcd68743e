"""The CPU's name and features, as Linux writes them for x86 and Arm, or not at all."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from cria_build.cpu import cpu_identity, is_x86

X86 = "processor\t: 0\nmodel name\t: Fast CPU\nflags\t\t: fpu avx2 amx_tile\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\n\n"


@pytest.mark.parametrize(
    ("text", "machine", "name", "features"),
    [
        (X86, "x86_64", "x86_64 Fast CPU", {"fpu", "avx2", "amx_tile"}),
        (ARM, "aarch64", "aarch64", {"fp", "asimd", "sve"}),
        ("", "riscv64", "riscv64", set()),
    ],
)
def test_the_first_processor_speaks_for_all(
    text: str, machine: str, name: str, features: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(Path, "read_text", lambda *arguments, **others: text)
    assert cpu_identity() == (name, frozenset(features))


def test_elsewhere_the_features_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(*arguments: Any, **others: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", read_text)
    name, features = cpu_identity()
    assert name.startswith(platform.machine()) and features == frozenset()


@pytest.mark.parametrize(("machine", "x86"), [("x86_64", True), ("AMD64", True), ("arm64", False)])
def test_x86_has_several_names(machine: str, x86: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert is_x86() == x86
