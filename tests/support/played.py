"""Scenarios that are played side by side: each a function that does things to a run and says what must come of it.

All of a module are played at once in one test, since each waits for most of its time; each is told of as a subtest. A test for
each would make every worker that gets some of them play them all.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.run_spaces import Space

Scenario = Callable[[Space], None]


class Scenarios:
    """Those of a module; a decorator takes them in."""

    def __init__(self) -> None:
        self._all: list[Scenario] = []

    def __call__(self, scenario: Scenario) -> Scenario:
        """Takes one in."""
        self._all.append(scenario)
        return scenario

    def play(self, space: Space, subtests: pytest.Subtests) -> None:
        """Plays them all; then judges what happened in between, and that the operator met nothing it did not foresee."""
        with ThreadPoolExecutor(max_workers=len(self._all)) as pool:
            played = {scenario.__name__: pool.submit(scenario, space) for scenario in self._all}
        for name, future in played.items():
            with subtests.test(name):
                future.result()
        with subtests.test("what must hold held all the time"):
            assert space.audit() == ()
        with subtests.test("the operator foresaw everything"):
            assert space.errors == []
            assert space.operator.process.poll() is None
