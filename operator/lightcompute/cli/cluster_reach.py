"""Where the pods of an attempt are: beside its run, or in another cluster, which a person has to say the way to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lightcompute.api import TrainingRun, labels
from lightcompute.api.status import Attempt, Whereabouts
from lightcompute.backend import PermanentFault
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.kube.faults import Forbidden
from lightcompute.kube.paths import NAMESPACES
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_faults import ClusterRefusal, told_to_people
from runcontract.faults import Fault


@asynccontextmanager
async def reached(
    remote: Remote,
    run: TrainingRun,
    attempt: int,
    other: OtherCluster,
    *,
    own_kubeconfig: Path | None,
    command: str,
) -> AsyncIterator[Remote]:
    """Where the pods of `attempt` are, until the block ends: `remote` itself, or the cluster that `other` leads to.

    Raises ClusterRefusal where that is not known, with `command` for a person who goes there by themselves, and where `other` leads
    somewhere else.
    """
    recorded = next((each for each in run.status.attempts if each.number == attempt), None)
    where = None if recorded is None else await _whereabouts(remote, recorded)
    if recorded is None or where is None:
        yield remote
        return
    if not other:
        raise _not_at_hand(run, recorded, where, command)
    there = await Remote.connect(other.kubeconfig or own_kubeconfig, other.context, where.namespace)
    try:
        with told_to_people(there.client.server):
            await _check_identity(there, recorded, where)
            yield there
    finally:
        await there.client.close()


async def _whereabouts(remote: Remote, attempt: Attempt) -> Whereabouts | None:
    """Where its pods are; None beside the run, and where nobody can tell: then a person finds out that there is no pod."""
    if attempt.whereabouts is not None:
        return attempt.whereabouts if attempt.whereabouts.cluster_uid else None
    # On record only since attempts are looked for where they were placed.
    try:
        clusters = await remote.clusters()
    except PermanentFault:
        return None
    name = attempt.place.cluster
    found = next((each for each in clusters if each["metadata"]["name"] == name), {})
    namespace = (found.get("spec") or {}).get("namespace")
    if namespace is None:
        return None
    uid = str((found.get("status") or {}).get("clusterUid") or "")
    return Whereabouts(cluster_uid=uid, namespace=namespace)


async def _check_identity(there: Remote, attempt: Attempt, where: Whereabouts) -> None:
    """Whoever may not ask which cluster it is finds out that there is no pod."""
    try:
        found = await there.client.get(NAMESPACES.named("kube-system"))
    except Forbidden:
        return
    uid = str(found["metadata"]["uid"])
    if where.cluster_uid and uid != where.cluster_uid:
        raise ClusterRefusal(
            Fault(
                where="--cluster-kubeconfig",
                found=f"the cluster {uid} at {there.client.server}",
                expected=f"{attempt.place.cluster}, which is the cluster {where.cluster_uid}",
            )
        )


def _not_at_hand(
    run: TrainingRun, attempt: Attempt, where: Whereabouts, command: str
) -> ClusterRefusal:
    name = attempt.place.cluster
    selector = f"{labels.RUN_UID}={run.metadata.uid},{labels.ATTEMPT}={attempt.number}"
    words = command.format(namespace=where.namespace, selector=selector)
    return ClusterRefusal(
        Fault(
            where=f"attempt {attempt.number} of run {run.metadata.name}",
            found=f"its pods are in the cluster {name}",
            expected="the cluster that the kubeconfig leads to, or a way to the other one",
            action=f"Give a kubeconfig of {name} with --cluster-kubeconfig or --cluster-context. Without this program: {words}",
        )
    )
