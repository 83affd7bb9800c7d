"""What went wrong at a cluster, for a person at a command line: one sentence, what to do about it, and an exit code by its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.faults import Forbidden
from runcontract.exit_codes import ExitCode
from runcontract.faults import ConfigurationFault, ContractFault, Fault

INSTALL = "Install the CRDs: kubectl apply -f crds/"


class ClusterRefusal(ConfigurationFault):
    """The cluster refused, and will again until something is changed."""


class ClusterSilence(ContractFault):
    """The cluster did not answer, or not now; the same command may do later."""

    exit_code = ExitCode.INTERNAL_ERROR


@contextmanager
def told_to_people(server: str) -> Iterator[None]:
    """Turns faults of the API server `server` into those that a command tells."""
    try:
        yield
    except Forbidden as fault:
        raise ClusterRefusal(
            Fault(
                where=server,
                found=str(fault),
                expected="a user who may do this",
                action="`kubectl auth can-i --list` shows what you may; --context takes another user.",
            )
        ) from fault
    except PermanentFault as fault:
        raise ClusterRefusal(
            Fault(where=server, found=str(fault), expected="a request that it takes")
        ) from fault
    except TemporaryFault as fault:
        raise ClusterSilence(
            Fault(
                where=server,
                found=str(fault),
                expected="an answer",
                action="Is the cluster up, and are the credentials still valid? `kubectl version` asks it too.",
            )
        ) from fault


def no_such_kind(server: str) -> ClusterRefusal:
    """For a cluster that does not know TrainingRuns."""
    return ClusterRefusal(
        Fault(
            where=server,
            found="no TrainingRuns: this cluster does not know the kind",
            expected="the CRDs of lightcompute.dev",
            action=INSTALL,
        )
    )
