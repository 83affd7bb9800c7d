import pytest
import yaml

from runcontract.environment import TINYSHAKESPEARE
from support.realnode.claims import claim
from support.realnode.commands import lightcompute
from support.realnode.release import RATE_USD_PER_HOUR, Release
from support.realnode.runs import DATA, Runs
from support.source import CHECKOUT
from support.tinyshakespeare import tinyshakespeare

pytestmark = [pytest.mark.e2e, pytest.mark.realnode]

BASELINE = CHECKOUT / "examples" / "baseline-run.yaml"
SHORT = {
    "training.maxSteps": 2,
    "training.schedule.warmupSteps": 1,
    "training.batchSize": 2,
    "training.evaluation": "{everySteps: 2, batchSize: 16}",
    "training.samples.tokens": 8,
}
"""Only its length is cut."""


@pytest.mark.timeout(400)
def test_the_baseline_trains_in_a_pod_of_its_own(runs: Runs, release: Release) -> None:
    runs.submit(BASELINE, **SHORT, **its_text(runs))
    status = runs.succeeded("baseline", seconds=300)

    results, environment = status.results, status.environment
    assert results is not None
    assert environment is not None
    assert (results.steps, results.reason) == (2, "MaxStepsReached")
    assert results.target_met is False  # Two steps are few.
    assert results.final_validation is not None
    assert environment.torch.startswith("2.6")
    assert environment.seeds
    assert [each.step for each in status.checkpoints] == [2]

    (attempt,) = status.attempts
    assert (attempt.exit_code, attempt.reason) == (0, "Completed")
    assert attempt.place.gpu_type == "A100-40GB"
    # Charged from being scheduled to its confirmed end, at the chart's price.
    assert attempt.start_time is not None
    assert attempt.end_time is not None
    held_seconds = (attempt.end_time - attempt.start_time).total_seconds()
    cost_usd = held_seconds * RATE_USD_PER_HOUR / 3600
    assert status.cost.spent_usd == pytest.approx(cost_usd * 1e6, abs=2)

    (pod,) = runs.pods("baseline")
    assert pod["status"]["phase"] == "Succeeded"
    assert '"event":"finished"' in runs.log(pod["metadata"]["name"]).replace(" ", "")


def its_text(runs: Runs) -> dict[str, object]:
    """A pod of this cluster can download nothing: the text comes from a claim, or is another where this machine has none."""
    try:
        text = tinyshakespeare()
    except pytest.skip.Exception:
        return {"training.data.dataset": DATA}
    folder = claim(runs.rig, runs.namespace, "texts")
    (folder / "tinyshakespeare.txt").write_bytes(text.read_bytes())
    return {
        "trainer.volumes": "[{name: texts, claimName: texts, mountPath: /texts, readOnly: true}]",
        "trainer.env": f"[{{name: {TINYSHAKESPEARE}, value: /texts/tinyshakespeare.txt}}]",
    }


def test_our_commands_tell_of_a_run_in_the_cluster(runs: Runs) -> None:
    runs.order("small", {})
    runs.succeeded("small")
    told = lightcompute(runs.rig, "status", "small", "-n", runs.namespace)
    assert "Succeeded" in told
    log = lightcompute(runs.rig, "logs", "small", "-n", runs.namespace)
    assert "finished" in log or "20" in log
    assert "us-ord1" in lightcompute(runs.rig, "explain", "small", "-n", runs.namespace)


def test_a_trainer_has_no_credentials_and_no_rights_on_its_node(
    runs: Runs, release: Release
) -> None:
    trainer = {"image": release.trainer_image.name, "command": ["python", "-c", LOOK]}
    runs.order("looker", {"trainer": trainer, "training": None})
    runs.succeeded("looker")
    (pod,) = runs.pods("looker")
    seen = yaml.safe_load(runs.log(pod["metadata"]["name"]))
    assert seen == {
        "uid": 65532,
        "token": False,
        "capabilities": "0000000000000000",
        "seccomp": "2",
    }


LOOK = """
import json, os, pathlib
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "uid": os.getuid(),
    "token": pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists(),
    "capabilities": status["CapEff"].strip(),
    "seccomp": status["Seccomp"].strip(),
}))
"""
