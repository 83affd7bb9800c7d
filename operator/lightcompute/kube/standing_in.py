"""Who sees to a run's checkpoints: the cluster of its newest attempt; of a run in a bucket, when that one's TrainingCluster was deleted, another."""

from __future__ import annotations

from lightcompute.api.training_run import TrainingRun
from lightcompute.core.stand_in import may_stand_in
from lightcompute.kube.atlas import Atlas
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.tending import Tender


def tender_of(run: TrainingRun, home: Site | None, atlas: Atlas) -> Tender | None:
    """That of `home`, where the newest attempt was, if it can be reached; else that of whoever stands in for it, if anybody may."""
    site = home or _standing_in(run, atlas)
    return None if site is None else site.tender


def _standing_in(run: TrainingRun, atlas: Atlas) -> Site | None:
    """The first by name that may and can be reached; nobody while there is the TrainingCluster itself, whatever is wrong with it."""
    if atlas.knows(run.status.attempts[-1].place.cluster):
        return None
    workers = sorted(atlas.workers, key=lambda worker: worker.name)
    return next(
        (
            worker.site
            for worker in workers
            if may_stand_in(run, worker.cluster)
            and worker.reach.answers
            and not worker.is_suspect
            and atlas.fault_of(worker.name) is None
        ),
        None,
    )
