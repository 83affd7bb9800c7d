"""`lightcompute checkpoint copy` of a run in a cluster."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import click

from lightcompute.api import TrainingRun
from lightcompute.cli.cluster_reach import reached
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_checkpoint import SERVE_PORT, bring, serving
from lightcompute.kube.remote_forward import HOST, forwarding

_THERE = "a pod in the namespace {namespace} that mounts its storage, with `lightgpt serve` and `kubectl port-forward`."


async def copied(
    remote: Remote,
    run: TrainingRun,
    destination: Path,
    step: int,
    *,
    other: OtherCluster,
    own_kubeconfig: Path | None,
) -> dict[str, Any]:
    """Copies the checkpoint at `step` and says what was copied, in the form of `lightgpt checkpoint copy --json`.

    `other` leads to the pods of the newest attempt, where they are in another cluster.
    """
    began_s = time.monotonic()
    newest = run.status.attempts[-1].number if run.status.attempts else 0
    async with reached(
        remote, run, newest, other, own_kubeconfig=own_kubeconfig, command=_THERE
    ) as there:
        target, size_bytes = await _copied(there, run, destination, step)
    digest = next((each.digest for each in run.status.checkpoints if each.step == step), "")
    return {
        "schemaVersion": 1,
        "source": f"{remote.namespace}/{run.metadata.name}: {target.name}",
        "destination": str(target),
        "step": step,
        "sizeBytes": size_bytes,
        "digest": digest,
        "seconds": time.monotonic() - began_s,
    }


async def _copied(
    remote: Remote, run: TrainingRun, destination: Path, step: int
) -> tuple[Path, int]:
    """Where the checkpoint is now, and its size in bytes."""
    _note(f"A pod that reads the storage of {run.metadata.name} is asked for.")
    # Whoever is asked to end takes the pod along.
    asking = asyncio.current_task()
    assert asking is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asking.cancel)
    async with (
        serving(remote, run, step) as pod,
        forwarding(
            remote.client,
            namespace=pod.namespace,
            pod=pod.name,
            pod_port=SERVE_PORT,
            port=0,
            note=_note,
        ) as port,
    ):
        target, manifest = await bring(f"http://{HOST}:{port}/", destination, step)
    return target, manifest.size_bytes


def _note(line: str) -> None:
    click.echo(line, err=True)
