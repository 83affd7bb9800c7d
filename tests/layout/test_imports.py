"""The rules about imports that import-linter has no word for; the others are in pyproject.toml."""

import subprocess
import sys

import pytest

from support.source import PACKAGES, every_module, imports, modules

CONTRACT_MAY_IMPORT = {"runcontract", "pydantic", "pydantic_core", "yaml"}


def test_the_contract_imports_pydantic_yaml_and_the_standard_library_only() -> None:
    found = [
        f"{module.at(statement)} {name}"
        for module in modules("runcontract")
        for name, statement in imports(module)
        if name.split(".")[0] not in CONTRACT_MAY_IMPORT | sys.stdlib_module_names
    ]
    assert found == []


@pytest.mark.slow
def test_only_the_command_line_may_import_the_handlers() -> None:
    handlers = "lightcompute.kube.handlers"
    found = [
        f"{module.at(statement)} {name}"
        for module in every_module()
        for name, statement in imports(module)
        if f"{name}.".startswith(f"{handlers}.")
        and not f"{module.name}.".startswith((f"{handlers}.", "lightcompute.cli."))
    ]
    assert found == []


@pytest.mark.slow
def test_importing_all_of_lightcompute_leaves_torch_and_the_trainer_out() -> None:
    names = sorted(module.name for module in modules("lightcompute"))
    code = f"""
import importlib, sys
for name in {names}:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(*sorted({{"torch", "numpy", "lightgpt"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == []


def test_importing_the_contract_is_possible_without_anything_but_what_it_may_import() -> None:
    code = f"""
import sys
sys.path.insert(0, {str(PACKAGES["runcontract"].parent)!r})
for forbidden in ("torch", "numpy", "click", "rich", "kopf", "kubernetes", "lightgpt"):
    sys.modules[forbidden] = None
import importlib
for name in {sorted(module.name for module in modules("runcontract"))}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
