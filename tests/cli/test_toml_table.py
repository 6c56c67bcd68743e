from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.cli.toml_table import MAX_BYTES, TomlTable, kind_of, parse_toml, read_toml
from cria.errors import SetupError

FILE = Path("cria.toml")


def table(text: str) -> TomlTable:
    return parse_toml(FILE, text.encode())


def test_values_by_their_kinds() -> None:
    found = table('a = "x"\nb = true\nc = 3\nd = ["x", "y"]\n[t]\nu = 1')
    assert (found.text("a"), found.flag("b"), found.count("c")) == ("x", True, 3)
    assert found.texts("d") == ("x", "y")
    assert found.table("t").name == "t" and found.table("t").table("v").name == "t.v"
    assert list(found) == ["a", "b", "c", "d", "t"] and "a" in found
    assert (found.text("z"), found.flag("z"), found.count("z"), found.duration("z")) == (None,) * 4
    assert found.texts("z") == () and not found.table("z").content


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", 90), ("1.5", 1.5), ('"5m"', 300), ('"1h30m"', 5400), ('"2d"', 172_800), ("0", 0)],
)
def test_durations(value: str, seconds: float) -> None:
    assert table(f"a = {value}").duration("a") == seconds


@pytest.mark.parametrize("value", ['"5"', '"m"', '"5m x"', "true", "-1", "[]", '""'])
def test_what_is_no_duration(value: str) -> None:
    with pytest.raises(SetupError, match="cria.toml: a: "):
        table(f"a = {value}").duration("a")


@pytest.mark.parametrize(
    ("read", "value", "reason"),
    [
        (TomlTable.text, "3", "a text, not a number"),
        (TomlTable.flag, '"x"', "true or false, not a text"),
        (TomlTable.count, "0", "whole number"),
        (TomlTable.count, "true", "whole number"),
        (TomlTable.texts, '"x"', "array of texts"),
        (TomlTable.texts, "[1]", "array of texts"),
        (TomlTable.table, "[]", "a table, not an array"),
        (TomlTable.text, "2026-01-01", "not a date"),
    ],
)
def test_wrong_kinds_are_sentences(read: Any, value: str, reason: str) -> None:
    with pytest.raises(SetupError, match=f"cria.toml: a: .*{re.escape(reason)}"):
        read(table(f"a = {value}"), "a")


def test_unknown_keys_and_near_ones() -> None:
    inner = table("[server]\nprot = 1").table("server")
    with pytest.raises(SetupError, match=r"\[server\] prot: there is no such setting; .*port\?"):
        inner.check_keys({"port", "host"})


@pytest.mark.parametrize("data", [b"\xff", b"a = ", b"a = 1\na = 2", b"a = " + b"[" * 9999])
def test_what_is_no_toml(data: bytes) -> None:
    with pytest.raises(SetupError, match="^cria.toml: "):
        parse_toml(FILE, data)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    for path in (tmp_path, tmp_path / "none", large, Path("a\0b")):
        with pytest.raises(SetupError):
            read_toml(path)


def test_names_of_kinds() -> None:
    assert [kind_of(value) for value in (True, 1.5, "", {}, [])] == [
        "true or false",
        "a number",
        "a text",
        "a table",
        "an array",
    ]


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1"))))
def test_any_text_is_a_table_or_a_sentence(text: str) -> None:
    try:
        parse_toml(FILE, text.encode("utf-8", "surrogatepass"))
    except SetupError as error:
        assert str(error).startswith("cria.toml: ")
