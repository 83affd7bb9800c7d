"""The Services by which the TensorBoard of a running attempt is reached. What keeps one from being made holds up nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

from lightcompute.api.reasons import Reason
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import PermanentFault
from lightcompute.core.decision import Event
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.creating import NameTaken, created
from lightcompute.kube.family import Family
from lightcompute.kube.manifests.attempt import service_of_curves
from lightcompute.kube.paths import SERVICES
from lightcompute.kube.pools import Home

PATIENCE_SECONDS = 600.0
"""So long one that was refused, or is there and not seen, is not asked for again."""


class CurvesServices:
    """Of one cluster. `made` is told of each that was created."""

    def __init__(
        self,
        client: ClusterClient,
        family: Family,
        home: Home,
        *,
        made: Callable[[Document], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._family = family
        self._home = home
        self._made = made
        self._clock = clock
        self._asked_at: dict[tuple[str, int], float] = {}
        """When one was asked for and none was made, by run and attempt."""

    def served(self, run: TrainingRun, attempt: int) -> bool | None:
        """Whether `attempt` has its Service.

        None where no pod of it serves curves, while the Service is being deleted, and for a time after one was asked for in vain.
        """
        children = self._family.of(run.metadata.uid)
        pods = (pod for pod in children.pods.values() if pod.owner.attempt == attempt)
        if not any(pod.serves_curves and not pod.is_over for pod in pods):
            return None
        services = [each for each in children.services.values() if each.owner.attempt == attempt]
        if services:
            self._asked_at.pop((run.metadata.uid, attempt), None)
            return True if not any(each.deleting for each in services) else None
        asked_at = self._asked_at.get((run.metadata.uid, attempt))
        return (
            None if asked_at is not None and self._clock() - asked_at < PATIENCE_SECONDS else False
        )

    async def serve(self, run: TrainingRun, attempt: int) -> Event | None:
        """Creates the Service, or finds it. Where it is refused, says so; raises TemporaryFault where that is not known."""
        recorded = next(each for each in run.status.attempts if each.number == attempt)
        service = service_of_curves(run, attempt, cluster=recorded.place.cluster, home=self._home)
        try:
            document = await created(self._client, SERVICES, service)
        except (PermanentFault, NameTaken) as fault:
            self._asked_at[run.metadata.uid, attempt] = self._clock()
            reason = Reason.CURVES_NOT_SERVED
            return Event(type="Warning", reason=reason, message=f"{reason.sentence} {fault}")
        if document is not None:
            self._made(document)
        else:
            # It is ours and the watch does not tell of it: it will, unless somebody took a label away.
            self._asked_at[run.metadata.uid, attempt] = self._clock()
        return None

    def forget(self, run_uid: str, attempt: int) -> None:
        """The attempt is over."""
        self._asked_at.pop((run_uid, attempt), None)


def way_to_curves(run: TrainingRun, children: tuple[Child, ...]) -> str | None:
    """What to type to see the curves of a run; None where nothing shows any now."""
    if not run.spec.tensorboard.enabled:
        return None
    if not any(child.state is ChildState.RUNNING for child in children):
        return None
    return f"lightcompute tensorboard {run.metadata.name} -n {run.metadata.namespace}"
