from __future__ import annotations

import msgspec

from cria.server.field_docs import field_docs, structs_in


class Inner(msgspec.Struct):
    x: int
    """Where it is,
    from the left."""
    y: int


class Plain(msgspec.Struct):
    a: int
    """The first."""
    b: list[Inner | str] = []
    stop_field: str = msgspec.field(default="", name="stop")
    """Where to end."""

    def method(self) -> None:
        """No field."""


class Derived(Plain):
    a: int
    """Another first."""
    again: dict[str, tuple[Plain, ...]] | None = None


def test_a_string_below_a_field_describes_it() -> None:
    assert field_docs(Inner) == {"x": "Where it is, from the left."}


def test_names_are_those_on_the_wire_and_a_subclass_knows_better() -> None:
    assert field_docs(Plain) == {"a": "The first.", "stop": "Where to end."}
    assert field_docs(Derived) == {"a": "Another first.", "stop": "Where to end."}


def test_a_struct_without_source_has_none() -> None:
    assert field_docs(msgspec.defstruct("Made", [("a", int)])) == {}


def test_structs_are_found_wherever_they_are() -> None:
    assert structs_in([Derived, int]) == {Derived, Plain, Inner}
    assert structs_in([list[Inner]]) == {Inner}
    assert structs_in([]) == set()
