"""The same weights in our model and in the reference of the family must give the same logits."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lightgpt.export.families import Family, family_of, obstacles, reference_config
from lightgpt.export.weights import from_reference, to_reference
from lightgpt.model.gpt import GPT
from runcontract.faults import CheckpointFault, ConfigurationFault
from runcontract.order import Model

VOCAB = 97
SHAPE: dict[str, Any] = {"layers": 2, "embeddingSize": 48, "heads": 4, "contextLength": 64}
LLAMA = SHAPE | {"mlp": "SwiGLU", "norm": "RMSNorm"}
NEOX = SHAPE | {"mlp": "GELU", "bias": True, "rotaryFraction": 0.5}
GEMMA = SHAPE | {
    "mlp": "GeGLU", "norm": "RMSNorm", "normGain": "OnePlus", "embeddingScale": True, "headSize": 16,
}  # fmt: skip

MODELS: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "llama, grouped queries, untied": LLAMA | {"kvHeads": 2, "tiedEmbeddings": False},
    "llama, one key head, biases, wide heads, short rotary base": LLAMA
    | {"kvHeads": 1, "bias": True, "headSize": 20, "rotaryBase": 500.0, "normEpsilon": 1e-3},
    "llama, fused kernel, grouped queries": LLAMA | {"kvHeads": 2, "attentionKernel": "Fused"},
    "neox, sequential": NEOX,
    "neox, parallel, untied": NEOX | {"parallelResidual": True, "tiedEmbeddings": False},
    "neox, a sixth of each head rotated": NEOX
    | {"rotaryFraction": 0.17, "parallelResidual": True, "attentionKernel": "Fused"},
    "neox, whole heads rotated, long rotary base": NEOX
    | {"rotaryFraction": 1.0, "rotaryBase": 1e6, "normEpsilon": 1e-3},
    "gemma": GEMMA,
    "gemma, one key head": GEMMA | {"kvHeads": 1, "mlpHiddenSize": 100},
    "gemma, grouped queries, untied, fused": GEMMA
    | {"kvHeads": 2, "tiedEmbeddings": False, "attentionKernel": "Fused"},
}


def random_model(document: dict[str, Any]) -> GPT:
    """A model whose every weight, gains and biases too, is large enough to matter."""
    model = GPT(Model.model_validate(document), VOCAB)
    draw = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=draw)
    return model


def reference_from_files(model: GPT, folder: Path) -> Any:
    """The family's own model, read from files made of our weights."""
    transformers = pytest.importorskip("transformers")
    config, family = model.config, family_of(model.config)
    document = reference_config(config, VOCAB) | {"dtype": "float32", "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(document))
    weights = to_reference(model.state_dict(), config, family)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    transformers.logging.set_verbosity_error()
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, attn_implementation="eager"
    ).eval()


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_the_reference_with_the_same_weights(name: str, tmp_path: Path) -> None:
    model = random_model(MODELS[name])
    reference = reference_from_files(model, tmp_path)
    tokens = torch.randint(VOCAB, (3, 64), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ours, theirs = model(tokens), reference(tokens).logits
    assert ours.std() > 0.1
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    # The reference's state in memory comes back as ours, without anything computed.
    back = from_reference(reference.state_dict(), model.config, family_of(model.config))
    assert_same(back, model.state_dict())


@pytest.mark.parametrize("name", MODELS)
def test_a_round_trip_of_names_gives_every_weight_back(name: str) -> None:
    model = random_model(MODELS[name])
    family = family_of(model.config)
    theirs = to_reference(model.state_dict(), model.config, family)
    assert_same(from_reference(theirs, model.config, family), model.state_dict())


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(found) == set(expected)
    for name, weight in expected.items():
        assert torch.equal(found[name], weight), name


@pytest.mark.parametrize(
    ("document", "family"),
    [(LLAMA, Family.LLAMA), (NEOX, Family.NEOX), (GEMMA, Family.GEMMA)]
    + [({"preset": "llama-3b"}, Family.LLAMA), ({"preset": "gemma-2b"}, Family.GEMMA)]
    + [({"preset": f"neox-{size}"}, Family.NEOX) for size in ("70m", "160m", "410m", "1b", "2.8b")],
)
def test_a_configuration_knows_its_family(document: dict[str, Any], family: Family) -> None:
    assert family_of(Model.model_validate(document)) is family


@pytest.mark.parametrize(
    "extra",
    [
        {"queryKeyNorm": True},
        {"logitSoftcap": 15.0},
        {"embeddingSkip": True},
        {"embeddingNorm": True},
        {"bigramTableSize": 8},
        {"valueEmbeddingLayers": 1},
    ],
)
@pytest.mark.parametrize("base", [LLAMA, NEOX, GEMMA])
def test_what_no_family_has_is_named_as_the_obstacle(
    base: dict[str, Any], extra: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationFault) as raised:
        family_of(Model.model_validate(base | extra))
    assert [fault.where for fault in raised.value.faults] == [f"model.{next(iter(extra))}"]


@pytest.mark.parametrize(
    ("extra", "field"),
    [({"kvHeads": 2}, "kvHeads"), ({"headSize": 20}, "headSize"), ({"rotaryFraction": 0.0}, "rotaryFraction")],
)  # fmt: skip
def test_shapes_that_neox_cannot_have_are_refused(extra: dict[str, Any], field: str) -> None:
    faults = obstacles(Model.model_validate(NEOX | extra), Family.NEOX)
    assert [fault.where for fault in faults] == [f"model.{field}"]


def test_a_missing_and_an_unknown_weight_are_both_named() -> None:
    model = random_model(LLAMA)
    weights = dict(model.state_dict())
    weights["spare"] = weights.pop("final_norm.gain")
    with pytest.raises(CheckpointFault) as raised:
        to_reference(weights, model.config, Family.LLAMA)
    assert [fault.where for fault in raised.value.faults] == ["final_norm.gain", "spare"]
