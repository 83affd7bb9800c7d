"""What is asked before the operator begins: whether there is a server, our resource, and the right to use both.

Each thing that is missing ends in one sentence that says what to do, before kopf or any loop could fill a page with it.
"""

from __future__ import annotations

from enum import IntEnum

from lightcompute.backend import TemporaryFault
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.faults import Forbidden, NotFound
from lightcompute.kube.paths import JOBS, LEASES, PODS, RUNS, Kind
from lightcompute.kube.settings import OperatorSettings
from runcontract.faults import ConfigurationFault, Fault


class Exit(IntEnum):
    """How the operator's process ends, as a number."""

    DONE = 0
    """It was asked to end, and did."""
    FAILED = 1
    """Something in it ended that must not; start it again."""
    MISCONFIGURED = 10
    """Somebody has to mend something: the CRD, a right, the settings."""
    UNREACHABLE = 20
    """The API server did not answer at the start."""
    LEASE_LOST = 21
    """Somebody else acts now."""


class Unreachable(Exception):
    """The API server did not answer."""


async def check(client: ClusterClient, settings: OperatorSettings) -> None:
    """Raises Unreachable or ConfigurationFault unless everything that is needed is there."""
    for namespace in settings.namespaces or (None,):
        for kind in (RUNS, JOBS, PODS):
            await _may_list(client, kind, namespace)
    try:
        await client.get(LEASES.named(settings.lease_namespace, settings.lease_name))
    except NotFound:
        pass  # Made when it is taken.
    except Forbidden as fault:
        raise _refused(client, str(fault)) from fault
    except TemporaryFault as fault:
        raise Unreachable(_unreachable(client, fault)) from fault


async def _may_list(client: ClusterClient, kind: Kind, namespace: str | None) -> None:
    try:
        await client.get(kind.within(namespace), (("limit", 1),))
    except NotFound as fault:
        raise ConfigurationFault(
            Fault(
                where=client.server,
                found=f"no resource {kind.plural}",
                expected="the CustomResourceDefinition of TrainingRun",
                action="Install it: kubectl apply -f crds/.",
            )
        ) from fault
    except Forbidden as fault:
        raise _refused(client, str(fault)) from fault
    except TemporaryFault as fault:
        raise Unreachable(_unreachable(client, fault)) from fault


def _refused(client: ClusterClient, words: str) -> ConfigurationFault:
    return ConfigurationFault(
        Fault(
            where=client.server,
            found=words,
            expected="the rights that the operator needs",
            action="Bind its ClusterRole to the account that it runs as; docs/operator.md lists the rights.",
        )
    )


def _unreachable(client: ClusterClient, fault: TemporaryFault) -> str:
    return f"the API server {client.server} cannot be used: {fault}. Check --kubeconfig, --context and the network."
