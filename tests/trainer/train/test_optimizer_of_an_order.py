import pytest
import torch

from lightgpt.model.gpt import GPT
from lightgpt.model.roles import ParameterRole, parameters_by_role
from lightgpt.train.optimizer import RunOptimizer
from runcontract.order import Model, Optimizer

VOCABULARY = 20


def small_model() -> GPT:
    config = Model(
        layers=2, embedding_size=16, heads=2, context_length=8, tied_embeddings=False, bias=True
    )
    model = GPT(config, VOCABULARY)
    model.initialize(1)
    return model


def give_gradients(model: GPT, size: float = 1.0) -> None:
    draw = torch.Generator().manual_seed(2)
    for weight in model.parameters():
        weight.grad = size * torch.randn(weight.shape, generator=draw)


def movements(model: GPT, settings: Optimizer) -> dict[ParameterRole, list[torch.Tensor]]:
    """How far each weight moves in one step, relative to nothing, by role."""
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    give_gradients(model)
    RunOptimizer(model, settings).step(factor=1.0, step=0)
    return {
        role: [weight.detach() - before[name] for name, weight in named]
        for role, named in parameters_by_role(model).items()
    }


def test_each_role_moves_at_its_own_learning_rate() -> None:
    # AdamW's first step has the size of the learning rate for every weight.
    settings = Optimizer(
        learning_rate=0.1,
        embedding_learning_rate=0.2,
        head_learning_rate=0.3,
        scalar_learning_rate=0.4,
        weight_decay=0,
        epsilon=1e-12,
    )
    sizes = {
        role: {round(float(move.abs().median()), 4) for move in moves}
        for role, moves in movements(small_model(), settings).items()
    }
    assert sizes == {
        ParameterRole.MATRIX: {0.1},
        ParameterRole.EMBEDDING: {0.2},
        ParameterRole.HEAD: {0.3},
        ParameterRole.VECTOR: {0.4},
    }


def test_rates_that_are_not_given_follow_the_heads_and_then_the_main_one() -> None:
    settings = Optimizer(learning_rate=0.1, head_learning_rate=0.3, weight_decay=0, epsilon=1e-12)
    sizes = {
        role: float(moves[0].abs().median())
        for role, moves in movements(small_model(), settings).items()
    }
    expected = {
        ParameterRole.MATRIX: 0.1,
        ParameterRole.EMBEDDING: 0.1,
        ParameterRole.HEAD: 0.3,
        ParameterRole.VECTOR: 0.3,
    }
    assert sizes == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "decayed"),
    [
        (
            Optimizer(weight_decay=0.5),
            {ParameterRole.MATRIX, ParameterRole.EMBEDDING, ParameterRole.HEAD},
        ),
        (Optimizer(weight_decay=0.5, embedding_weight_decay=0.0), {ParameterRole.MATRIX}),
        (Optimizer(type="Muon", weight_decay=0.5), {ParameterRole.MATRIX}),
        (
            Optimizer(type="Muon", weight_decay=0.0, embedding_weight_decay=0.5),
            {ParameterRole.EMBEDDING, ParameterRole.HEAD},
        ),
    ],
)
def test_weight_decay_reaches_the_roles_it_is_meant_for_and_never_vectors(
    settings: Optimizer, decayed: set[ParameterRole]
) -> None:
    without = settings.model_copy(update={"weight_decay": 0.0, "embedding_weight_decay": 0.0})
    moved, moved_without = movements(small_model(), settings), movements(small_model(), without)
    differing = {
        role
        for role, moves in moved.items()
        if any(not torch.equal(a, b) for a, b in zip(moves, moved_without[role], strict=True))
    }
    assert differing == decayed


def test_muon_moves_the_blocks_matrices_and_adamw_the_rest() -> None:
    moved = movements(small_model(), Optimizer(type="Muon", learning_rate=0.1, weight_decay=0))
    for move in moved[ParameterRole.MATRIX]:
        values = torch.linalg.svdvals(move)
        assert values.max() < 0.1 * 1.3 * max(1, move.shape[0] / move.shape[1]) ** 0.5
    assert float(moved[ParameterRole.HEAD][0].abs().median()) == pytest.approx(0.1, rel=1e-3)


def test_clipping_scales_all_gradients_to_the_norm_and_tells_the_norm_before() -> None:
    model = small_model()
    give_gradients(model)
    grads = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    norm = torch.cat([grad.flatten() for grad in grads]).norm()
    optimizer = RunOptimizer(model, Optimizer(gradient_clip_norm=0.5))
    assert optimizer.clip().item() == pytest.approx(norm.item(), rel=1e-5)
    for grad, weight in zip(grads, model.parameters(), strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, grad * 0.5 / norm)


def test_a_clip_norm_of_zero_leaves_gradients_alone() -> None:
    model = small_model()
    give_gradients(model, size=100.0)
    before = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    RunOptimizer(model, Optimizer(gradient_clip_norm=0.0)).clip()
    for grad, weight in zip(before, model.parameters(), strict=True):
        assert weight.grad is not None
        assert torch.equal(grad, weight.grad)


@pytest.mark.parametrize("kind", ["AdamW", "Muon"])
def test_a_restored_optimizer_goes_on_to_the_same_bits(kind: str) -> None:
    settings = Optimizer.model_validate({"type": kind})
    model, copy = small_model(), small_model()
    optimizer, restored = RunOptimizer(model, settings), RunOptimizer(copy, settings)
    give_gradients(model)
    optimizer.step(factor=1.0, step=0)
    copy.load_state_dict(model.state_dict())
    restored.load_state({name: tensor.clone() for name, tensor in optimizer.state().items()})
    for weights, stepping in ((model, optimizer), (copy, restored)):
        give_gradients(weights)
        stepping.step(factor=0.5, step=1)
    for (name, a), b in zip(model.named_parameters(), copy.parameters(), strict=True):
        assert torch.equal(a, b), name
