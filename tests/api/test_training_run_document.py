"""The TrainingRun document: what is taken, what is refused and how that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightcompute.api import (
    TrainingRun,
    TrainingRunStatus,
    parse_training_run,
    read_training_run,
)
from lightcompute.api.labels import child_name
from runcontract.faults import ConfigurationFault

SMALL: dict[str, Any] = {
    "apiVersion": "lightcompute.dev/v1alpha1",
    "kind": "TrainingRun",
    "metadata": {"name": "baseline"},
    "spec": {
        "training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100},
        "budget": {"limitUSD": "20.00"},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """SMALL with one key set; path parts by dots."""
    document: dict[str, Any] = yaml.safe_load(yaml.safe_dump(SMALL))
    *folders, key = path.split(".")
    place = document
    for folder in folders:
        place = place.setdefault(folder, {})
    place[key] = value
    return document


def test_a_run_goes_through_its_document_unchanged() -> None:
    run = parse_training_run(SMALL)
    assert parse_training_run(run.document()) == run


def test_keys_that_only_the_api_server_knows_are_passed_over_in_metadata() -> None:
    document = changed("metadata.managedFields", [{"manager": "kubectl"}])
    document["metadata"]["selfLink"] = "/apis"
    assert parse_training_run(document).metadata.name == "baseline"


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("metadata.name", "Base_Line", "metadata.name"),
        ("metadata.name", "a" * 64, "metadata.name"),
        ("apiVersion", "lightcompute.dev/v2", "apiVersion"),
        ("kind", "TrainJob", "kind"),
        ("spec.budget.limitUSD", "0", "spec.budget.limitUSD"),
        ("spec.budget.limitUSD", "-5", "spec.budget.limitUSD"),
        ("spec.budget.limitUSD", 20, "spec.budget.limitUSD"),
        ("spec.budget.limitUSD", 20.5, "spec.budget.limitUSD"),
        ("spec.budget.limitUSD", True, "spec.budget.limitUSD"),
        ("spec.budget.limitUSD", "1e3", "spec.budget.limitUSD"),
        ("spec.budget.limitUSD", "0.0000001", "spec.budget.limitUSD"),
        ("spec.budget.limitUSD", "9999999", "spec.budget.limitUSD"),
        ("spec.budget.limit", "20.00", "spec.budget.limit"),
        ("spec.budget.pollIntervalSeconds", 1, "spec.budget.pollIntervalSeconds"),
        ("spec.training.model.heads", 5, "spec.training.model.heads"),
        ("spec.training", None, "spec.training"),
        ("spec.placement.gpuTypes", ["L40S", "L40S"], "spec.placement.gpuTypes"),
        ("spec.placement.maxHourlyPriceUSD", 4, "spec.placement.maxHourlyPriceUSD"),
        ("spec.trainer.numNodes", 0, "spec.trainer.numNodes"),
        ("spec.trainer.numNodes", "1", "spec.trainer.numNodes"),
        ("spec.trainer.env", [{"name": "A"}, {"name": "A"}], "spec.trainer.env"),
        ("spec.trainer.env", [{"name": "9"}], "spec.trainer.env[0].name"),
        ("spec.trainer.env", [{"name": "LIGHTCOMPUTE_ATTEMPT", "value": "9"}], "spec.trainer.env[0].name"),
        (
            "spec.storage",
            {"ephemeral": {}, "persistentVolumeClaim": {"claimName": "data"}},
            "spec.storage.ephemeral",
        ),
        ("spec.storage.s3", {"bucket": "../etc"}, "spec.storage.s3.bucket"),
        ("spec.failurePolicy.backoff", {"baseSeconds": 60, "maxSeconds": 5}, "spec.failurePolicy.backoff.maxSeconds"),
        ("spec.activeDeadlineSeconds", 0, "spec.activeDeadlineSeconds"),
        ("spec.unknown", 1, "spec.unknown"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_path(path: str, value: Any, where: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        parse_training_run(changed(path, value))
    assert [fault.where for fault in caught.value.faults] == [where]
    assert all(fault.expected for fault in caught.value.faults)


def test_every_fault_is_told_at_once() -> None:
    document = changed("spec.budget.limitUSD", "free")
    document["metadata"]["name"] = "Bad"
    document["spec"]["training"]["model"] = {"heads": 5}
    with pytest.raises(ConfigurationFault) as caught:
        parse_training_run(document)
    assert {fault.where for fault in caught.value.faults} == {
        "metadata.name",
        "spec.budget.limitUSD",
        "spec.training.model.heads",
    }


def test_a_program_of_the_user_s_own_needs_no_training() -> None:
    document = changed("spec.trainer.command", ["python", "train.py"])
    del document["spec"]["training"]
    run = parse_training_run(document)
    assert not run.spec.speaks_contract


def test_progress_can_only_be_waited_for_from_a_trainer_that_reports() -> None:
    document = changed("spec.trainer.command", ["train.sh"])
    del document["spec"]["training"]
    document["spec"]["progressDeadlineSeconds"] = 60
    with pytest.raises(ConfigurationFault, match="progressDeadlineSeconds"):
        parse_training_run(document)


def test_assignments_may_leave_out_spec(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    short = read_training_run(file, ["training.seed=7", "metadata.name=other"])
    long = read_training_run(file, ["spec.training.seed=7", "metadata.name=other"])
    assert short == long
    assert short.spec.training is not None
    assert (short.spec.training.seed, short.metadata.name) == (7, "other")


def test_a_status_in_a_person_s_file_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(SMALL | {"status": {"phase": "Succeeded", "rubbish": 1}}))
    assert read_training_run(file).status == TrainingRunStatus()


def test_a_status_with_unknown_keys_is_read_and_one_with_missing_keys_too() -> None:
    status = TrainingRunStatus.model_validate({"phase": "Running", "warp": 9, "cost": {"x": 1}})
    assert status.phase == "Running"


def test_the_schema_bounds_every_text_and_list_of_the_spec() -> None:
    schema = TrainingRun.model_json_schema()
    unbounded = sorted(
        f"{name}.{key}"
        for name, definition in schema["$defs"].items()
        for key, field in definition.get("properties", {}).items()
        for part in [field, *field.get("anyOf", [])]
        if part.get("type") == "array" and "maxItems" not in part
    )
    assert unbounded == []


def test_every_field_of_the_document_says_what_it_is() -> None:
    schema = TrainingRun.model_json_schema()
    silent = [
        f"{name}.{key}"
        for name, definition in schema["$defs"].items()
        for key, field in definition.get("properties", {}).items()
        if not field.get("description")
    ]
    assert silent == []


def test_a_child_s_name_is_a_label_and_keeps_runs_apart() -> None:
    one = child_name("a" * 63, "uid-1", 12, "trainer")
    other = child_name("a" * 63, "uid-2", 12, "trainer")
    assert one != other
    assert len(one) <= 63
    assert one == child_name("a" * 63, "uid-1", 12, "trainer")
