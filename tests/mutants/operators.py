"""Small changes of Python source: each should make a test fail."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult},
    **{ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil"}
_NAMES |= {"argmin": "argmax", "argmax": "argmin", "ceil": "floor", "rint": "floor"}
_NAMES |= {"minimum": "maximum", "maximum": "minimum"}
_NO_CODE = (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)


class Mutant(NamedTuple):
    """One change of a module: line, old and new code in words, all of the new code."""

    line: int
    change: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its code."""
    tree = ast.parse(source)
    found = []
    for node in list(_code(tree)):
        for name, old, new in list(_changes(node)):
            before = ast.unparse(node)
            _put(node, name, new)
            after = ast.unparse(node)
            change = f"{before.splitlines()[0]}  ->  {after.splitlines()[0]}"
            found.append(Mutant(node.lineno, change, ast.unparse(tree)))
            _put(node, name, old)
    return found


def _code(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yield what runs: no annotations, imports for types, or messages."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or isinstance(node, _NO_CODE):
                continue
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue  # zip(strict=True) asserts, and changes nothing
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                continue
            if isinstance(node, (ast.expr, ast.stmt)):
                yield node
            yield from _code(node)


Change = tuple[str, object, object]
"""Field of a node (with an index, ``ops.0``), its old value, its new one."""


def _changes(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                yield f"ops.{index}", op, _SWAPS[type(op)]()
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op):
            if type(op) in _SWAPS:
                yield "op", op, _SWAPS[type(op)]()
        case ast.UnaryOp(op=ast.USub() as op):
            yield "op", op, ast.UAdd()
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield "test", test, ast.UnaryOp(ast.Not(), test)
        case _:
            yield from _other_words(node)


def _other_words(node: ast.AST) -> Iterator[Change]:
    """Yield changes of numbers, of True and False, and of names of functions."""
    match node:
        case ast.Constant(value=bool(value)):
            yield "value", value, not value
        case ast.Constant(value=int(value)):
            yield "value", value, value + 1
        case ast.Constant(value=float(value)):
            yield "value", value, value + 1
            yield "value", value, value * 0.9 if value else -1.0
        case ast.Name(id=name) if name in _NAMES:
            yield "id", name, _NAMES[name]
        case ast.Attribute(attr=name) if name in _NAMES:
            yield "attr", name, _NAMES[name]


def _put(node: ast.AST, name: str, value: object) -> None:
    field, _, index = name.partition(".")
    if index:
        getattr(node, field)[int(index)] = value
    else:
        setattr(node, field, value)
