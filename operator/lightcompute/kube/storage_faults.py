"""Whether what a run names as its storage is there: asked in every cluster that it may be placed into, before anything is started."""

from __future__ import annotations

from lightcompute.api.training_run import TrainingRun
from lightcompute.kube.atlas import Atlas
from lightcompute.kube.cluster_site import Site


async def storage_faults(
    run: TrainingRun, own: Site, atlas: Atlas
) -> tuple[tuple[str, ...], dict[str, str]]:
    """What is wrong with the spec everywhere, and what the run lacks in which cluster."""
    wrong = faults_of_storage(run)
    if wrong:
        return wrong, {}
    if run.status.attempts and run.status.attempts[-1].is_live:
        return (), {}  # what runs found its claims
    if not len(atlas):
        return await own.sight.faults_of_claims(run), {}
    missing: dict[str, str] = {}
    for worker in atlas.workers:
        site = own if worker.is_own else worker.site
        if site is None or not worker.reach.answers or worker.is_suspect:
            continue
        faults = await site.sight.faults_of_claims(run)
        if faults:
            missing[worker.name] = " ".join(faults)
    return (), missing


def faults_of_storage(run: TrainingRun) -> tuple[str, ...]:
    """What is wrong with the run's storage wherever it is placed."""
    if run.spec.storage.s3 is None or run.spec.training is not None or run.spec.trainer.command:
        return ()
    told = (
        "spec.storage.s3 needs spec.trainer.command where spec.training is not given: an image's own entry point is not known here, "
        "so nothing can be put before it that brings and keeps its checkpoints. Give spec.trainer.command, or "
        "spec.storage.persistentVolumeClaim."
    )
    return (told,)
