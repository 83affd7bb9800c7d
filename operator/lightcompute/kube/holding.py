"""Holds runs by our finalizer while anything of theirs may cost money, and lets them go after that."""

from __future__ import annotations

from contextlib import suppress

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import Conflict
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.faults import NotFound
from lightcompute.kube.paths import RUNS
from lightcompute.kube.runs import RunStore


class Holder:
    """Writes the metadata of runs, and nothing else."""

    def __init__(self, client: ClusterClient, runs: RunStore) -> None:
        self._client = client
        self._runs = runs

    async def delete(self, run: TrainingRun) -> None:
        """Deletes the run, if it is still this one."""
        path = RUNS.named(str(run.metadata.namespace), run.metadata.name)
        await self._client.delete(path, uid=run.metadata.uid)

    async def let_go(self, run: TrainingRun) -> None:
        """Takes our finalizer away."""
        if labels.FINALIZER not in run.metadata.finalizers:
            return
        left = [each for each in run.metadata.finalizers if each != labels.FINALIZER]
        with suppress(NotFound):
            await self._client.patch(self._path(run), _with_finalizers(run, left))
        self._runs.gone(run.metadata.uid)

    async def hold(self, run: TrainingRun) -> None:
        if labels.FINALIZER in run.metadata.finalizers:
            return
        if run.metadata.deletion_timestamp is not None:
            raise Conflict(f"{run.label} is being deleted")
        finalizers = [*run.metadata.finalizers, labels.FINALIZER]
        try:
            written = await self._client.patch(self._path(run), _with_finalizers(run, finalizers))
        except NotFound as fault:
            self._runs.gone(run.metadata.uid)
            raise Conflict(f"{run.label} is gone") from fault
        metadata = run.metadata.model_copy(
            update={
                "finalizers": tuple(finalizers),
                "resource_version": written["metadata"]["resourceVersion"],
            }
        )
        self._runs.wrote(run.model_copy(update={"metadata": metadata}))

    def _path(self, run: TrainingRun) -> str:
        return RUNS.named(str(run.metadata.namespace), run.metadata.name)


def _with_finalizers(run: TrainingRun, finalizers: list[str]) -> Document:
    return {
        "metadata": {
            "uid": run.metadata.uid,
            "resourceVersion": run.metadata.resource_version,
            "finalizers": finalizers,
        }
    }
