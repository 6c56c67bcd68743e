"""Cutting and comparing what templates render, never in the middle of a mark or a word."""

from __future__ import annotations

import re

_ATOM = re.compile(r"<[^<>\n]*>|\[[A-Z_]{2,}\]|[^\W\d]+|\d+|.", re.DOTALL)


def atoms(text: str) -> list[str]:
    """Marks, words, numbers, and single other characters."""
    return _ATOM.findall(text)


def common_prefix(one: str, other: str) -> str:
    """As many whole atoms as both texts begin with."""
    return "".join(_common(atoms(one), atoms(other)))


def common_suffix(one: str, other: str) -> str:
    """As many whole atoms as both texts end with."""
    return "".join(reversed(_common(atoms(one)[::-1], atoms(other)[::-1])))


def _common(one: list[str], other: list[str]) -> list[str]:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return one[:count]
