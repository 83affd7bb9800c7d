"""The trainer's configuration: every fault at once, each with its path, what was found and what was expected."""

from typing import Any, get_args

import pytest

from runcontract.document import parse_document, parse_model
from runcontract.faults import ConfigurationFault
from runcontract.order import FREE_TO_CHANGE, Model, Order, Training, configuration_hash
from runcontract.order.presets import PRESETS, PresetName

MINIMAL: dict[str, Any] = {"data": {"dataset": "shakespeare-plays"}, "maxSteps": 10}


def training(**changes: Any) -> Training:
    return parse_model(Training, MINIMAL | changes)


def faults(document: Any, model: type[Any] = Training, where: str = "training") -> dict[str, str]:
    with pytest.raises(ConfigurationFault) as caught:
        parse_model(model, document, where=where)
    return {fault.where: f"{fault.found} | {fault.expected}" for fault in caught.value.faults}


def test_data_and_a_length_are_enough() -> None:
    assert training().max_steps == 10


def test_all_faults_are_told_at_once_with_their_paths() -> None:
    found = faults(
        {
            "data": {"dataset": "nowhere"},
            "maxSteps": 0,
            "batchSize": "8",
            "model": {"layers": 1.5, "hedas": 2},
            "optimizer": None,
        }
    )
    assert set(found) == {
        "training.data.dataset", "training.maxSteps", "training.batchSize", "training.model.layers",
        "training.model.hedas", "training.optimizer",
    }  # fmt: skip
    assert "'nowhere'" in found["training.data.dataset"]
    assert "'8' | " in found["training.batchSize"]
    assert "no such field" in found["training.model.hedas"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"maxEpochs": 1}, "training.maxSteps"),
        ({"maxSteps": None}, "training.maxSteps"),
        ({"data": {"dataset": "tinyshakespeare", "files": ["a"]}}, "training.data.dataset"),
        ({"data": {}}, "training.data.dataset"),
        ({"model": {"heads": 5}}, "training.model.heads"),
        ({"model": {"heads": 6, "kvHeads": 4}}, "training.model.kvHeads"),
        ({"model": {"rotaryFraction": 0.52}}, "training.model.rotaryFraction"),
        ({"tokenizer": {"type": "Byte", "vocabSize": 300}}, "training.tokenizer.vocabSize"),
        ({"evaluation": {"everySteps": 1, "everyEpochs": 1}}, "training.evaluation.everyEpochs"),
        (
            {"target": {"metric": "TestLoss", "unit": "BitsPerByte", "atMost": 1}, "data": {"dataset": "tinyshakespeare", "testFraction": 0}},
            "training.target.metric",
        ),
        ({"subwordDropout": 0.1, "tokenizer": {"type": "Byte"}}, "training.subwordDropout"),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_together_are_told_of_one_of_them(
    changes: dict[str, Any], path: str
) -> None:
    document = {key: value for key, value in (MINIMAL | changes).items() if value is not None}
    assert path in faults(document)


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999"])
def test_a_number_that_is_not_finite_is_refused(value: str) -> None:
    document = parse_document(f"dropout: {value}", where="x")
    assert "model.dropout" in faults(document, Model, "model")


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_a_value_that_is_no_mapping_is_refused(document: object) -> None:
    assert list(faults(document, Order, "spec")) == ["spec"]


def test_a_long_value_is_shortened_in_a_fault() -> None:
    found = faults(MINIMAL | {"precision": "x" * 10_000})
    assert len(found["training.precision"]) < 300


def test_snake_case_is_no_spelling_of_a_document() -> None:
    assert "training.max_steps" in faults({"data": MINIMAL["data"], "max_steps": 3})


def test_an_order_survives_its_own_text() -> None:
    order = parse_model(Order, {"training": MINIMAL | {"model": {"preset": "speedrun"}}})
    assert parse_model(Order, parse_document(order.text(), where="x")) == order


@pytest.mark.parametrize("name", get_args(PresetName))
def test_every_preset_is_a_model_and_keys_beside_it_win(name: str) -> None:
    preset = parse_model(Model, {"preset": name})
    for key, value in PRESETS[name].items():
        assert preset.document()[key] == value
    assert parse_model(Model, {"preset": name, "dropout": 0.25}).dropout == 0.25


def test_what_decides_when_a_run_ends_does_not_change_its_hash() -> None:
    longer: dict[str, Any] = {
        "maxSteps": 99,
        "evaluation": {"everySteps": 7},
        "samples": {"tokens": 1},
        "earlyStopping": {"patience": 2},
        "target": {"unit": "BitsPerByte", "atMost": 2.0},
    }
    assert set(longer) | {"maxEpochs"} == FREE_TO_CHANGE
    assert configuration_hash(training(**longer)) == configuration_hash(training())


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"batchSize": 9}, {"precision": "BF16"}, {"model": {"layers": 5}}, {"tokenizer": {"vocabSize": 512}}, {"optimizer": {"learningRate": 1e-3}}, {"data": {"dataset": "tinyshakespeare"}}],
)  # fmt: skip
def test_what_decides_the_numbers_changes_the_hash(change: dict[str, Any]) -> None:
    assert configuration_hash(training(**change)) != configuration_hash(training())
