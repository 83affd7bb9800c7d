import gc
import json
from contextlib import suppress
from typing import Any
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.money import parse_usd
from lightcompute.api.spec import TrainingRunSpec
from lightcompute.kube import reading
from lightcompute.kube.reading import MAX_FAULTS, ReadRun, Unreadable, read_run
from runcontract.document import parse_model
from runcontract.faults import ConfigurationFault

Document = dict[str, Any]
METADATA: Document = {
    "name": "baseline",
    "namespace": "team-a",
    "uid": "uid-1",
    "resourceVersion": "7",
    "generation": 2,
    "managedFields": [{"manager": "kubectl"}],
    "creationTimestamp": "2030-01-01T12:00:00Z",
}
SPEC: Document = {
    "training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100},
    "budget": {"limitUSD": "20.00"},
    "trainer": {"numNodes": 2, "env": [{"name": "A", "value": "1"}]},
}


def stored(spec: Any, *, status: Any = None, **metadata: Any) -> Document:
    """A run as an API server has it."""
    document = {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": METADATA | metadata,
        "spec": spec,
    }
    return document if status is None else document | {"status": status}


def read(spec: Any, **more: Any) -> ReadRun:
    return read_run(stored(spec, **more))


def limit(found: ReadRun) -> int | None:
    budget = found.run.spec.budget
    return None if budget is None else budget.limit_usd


def test_a_run_as_it_should_be_has_no_faults() -> None:
    found = read(SPEC)
    assert found.faults == ()
    assert found.run.metadata.resource_version == "7"
    assert found.run.spec == parse_model(TrainingRunSpec, SPEC)


def test_an_unknown_field_is_told_of_and_the_rest_is_read() -> None:
    found = read(SPEC | {"budgets": {}, "trainer": {"numNodes": 2, "nodes": 3}})
    assert [fault.partition(":")[0] for fault in found.faults] == [
        "spec.trainer.nodes",
        "spec.budgets",
    ]
    assert found.run.spec.trainer.num_nodes == 2
    assert limit(found) == parse_usd("20")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("suspend", "yes"),
        ("trainer", []),
        ("trainer.numNodes", "2"),
        ("trainer.numNodes", 0),
        ("trainer.env", [{"name": "A"}, {"name": "9"}]),
        ("trainer.env", {"A": "1"}),
        ("training.maxSteps", None),
        ("training.optimizer", 7),
        ("placement.gpuTypes", ["a", "a"]),
        ("storage", {"ephemeral": {}, "persistentVolumeClaim": {"claimName": "a"}}),
        ("failurePolicy", {"backoff": {"baseSeconds": 600, "maxSeconds": 5}}),
        ("activeDeadlineSeconds", 1.5),
        ("budget.pollIntervalSeconds", -1),
    ],
)
def test_one_field_at_fault_leaves_the_others_as_they_are(path: str, value: Any) -> None:
    spec = json.loads(json.dumps(SPEC))
    *folders, key = path.split(".")
    place = spec
    for folder in folders:
        place = place.setdefault(folder, {})
    place[key] = value
    found = read(spec)
    assert len(found.faults) >= 1
    assert all(fault.startswith("spec.") for fault in found.faults)
    assert limit(found) == parse_usd("20")
    assert found.run.spec.training is not None
    if not path.startswith("trainer"):
        assert found.run.spec.trainer.num_nodes == 2


def test_only_the_keys_of_documents_count_for_what_is_salvaged() -> None:
    found = read(SPEC | {"active_deadline_seconds": 60, "trainer": {"num_nodes": 7}})
    assert found.faults
    assert found.run.spec.active_deadline_seconds is None
    assert found.run.spec.trainer.num_nodes == 1


def test_a_fault_between_fields_takes_away_no_more_than_them() -> None:
    """Of a run that has a pod on each of two nodes, and whose CRD is older than the rule."""
    found = read(SPEC | {"failurePolicy": {"maxRestarts": 7, "backoff": {"baseSeconds": 700}}})
    assert found.faults
    assert found.run.spec.trainer.num_nodes == 2
    assert found.run.spec.speaks_contract


@pytest.mark.parametrize("training", [{}, "text", {"data": {}}, [1]])
@pytest.mark.parametrize("image", [None, "mine:1"])
def test_a_training_that_cannot_be_read_is_still_one_of_ours_and_cannot_be_started(
    training: Any, image: str | None
) -> None:
    trainer = {"numNodes": 2} | ({} if image is None else {"image": image})
    spec = read(SPEC | {"training": training, "trainer": trainer}).run.spec
    assert spec.speaks_contract
    assert spec.trainer.num_nodes == 2
    assert spec.trainer.image == "unreadable"


def test_a_run_without_a_program_keeps_the_rest_of_its_spec() -> None:
    spec = {key: value for key, value in SPEC.items() if key != "training"}
    found = read(spec | {"suspend": True})
    assert not found.run.spec.speaks_contract
    assert "spec.training" in found.faults[0]
    assert found.run.spec.suspend
    assert found.run.spec.trainer.num_nodes == 2
    assert limit(found) == parse_usd("20")


@pytest.mark.parametrize("spec", [None, {}, [], "text", 7, True, [{"training": {}}], ""])
def test_a_spec_that_is_none_is_a_fault(spec: Any) -> None:
    found = read(spec)
    assert found.faults
    assert found.run.metadata.uid == "uid-1"


def test_an_object_without_a_spec_is_a_fault() -> None:
    assert read_run({"metadata": METADATA}).faults


def test_only_so_many_faults_are_told() -> None:
    found = read(SPEC | {f"field{number}": 1 for number in range(100)})
    assert len(found.faults) == MAX_FAULTS


# The cap.


