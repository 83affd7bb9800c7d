"""The verbs that exist on a laptop too, on runs of a real API server. The test writes their status: no operator runs."""

from __future__ import annotations

import pytest
import yaml

from lightcompute.api import Phase, TrainingRunStatus, labels
from lightcompute.api.foresight_of_target import TargetForecast, ValidationCurve, ValidationPoint
from lightcompute.api.status import Cost, Metric, TrainerStatus
from lightcompute.testing.builders import NOON, an_ended_attempt
from support.cluster_cli import ClusterCommands, Document, parsed, resting, running

pytestmark = pytest.mark.e2e

METRICS = {
    "step": "40",
    "maxSteps": "100",
    "trainingLossNatsPerToken": "2.5",
    "validationLossNatsPerToken": "2.25",
    "validationLossNatsPerCharacter": "1.5",
    "validationLossBitsPerByte": "2.2",
    "tokensPerSecond": "nan",
}


def test_the_status_shows_what_the_operator_wrote(commands: ClusterCommands) -> None:
    metrics = tuple(Metric(name=name, value=value) for name, value in METRICS.items())
    told = TrainerStatus(progress_percentage=40, metrics=metrics, last_updated_time=NOON)
    commands.make(status=running(trainer_status=told))
    said = commands.call("status", "baseline")
    assert said.code == 0, said
    for words in ("Running", "It runs.", "40/100", "2.5000 nats/token", "2.2500 nats/token"):
        assert words in said.out
    assert "tokens/s" not in said.out
    listed = commands.call("list").out
    assert "baseline  Running  40/100" in listed


def test_a_forecast_of_the_target_goes_through_the_server_and_is_told(
    commands: ClusterCommands,
) -> None:
    curve = ValidationCurve(
        unit="BitsPerByte", attempt=1, points=(ValidationPoint(step=10, loss=2.0),)
    )
    forecast = TargetForecast(
        likelihood="Unclear", unit="BitsPerByte", step=100, lowest_loss=1, highest_loss=1.95, message="1 to 1.95"
    )  # fmt: skip
    commands.make(
        status=running(
            trainer_status=TrainerStatus(validation_curve=curve), cost=Cost(target=forecast)
        )
    )
    stored = commands.get()["status"]
    assert stored["trainerStatus"]["validationCurve"] == curve.document()
    assert stored["cost"]["target"] == forecast.document()
    for verb in ("status", "cost"):
        assert "may be met or missed: 1 to 1.95" in commands.call(verb, "baseline").out


def test_the_status_document_is_the_one_of_the_api(commands: ClusterCommands) -> None:
    commands.make(status=running())
    status = commands.get()["status"]
    assert parsed(commands.call("status", "baseline", "-o", "json").out) == status
    assert yaml.safe_load(commands.call("status", "baseline", "-o", "yaml").out) == status


def test_runs_of_all_namespaces_are_listed_with_theirs(commands: ClusterCommands) -> None:
    commands.make()
    said = commands.plain("list", "-A", "--kubeconfig", commands.kubeconfig)
    assert said.code == 0
    assert said.out.split()[0] == "NAMESPACE"
    assert [commands.namespace, "baseline"] in [line.split()[:2] for line in said.out.splitlines()]


