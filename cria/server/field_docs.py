"""The string below a field of a Struct is its description: here they are read from the source.

msgspec puts the docstring of a Struct into its schema; Python forgets those of fields.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
from msgspec.inspect import Field, StructType, Type, multi_type_info


def structs_in(types: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """All Structs that the types consist of."""
    found: set[type[msgspec.Struct]] = set()
    nodes = list(multi_type_info(types))
    while nodes:
        node = nodes.pop()
        if isinstance(node, StructType):
            if node.cls in found:
                continue
            found.add(node.cls)
        nodes += _inside(node)
    return found


def field_docs(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The descriptions of a Struct's fields, by their names on the wire; no line breaks."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base is not msgspec.Struct and issubclass(base, msgspec.Struct):
            definition = _classes(base.__module__).get(base.__name__)
            docs.update(_docs_in(definition) if definition else ())
    names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    return {wire: docs[name] for wire, name in names if name in docs}


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """By name; none of a module that is installed without its source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _docs_in(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(definition.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                yield name, " ".join(doc.split())


def _inside(node: Type | Field) -> Iterator[Type]:
    """The types that a type is made of: those among its attributes, alone or in a tuple."""
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Field):
                yield each.type
            elif isinstance(each, Type):
                yield each
