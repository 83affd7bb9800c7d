"""Each component's gradients are the slopes of what it computes (finite differences in FP64)."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from lightgpt.model import loss
from lightgpt.model import plain_attention as plain
from lightgpt.model.attention import Attention, Sight, fused_attention
from lightgpt.model.block import Block
from lightgpt.model.dropout import Dropout
from lightgpt.model.embedding import Embedding
from lightgpt.model.mlp import make_mlp
from lightgpt.model.norm import Norm, rms_normalised
from lightgpt.model.rotary import rotation_table, split_and_rotated
from runcontract.order import Model
from support.models import VARIANTS, random_model, random_tokens

TINY: dict[str, Any] = {"layers": 1, "embeddingSize": 8, "heads": 2, "contextLength": 5}
CPU = torch.device("cpu")


def tiny(**extra: Any) -> Model:
    return Model.model_validate(TINY | extra)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


def wide(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def drawn(module: nn.Module) -> nn.Module:
    """The module in FP64 with random weights."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, 0.7)
    return module


def check(module: nn.Module, *inputs: Tensor, rest: tuple[Any, ...] = ()) -> None:
    """Gradients by every input and by every weight of the module; `rest` is what it takes beside them."""
    names = [name for name, _ in module.named_parameters()]

    def run(*values: Tensor) -> Any:
        held = dict(zip(names, values[len(inputs) :], strict=True))
        return torch.func.functional_call(module, held, (*values[: len(inputs)], *rest))

    assert gradcheck(run, (*inputs, *module.parameters()))


def sight(config: Model, length: int) -> Sight:
    rotation = rotation_table(
        start=0,
        length=length,
        width=config.rotary_width,
        base=50.0,
        device=CPU,
        dtype=torch.float64,
    )
    return Sight(0, rotation, None)


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("gain", ["None", "Multiply", "OnePlus"])
@pytest.mark.parametrize("bias", [False, True])
def test_norm(norm: str, gain: str, bias: bool) -> None:
    check(drawn(Norm(tiny(norm=norm, normGain=gain, bias=bias))), wide(2, 3, 8))


@pytest.mark.parametrize("mlp", ["GELU", "ReLUSquared", "SwiGLU", "GeGLU"])
@pytest.mark.parametrize("bias", [False, True])
def test_mlp(mlp: str, bias: bool) -> None:
    check(drawn(make_mlp(tiny(mlp=mlp, mlpHiddenSize=6, bias=bias))), wide(2, 3, 8))


@pytest.mark.parametrize("width", [2, 4, 6])
@pytest.mark.parametrize("kv_heads", [1, 2])
def test_rotation(width: int, kv_heads: int) -> None:
    table = rotation_table(
        start=3, length=4, width=width, base=10.0, device=CPU, dtype=torch.float64
    )
    stacked = wide(2, 4, 2 + 2 * kv_heads, 6)
    assert gradcheck(
        lambda qkv: split_and_rotated(qkv, table, heads=2, kv_heads=kv_heads), (stacked,)
    )


def test_rms_normalisation_of_heads() -> None:
    assert gradcheck(lambda x: rms_normalised(x, 1e-5), (wide(2, 3, 4, 6),))


@pytest.mark.parametrize("kernel", ["Plain", "Fused"])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("seen", [4, 6])
@pytest.mark.parametrize("block", [3, 128])
def test_attention_kernels(
    kernel: str, kv_heads: int, seen: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "QUERIES_A_BLOCK", block)
    inputs = (wide(2, 4, 4, 3), wide(2, kv_heads, seen, 3), wide(2, kv_heads, seen, 3))
    mask = plain.causal_mask(queries=4, seen=seen, like=inputs[0])

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (
            plain.plain_attention(q, k, v) if kernel == "Plain" else fused_attention(q, k, v, mask)
        )

    assert gradcheck(attend, inputs)


@pytest.mark.parametrize("kernel", ["Plain", "Fused"])
@pytest.mark.parametrize(
    "extra", [{}, {"kvHeads": 1, "bias": True, "rotaryFraction": 0.5}, {"queryKeyNorm": True}]
)
def test_attention_with_value_embedding(kernel: str, extra: dict[str, Any]) -> None:
    config = tiny(attentionKernel=kernel, **extra)
    attention = drawn(Attention(config, value_vocabulary=5))
    tokens = random_tokens(2, 5, vocab_size=5)
    check(attention, wide(2, 5, 8), rest=(tokens, sight(config, 5)))


@pytest.mark.parametrize("parallel", [False, True])
def test_block_with_embedding_skip(parallel: bool) -> None:
    config = tiny(parallelResidual=parallel, embeddingSkip=True, mlpHiddenSize=6)
    block = drawn(Block(config, value_vocabulary=None))
    check(block, wide(2, 3, 8), wide(2, 3, 8), rest=(random_tokens(2, 3), sight(config, 3)))


@pytest.mark.parametrize("rows", [5, 100])
def test_embedding(rows: int) -> None:
    module = drawn(Embedding(tiny(bigramTableSize=rows, embeddingScale=True), 7))
    check(module, rest=(random_tokens(2, 4, vocab_size=7),))


def test_dropout_passes_on_what_it_kept_and_as_much_of_the_slope() -> None:
    x = torch.ones(50, 40, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.25)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach())


@pytest.mark.parametrize("softcap", [0.0, 2.0])
@pytest.mark.parametrize("rows", [16, 4096])
@pytest.mark.parametrize(
    "function", [loss.mean_loss, lambda *a: loss.token_losses(*a).square().sum()]
)
def test_losses(softcap: float, rows: int, function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "rows_a_chunk", lambda *_: rows)
    targets = torch.randint(-1, 7, (37,))
    assert (targets == -1).any()
    inputs = (wide(37, 3), wide(7, 3))
    assert gradcheck(lambda x, w: function(x, w, targets, softcap), inputs)


@pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
def test_the_loss_of_a_whole_model(document: dict[str, Any]) -> None:
    shape = {"layers": 1, "embeddingSize": 8, "headSize": 8, "mlpHiddenSize": 4}
    table = {"bigramTableSize": 5} if document.get("bigramTableSize") else {}
    model = random_model(document | shape | table, 7).double()
    tokens, targets = random_tokens(2, 4, vocab_size=7), random_tokens(2, 4, seed=6, vocab_size=7)
    names, weights = zip(*model.named_parameters(), strict=True)

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            return self.model.loss(tokens, targets)

    def run(*held: Tensor) -> Any:
        given = dict(zip((f"model.{name}" for name in names), held, strict=True))
        return torch.func.functional_call(Loss(), given, ())

    assert gradcheck(run, weights, fast_mode=True)
