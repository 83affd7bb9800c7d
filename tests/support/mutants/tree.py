"""A copy of the checkout to break, and the tests run in it. The checkout itself is only read.

The packages are installed as paths into the checkout, so the copy's own paths come first: PYTHONPATH goes before what is
installed, in the processes too that a test starts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.mutants.mutant import Mutant
from support.source import CHECKOUT

TEST_SECONDS = 60
"""A fault that makes a test wait for ever is noticed, too."""
RUN_SECONDS = 600
PASSED, FAILED = 0, 1
"""Exit codes of pytest that say something about the code."""

_COPIED = ("operator", "trainer", "tests", "docs", "crds", "charts", "examples", "images")
_SOURCES = ("operator", "trainer")
_FAILURE = re.compile(r"^FAILED (\S+?)(?: - .*)?$", re.MULTILINE)


class Broken(Exception):
    """The tests could not be run, which says nothing about whether they would notice."""


class Tree:
    """The copy in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _COPIED:
            shutil.copytree(
                CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(CHECKOUT / "pyproject.toml", folder)
        self._writes = 0

    def first_failure(self, tests: tuple[str, ...]) -> str | None:
        """The first test of these files that fails, or None. Raises Broken."""
        try:
            done = subprocess.run(
                self._command(tests),
                cwd=self.folder,
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Broken(f"no end after {RUN_SECONDS} s") from error
        found = _FAILURE.search(done.stdout)
        if done.returncode == PASSED:
            return None
        if done.returncode == FAILED and found is not None:
            return found[1]
        raise Broken(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")

    @contextmanager
    def broken_by(self, mutant: Mutant) -> Iterator[None]:
        """With the fault in the copy, for a while."""
        path, whole = self.folder / mutant.file, mutant.applied(CHECKOUT)
        self._write(path, whole)
        try:
            yield
        finally:
            self._write(path, (CHECKOUT / mutant.file).read_text(encoding="utf-8"))

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        # Compiled files are told apart by second and size, and a fault may change neither.
        self._writes += 1
        os.utime(path, (self._writes, self._writes))

    def _command(self, tests: tuple[str, ...]) -> list[str]:
        plugins = ("-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin")
        examples = ("--hypothesis-profile=mutants",)  # the same each time
        shown = ("-q", "-x", "--tb=no", "-rf", f"--timeout={TEST_SECONDS}")
        cache = ("-o", f"cache_dir={self.folder / '.pytest_cache'}")
        return [sys.executable, "-P", "-m", "pytest", *plugins, *examples, *shown, *cache, *tests]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(str(self.folder / name) for name in _SOURCES),
            # No random order: who notices does not change from run to run.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "COLUMNS": "500",
        }
