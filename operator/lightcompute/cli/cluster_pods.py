"""What commands want of an attempt's pods: the log of one, and the curves of the first."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import click

from lightcompute.api import TrainingRun
from lightcompute.cli.cluster_reach import reached
from lightcompute.cli.cluster_target import ClusterTarget
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.cli.target import LogsWanted
from lightcompute.cli.tensorboard import free_port, told_address
from lightcompute.kube.faults import NotFound
from lightcompute.kube.manifests.pod import TENSORBOARD_PORT
from lightcompute.kube.observed import SeenPod, kept_pod
from lightcompute.kube.paths import PODS
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_curves import viewing
from lightcompute.kube.remote_faults import ClusterRefusal
from lightcompute.kube.remote_forward import forwarding
from lightcompute.kube.remote_logs import PodLog
from lightcompute.kube.remote_reader import VIEW_SECONDS
from lightcompute.local.controller import rests
from runcontract.exit_codes import ExitCode
from runcontract.faults import Fault

_LOOK_SECONDS = 2.0
_LOGS = "`kubectl -n {namespace} logs -f --prefix -l {selector},lightcompute.dev/purpose=trainer`."
_FORWARD = "`kubectl -n {namespace} port-forward $(kubectl -n {namespace} get pod -o name -l {selector} | head -1) 6006`."


def print_logs(
    target: ClusterTarget, run: TrainingRun, wanted: LogsWanted, write: Callable[[str], None]
) -> None:
    """Hands each line of the attempt's log to `write`; with `follow` from before its pod starts to its end."""
    target.ask(_print_logs(target, run, wanted, write))


async def _print_logs(
    target: ClusterTarget, run: TrainingRun, wanted: LogsWanted, write: Callable[[str], None]
) -> None:
    attempt = wanted.attempt or await _newest(target, run, wait=wanted.follow)
    if attempt > (run.status.attempts[-1].number if run.status.attempts else attempt):
        known = ", ".join(str(each.number) for each in run.status.attempts)
        raise ClusterRefusal(
            Fault(where="--attempt", found=str(attempt), expected=f"one of: {known}")
        )
    remote, own = target.remote, target.kubeconfig
    async with reached(
        remote, run, attempt, wanted.other, own_kubeconfig=own, command=_LOGS
    ) as there:
        log = PodLog(remote, run, attempt=attempt, rank=wanted.rank, there=there)
        await log.print(write, follow=wanted.follow, note=_note)


async def _newest(target: ClusterTarget, run: TrainingRun, *, wait: bool) -> int:
    """The newest attempt; the first one once there is one, with `wait`."""
    while not run.status.attempts:
        if not wait or rests(run):
            name = run.metadata.name
            raise ClusterRefusal(
                Fault(
                    where=f"run {name}",
                    found="no attempt yet",
                    expected="a log",
                    action=f"`{target.command('explain', name)}` says why it has not begun.",
                )
            )
        await asyncio.sleep(_LOOK_SECONDS)
        run = (await target.remote.find(run.metadata.name)).run
    return run.status.attempts[-1].number


def forward_curves(target: ClusterTarget, run: TrainingRun, port: int, other: OtherCluster) -> int:
    """Serves TensorBoard of the run at a port of this machine until Ctrl-C or until the pod that serves it is gone."""
    try:
        target.ask(_curves(target, run, free_port(port), other))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("")
    return int(ExitCode.DONE)


async def _curves(target: ClusterTarget, run: TrainingRun, port: int, other: OtherCluster) -> None:
    if not run.spec.tensorboard.enabled:
        raise _no_curves(
            run.metadata.name, "spec.tensorboard.enabled is false", "true, from the next attempt on"
        )
    newest = run.status.attempts[-1].number if run.status.attempts else 0
    async with reached(
        target.remote, run, newest, other, own_kubeconfig=target.kubeconfig, command=_FORWARD
    ) as there:
        await _curves_there(there, run, port)


async def _curves_there(remote: Remote, run: TrainingRun, port: int) -> None:
    """In the cluster where its pods are."""
    if any(attempt.is_live for attempt in run.status.attempts):
        pod = await _pod_with_curves(remote, run)
        await _forward(remote, pod, port)
        click.echo(f"The attempt has ended, and TensorBoard with it: {pod.name} is gone.")
        return
    _note(
        f"{run.metadata.name} does not run now. A pod that reads its storage shows its curves, "
        f"until Ctrl-C and for at most {VIEW_SECONDS // 60} min."
    )
    # Whoever is asked to end takes the pod along.
    asking = asyncio.current_task()
    assert asking is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asking.cancel)
    async with viewing(remote, run) as viewer:
        await _forward(remote, viewer, port)
    click.echo(f"{viewer.name} is gone. The same command shows the curves again.")


async def _forward(remote: Remote, pod: SeenPod, port: int) -> None:
    """Until `pod` is over or gone."""
    async with forwarding(
        remote.client,
        namespace=pod.namespace,
        pod=pod.name,
        pod_port=TENSORBOARD_PORT,
        port=port,
        note=_note,
    ) as got:
        click.echo(told_address(got))
        await _end_of(remote, pod)


async def _end_of(remote: Remote, pod: SeenPod) -> None:
    """Returns when `pod` is over or gone."""
    while True:
        try:
            now = kept_pod(await remote.client.get(PODS.named(pod.namespace, pod.name)))
        except NotFound:
            return
        if now.uid != pod.uid or now.is_over:
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _pod_with_curves(remote: Remote, run: TrainingRun) -> SeenPod:
    """The first pod of the live attempt, of which there is one. Raises ClusterRefusal that says what is missing."""
    name = run.metadata.name
    live = next(each for each in run.status.attempts if each.is_live)
    pods = await remote.pods(run.metadata.uid, live.number)
    first = next((pod for pod in pods if pod.index == 0 and not pod.is_over), None)
    if first is None:
        raise _no_curves(name, f"no pod of attempt {live.number} yet", "one that runs")
    if not first.serves_curves:
        raise _no_curves(
            name, f"no container tensorboard in {first.name}", "one beside the trainer"
        )
    if not first.running:
        waits = first.waiting or (first.unscheduled or "it has not begun", "")
        raise _no_curves(name, f"{first.name} waits: {waits[0]}", "a pod that runs")
    return first


def _no_curves(name: str, found: str, expected: str) -> ClusterRefusal:
    return ClusterRefusal(Fault(where=f"TensorBoard of run {name}", found=found, expected=expected))


def _note(line: str) -> None:
    click.echo(line, err=True)
