"""One run of a cluster, as verbs want it: what the API server has of it, and changes that the operator there carries out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from lightcompute.api import Phase, TrainingRun, labels
from lightcompute.api.words import FINISHED
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.cli.target import Account, Halt, LogsWanted, Rows, Sight
from lightcompute.core.text import clock
from lightcompute.kube.reading import ReadRun
from lightcompute.kube.remote_faults import ClusterRefusal
from lightcompute.local.controller import rests
from runcontract.exit_codes import ExitCode
from runcontract.faults import Fault

if TYPE_CHECKING:
    from lightcompute.cli.cluster_checkpoints import ClusterCheckpoints
    from lightcompute.cli.cluster_target import ClusterTarget

STOP_SECONDS = 120.0
"""How long `stop` waits; what takes longer goes on without it."""
DELETE_SECONDS = 300.0
POLL_SECONDS = 1.0
_EVENTS_SHOWN = 20


class ClusterRun:
    """One TrainingRun."""

    def __init__(self, target: ClusterTarget, found: ReadRun) -> None:
        self._target = target
        self._remote = target.remote
        self._found = found
        self._name = found.run.metadata.name
        self._uid = found.run.metadata.uid

    def sight(self) -> Sight:
        """As it was found."""
        return Sight(run=self._found.run, now=self._target.now())

    def output(self) -> None:
        """On its claim, or gone with its node."""
        return

    def rows(self, sight: Sight) -> Rows:
        """Where it is, and the command that goes on with it."""
        place = sight.run.status.placement.place
        yield "namespace", self._remote.namespace
        yield "place", str(place) if place else ""
        yield "spec", "\n".join(self._found.faults)
        yield "to go on", self._to_go_on(sight.run)

    def note(self, sight: Sight) -> str:
        """That no operator has looked at it, where that is so."""
        return unseen(sight.run)

    def account(self) -> Account:
        """Its status and its events: what comes next is decided in the cluster, from more than is seen here."""
        run = self._found.run
        events = self._target.ask(self._remote.events(self._uid))
        further = [f"Its spec cannot be read in full: {fault}" for fault in self._found.faults]
        if events:
            further.append("Events")
        for event in events[-_EVENTS_SHOWN:]:
            times = f" ({event.count} times)" if event.count > 1 else ""
            when = clock(event.time) if event.time else ""
            further.append(f"  {when} {event.type} {event.reason}: {event.message}{times}")
        further += filter(None, (unseen(run), _deleted(run)))
        return Account(run=run, now=self._target.now(), further=tuple(further))

    def logs(self, wanted: LogsWanted, write: Callable[[str], None]) -> None:
        """From the attempt's pod."""
        from lightcompute.cli.cluster_pods import print_logs

        print_logs(self._target, self._found.run, wanted, write)

    def stop(self, *, for_good: bool) -> Halt:
        """Asks the operator by the run's document, and waits until it says that nothing runs."""
        run = self._found.run
        if _has_halted(run, for_good=for_good):
            return Halt(run=run, rests=True)
        note = {"metadata": {"annotations": {labels.STOP: "lightcompute stop"}}}
        patch = note if for_good else {"spec": {"suspend": True}}
        self._target.ask(self._remote.change(self._name, patch))
        end = time.monotonic() + STOP_SECONDS
        while True:
            run = self._target.ask(self._remote.find(self._name)).run
            if _has_halted(run, for_good=for_good):
                return Halt(run=run, rests=True)
            if time.monotonic() > end:
                return Halt(run=run, rests=False, why_not=self._not_yet(run))
            time.sleep(POLL_SECONDS)

    def checkpoints(self) -> ClusterCheckpoints:
        """As its status tells."""
        from lightcompute.cli.cluster_checkpoints import ClusterCheckpoints

        return ClusterCheckpoints(self._target, self._found.run)

    def resume(self) -> int:
        """Takes the suspension back; the operator does the rest."""
        run = self._found.run
        phase = run.status.phase
        if phase in FINISHED:
            raise ClusterRefusal(self._over(phase))
        if run.spec.suspend:
            self._target.ask(self._remote.change(self._name, {"spec": {"suspend": False}}))
            click.echo(f"{self._name} goes on. To watch it: {self._command('status')}")
        elif phase is Phase.BUDGET_EXHAUSTED:
            raise ClusterRefusal(self._over(phase))
        else:
            click.echo(f"{self._name} is not suspended ({phase}): nothing was changed.")
        return int(ExitCode.DONE)

    def question(self, *, with_checkpoints: bool) -> str:
        """What becomes of what, in the words of its spec."""
        keep = self._found.run.spec.checkpoints.when_deleted == "Retain" and not with_checkpoints
        kept_or_not = (
            "its checkpoints stay where its storage is" if keep else "with its checkpoints"
        )
        return f"Delete the run {self._name} of namespace {self._remote.namespace} ({kept_or_not})?"

    def delete(self, *, with_checkpoints: bool, wait: bool) -> int:
        """Asks for its end; the operator stops, confirms and charges it first."""
        if with_checkpoints:
            patch = {"spec": {"checkpoints": {"whenDeleted": "Delete"}}}
            self._target.ask(self._remote.change(self._name, patch))
        self._target.ask(self._remote.delete(self._name, self._uid))
        end = time.monotonic() + DELETE_SECONDS
        while self._target.ask(self._remote.exists(self._name, self._uid)):
            if not wait:
                click.echo(
                    f"{self._name} is being deleted: it is stopped, confirmed gone and charged first."
                )
                return int(ExitCode.DONE)
            if time.monotonic() > end:
                click.echo(
                    f"{self._name} is not gone after {DELETE_SECONDS:.0f} s. {self._look()}",
                    err=True,
                )
                return int(ExitCode.INTERNAL_ERROR)
            time.sleep(POLL_SECONDS)
        click.echo(f"{self._name} is deleted.")
        return int(ExitCode.DONE)

    def tensorboard(self, port: int, other: OtherCluster) -> int:
        """Through the API server, from the container beside the trainer."""
        from lightcompute.cli.cluster_pods import forward_curves

        return forward_curves(self._target, self._found.run, port, other)

    def _to_go_on(self, run: TrainingRun) -> str:
        match run.status.phase:
            case Phase.SUSPENDED:
                return self._command("resume")
            case Phase.FAILED:
                return f"mend the file, then {self._target.command('submit', 'FILE')}"
            case Phase.BUDGET_EXHAUSTED:
                return f"raise spec.budget.limitUSD, then {self._target.command('submit', 'FILE')}"
            case _:
                return ""

    def _over(self, phase: Phase) -> Fault:
        actions = {
            Phase.FAILED: "A failed run is tried again when its spec is changed",
            Phase.BUDGET_EXHAUSTED: "It goes on when spec.budget.limitUSD is raised",
        }
        action = actions.get(phase, "Train its file as another run by --name")
        return Fault(
            where=f"run {self._name}",
            found=str(phase),
            expected="a run that is suspended",
            action=f"{action}: {self._target.command('submit', 'FILE')}",
        )

    def _not_yet(self, run: TrainingRun) -> str:
        return f"It has not stopped in {STOP_SECONDS:.0f} s. {unseen(run) or 'It goes on stopping by itself.'} {self._look()}"

    def _look(self) -> str:
        return f"To look again: {self._command('explain')}"

    def _command(self, verb: str) -> str:
        return self._target.command(verb, self._name)


def _has_halted(run: TrainingRun, *, for_good: bool) -> bool:
    return rests(run) and (run.status.phase in FINISHED or not for_good)


def unseen(run: TrainingRun) -> str:
    """Where its newest spec was not looked at yet: that, and what it may come from."""
    generation, seen = run.metadata.generation, run.status.observed_generation
    if seen >= generation:
        return ""
    return (
        f"No operator has looked at generation {generation} of its spec yet (the newest seen is {seen}): "
        "if this stays, none runs that looks after the namespace."
    )


def _deleted(run: TrainingRun) -> str:
    asked = run.metadata.deletion_timestamp
    return "" if asked is None else f"Its deletion was asked for at {clock(asked)}."
