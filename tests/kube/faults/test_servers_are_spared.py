from __future__ import annotations

import pytest

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.spared import Spared


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_a_server_wants_to_be_spared_is_not_asked_until_then() -> None:
    clock = Clock()
    spared = Spared(clock)
    spared.note("POST", "/jobs", TemporaryFault("429", retry_after_seconds=4))
    with pytest.raises(TemporaryFault, match="wants to be spared") as raised:
        spared.check("POST", "/jobs")
    assert raised.value.retry_after_seconds == 4
    clock.now += 3
    with pytest.raises(TemporaryFault) as raised:
        spared.check("POST", "/jobs")
    assert raised.value.retry_after_seconds == 1
    clock.now += 1
    spared.check("POST", "/jobs")


def test_everything_else_is_asked() -> None:
    spared = Spared(Clock())
    spared.note("POST", "/jobs", TemporaryFault("429", retry_after_seconds=4))
    spared.check("GET", "/jobs")
    spared.check("POST", "/pods")


@pytest.mark.parametrize("fault", [TemporaryFault("500"), PermanentFault("422")])
def test_a_fault_that_names_no_time_spares_nothing(fault: TemporaryFault | PermanentFault) -> None:
    spared = Spared(Clock())
    spared.note("POST", "/jobs", fault)
    spared.check("POST", "/jobs")


def test_what_is_over_is_forgotten() -> None:
    clock = Clock()
    spared = Spared(clock)
    for number in range(100):
        spared.note("PUT", f"/runs/{number}", TemporaryFault("429", retry_after_seconds=1))
        clock.now += 0.5
    assert len(spared) <= 2
