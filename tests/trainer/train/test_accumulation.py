import pytest
import torch

from lightgpt.model.gpt import GPT
from lightgpt.train.step import Stepper
from lightgpt.train.world import read_world
from runcontract.document import parse_model
from runcontract.order import Training
from support.training import order_document

DRAWN = torch.randint(10, (16, 17), generator=torch.Generator().manual_seed(3))


def taken(**training: object) -> tuple[torch.Tensor, float, float]:
    """Weights, loss and gradient norm after one step over the same 16 sequences."""
    order = parse_model(Training, order_document(**training)["training"])
    model = GPT(order.model, 10)
    model.initialize(1)
    size = order.batch_size

    def batch(index: int) -> tuple[torch.Tensor, torch.Tensor]:
        part = DRAWN[index * size : (index + 1) * size]
        return part[:, :-1], part[:, 1:]

    outcome = Stepper(model, order, world=read_world({}), batch=batch, max_steps=10).take(0)
    weights = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    return weights, float(outcome.loss), float(outcome.gradient_norm)


def test_several_small_passes_make_the_step_of_one_large_pass() -> None:
    large = taken(batchSize=16, optimizer={"learningRate": 0.01, "epsilon": 1e-4})
    small = taken(
        batchSize=4,
        gradientAccumulationSteps=4,
        optimizer={"learningRate": 0.01, "epsilon": 1e-4},
    )
    torch.testing.assert_close(small[0], large[0], atol=1e-5, rtol=0)
    assert small[1:] == pytest.approx(large[1:], rel=1e-5)


def test_half_the_passes_make_another_step() -> None:
    half = taken(batchSize=4, gradientAccumulationSteps=2)
    whole = taken(batchSize=4, gradientAccumulationSteps=4)
    assert half[1] != pytest.approx(whole[1], rel=1e-5)


def test_bfloat16_computes_near_single_precision_and_keeps_the_weights_in_it() -> None:
    single, half = taken(batchSize=16), taken(batchSize=16, precision="BF16")
    assert half[0].dtype == torch.float32
    assert half[1] != single[1]
    assert half[1] == pytest.approx(single[1], rel=1e-2)
