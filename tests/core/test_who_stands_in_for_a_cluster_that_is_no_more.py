"""Checkpoints in a bucket are seen to from any cluster that the run may be placed into; those on a claim from their own alone."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.core.stand_in import may_stand_in
from lightcompute.testing.builders import a_run

BUCKET = {"s3": {"bucket": "training"}}
CLAIM = {"persistentVolumeClaim": {"claimName": "runs"}}


def cluster(**spec: Any) -> TrainingCluster:
    pools = [{"name": "pool", "gpuType": "L40S", "gpusPerNode": 1, "pricePerGPUHourUSD": "1"}]
    connection = {"kubeconfigSecret": {"name": "eu-fra1"}}
    given = {"region": "EU", "namespace": "there", "nodePools": pools, "connection": connection}
    return TrainingCluster.model_validate(
        {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingCluster",
            "metadata": {"name": "eu-fra1"},
            "spec": given | spec,
        }
    )


@pytest.mark.parametrize(
    ("storage", "placement", "spec", "may"),
    [
        (BUCKET, {}, {}, True),
        (BUCKET, {"clusters": ["eu-fra1", "x"], "regions": ["EU"], "gpuTypes": ["L40S"]}, {}, True),
        (BUCKET, {"clusters": ["us-iad1"]}, {}, False),
        (BUCKET, {"regions": ["US"]}, {}, False),
        (BUCKET, {"gpuTypes": ["H100-80GB"]}, {}, False),
        (BUCKET, {}, {"allowedNamespaces": ["others"]}, False),
        (BUCKET, {}, {"allowedNamespaces": ["team"]}, True),
        (CLAIM, {}, {}, False),
        ({"ephemeral": {}}, {}, {}, False),
    ],
)
def test_one_that_the_run_may_be_placed_into_may(
    storage: dict[str, Any], placement: dict[str, Any], spec: dict[str, Any], may: bool
) -> None:
    run = a_run().with_metadata(namespace="team").with_spec(storage=storage, placement=placement)
    assert may_stand_in(run.build(), cluster(**spec)) is may
