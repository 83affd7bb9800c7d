import itertools
import math

import pytest

from lightgpt.train.schedule import muon_momentum
from runcontract.order import Schedule
from runcontract.schedule import learning_rate_factor


def factors(schedule: Schedule, max_steps: int) -> list[float]:
    return [
        learning_rate_factor(schedule, step=step, max_steps=max_steps) for step in range(max_steps)
    ]


def test_a_constant_schedule_stays_at_its_peak() -> None:
    assert factors(Schedule(type="Constant"), 5) == [1.0] * 5


def test_the_warm_up_rises_linearly_from_above_zero_and_reaches_the_peak_at_its_last_step() -> None:
    rates = factors(Schedule(type="Constant", warmup_steps=4), 6)
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_cosine_is_halfway_between_peak_and_end_at_half_time() -> None:
    rates = factors(Schedule(type="Cosine", warmup_steps=10, final_fraction=0.1), 110)
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    expected = 0.1 + 0.9 * (1 + math.cos(math.pi * 99 / 100)) / 2
    assert rates[109] == pytest.approx(expected)


def test_cosine_never_rises_after_the_warm_up() -> None:
    rates = factors(Schedule(type="Cosine", warmup_steps=5, final_fraction=0.0), 50)[5:]
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rates[-1] > 0


def test_warm_up_stable_decay_is_flat_and_then_falls_linearly_over_the_last_share_of_steps() -> (
    None
):
    schedule = Schedule(type="WarmupStableDecay", decay_fraction=0.4, final_fraction=0.0)
    rates = factors(schedule, 10)
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_a_decay_that_would_begin_in_the_warm_up_begins_after_it() -> None:
    schedule = Schedule(
        type="WarmupStableDecay", warmup_steps=5, decay_fraction=1.0, final_fraction=0.0
    )
    rates = factors(schedule, 10)
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_muons_momentum_warms_up_linearly_and_then_stays() -> None:
    momenta = [muon_momentum(start=0.85, end=0.95, warmup_steps=4, step=step) for step in range(6)]
    assert momenta == pytest.approx([0.85, 0.875, 0.9, 0.925, 0.95, 0.95])
    assert muon_momentum(start=0.85, end=0.95, warmup_steps=0, step=0) == 0.95
