"""`make mutants`: puts each fault of the list into a copy of the code, and tells which test notices it.

A list is only as good as its faults: it says that these are noticed, and nothing of others.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from support.mutants.every import MUTANTS
from support.mutants.mutant import Mutant
from support.mutants.tree import Broken, Tree


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a mutant."""

    mutant: Mutant
    killer: str | None = None
    """The test that failed."""
    fault: str = ""
    """Why nothing can be said."""

    @property
    def word(self) -> str:
        """In one word."""
        if self.fault:
            return "BROKEN"
        return "SURVIVED" if self.killer is None else "killed"

    def __str__(self) -> str:
        told = self.killer or self.fault or self.mutant.breaks
        return f"{self.word:<8}  {self.mutant.name:<52}  {told}"


def main(arguments: list[str]) -> int:
    """Tries the mutants that are named, or all; 0 only when each of them is killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants to try; all of them when none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="tried at a time")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no such mutants: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the copies are removed
    chosen = [mutant for mutant in MUTANTS if not given.names or mutant.name in given.names]
    fates = []
    try:
        for fate in tried(chosen, jobs=given.jobs):
            print(fate, flush=True)
            fates.append(fate)
    except Broken as fault:
        print(f"nothing can be said: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    killed = sum(fate.word == "killed" for fate in fates)
    print(f"\n{killed} of {len(fates)} mutants killed ({100 * killed / len(fates):.1f} %)")
    return 0 if killed == len(fates) else 1


def tried(mutants: Iterable[Mutant], *, jobs: int) -> Iterator[Fate]:
    """The fate of each, in order. Raises Broken where the tests fail in code without a fault."""
    mutants = tuple(mutants)
    with (
        tempfile.TemporaryDirectory(prefix="lightcompute-mutants-") as folder,
        ThreadPoolExecutor(jobs) as pool,
    ):
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(jobs):
            trees.put(Tree(Path(folder) / str(number)))
        _check_whole(trees, mutants)
        yield from pool.map(lambda mutant: _tried(mutant, trees), mutants)


def _check_whole(trees: SimpleQueue[Tree], mutants: tuple[Mutant, ...]) -> None:
    """What fails anyway notices nothing."""
    tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    tree = trees.get()
    failure = tree.first_failure(tests)
    trees.put(tree)
    if failure is not None:
        raise Broken(f"{failure} fails in code without a fault")


def _tried(mutant: Mutant, trees: SimpleQueue[Tree]) -> Fate:
    tree = trees.get()
    try:
        with tree.broken_by(mutant):
            return Fate(mutant=mutant, killer=tree.first_failure(mutant.tests))
    except Broken as fault:
        return Fate(mutant=mutant, fault=str(fault))
    finally:
        trees.put(tree)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
