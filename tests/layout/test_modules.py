import ast
import sys
from collections.abc import Iterator

from support.source import PACKAGES, Module, every_module

MAX_FUNCTION_LINES = 80


def test_no_module_or_package_is_named_like_one_of_the_standard_library() -> None:
    names = {
        (part, module.name) for module in every_module() for part in module.name.split(".")[1:]
    }
    assert sorted(name for part, name in names if part in sys.stdlib_module_names) == []


def test_every_module_says_in_a_docstring_why_it_exists() -> None:
    assert [module.name for module in every_module() if not ast.get_docstring(module.tree)] == []


def test_every_package_tells_type_checkers_that_it_is_typed() -> None:
    assert [name for name, root in PACKAGES.items() if not (root / "py.typed").exists()] == []


def test_no_function_is_longer_than_eighty_lines() -> None:
    too_long = [
        f"{module.at(function)} {function.name}: {lines} lines"
        for module in every_module()
        for function, lines in functions(module)
        if lines > MAX_FUNCTION_LINES
    ]
    assert too_long == []


def functions(module: Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node, node.end_lineno - node.lineno + 1
