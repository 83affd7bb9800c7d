"""The count by arithmetic, the built model, the roles and the stored names agree."""

import subprocess
import sys
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightgpt.model.count import count_parameters
from lightgpt.model.gpt import GPT
from lightgpt.model.roles import ParameterRole, parameters_by_role, stacked_rows
from runcontract.order import Model
from runcontract.order.presets import PresetName
from support.models import VARIANTS, VOCAB

PRESETS: tuple[str, ...] = get_args(PresetName)


def on_meta(config: Model, vocab_size: int) -> GPT:
    with torch.device("meta"):
        return GPT(config, vocab_size)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("vocab_size", [65, 50_304])
def test_the_count_is_that_of_the_built_model(preset: str, vocab_size: int) -> None:
    config = Model.model_validate({"preset": preset})
    assert count_parameters(config, vocab_size) == on_meta(config, vocab_size).parameter_count


@pytest.mark.parametrize(
    ("preset", "vocab_size", "published"),
    [
        ("speedrun", 1024, 2_162_696),
        ("speedrun-tables", 1024, 5_701_640),
        ("gpt-124m", 50_257, 123_551_232),  # GPT-2's 124,439,808 less positions (786,432) and biases
        ("neox-70m", 50_304, 70_426_624),
        ("neox-160m", 50_304, 162_322_944),
        ("neox-410m", 50_304, 405_334_016),
        ("neox-1b", 50_304, 1_011_781_632),
        ("neox-2.8b", 50_304, 2_775_208_960),
        ("llama-1b", 32_000, 1_100_048_384),
        ("llama-3b", 32_000, 3_426_473_600),
        ("gemma-2b", 256_000, 2_506_172_416),
    ],
)  # fmt: skip
def test_presets_have_the_size_of_the_models_they_are_named_after(
    preset: str, vocab_size: int, published: int
) -> None:
    assert count_parameters(Model.model_validate({"preset": preset}), vocab_size) == published


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    kv_heads, layers = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return {
        "layers": layers,
        "embeddingSize": draw(st.integers(8, 64)),
        "heads": kv_heads * draw(st.integers(1, 3)),
        "kvHeads": kv_heads,
        "headSize": 2 * draw(st.integers(1, 16)),
        "mlp": draw(st.sampled_from(["GELU", "ReLUSquared", "SwiGLU", "GeGLU"])),
        "mlpHiddenSize": draw(st.none() | st.integers(4, 100)),
        "norm": draw(st.sampled_from(["LayerNorm", "RMSNorm"])),
        "normGain": draw(st.sampled_from(["None", "Multiply", "OnePlus"])),
        "bias": draw(st.booleans()),
        "tiedEmbeddings": draw(st.booleans()),
        "embeddingSkip": draw(st.booleans()),
        "bigramTableSize": draw(st.just(0) | st.integers(1, 1000)),
        "valueEmbeddingLayers": draw(st.integers(0, layers)),
        "parallelResidual": draw(st.booleans()),
        "attentionKernel": draw(st.sampled_from(["Plain", "Fused"])),
    }


@pytest.mark.slow
@settings(max_examples=25)
@given(documents(), st.integers(1, 200))
def test_the_count_is_right_for_any_configuration_and_the_model_runs(
    document: dict[str, Any], vocab_size: int
) -> None:
    config = Model.model_validate(document)
    model = on_meta(config, vocab_size)
    assert count_parameters(config, vocab_size) == model.parameter_count
    tokens = torch.zeros(3, 7, dtype=torch.long, device="meta")
    assert model(tokens).shape == (3, 7, vocab_size)
    assert model.loss(tokens, tokens).shape == ()


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_logits_and_losses_of_the_right_shape(preset: str) -> None:
    model = on_meta(Model.model_validate({"preset": preset}), 1000)
    tokens = torch.zeros(2, 16, dtype=torch.long, device="meta")
    logits = model(tokens)
    assert (logits.shape, logits.dtype) == ((2, 16, 1000), torch.float32)
    assert model.token_losses(tokens, tokens).shape == (2, 16)
    cache = model.new_cache(2, 20)
    assert model(tokens, cache=cache).shape == (2, 16, 1000)
    assert model(tokens[:, :1], cache=cache).shape == (2, 1, 1000)


@pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
def test_roles_part_the_parameters_with_none_left_over(document: dict[str, Any]) -> None:
    model = GPT(Model.model_validate(document), VOCAB)
    roles = parameters_by_role(model)
    named = [pair for pairs in roles.values() for pair in pairs]
    assert sorted(name for name, _ in named) == sorted(name for name, _ in model.named_parameters())
    assert len({id(parameter) for _, parameter in named}) == len(list(model.parameters()))
    assert all(p.ndim == 2 and "blocks." in n for n, p in roles[ParameterRole.MATRIX])
    assert all(p.ndim == 1 for _, p in roles[ParameterRole.VECTOR])
    assert all(p.shape[1] for _, p in roles[ParameterRole.EMBEDDING])
    assert bool(roles[ParameterRole.HEAD]) is not model.config.tied_embeddings


@pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
def test_stacked_matrices_are_told_for_every_matrix_and_add_up(document: dict[str, Any]) -> None:
    model = GPT(Model.model_validate(document), VOCAB)
    matrices = dict(parameters_by_role(model)[ParameterRole.MATRIX])
    rows = stacked_rows(model)
    assert set(rows) == set(matrices)
    assert all(sum(parts) == matrices[name].shape[0] for name, parts in rows.items())
    assert len(rows["blocks.0.attention.qkv.weight"]) == 3
    gated = model.config.mlp in {"SwiGLU", "GeGLU"}
    assert gated == ("blocks.0.mlp.gate_up.weight" in rows)


def test_names_of_stored_weights_stay_as_documented() -> None:
    document = VARIANTS["speedrun with tables"] | {
        "bias": True,
        "norm": "LayerNorm",
        "normGain": "Multiply",
        "layers": 1,
    }
    assert list(GPT(Model.model_validate(document), VOCAB).state_dict()) == [
        "embedding.token.weight", "embedding.bigram.weight",
        "blocks.0.mix", "blocks.0.attention_norm.gain", "blocks.0.attention_norm.bias",
        "blocks.0.attention.qkv.weight", "blocks.0.attention.qkv.bias",
        "blocks.0.attention.output.weight", "blocks.0.attention.output.bias",
        "blocks.0.attention.value_embedding.weight",
        "blocks.0.mlp_norm.gain", "blocks.0.mlp_norm.bias",
        "blocks.0.mlp.up.weight", "blocks.0.mlp.up.bias", "blocks.0.mlp.down.weight", "blocks.0.mlp.down.bias",
        "final_norm.gain", "final_norm.bias", "head.weight",
    ]  # fmt: skip


def test_counting_needs_no_torch() -> None:
    code = (
        "import sys; from lightgpt.model.count import count_parameters; from runcontract.order import Model; "
        "assert count_parameters(Model(), 65) > 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
