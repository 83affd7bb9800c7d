import pytest
import torch
from torch import nn

from lightgpt.train.averaging import WeightAverage
from runcontract.order import Averaging


def linear(value: float) -> nn.Linear:
    module = nn.Linear(2, 2, bias=False)
    nn.init.constant_(module.weight, value)
    return module


def test_the_average_is_exponential_from_its_start_step_and_the_weights_before() -> None:
    module = linear(0.0)
    average = WeightAverage(module, Averaging(decay=0.75, start_step=2))
    expected = 0.0
    for step, value in enumerate((1.0, 2.0, 3.0, 7.0), start=1):
        nn.init.constant_(module.weight, value)
        average.update(steps_done=step)
        expected = value if step <= 2 else 0.75 * expected + 0.25 * value
        assert average.state()["weight"][0, 0].item() == expected


def test_inside_the_block_the_model_has_the_average_and_afterwards_its_own_weights_to_the_bit() -> (
    None
):
    module = linear(1 / 3)
    average = WeightAverage(module, Averaging(decay=0.5))
    nn.init.constant_(module.weight, 1 / 7)
    own = module.weight.detach().clone()
    with average.swapped():
        assert torch.equal(module.weight, torch.full((2, 2), 1 / 3))
    assert torch.equal(module.weight, own)
    assert torch.equal(average.state()["weight"], torch.full((2, 2), 1 / 3))


def test_a_failure_inside_the_block_still_gives_the_weights_back() -> None:
    module = linear(1.0)
    average = WeightAverage(module, Averaging(decay=0.5))
    nn.init.constant_(module.weight, 2.0)
    with pytest.raises(ZeroDivisionError), average.swapped():
        1 / 0  # noqa: B018
    assert module.weight[0, 0].item() == 2.0
