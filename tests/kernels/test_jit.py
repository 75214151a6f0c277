"""What only compiled functions may call is called by no other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from warehouse import kernels

MODULES = sorted(Path(kernels.__file__).parent.glob("*.py"))


def decorators(node: ast.stmt) -> set[str]:
    found = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return {name.id for name in found if isinstance(name, ast.Name)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_an_internal_function_is_private_and_named_by_compiled_functions_alone(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    internal = {node.name for node in body if isinstance(node, ast.FunctionDef) and "internal" in decorators(node)}
    python = [node for node in body if not decorators(node) & {"internal", "compiled", "inlined", "by_address"}]
    named = {part.id for node in python for part in ast.walk(node) if isinstance(part, ast.Name)}
    assert all(name.startswith("_") for name in internal)
    assert not internal & named
