import json
from pathlib import Path
from typing import Any

import pytest

from runcontract.document import dump_document
from runcontract.exit_codes import ExitCode
from runcontract.progress import Finished, parse_report
from runcontract.results import TerminationMessage
from support.lightgpt_cli import Called, call
from support.training import Workshop, order_document

CONFIGURATION, DATA = ExitCode.CONFIGURATION_FAULT, ExitCode.DATA_FAULT


def training_run(**training: Any) -> dict[str, Any]:
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "tiny"},
        "spec": {"training": order_document(**training)["training"]},
    }


def train(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], document: object, *more: str
) -> Called:
    path = workshop.folder / "run.yaml"
    path.write_text(
        document if isinstance(document, str) else dump_document(document), encoding="utf-8"
    )
    return call(capsys, "train", path, "--out", workshop.folder / "out", *more)


FAULTS: dict[str, tuple[dict[str, Any], ExitCode, str, str]] = {
    "an unknown field": ({"leyers": 3}, CONFIGURATION, "spec.training.leyers", "3"),
    "a wrong type": ({"maxSteps": "many"}, CONFIGURATION, "spec.training.maxSteps", "many"),
    "a number out of range": ({"batchSize": 0}, CONFIGURATION, "spec.training.batchSize", "0"),
    "two lengths": (
        {"maxSteps": 3, "maxEpochs": 3},
        CONFIGURATION,
        "spec.training.maxSteps",
        "exactly one",
    ),
    "heads that don't divide": (
        {"model": {"embeddingSize": 16, "heads": 3}},
        CONFIGURATION,
        "spec.training.model.heads",
        "divisor",
    ),
    "a missing file": ({"data": {"files": ["missing.txt"]}}, DATA, "missing.txt", "No such file"),
    "an empty text": ({"data": {"files": ["empty.txt"]}}, DATA, "empty.txt", ""),
    "bytes that are no text": ({"data": {"files": ["bytes.txt"]}}, DATA, "bytes.txt", "UTF-8"),
    "a vocabulary larger than the text allows": (
        {"tokenizer": {"type": "BPE", "vocabSize": 16000}},
        DATA,
        "vocabSize",
        "16000",
    ),
    "a context longer than the data": (
        {"model": {"contextLength": 100_000}},
        DATA,
        "training.model.contextLength",
        "100000",
    ),
    "a prompt that cannot be encoded": (
        {"samples": {"prompt": "\N{SNOWMAN}"}},
        DATA,
        "training.samples.prompt",
        "",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_clear_message_with_the_code_of_its_kind_and_leaves_nothing(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    training, code, where, found = FAULTS[name]
    (workshop.folder / "empty.txt").touch()
    (workshop.folder / "bytes.txt").write_bytes(b"\xff\xfe\x00king")
    called = train(workshop, capsys, training_run(**training))
    assert called.code == code, called.err
    assert where in called.err
    assert found in called.err
    assert "expected" in called.err
    assert "Traceback" not in called.err
    assert not (workshop.folder / "out").exists()
    finished = parse_report(called.out.strip())
    assert isinstance(finished, Finished)
    assert finished.exit_code == code


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kind: [", "run.yaml:1"),
        ("- a\n- list\n", "mapping"),
        ("kind: Pod\n", "Pod"),
        ("kind: TrainingRun\napiVersion: v1\n", "apiVersion"),
        ("kind: TrainingRun\napiVersion: lightcompute.dev/v1alpha1\n", "metadata"),
        ("a: 1\na: 2\n", "twice"),
    ],
)
def test_a_document_that_is_no_order_is_refused(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], text: str, found: str
) -> None:
    called = train(workshop, capsys, text)
    assert called.code == CONFIGURATION
    assert found in called.err
    assert "Traceback" not in called.err


def test_an_order_that_is_missing_is_named(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    called = call(capsys, "train", workshop.folder / "none.yaml", "--out", workshop.folder / "out")
    assert called.code == CONFIGURATION
    assert "none.yaml" in called.err


def test_every_fault_of_an_order_is_told_at_once(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    called = train(workshop, capsys, training_run(batchSize=0, precision="FP8", seed=-1))
    assert len(called.err.strip().splitlines()) == 3


@pytest.mark.parametrize("assignment", ["training.seed", "training.seed=x", "training.sead=1"])
def test_an_override_that_makes_no_sense_is_refused(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], assignment: str
) -> None:
    called = train(workshop, capsys, training_run(), "--set", assignment)
    assert called.code == CONFIGURATION
    assert "Traceback" not in called.err


def test_an_override_changes_what_is_trained(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(workshop.folder / "cache"))
    called = train(workshop, capsys, training_run(), "--set", "training.maxSteps=2")
    assert called.code == 0, called.err
    results = json.loads((workshop.folder / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["maxSteps"] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIGHTCOMPUTE_ATTEMPT", "0"),
        ("LIGHTCOMPUTE_STOP_AFTER_SECONDS", "soon"),
        ("GLOBAL_SEED", "many"),
        ("WORLD_SIZE", "-1"),
        ("OMP_NUM_THREADS", "all"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    called = train(workshop, capsys, training_run())
    assert called.code == CONFIGURATION
    assert name in called.err
    assert value in called.err


def test_a_seed_of_the_environment_is_taken_where_the_order_names_none(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(workshop.folder / "cache"))
    monkeypatch.setenv("GLOBAL_SEED", "42")
    assert train(workshop, capsys, training_run(maxSteps=1)).code == 0
    audit = json.loads((workshop.folder / "out" / "audit.json").read_text(encoding="utf-8"))
    assert audit["seeds"]["GLOBAL_SEED"] == audit["seeds"]["seed"] == 42


@pytest.mark.slow
def test_compiling_without_a_compiler_is_a_fault_of_the_order(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(workshop.folder / "cache"))
    monkeypatch.setenv("CXX", str(workshop.folder / "no-such-compiler"))
    called = train(workshop, capsys, training_run(compile=True))
    assert called.code == CONFIGURATION
    assert "training.compile" in called.err
    assert "compiler" in called.err
    assert not (workshop.folder / "out").exists()


def test_the_supervisor_is_told_of_a_fault_in_the_termination_message(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = workshop.folder / "termination"
    monkeypatch.setenv("LIGHTCOMPUTE_TERMINATION_LOG", str(log))
    train(workshop, capsys, training_run(batchSize=0))
    message = TerminationMessage.model_validate_json(log.read_bytes())
    assert message.exit_code == CONFIGURATION
    assert message.reason == "ConfigurationFault"
    assert "batchSize" in message.message


def test_a_checkpoint_of_another_configuration_is_told_by_its_field(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(workshop.folder / "cache"))
    assert train(workshop, capsys, training_run()).code == 0
    called = train(workshop, capsys, training_run(batchSize=8))
    assert called.code == ExitCode.BROKEN_CHECKPOINT
    assert "training.batchSize" in called.err
    assert "Traceback" not in called.err


def test_only_broken_checkpoints_are_told_with_what_to_do(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(workshop.folder / "cache"))
    train(workshop, capsys, training_run())
    for weights in (workshop.folder / "out" / "checkpoints").glob("step-*/model.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-5])
    called = train(workshop, capsys, training_run())
    assert called.code == ExitCode.BROKEN_CHECKPOINT
    assert "only broken checkpoints" in called.err


def test_what_nobody_foresaw_is_one_line_and_a_file_with_the_traceback(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("a wheel came off")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("lightgpt.cli.train.read_training_file", breaks)
    called = train(workshop, capsys, training_run())
    assert called.code == ExitCode.INTERNAL_ERROR
    assert len(called.err.strip().splitlines()) == 1
    assert "a wheel came off" in called.err
    kept = next(tmp_path.glob("*.traceback.txt")).read_text(encoding="utf-8")
    assert "Traceback" in kept


def test_debug_shows_the_traceback(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    path = workshop.folder / "none.yaml"
    called = call(capsys, "--debug", "train", path, "--out", workshop.folder / "out")
    assert called.code == CONFIGURATION
    assert "Traceback" in called.err


@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_a_folder_without_a_model_is_refused(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    called = call(capsys, command, workshop.folder)
    assert called.code == ExitCode.BROKEN_CHECKPOINT
    assert "no whole checkpoint" in called.err
    assert call(capsys, command, workshop.folder / "none").code == ExitCode.BROKEN_CHECKPOINT
