"""The judge of benchmarks/fleet_burst.py, on made-up records: one that never objects would prove nothing."""

from typing import Any

from lightcompute.api import labels
from support.gpu_audit import GPU, GPU_TYPE, By, Claim, Most, claim_of, most_at_once

TYPE = "L40S"


def test_jobs_that_overlap_for_one_version_are_added_up() -> None:
    record = [
        job(1, "a"),
        job(2, "b", run="second"),
        job(3, "a", condition="Complete"),
    ]
    assert most_at_once(record)[By.JOBS, TYPE] == Most(gpus=2, version=2)


def test_a_job_that_follows_the_end_of_another_takes_its_gpu() -> None:
    for condition in ("Complete", "Failed"):
        record = [job(1, "a"), job(2, "a", condition=condition), job(3, "b", run="second")]
        assert most_at_once(record)[By.JOBS, TYPE].gpus == 1


def test_a_job_that_will_be_complete_soon_still_wants_its_gpu() -> None:
    record = [
        job(1, "a"),
        job(2, "a", condition="SuccessCriteriaMet"),
        job(3, "b", run="second"),
    ]
    assert most_at_once(record)[By.JOBS, TYPE].gpus == 2


def test_the_order_is_that_of_the_server_and_not_that_of_the_record() -> None:
    record = [job(3, "b", run="second"), job(1, "a"), job(2, "a", gone=True)]
    assert most_at_once(record)[By.JOBS, TYPE].gpus == 1


def test_a_job_wants_gpus_for_each_of_its_pods() -> None:
    assert most_at_once([job(1, "a", completions=4, gpus=8)])[By.JOBS, TYPE].gpus == 32


def test_the_pod_of_a_deleted_job_holds_its_gpu_until_it_is_over() -> None:
    record = [
        job(1, "a"),
        pod(2, "a-0"),
        job(3, "a", gone=True),
        job(4, "b", run="second"),
        pod(5, "a-0", phase="Failed"),
    ]
    found = most_at_once(record)
    assert (found[By.JOBS, TYPE].gpus, found[By.PODS, TYPE].gpus) == (1, 1)
    assert found[By.ATTEMPTS, TYPE] == Most(gpus=2, version=4)


def test_an_attempt_with_its_job_and_its_pod_holds_one_gpu() -> None:
    record = [job(1, "a"), pod(2, "a-0"), pod(3, "a-0", phase="Running")]
    assert most_at_once(record)[By.ATTEMPTS, TYPE].gpus == 1


def test_types_are_counted_apart() -> None:
    record = [job(1, "a"), job(2, "b", run="second", gpu_type="H100-80GB")]
    found = most_at_once(record)
    assert (found[By.JOBS, TYPE].gpus, found[By.JOBS, "H100-80GB"].gpus) == (1, 1)


def job(
    version: int,
    uid: str,
    *,
    run: str = "first",
    condition: str = "",
    gone: bool = False,
    **size: Any,
) -> Claim:
    document = {
        "metadata": _metadata(version, uid, run),
        "spec": {
            "completions": size.get("completions", 1),
            "template": {"spec": _pod_spec(size.get("gpu_type", TYPE), size.get("gpus", 1))},
        },
        "status": {"conditions": [{"type": condition, "status": "True"}] if condition else []},
    }
    return claim_of(By.JOBS, document, gone=gone)


def pod(version: int, uid: str, *, run: str = "first", phase: str = "Pending") -> Claim:
    document = {
        "metadata": _metadata(version, uid, run),
        "spec": _pod_spec(TYPE, 1),
        "status": {"phase": phase},
    }
    return claim_of(By.PODS, document, gone=False)


def _metadata(version: int, uid: str, run: str) -> dict[str, Any]:
    marks = {labels.RUN_UID: run, labels.ATTEMPT: "1"}
    return {"uid": uid, "resourceVersion": str(version), "labels": marks}


def _pod_spec(gpu_type: str, gpus: int) -> dict[str, Any]:
    return {
        "nodeSelector": {GPU_TYPE: gpu_type},
        "containers": [{"resources": {"limits": {GPU: str(gpus)}}}],
    }
