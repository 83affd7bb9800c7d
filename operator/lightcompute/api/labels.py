"""Names by which the world is told whose child something is: labels, annotations, the finalizer, names of children."""

from __future__ import annotations

import hashlib

PREFIX = "lightcompute.dev"

RUN_NAME = f"{PREFIX}/run"
"""Label: name of the run."""
RUN_UID = f"{PREFIX}/run-uid"
"""Label: UID of the run. Children are found by it, never by a name alone."""
ATTEMPT = f"{PREFIX}/attempt"
"""Label: number of the attempt, from 1."""
PURPOSE = f"{PREFIX}/purpose"
"""Label: what the child is for (`trainer`, `order`, `rendezvous`, `tensorboard`)."""
CLUSTER = f"{PREFIX}/cluster"
"""Label: name of the cluster that the child was placed in."""
RUN_NAMESPACE = f"{PREFIX}/run-namespace"
"""Label, in a cluster where the run is not: its namespace."""
ORIGIN = f"{PREFIX}/origin"
"""Label, in a cluster where the run is not: UID of the namespace kube-system of the cluster that it is in."""
MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label: always `lightcompute`."""

STOP = f"{PREFIX}/stop"
"""Annotation on a run, with any value: end it for good, saving first. `spec.suspend` is for going on later."""
PINNED_CHECKPOINTS = f"{PREFIX}/pinned-checkpoints"
"""Annotation on a run: steps, as `100,200`, whose checkpoints retention leaves alone."""
CHECKPOINT_NOW = f"{PREFIX}/checkpoint-now"
"""Annotation on a run: each new text asks its trainer for one checkpoint (`runcontract.requests`)."""

VERIFY_CHECKPOINTS = f"{PREFIX}/verify-checkpoints"
"""Annotation on a run: each new text in it asks for one verification of its checkpoints, once nothing trains."""
UPKEEP_OF = f"{PREFIX}/upkeep-of"
"""Label: UID of the run whose checkpoints the child sees to. It is no attempt, and not found as one."""

FINALIZER = f"{PREFIX}/release"
"""Holds a deleted run until its attempt is stopped, confirmed gone and charged."""

_MAX_NAME = 57
"""A DNS label has 63 characters; an Indexed Job adds its pods' rank to its name."""


def child_name(run_name: str, run_uid: str, attempt: int, purpose: str) -> str:
    """The one name of a child: a DNS label made of run, UID, attempt and purpose, the same at every call.

    The UID goes in as a hash: it keeps two runs of one name apart however long the name and whatever the form of the UID.
    """
    tail = f"-{hashlib.sha256(run_uid.encode()).hexdigest()[:8]}-{attempt}-{purpose}"
    # A Service's name may not begin with a digit, a run's may.
    head = f"run-{run_name}" if run_name[:1].isdigit() else run_name
    return head[: _MAX_NAME - len(tail)].rstrip("-") + tail