def test_the_environment_may_say_that_the_cluster_is_meant(
    commands: ClusterCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.make("elsewhere-too")
    monkeypatch.setenv("LIGHTCOMPUTE_ON", "cluster")
    monkeypatch.setenv("KUBECONFIG", str(commands.kubeconfig))
    assert "elsewhere-too" in commands.plain("list", "-A").out
    assert "namespace default" in commands.plain("list").out + commands.plain("status", "x").err
    runs = commands.folder / "runs"
    assert f"No runs in {runs}" in commands.plain("list", "--runs-dir", runs).out


def test_a_run_that_no_operator_has_seen_is_told_as_such(commands: ClusterCommands) -> None:
    commands.make()
    for verb in ("status", "explain"):
        assert "No operator has looked at generation 1" in commands.call(verb, "baseline").out


def test_why_a_run_is_where_it_is_is_told_with_its_events(commands: ClusterCommands) -> None:
    run = commands.make(status=running(message="attempt 1 runs on the pool"))
    event = {
        "metadata": {"name": "baseline.1", "namespace": commands.namespace},
        "involvedObject": {"kind": "TrainingRun", "name": "baseline", "uid": run["metadata"]["uid"], "namespace": commands.namespace},
        "type": "Normal", "reason": "Chosen", "message": "A place was found.", "count": 3,
        "lastTimestamp": "2030-01-01T12:00:00Z", "source": {"component": "lightcompute"},
    }  # fmt: skip
    commands.api.post(f"/api/v1/namespaces/{commands.namespace}/events", event)
    said = commands.call("explain", "baseline")
    assert said.code == 0, said
    for words in (
        f"{commands.namespace}/baseline: Running (AttemptRunning)",
        "attempt 1 runs on the pool",
        "The processes of the attempt are alive.",
        "1 on local/CPU: Running",
        "Charges",
        "2030-01-01T12:00:00Z Normal Chosen: A place was found. (3 times)",
    ):
        assert words in said.out
    assert "Next:" not in said.out


def test_the_ledger_adds_up_as_on_a_laptop(commands: ClusterCommands) -> None:
    ended = an_ended_attempt(seconds=3600, price="1.50")
    commands.make(status=resting(Phase.FAILED).model_copy(update={"attempts": (ended,)}))
    said = commands.call("cost", "baseline")
    assert said.code == 0, said
    assert "$1.50" in said.out
    assert "1 h 00 min" in said.out


def test_suspending_waits_until_the_attempt_is_gone(commands: ClusterCommands) -> None:
    commands.make(status=running())

    def answer(run: Document) -> TrainingRunStatus | None:
        return resting(Phase.SUSPENDED) if run["spec"].get("suspend") else None

    with commands.operator(answer):
        said = commands.call("suspend", "baseline")
    assert said.code == 0, said
    assert "baseline: Suspended." in said.out


def test_what_was_suspended_goes_on(commands: ClusterCommands) -> None:
    commands.make(status=resting(Phase.SUSPENDED), suspend=True)
    assert "resume baseline -n" in commands.call("status", "baseline").out
    said = commands.call("resume", "baseline")
    assert said.code == 0, said
    assert commands.get()["spec"]["suspend"] is False
    assert "nothing was changed" in commands.call("resume", "baseline").out


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED, Phase.BUDGET_EXHAUSTED])
def test_what_cannot_be_resumed_is_told_with_what_can_be_done(
    commands: ClusterCommands, phase: Phase
) -> None:
    commands.make(status=resting(phase))
    said = commands.call("resume", "baseline")
    assert said.code == 10
    assert f"found {phase}" in said.err
    assert "lightcompute submit FILE" in said.err


def test_a_run_is_ended_for_good_by_its_annotation(commands: ClusterCommands) -> None:
    commands.make(status=resting(Phase.SUSPENDED), suspend=True)

    def answer(run: Document) -> TrainingRunStatus | None:
        stopped = labels.STOP in run["metadata"].get("annotations", {})
        return resting(Phase.STOPPED) if stopped else None

    with commands.operator(answer):
        said = commands.call("stop", "baseline", "--for-good")
    assert (said.code, said.out.split(".")[0]) == (0, "baseline: Stopped")
    assert commands.get()["spec"]["suspend"] is True


def test_a_stop_that_nobody_carries_out_is_not_waited_for_for_ever(
    commands: ClusterCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightcompute.cli.cluster_run.STOP_SECONDS", 1.0)
    commands.make(status=running())
    said = commands.call("stop", "baseline")
    assert said.code == 1
    assert "has not stopped in 1 s" in said.err
    assert "No operator has looked at generation 2" in said.err


def test_deleting_waits_for_the_release_when_asked_to(commands: ClusterCommands) -> None:
    commands.make(status=running())
    path = f"{commands.runs}/baseline"
    commands.api.patch(path, {"metadata": {"finalizers": [labels.FINALIZER]}})
    said = commands.call("delete", "baseline", "--yes", "--checkpoints")
    assert said.code == 0
    assert "is being deleted" in said.out
    assert commands.get()["spec"]["checkpoints"]["whenDeleted"] == "Delete"
    assert "Its deletion was asked for" in commands.call("explain", "baseline").out

    def release(run: Document) -> None:
        commands.api.patch(path, {"metadata": {"finalizers": None}})

    with commands.operator(release):
        said = commands.call("delete", "baseline", "--yes", "--wait")
    assert (said.code, said.out) == (0, "baseline is deleted.\n")
    assert commands.api.find(path) is None
