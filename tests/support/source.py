"""What the guard tests read: the checkout's files, and the packages' modules as syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "lightcompute": CHECKOUT / "operator/lightcompute",
    "runcontract": CHECKOUT / "trainer/runcontract",
    "lightgpt": CHECKOUT / "trainer/lightgpt",
}


@dataclass(frozen=True, kw_only=True)
class Module:
    """One file of a package."""

    name: str
    path: Path
    tree: ast.Module

    def at(self, node: ast.stmt | ast.expr) -> str:
        """Where a node stands, as an editor opens it."""
        return f"{self.path.relative_to(CHECKOUT)}:{node.lineno}"


@cache
def modules(package: str, below: str = "") -> tuple[Module, ...]:
    """Every module of a package, or of the package `below` it."""
    root = PACKAGES[package]
    return tuple(
        Module(
            name=".".join((package, *path.relative_to(root).with_suffix("").parts)).removesuffix(
                ".__init__"
            ),
            path=path,
            tree=ast.parse(path.read_text(encoding="utf-8"), filename=str(path)),
        )
        for path in sorted((root / below).rglob("*.py"))
    )


def every_module() -> Iterator[Module]:
    """Every module of every package."""
    for package in PACKAGES:
        yield from modules(package)


def imports(module: Module) -> Iterator[tuple[str, ast.stmt]]:
    """Dotted names that a module imports, anywhere in it: `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def tracked_files() -> tuple[Path, ...]:
    """What git knows, relative to the checkout; the test is skipped where there is no git."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    names = (Path(name) for name in listing.split("\0") if name)
    return tuple(name for name in names if (CHECKOUT / name).is_file())
