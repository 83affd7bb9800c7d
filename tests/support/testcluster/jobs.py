"""Jobs whose trainer is simulated: what its container would have done is steered by variables named SIM_..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightcompute.api import labels
from runcontract import environment

GPU_TYPE = "lightcompute.dev/gpu-type"


def trainer_job(
    name: str,
    *,
    gpus: int = 1,
    gpu_type: str | None = None,
    sidecar: bool = False,
    attempt: int = 1,
    grace_seconds: int = 30,
    job_labels: Mapping[str, str] | None = None,
    job_spec: Mapping[str, Any] | None = None,
    **knobs: object,
) -> dict[str, Any]:
    """A Job of one trainer pod; `run_seconds=1` becomes SIM_RUN_SECONDS=1, True becomes 1."""
    variables = {environment.ATTEMPT: str(attempt)}
    for key, value in knobs.items():
        variables[f"SIM_{key.upper()}"] = str(int(value)) if isinstance(value, bool) else str(value)
    marked = {labels.PURPOSE: "trainer", **(job_labels or {})}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_seconds,
        "containers": [
            {
                "name": "trainer",
                "image": "lightcompute-trainer",
                "env": [{"name": key, "value": value} for key, value in variables.items()],
                "resources": {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {},
            }
        ],
    }
    if sidecar:
        pod["initContainers"] = [
            {"name": "tensorboard", "image": "lightcompute-trainer", "restartPolicy": "Always"}
        ]
    if gpu_type is not None:
        pod["nodeSelector"] = {GPU_TYPE: gpu_type}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": marked},
        "spec": {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": {"metadata": {"labels": marked}, "spec": pod},
            **(job_spec or {}),
        },
    }
