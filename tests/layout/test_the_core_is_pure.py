"""What import contracts cannot see: a clock or a file reached through a name that was passed in."""

import ast
from collections.abc import Iterator

from support.source import Module, modules

# datetime.now(), date.today(), uuid.uuid4() and whatever else brings the moment or chance in.
METHODS = {"now", "utcnow", "today", "fromtimestamp", "uuid1", "uuid4", "read_text", "write_text"}
BUILTINS = {"open", "input", "print", "eval", "exec", "__import__", "breakpoint"}
NAMES = {"time", "os", "random", "environ"}


def test_the_core_reads_no_clock_no_chance_and_no_file() -> None:
    found = [where for module in modules("lightcompute", "core") for where in impure(module)]
    assert found == []


def impure(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in METHODS:
                yield f"{module.at(node)} .{name}()"
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield f"{module.at(node)} {name}()"
            case ast.Attribute(value=ast.Name(id=name)) if name in NAMES:
                yield f"{module.at(node)} {name}."
            case _:
                pass