@pytest.mark.parametrize(
    "budget",
    [
        {"limitUSD": "twenty"},
        {"limitUSD": 20},
        {"limitUSD": "-1"},
        {"limitUSD": "0"},
        {"limitUSD": "9999999"},
        {"limit": "30.00"},
        {},
        "30.00",
        [],
    ],
)
def test_a_cap_that_became_unreadable_stays_what_the_status_names(budget: Any) -> None:
    found = read(SPEC | {"budget": budget}, status={"cost": {"limitUSD": "12.50"}})
    assert found.faults
    assert limit(found) == parse_usd("12.50")


def test_a_cap_that_is_taken_away_in_a_spec_that_is_right_is_gone() -> None:
    spec = {key: value for key, value in SPEC.items() if key != "budget"}
    found = read(spec, status={"cost": {"limitUSD": "12.50"}})
    assert found.faults == ()
    assert limit(found) is None


def test_a_cap_that_can_be_read_wins_over_that_of_the_status() -> None:
    found = read(SPEC | {"unknown": 1}, status={"cost": {"limitUSD": "12.50"}})
    assert limit(found) == parse_usd("20")


def test_a_cap_is_kept_where_nothing_of_the_spec_can_be_read() -> None:
    found = read("text", status={"cost": {"limitUSD": "12.50"}})
    assert limit(found) == parse_usd("12.50")


# Other versions.


def test_a_status_by_a_newer_operator_is_read_as_far_as_it_is_known() -> None:
    found = read(SPEC, status={"phase": "Running", "fieldOfALaterVersion": {"a": 1}})
    assert found.faults == ()
    assert found.run.status.phase == "Running"


def test_an_object_of_an_older_definition_lacks_what_came_later() -> None:
    found = read({"training": SPEC["training"]}, status={"phase": "Pending"})
    assert found.faults == ()
    assert found.run.status.attempts == ()


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Dancing"},
        {"phase": 7},
        {"attempts": {}},
        {"attempts": [{"number": 0}]},
        {"cost": {"spentUSD": "a lot"}},
        {"cost": {"limitUSD": 1.5}},
        {"conditions": [{"type": "Ready"}]},
        "text",
        [1],
        7,
    ],
)
def test_a_status_that_cannot_be_read_stops_everything(status: Any) -> None:
    """What was spent and what is alive stands there: to go on without it would be to make it up."""
    with pytest.raises(Unreadable):
        read(SPEC, status=status)


@pytest.mark.parametrize(
    "metadata",
    [
        {"uid": ""},
        {"uid": None},
        {"uid": 7},
        {"namespace": None},
        {"name": "Not.A.Label"},
        {"name": ""},
        {"generation": -1},
        {"finalizers": "mine"},
        {"creationTimestamp": "yesterday"},
    ],
)
def test_a_run_without_an_identity_is_unreadable(metadata: Document) -> None:
    with pytest.raises(Unreadable):
        read(SPEC, **metadata)


@pytest.mark.parametrize("document", [{}, {"metadata": None}, {"metadata": []}, {"metadata": "a"}])
def test_an_object_that_is_no_run_is_unreadable(document: Document) -> None:
    with pytest.raises(Unreadable):
        read_run(document)


# Anything.

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(("20.00", "-1", "tinyshakespeare", "\ud800"))
)
KEYS = st.sampled_from(
    (
        *("training", "trainer", "budget", "suspend", "storage", "placement", "checkpoints"),
        *("limitUSD", "numNodes", "env", "name", "data", "dataset", "maxSteps", "image", "x"),
    )
)
JSON = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)


@given(spec=JSON | st.builds(lambda more: SPEC | more, st.dictionaries(KEYS, JSON, max_size=3)))
def test_whatever_stands_in_a_spec_becomes_a_run_and_its_faults(spec: Any) -> None:
    found = read(spec, status={"cost": {"limitUSD": "12.50"}})
    try:
        parse_model(TrainingRunSpec, {} if spec is None else spec)
    except ConfigurationFault:
        assert found.faults
        assert found.run.spec.budget is not None
        return
    assert found.faults == ()


@given(status=JSON, metadata=JSON)
def test_whatever_stands_beside_a_spec_is_read_or_unreadable(status: Any, metadata: Any) -> None:
    for document in (stored(SPEC, status=status), {"metadata": metadata, "spec": SPEC}):
        with suppress(Unreadable):
            read_run(document)


def test_what_runs_have_word_for_word_in_common_is_kept_once() -> None:
    training = SPEC["training"] | {"schedule": {"warmupSteps": 7}}
    one, same = (
        read(SPEC | {"training": training}),
        read(SPEC | {"training": training}, uid="uid-2"),
    )
    other = read(SPEC | {"training": training | {"maxSteps": 8}}, uid="uid-3")
    assert one.run.spec.training is same.run.spec.training
    assert one.run.spec.training is not other.run.spec.training
    assert one.run.spec.training is not None
    assert other.run.spec.training is not None
    assert one.run.spec.training.schedule is other.run.spec.training.schedule
    assert other.run.spec == parse_model(
        TrainingRunSpec, SPEC | {"training": training | {"maxSteps": 8}}
    )


def test_what_no_run_has_any_more_is_not_kept() -> None:
    one = read(SPEC | {"training": SPEC["training"] | {"seed": 4711}})
    kept = [section for section in reading._SECTIONS.values() if section is one.run.spec.training]
    assert len(kept) == 1
    gone = ref(kept.pop())
    del one
    gc.collect()
    assert gone() is None


def test_the_copy_of_a_run_that_kubectl_keeps_in_it_is_passed_over_however_long_it_is() -> None:
    copy = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 300_000, "ours": "yes"}
    found = read(SPEC, annotations=copy)
    assert found.run.metadata.annotations == {"ours": "yes"}
