"""What `--help` imports decides how long a person waits for it; no time is measured, which would depend on the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "kopf", "kubernetes", "pydantic", "rich", "yaml", "tensorboard")


def imported(*arguments: str) -> set[str]:
    code = (
        "import sys\n"
        "from lightcompute.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    print('\\nIMPORTED', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("-h",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) & set(HEAVY) == set()


def test_help_of_a_command_imports_no_framework() -> None:
    assert imported("run", "--help") & {"torch", "numpy", "kopf", "kubernetes", "rich"} == set()
