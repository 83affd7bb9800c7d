import pytest

from lightgpt.smoke import LEAST_MEAN_REDUCTION, smoke
from runcontract.order import Optimizer


@pytest.mark.slow
def test_five_seeds_fall_by_far_more_than_they_must() -> None:
    verdict = smoke(range(1337, 1342))
    assert 100_000 < verdict.parameters < 130_000
    assert verdict.passed
    assert verdict.mean_reduction > 0.8
    assert verdict.mean_reduction > LEAST_MEAN_REDUCTION


def test_a_training_that_does_not_learn_fails_it() -> None:
    assert not smoke([1337], recipe=Optimizer(learning_rate=1e-9), steps=5).passed
