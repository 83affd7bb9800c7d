import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightgpt.train.muon import Muon
from lightgpt.train.polar import orthogonalize


def polar_factor(matrix: Tensor) -> Tensor:
    """U V^T by an exact decomposition: the independent reference."""
    u, _, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    factor: Tensor = u @ vh
    return factor


def matrix_with_spectrum(rows: int, columns: int, spectrum: Tensor, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows, columns, generator=draw, dtype=torch.float64)
    u, _, vh = torch.linalg.svd(noise, full_matrices=False)
    matrix: Tensor = u @ torch.diag(spectrum.double()) @ vh
    return matrix


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (48, 16), (16, 48)])
def test_many_iterations_give_the_orthogonal_factor_of_an_exact_decomposition(
    rows: int, columns: int
) -> None:
    matrix = matrix_with_spectrum(rows, columns, torch.linspace(0.05, 3.0, 16), seed=4)
    found = orthogonalize(matrix[None], steps=10, dtype=torch.float64)[0]
    torch.testing.assert_close(found, polar_factor(matrix), atol=1e-6, rtol=0)


def test_five_iterations_in_bfloat16_bring_every_singular_value_near_one() -> None:
    matrix = matrix_with_spectrum(64, 32, torch.logspace(-2, 0, 32), seed=5)
    found = orthogonalize(matrix[None].float(), steps=5)[0].double()
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.7
    assert values.max() < 1.2
    aligned = (found * polar_factor(matrix)).sum() / (found.norm() * math.sqrt(32))
    assert aligned > 0.99


def test_matrices_of_a_stack_do_not_touch_each_other_and_zero_stays_zero() -> None:
    first = torch.randn(8, 8, generator=torch.Generator().manual_seed(6))
    stack = torch.stack([first, torch.zeros(8, 8), 1e6 * first])
    found = orthogonalize(stack, steps=8, dtype=torch.float32)
    assert torch.equal(found[1], torch.zeros(8, 8))
    torch.testing.assert_close(found[0], found[2], atol=1e-4, rtol=0)


def exact_step(
    weight: Tensor, momentum: Tensor, gradient: Tensor, *, rate: float, decay: float, m: float
) -> tuple[Tensor, Tensor]:
    """The update of the class's docstring, with an exact decomposition."""
    momentum = m * momentum + (1 - m) * gradient
    ahead = m * momentum + (1 - m) * gradient
    rows, columns = weight.shape
    scale = rate * math.sqrt(max(1.0, rows / columns))
    return (1 - rate * decay) * weight - scale * polar_factor(ahead), momentum


@pytest.mark.parametrize(("rows", "columns"), [(12, 8), (8, 12)])
def test_steps_follow_the_formula_with_momentum_look_ahead_scale_and_decay(
    rows: int, columns: int
) -> None:
    draw = torch.Generator().manual_seed(7)
    weight = nn.Parameter(torch.randn(rows, columns, generator=draw, dtype=torch.float64))
    expected, momentum = weight.detach().clone(), torch.zeros(rows, columns, dtype=torch.float64)
    optimizer = Muon(
        [("w", weight)], learning_rate=0.1, weight_decay=0.3, steps=12, dtype=torch.float64
    )
    for m in (0.5, 0.8):
        gradient = torch.randn(rows, columns, generator=draw, dtype=torch.float64)
        weight.grad = gradient
        optimizer.step(factor=0.5, momentum=m)
        expected, momentum = exact_step(expected, momentum, gradient, rate=0.05, decay=0.3, m=m)
    torch.testing.assert_close(weight.detach(), expected, atol=1e-5, rtol=0)


def test_stacked_matrices_are_moved_as_if_they_were_parameters_of_their_own() -> None:
    draw = torch.Generator().manual_seed(8)
    whole = nn.Parameter(torch.randn(20, 8, generator=draw))
    parts = [nn.Parameter(part.clone()) for part in whole.detach().split((8, 8, 4))]
    whole.grad = torch.randn(20, 8, generator=draw)
    for part, gradient in zip(parts, whole.grad.split((8, 8, 4)), strict=True):
        part.grad = gradient.clone()
    settings: dict[str, Any] = {
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "steps": 5,
        "dtype": torch.float32,
    }
    Muon([("qkv", whole)], splits={"qkv": (8, 8, 4)}, **settings).step(factor=1, momentum=0.9)
    Muon([(str(i), part) for i, part in enumerate(parts)], **settings).step(factor=1, momentum=0.9)
    torch.testing.assert_close(whole.detach(), torch.cat([part.detach() for part in parts]))


def test_splits_that_do_not_cover_a_parameter_are_refused() -> None:
    weight = nn.Parameter(torch.zeros(20, 8))
    with pytest.raises(AssertionError, match="16 rows of 20"):
        Muon(
            [("qkv", weight)],
            splits={"qkv": (8, 8)},
            learning_rate=0.1,
            weight_decay=0.0,
            steps=5,
        )
