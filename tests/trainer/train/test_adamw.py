import pytest
import torch
from torch import nn

from lightgpt.train.adamw import AdamW, Group


def some_parameters(seed: int) -> list[tuple[str, nn.Parameter]]:
    draw = torch.Generator().manual_seed(seed)
    shapes = {"a": (7, 5), "b": (11,), "c": (3, 2)}
    return [(name, nn.Parameter(torch.randn(*s, generator=draw))) for name, s in shapes.items()]


def give_gradients(parameters: list[tuple[str, nn.Parameter]], step: int) -> None:
    draw = torch.Generator().manual_seed(100 + step)
    for _, weight in parameters:
        weight.grad = torch.randn(weight.shape, generator=draw)


def ours(parameters: list[tuple[str, nn.Parameter]]) -> AdamW:
    return AdamW(
        [
            Group(parameters=parameters[:1], learning_rate=0.1, weight_decay=0.2),
            Group(parameters=parameters[1:], learning_rate=0.03, weight_decay=0.0),
        ],
        beta1=0.8,
        beta2=0.95,
        epsilon=1e-10,
    )


def test_it_moves_weights_as_the_librarys_adamw_does_with_a_rate_and_a_decay_for_each_group() -> (
    None
):
    mine, theirs = some_parameters(1), some_parameters(1)
    optimizer = ours(mine)
    reference = torch.optim.AdamW(
        [
            {"params": [theirs[0][1]], "lr": 0.1, "weight_decay": 0.2},
            {"params": [theirs[1][1], theirs[2][1]], "lr": 0.03, "weight_decay": 0.0},
        ],
        betas=(0.8, 0.95),
        eps=1e-10,
        fused=True,
    )
    for step in range(8):
        factor = 1.0 - step / 10
        give_gradients(mine, step)
        give_gradients(theirs, step)
        for group, peak in zip(reference.param_groups, (0.1, 0.03), strict=True):
            group["lr"] = peak * factor
        reference.step()
        optimizer.step(factor=factor)
    for (name, weight), (_, expected) in zip(mine, theirs, strict=True):
        assert torch.equal(weight, expected), name


def test_the_first_step_moves_each_weight_by_the_learning_rate_against_its_gradients_sign() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    group = Group(parameters=[("w", weight)], learning_rate=0.1, weight_decay=0.5)
    weight.grad = torch.tensor([3.0, -0.001])
    AdamW([group], beta1=0.9, beta2=0.99, epsilon=1e-12).step(factor=0.5)
    decayed = torch.tensor([1.0, -2.0]) * (1 - 0.05 * 0.5)
    torch.testing.assert_close(weight.detach(), decayed - 0.05 * torch.tensor([1.0, -1.0]))


def test_a_state_that_was_taken_out_and_put_into_another_goes_on_to_the_same_bits() -> None:
    straight = some_parameters(2)
    optimizer = ours(straight)
    for step in range(3):
        give_gradients(straight, step)
        optimizer.step(factor=1.0)
    resumed = [(name, nn.Parameter(weight.detach().clone())) for name, weight in straight]
    other = ours(resumed)
    other.load_state({name: tensor.clone() for name, tensor in optimizer.state().items()})
    for step in range(3, 6):
        for parameters, stepping in ((straight, optimizer), (resumed, other)):
            give_gradients(parameters, step)
            stepping.step(factor=1.0)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(straight, resumed, strict=True))


def test_a_state_that_lacks_a_tensor_is_refused() -> None:
    parameters = some_parameters(3)
    state = ours(parameters).state()
    del state["b.mean"]
    with pytest.raises(KeyError, match=r"b\.mean"):
        ours(parameters).load_state(state)
