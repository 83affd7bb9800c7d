"""What a GPT does whatever its configuration: it never looks ahead, repeats itself exactly, and drops only in training."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lightgpt.model import plain_attention
from lightgpt.model.dropout import Dropout
from lightgpt.model.gpt import GPT
from runcontract.order import Model
from support.models import VARIANTS, VOCAB, random_model, random_tokens

every_variant = pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
every_kernel = pytest.mark.parametrize("kernel", ["Plain", "Fused"])


@every_variant
@every_kernel
@torch.no_grad()
def test_later_tokens_leave_earlier_logits_bit_identical(
    document: dict[str, Any], kernel: str
) -> None:
    model = random_model(document | {"attentionKernel": kernel})
    tokens = random_tokens(3, 24)
    changed = tokens.clone()
    changed[:, 13:] = (changed[:, 13:] + 1) % VOCAB
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :13], after[:, :13])
    assert not torch.equal(before[:, 13], after[:, 13])


@every_variant
@torch.no_grad()
def test_every_earlier_token_counts(document: dict[str, Any]) -> None:
    model = random_model(document)
    tokens = random_tokens(1, 6)
    last = model(tokens)[:, -1]
    for position in range(5):
        changed = tokens.clone()
        changed[:, position] = (changed[:, position] + 1) % VOCAB
        assert not torch.equal(model(changed)[:, -1], last), position


@every_variant
@torch.no_grad()
def test_plain_and_fused_attention_agree(document: dict[str, Any]) -> None:
    plain = random_model(document | {"attentionKernel": "Plain"})
    fused = random_model(document | {"attentionKernel": "Fused"})
    tokens = random_tokens(3, 24)
    torch.testing.assert_close(plain(tokens), fused(tokens), atol=2e-5, rtol=1e-4)


@every_variant
@pytest.mark.parametrize("block", [1, 5, 23])
def test_plain_attention_is_the_same_in_blocks_of_any_size(
    document: dict[str, Any], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(document)
    tokens, weights = random_tokens(2, 24), list(model.parameters())

    def slopes() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(model.loss(tokens, tokens.roll(-1, 1)), weights)

    whole = slopes()
    monkeypatch.setattr(plain_attention, "QUERIES_A_BLOCK", block)
    for found, expected in zip(slopes(), whole, strict=True):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-3)


@every_variant
@every_kernel
def test_two_passes_are_bit_identical_with_their_gradients(
    document: dict[str, Any], kernel: str
) -> None:
    model = random_model(document | {"attentionKernel": kernel}).train()
    tokens, targets = random_tokens(2, 24), random_tokens(2, 24, seed=6)
    weights = list(model.parameters())
    first, second = (model.loss(tokens, targets) for _ in range(2))
    assert torch.equal(first, second)
    pairs = zip(
        torch.autograd.grad(first, weights), torch.autograd.grad(second, weights), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


@every_variant
def test_every_weight_is_used(document: dict[str, Any]) -> None:
    model = random_model(document)
    model.loss(random_tokens(2, 24), random_tokens(2, 24, seed=6)).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@every_variant
def test_the_loss_is_the_mean_cross_entropy_of_the_scored_logits(document: dict[str, Any]) -> None:
    model = random_model(document)
    tokens, targets = random_tokens(3, 24), random_tokens(3, 24, seed=6)
    targets[0, :9], targets[2] = -1, -1
    expected = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), ignore_index=-1)
    loss = model.loss(tokens, targets)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    weights = list(model.parameters())
    pairs = zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights), strict=True
    )
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(model.loss(tokens, targets), expected, atol=1e-5, rtol=1e-5)
        losses = model.token_losses(tokens, targets)
    assert losses.dtype == torch.float32
    assert not losses[targets == -1].any()
    torch.testing.assert_close(losses.sum() / (targets != -1).sum(), expected, atol=1e-5, rtol=1e-5)


def test_nothing_scored_is_a_loss_of_zero_not_nan() -> None:
    model = random_model(VARIANTS["plain GPT"])
    tokens = random_tokens(2, 5)
    assert model.loss(tokens, torch.full_like(tokens, -1)).item() == 0.0


@pytest.mark.parametrize("initialization", ["Normal", "ZeroOutput"])
@every_variant
@torch.no_grad()
def test_a_new_model_knows_nothing_its_loss_is_that_of_a_guess(
    document: dict[str, Any], initialization: str
) -> None:
    model = GPT(Model.model_validate(document | {"initialization": initialization}), 500)
    model.initialize(7)
    tokens = random_tokens(8, 24, vocab_size=500)
    targets = random_tokens(8, 24, seed=6, vocab_size=500)
    assert model.loss(tokens, targets).item() == pytest.approx(math.log(500), abs=0.1)


@every_variant
def test_a_seed_gives_the_same_weights_and_another_seed_others(document: dict[str, Any]) -> None:
    config = Model.model_validate(document)
    models = [GPT(config, VOCAB) for _ in range(3)]
    for model, seed in zip(models, (7, 7, 8), strict=True):
        torch.rand(3)  # the global generator has no say
        model.initialize(seed)
    first, same, other = (dict(model.state_dict()) for model in models)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["embedding.token.weight"], other["embedding.token.weight"])
    assert not any(weight.isnan().any() for weight in first.values())


def test_weights_of_one_layer_differ_from_those_of_the_next() -> None:
    model = GPT(Model.model_validate(VARIANTS["plain GPT"]), VOCAB)
    model.initialize(7)
    state = model.state_dict()
    assert not torch.equal(state["blocks.0.mlp.up.weight"], state["blocks.1.mlp.up.weight"])


def test_outputs_start_at_zero_where_that_is_asked_for() -> None:
    document = VARIANTS["speedrun with tables"] | {"initialization": "ZeroOutput"}
    model = GPT(Model.model_validate(document), VOCAB)
    model.initialize(7)
    zero = {name for name, weight in model.state_dict().items() if not weight.any()}
    branch = {
        f"blocks.{n}.{part}"
        for n in (0, 1)
        for part in ("attention.output.weight", "mlp.down.weight")
    }
    assert branch | {"head.weight", "embedding.bigram.weight"} <= zero
    assert "blocks.0.attention.qkv.weight" not in zero


def test_branch_outputs_start_smaller_in_a_deeper_model() -> None:
    model = GPT(Model.model_validate(VARIANTS["plain GPT"] | {"layers": 8}), VOCAB)
    model.initialize(7)
    assert model.state_dict()["blocks.0.mlp.down.weight"].std() == pytest.approx(0.005, rel=0.1)
    assert model.state_dict()["blocks.0.mlp.up.weight"].std() == pytest.approx(0.02, rel=0.1)


def test_a_model_without_values_gives_nan_instead_of_something_plausible() -> None:
    model = GPT(Model.model_validate(VARIANTS["plain GPT"]), VOCAB)
    assert model(random_tokens(1, 3)).isnan().all()


def test_dropout_acts_in_training_only() -> None:
    model = random_model(VARIANTS["plain GPT"] | {"dropout": 0.5})
    undropped = random_model(VARIANTS["plain GPT"])
    tokens = random_tokens(2, 24)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        assert torch.equal(model(tokens), undropped(tokens))
        model.train()
        first, second = model(tokens), model(tokens)
        assert not torch.equal(first, second)
        torch.manual_seed(1)
        assert torch.equal(model(tokens), first)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_share_and_the_mean(p: float) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        y = Dropout(p)(torch.ones(200, 500))
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.01)
    assert y.mean().item() == pytest.approx(1.0, abs=0.02)
    assert y.unique().numel() == 2


def test_the_parts_that_dropout_acts_on_are_the_embedding_and_both_branches() -> None:
    model = random_model(VARIANTS["plain GPT"] | {"dropout": 0.5})
    found = [name for name, module in model.named_modules() if isinstance(module, Dropout)]
    assert found == ["dropout", "blocks.0.dropout", "blocks.1.dropout"]


@every_variant
@torch.no_grad()
def test_bf16_autocast_gives_fp32_logits_near_the_exact_ones(document: dict[str, Any]) -> None:
    model = random_model(document, spread=0.1)
    tokens = random_tokens(3, 24)
    with torch.autocast("cpu", torch.bfloat16):
        logits, loss = model(tokens), model.loss(tokens, tokens)
    assert (logits.dtype, loss.dtype) == (torch.float32, torch.float32)
    exact = model(tokens)
    assert ((logits - exact).norm() / exact.norm()).item() < 0.05


@torch.no_grad()
def test_capped_logits_never_leave_the_cap() -> None:
    model = random_model(VARIANTS["speedrun"] | {"logitSoftcap": 0.5}, spread=2.0)
    assert 0.4 < model(random_tokens(3, 24)).abs().max().item() <= 0.5


def test_more_tokens_than_the_context_are_refused() -> None:
    model = random_model(VARIANTS["plain GPT"])
    with pytest.raises(ValueError, match="found 25 tokens; the model's context is 24"):
        model(random_tokens(1, 25))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kernel"), [("LLaMA, grouped queries", "Fused"), ("speedrun with tables", "Plain")]
)
def test_the_training_pass_compiles_to_one_graph_with_the_same_loss(name: str, kernel: str) -> None:
    model = random_model(VARIANTS[name] | {"attentionKernel": kernel}).train()
    tokens, targets = random_tokens(2, 24), random_tokens(2, 24, seed=6)
    targets[0, :3] = -1
    # The backend that traces forward and backward but needs no C++ compiler.
    compiled = torch.compile(model.loss, fullgraph=True, backend="aot_eager")
    weights = list(model.parameters())
    found, expected = compiled(tokens, targets), model.loss(tokens, targets)
    torch.testing.assert_close(found, expected)
    pairs = zip(
        torch.autograd.grad(found, weights), torch.autograd.grad(expected, weights), strict=True
    )
    for a, b in pairs:
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
