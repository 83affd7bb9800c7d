import ast
from collections.abc import Iterator

import pytest

from support.source import Module, every_module, imports

MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FUNCTIONS = {"torch.load", "torch.save", "torch.hub"}
KEYWORDS = {("weights_only", "False"), ("allow_pickle", "True")}


@pytest.mark.slow
def test_no_module_imports_what_unpickles() -> None:
    found = [
        f"{module.at(statement)} {name}"
        for module in every_module()
        for name, statement in imports(module)
        if name.split(".")[0] in MODULES or name in FUNCTIONS
    ]
    assert found == []


def test_no_call_unpickles() -> None:
    assert [where for module in every_module() for where in unpickling(module)] == []


def unpickling(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in FUNCTIONS:
            yield f"{module.at(node)} {ast.unparse(node)}"
        if isinstance(node, ast.keyword) and (node.arg, ast.unparse(node.value)) in KEYWORDS:
            yield f"{module.at(node.value)} {ast.unparse(node)}"
