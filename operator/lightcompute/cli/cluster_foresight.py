"""Where a run that a file wants would go in a cluster, from what a person may read there: TrainingClusters and runs.

No right in any other cluster is needed: what is free there stands in the status of its TrainingCluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from lightcompute.api import TrainingRun
from lightcompute.api.reasons import Reason
from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.cli import text
from lightcompute.cli.changes import told
from lightcompute.cli.cluster_allowances import allowances_for
from lightcompute.cli.foresight import (
    Foresight,
    Row,
    alive_already,
    as_if_resumed,
    expected_by_place,
)
from lightcompute.cli.preview import training_rows
from lightcompute.cli.submit import devices_of, rows_of
from lightcompute.cli.target import FileOrder
from lightcompute.cli.wishes import Wish, document_of, wishes_of
from lightcompute.core.budget import Terms
from lightcompute.core.estimate import gpu_flops
from lightcompute.core.market import Stall
from lightcompute.core.prospect import Prospect, prospect, waiting_for
from lightcompute.core.snapshot import Snapshot
from lightcompute.core.told_pools import stalls_told
from lightcompute.kube.client import Document
from lightcompute.kube.faults import Forbidden
from lightcompute.kube.reading import Unreadable, read_run
from lightcompute.kube.remote import Remote
from lightcompute.kube.settings import OperatorSettings

if TYPE_CHECKING:
    from lightcompute.cli.cluster_target import ClusterTarget

UNSEEN = (
    "Not seen from here, and known to the operator alone: pools that took nothing in during the last minutes (StockedOut), what was\n"
    "reserved in the last seconds, and whether claims and Secrets that the run names are in the other clusters."
)
NO_CLUSTERS = (
    "No TrainingCluster: runs go where the operator's own options say. What is free there, what it costs and who waits for it\n"
    "cannot be seen from here."
)


def foreseen(target: ClusterTarget, order: FileOrder) -> Iterator[str]:
    """The lines."""
    if order.price is not None:
        raise click.UsageError("--price-per-hour-usd is for this machine: pools have their own.")
    (wish,) = wishes_of(target, (order.file,), order.assignments, order.name)
    name = wish.run.metadata.name
    another = target.command("explain", "-f", str(order.file), "--name", f"{name}-2")
    if wish.known is not None and wish.is_over:
        yield f"{name} is over ({wish.known.status.phase}), so nothing would be changed."
        yield f"  To see where another run of the file would go: {another}"
        return
    made, verdict = target.ask(_verdict(target.remote, wish))
    run, suspended = as_if_resumed(made or _merged(wish, target.remote.namespace))
    if any(attempt.is_live for attempt in run.status.attempts):
        yield from alive_already(run, target.command("explain", name), another)
        yield text.table([("server", verdict)])
        return
    stalls, unreadable = _stalls(target.clusters())
    if not stalls and not unreadable:
        yield f"{name}: {_what(wish, target.remote.namespace)}"
        yield text.table([*rows_of(run), ("server", verdict)])
        yield f"\n{NO_CLUSTERS}"
        return
    notes = [*suspended, ("server", verdict)]
    if unreadable:
        notes.append(("clusters", f"{', '.join(unreadable)} cannot be read by this version"))
    yield from _foresight(target, wish, run, stalls, notes).lines()


async def _verdict(remote: Remote, wish: Wish) -> tuple[TrainingRun | None, str]:
    """The run as it would be, and what the API server says to it. Raises ClusterRefusal where it does not take it."""
    document = document_of(wish.run, remote.namespace)
    try:
        made = await remote.apply(wish.run.metadata.name, document, force=False, dry_run=True)
    except Forbidden as fault:
        return None, f"does not let you submit it: {fault}"
    return made.run, "takes it (dry run: nothing was written)"


def _merged(wish: Wish, namespace: str) -> TrainingRun:
    """The run as it would be, where the API server does not say."""
    run, known = wish.run, wish.known
    if known is None:
        metadata = run.metadata.model_copy(update={"namespace": namespace})
        return run.model_copy(update={"metadata": metadata})
    changed = int(run.spec != known.spec)
    metadata = known.metadata.model_copy(update={"generation": known.metadata.generation + changed})
    return run.model_copy(update={"metadata": metadata, "status": known.status})


def _stalls(documents: Iterable[Document]) -> tuple[tuple[Stall, ...], tuple[str, ...]]:
    """The pools, and the names of TrainingClusters that cannot be read."""
    stalls: list[Stall] = []
    unreadable: list[str] = []
    for document in documents:
        try:
            cluster = TrainingCluster.model_validate_json(json.dumps(document))
        except ValidationError:
            unreadable.append(str(document["metadata"]["name"]))
            continue
        stalls += stalls_told(cluster)
    return tuple(stalls), tuple(unreadable)


async def _readable(remote: Remote) -> tuple[tuple[Document, ...], str]:
    """The runs that may be read, and of where they are."""
    try:
        return await remote.documents(everywhere=True), "all namespaces"
    except Forbidden:
        here = f"namespace {remote.namespace}, as those of others may not be read"
        return await remote.documents(), here


async def _budgets(remote: Remote) -> tuple[Document, ...] | None:
    """The TrainingBudgets; None where they may not be read."""
    try:
        return await remote.budgets()
    except Forbidden:
        return None


def _snapshots(documents: Iterable[Document], now: datetime) -> tuple[Snapshot, ...]:
    """Runs that are there, as far as they say themselves what is wrong with them."""
    found = []
    for document in documents:
        try:
            read = read_run(document)
        except Unreadable:
            continue
        status, generation = read.run.status, read.run.metadata.generation
        refused = status.reason == Reason.SPEC_REFUSED and status.observed_generation == generation
        faults = (status.message,) if refused else read.faults
        found.append(Snapshot(run=read.run, now=now, faults=faults))
    return tuple(found)


def _foresight(
    target: ClusterTarget, wish: Wish, run: TrainingRun, stalls: tuple[Stall, ...], notes: list[Row]
) -> Foresight:
    documents, where = target.ask(_readable(target.remote))
    settings, now = OperatorSettings(), target.now()
    run = run if wish.known is not None else _youngest(run, now)
    there = _snapshots(documents, now)
    terms = Terms(
        grace_seconds=settings.grace_seconds, clock_skew_seconds=settings.clock_skew_seconds
    )
    runs = tuple(each.run for each in there)
    budgets = target.ask(_budgets(target.remote))
    if budgets is None:
        notes.append(("budgets", "may not be read: whether a TrainingBudget has room is not known"))
    snapshot = Snapshot(
        run=run,
        now=now,
        allowances=allowances_for(run, budgets or (), runs, terms=terms, now=now),
        grace_seconds=settings.grace_seconds,
        clock_skew_seconds=settings.clock_skew_seconds,
    )
    # Who waits for money stands in no line for a place.
    seekers = [each for each in there if each.run.status.reason != Reason.WAITING_FOR_BUDGET]
    found = prospect(snapshot, stalls, waiting_for(seekers, stalls))
    training, devices = run.spec.training, run.spec.trainer.devices
    return Foresight(
        what=_what(wish, target.remote.namespace),
        shape=tuple(_shape(run)),
        snapshot=snapshot,
        prospect=found,
        expected=expected_by_place(
            run,
            found.found.candidates,
            runs,
            lambda gpu_type: None if training is None else gpu_flops(gpu_type, devices, training),
        ),
        before=_before(run, found, where),
        notes=tuple(notes),
        changes=told(wish.known, run) if wish.known is not None else (),
        unseen=UNSEEN,
    )


def _youngest(run: TrainingRun, now: datetime) -> TrainingRun:
    """A run that is made in a moment: ages are whole seconds, and it is behind those of this one."""
    moment = {"creation_timestamp": now + timedelta(seconds=1)}
    return run.model_copy(update={"metadata": run.metadata.model_copy(update=moment)})


def _what(wish: Wish, namespace: str) -> str:
    known = wish.known
    if known is None:
        return f"a new run in namespace {namespace}"
    return f"a run that is there ({known.status.phase}) in namespace {namespace}, as the file would have it"


def _shape(run: TrainingRun) -> Iterator[Row]:
    if run.spec.training is not None and not run.spec.trainer.command:
        yield from training_rows(run.spec.training)
    yield "on", devices_of(run)


def _before(run: TrainingRun, found: Prospect, where: str) -> str:
    queue = run.spec.placement.queue_name
    if queue is not None:
        return f"not known: Kueue decides in its queue {queue}, whatever is free"
    if found.line is None:
        return ""
    ahead, waiting = found.line.position - 1, found.line.length - 1
    return f"{text.count(ahead)} of {text.count(waiting)} runs that wait, of {where}"
