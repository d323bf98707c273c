"""Small faults that can be planted in a file, made by cosmic-ray's operators, and a sample of them."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, lru_cache
from itertools import zip_longest
from typing import Any

Position = tuple[int, int]
Span = tuple[Position, Position]

KINDS = {
    "number": ("NumberReplacer",),
    "comparison": tuple(
        f"ReplaceComparisonOperator_{pair}"
        for pair in "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot "
        "IsNot_Is".split()
    ),
    "arithmetic": tuple(
        f"ReplaceBinaryOperator_{pair}"
        for pair in "Add_Sub Sub_Add Mul_Div Div_Mul Div_FloorDiv FloorDiv_Div Mod_FloorDiv Pow_Mul BitAnd_BitOr "
        "BitOr_BitAnd LShift_RShift RShift_LShift".split()
    ),
    "condition": ("AddNot", "ReplaceUnaryOperator_Delete_Not", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    "value": (
        "ReplaceTrueWithFalse",
        "ReplaceFalseWithTrue",
        "ReplaceUnaryOperator_USub_UAdd",
        "ReplaceUnaryOperator_Invert_UAdd",
    ),
    "loop": ("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    "exception": ("ExceptionReplacer",),
}
"""The operators used, by kind. Left out are those whose faults raise `TypeError` wherever they are (`+` to `<<`) and
would be noticed by anything that runs the line, and `==` to `is`, which often changes nothing."""


@dataclass(frozen=True)
class Mutant:
    """One fault: a line as it was and as it is now. `code`: the whole file with the fault."""

    path: str
    line: int
    was: str
    now: str
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.was}  ->  {self.now}"


def sample(path: str, source: str, size: int, seed: int) -> list[Mutant]:
    """`size` faults in `source`, the same ones for the same arguments: kinds of operators in turn, and as long as
    there are enough lines, every line once."""
    draw = random.Random(f"{seed} {path}")
    kinds = [list(_places(source, operators)) for operators in KINDS.values()]
    for kind in kinds:
        draw.shuffle(kind)
    draw.shuffle(kinds)
    mixed = [place for turn in zip_longest(*kinds) for place in turn if place]
    first: list[Mutant] = []
    again: list[Mutant] = []
    lines: set[int] = set()
    for operator, occurrence, line in mixed:
        if len(first) == size:
            break
        if (mutant := _planted(path, source, operator, occurrence)) is not None:
            (again if line in lines else first).append(mutant)
            lines.add(line)
    return [*first, *again][:size]


def replaced(path: str, source: str, was: str, now: str) -> Mutant | None:
    """The fault that turns the line `was` into `now`; indentation does not count. `None` if no line is `was`."""
    lines = source.split("\n")
    for number, line in enumerate(lines):
        if line.strip() == was:
            lines[number] = line.replace(was, now)
            return Mutant(path, number + 1, was, now, "\n".join(lines))
    return None


def _places(source: str, operators: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """(operator, its occurrence, line) of every place where an operator changes what the program does."""
    nodes, skipped, signatures = _parsed(source)
    for name in operators:
        # The star of keyword-only parameters is no product.
        skipped = [*skipped, *signatures] if name.startswith("ReplaceBinaryOperator") else skipped
        positions = [start for node in nodes for start, _ in _operator(name).mutation_positions(node)]
        for occurrence, start in enumerate(positions):
            if not any(begin <= start < end for begin, end in skipped):
                yield name, occurrence, start[0]


def _planted(path: str, source: str, operator: str, occurrence: int) -> Mutant | None:
    from cosmic_ray.mutating import mutate_code

    code = mutate_code(source, _operator(operator), occurrence)
    if code is None:
        return None
    try:
        ast.parse(code)
    except SyntaxError:
        return None
    before, after = source.split("\n"), code.split("\n")
    for tag, start, end, new, over in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag != "equal":
            was, now = (" ".join(map(str.strip, lines)) for lines in (before[start:end], after[new:over]))
            return Mutant(path, start + 1, was, now, code)
    return None


@lru_cache(maxsize=1)
def _parsed(source: str) -> tuple[list[Any], list[Span], list[Span]]:
    """The nodes of a file, where nothing is planted, and the signatures of its functions."""
    from cosmic_ray.ast import ast_nodes, get_ast

    signatures = [
        ((node.lineno, node.col_offset), (node.body[0].lineno, node.body[0].col_offset))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return list(ast_nodes(get_ast(source))), _spans_of_types(source), signatures


@cache
def _operator(name: str) -> Any:
    from cosmic_ray.plugins import get_operator

    return get_operator(f"core/{name}")()


def _spans_of_types(source: str) -> list[Span]:
    """What changes no result: annotations, names of types, imports for the type checker, `zip(strict=)`, `slots=`."""
    found: list[ast.expr | ast.stmt | None] = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.keyword) and node.arg in ("strict", "slots"):
            found.append(node.value)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found.append(node)
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.BinOp | ast.Subscript):
            value = statement.value
            if isinstance(value, ast.Subscript) or isinstance(value.op, ast.BitOr):
                found.append(value)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0))
        for node in found
        if node is not None
    ]
