"""Which clusters may see to the checkpoints of a run in a bucket, when that of its newest attempt is no more: those that it may be placed into.

There its key is as well (docs/checkpoints.md), and what is in a bucket is the same from everywhere.
"""

from __future__ import annotations

from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.api.training_run import TrainingRun


def may_stand_in(run: TrainingRun, cluster: TrainingCluster) -> bool:
    """Whether `cluster` is one of them, by what it and the run allow; whether it can be reached is another question."""
    if run.spec.storage.s3 is None:
        return False
    wanted, spec = run.spec.placement, cluster.spec
    allowed = (
        (run.metadata.namespace, spec.allowed_namespaces),
        (cluster.metadata.name, wanted.clusters),
        (spec.region, wanted.regions),
    )
    if any(names and name not in names for name, names in allowed):
        return False
    return not wanted.gpu_types or any(
        pool.gpu_type in wanted.gpu_types for pool in spec.node_pools
    )
