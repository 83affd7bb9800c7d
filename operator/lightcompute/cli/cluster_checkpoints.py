"""The checkpoints of a run in a cluster: what its status tells, and annotations by which the operator there is asked.

An annotation of pins is read, changed and written against the version that was read, so that two people lose none of theirs.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lightcompute.api import TrainingRun, labels
from lightcompute.api.status import MAX_CHECKPOINTS, AttemptState, Upkeep
from lightcompute.backend import Conflict
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.cli.run_checkpoints import CheckpointRow
from lightcompute.core.keeping import retention_of
from lightcompute.core.upkeep import AT_REST
from lightcompute.kube.remote_faults import ClusterRefusal
from runcontract.exit_codes import ExitCode
from runcontract.faults import Fault
from runcontract.requests import parse_pins, pins_text
from runcontract.results import KeptCheckpoint

if TYPE_CHECKING:
    from lightcompute.cli.cluster_target import ClusterTarget

VERIFY_SECONDS = 3600
"""How long `verify` waits; a pod may have to read a terabyte."""
POLL_SECONDS = 1.0
_TRIES = 10
"""Others write the run too, its status among it: a change that came between is no fault."""


class ClusterCheckpoints:
    """Those of one TrainingRun."""

    def __init__(self, target: ClusterTarget, run: TrainingRun) -> None:
        self._target = target
        self._run = run
        self._name = run.metadata.name

    def rows(self) -> tuple[CheckpointRow, ...]:
        """Of its status; a pin of this moment is shown before the operator has acted on it."""
        pins = _pins(self._run)
        return tuple(
            CheckpointRow(
                name=each.name,
                step=each.step,
                verified=each.verified,
                pinned=each.step in pins,
                kept_because=each.kept_because,
                size_bytes=each.size_bytes,
                digest=each.digest,
                epoch=each.epoch,
                validation=each.validation,
                created_time=each.saved_time,
            )
            for each in self._run.status.checkpoints
        )

    def verify(self, *, step: int | None, everything: bool, as_json: bool) -> int:
        """Asks the operator, which has a pod look at all of them once nothing trains; waits for what it found."""
        if self._run.status.phase not in AT_REST:
            raise self._refusal(
                f"{self._run.status.phase}: a run that trains, or is about to",
                "a run at rest: its trainer verifies each checkpoint as it saves it",
                f"`{self._target.command('suspend', self._name)}` gives it a rest.",
            )
        now = self._target.now()
        request = f"{now:%Y-%m-%dT%H:%M:%SZ}-{uuid.uuid4().hex[:8]}"
        note = {"metadata": {"annotations": {labels.VERIFY_CHECKPOINTS: request}}}
        self._target.ask(self._target.remote.change(self._name, note))
        click.echo(f"A pod with the storage of {self._name} is asked for.", err=True)
        upkeep, run = self._served(request)
        if upkeep.state != "Done":
            raise self._refusal(upkeep.message, "a pod that verifies its checkpoints")
        found = _asked_for(run.status.checkpoints, step=step, everything=everything)
        if not found:
            raise self._refusal(f"no checkpoint at step {step}", "a step that `list` shows")
        if as_json:
            documents = [{"step": each.step, "verdict": each.verdict} for each in found]
            click.echo(json.dumps(documents if everything else documents[0], indent=1))
        else:
            for each in found:
                click.echo(f"{each.name}  {each.verdict or 'not looked at'}")
            click.echo(upkeep.message)
        sound = all(each.verdict in {"Valid", "ValidWithWarnings"} for each in found)
        return int(ExitCode.DONE if sound else ExitCode.BROKEN_CHECKPOINT)

    def _served(self, request: str) -> tuple[Upkeep, TrainingRun]:
        """The upkeep that took the request up, over; says what it waits for when that changes."""
        told = ""
        end = time.monotonic() + VERIFY_SECONDS
        while time.monotonic() < end:
            run = self._target.ask(self._target.remote.find(self._name)).run
            upkeep = run.status.upkeep
            if upkeep is not None and upkeep.request == request:
                if upkeep.state != "Requested":
                    return upkeep, run
                if upkeep.message and upkeep.message != told:
                    told = upkeep.message
                    click.echo(told, err=True)
            time.sleep(POLL_SECONDS)
        raise self._refusal(
            f"no verdict after {VERIFY_SECONDS} s: {told or 'the operator did not take it up'}",
            "a pod that verifies its checkpoints",
            "It goes on without this command; status.upkeep says with what outcome.",
        )

    def pin(self, step: int) -> str:
        """By the annotation."""
        known = self._run.status.checkpoints
        # The status lists so many and no more, and none that only a pattern names: then one that it does not list may be there.
        if (
            self._run.spec.checkpoints.pattern is None
            and step not in {each.step for each in known}
            and len(known) < MAX_CHECKPOINTS
        ):
            steps = ", ".join(str(each.step) for each in known)
            raise self._refusal(
                f"no checkpoint at step {step}",
                f"one of: {steps}" if steps else "a checkpoint, but there is none yet",
            )
        self._change_pins(lambda pins: pins | {step})
        return f"The checkpoint of {self._name} at step {step} is pinned ({labels.PINNED_CHECKPOINTS})."

    def unpin(self, step: int) -> str:
        """Takes the step out of the annotation."""
        if not self._change_pins(lambda pins: pins - {step}):
            return f"The checkpoint of {self._name} at step {step} was not pinned."
        return f"The checkpoint of {self._name} at step {step} is not pinned any more."

    def save_now(self, timeout_seconds: float) -> int:  # noqa: ARG002 - the status says too late what was saved to wait for it
        """By the annotation, for a run with an attempt that runs."""
        attempts = self._run.status.attempts
        if not attempts or attempts[-1].state is not AttemptState.RUNNING:
            raise self._refusal(
                f"{self._run.status.phase}: no attempt that runs", "a run that trains now"
            )
        now = self._target.now()
        request = f"{now:%Y-%m-%dT%H:%M:%SZ}-{uuid.uuid4().hex[:8]}"
        note = {"metadata": {"annotations": {labels.CHECKPOINT_NOW: request}}}
        self._target.ask(self._target.remote.change(self._name, note))
        seen = self._target.command("checkpoint", "list", self._name)
        click.echo(f"{self._name} is asked for a checkpoint (request {request}). To see it: {seen}")
        return int(ExitCode.DONE)

    def prune(self, *, dry_run: bool, as_json: bool) -> int:
        """What the rule gives up by what is on record. The operator deletes it by itself once the run is at rest."""
        pattern = self._run.spec.checkpoints.pattern
        if pattern is not None:
            click.echo(
                f"What {pattern} matches in the folder of {self._name} is on no record. While the run is at rest the operator has a pod prune it "
                "by name, once after each attempt; status.upkeep says what it deleted."
            )
            return int(ExitCode.DONE)
        known = self._run.status.checkpoints
        gone = set(retention_of(known, self._run).deleted)
        if not dry_run and gone and self._run.status.phase not in AT_REST:
            raise self._refusal(
                f"{self._run.status.phase}: a run that trains, or is about to",
                "a run at rest: while it trains its trainer prunes by itself",
            )
        if as_json:
            documents = [{"step": each.step, "deleted": each.step in gone} for each in known]
            click.echo(json.dumps(documents, indent=1))
            return int(ExitCode.DONE)
        for each in known:
            kept = ", ".join(each.kept_because) or "-"
            click.echo(f"{each.name}  {'to be deleted' if each.step in gone else f'kept: {kept}'}")
        click.echo(f"{len(gone)} of {len(known)} checkpoints are to be deleted.")
        if gone and not dry_run:
            seen = self._target.command("checkpoint", "list", self._name)
            click.echo(f"The operator has a pod do that by itself. To see it: {seen}")
        return int(ExitCode.DONE)

    def copy(
        self,
        destination: Path,
        *,
        step: int | None,
        as_json: bool,
        other: OtherCluster,
    ) -> int:
        """From a pod that reads its storage, through the API server."""
        from lightcompute.cli.cluster_copy import copied

        chosen = self._chosen(step)
        document = self._target.ask(
            copied(
                self._target.remote,
                self._run,
                destination,
                chosen,
                other=other,
                own_kubeconfig=self._target.kubeconfig,
            )
        )
        told = f"{document['destination']}: {document['sizeBytes']:,} bytes, every hash compared, in {document['seconds']:.1f} s"
        click.echo(json.dumps(document, indent=1) if as_json else told)
        return int(ExitCode.DONE)

    def _chosen(self, step: int | None) -> int:
        known = [each for each in self._run.status.checkpoints if each.verified]
        if step is None and known:
            return known[-1].step
        if step in {each.step for each in known}:
            return int(step or 0)
        steps = ", ".join(str(each.step) for each in known)
        raise self._refusal(
            "no checkpoint that is whole"
            if step is None
            else f"no whole checkpoint at step {step}",
            f"one of: {steps}" if steps else "a checkpoint, but there is none yet",
        )

    def _change_pins(self, edit: Callable[[frozenset[int]], frozenset[int]]) -> bool:
        """Whether the pins are others than before."""
        return self._target.ask(self._changed_pins(edit))

    async def _changed_pins(self, edit: Callable[[frozenset[int]], frozenset[int]]) -> bool:
        remote = self._target.remote
        for tries_left in reversed(range(_TRIES)):
            run = (await remote.find(self._name)).run
            self._refuse_unreadable(run)
            before = _pins(run)
            after = edit(before)
            if after == before:
                return False
            text = pins_text(after) or None
            metadata = {
                "resourceVersion": run.metadata.resource_version,
                "annotations": {labels.PINNED_CHECKPOINTS: text},
            }
            try:
                await remote.change(self._name, {"metadata": metadata})
            except Conflict:
                if not tries_left:
                    raise
            else:
                return True
        raise AssertionError("the last try returns or raises")

    def _refuse_unreadable(self, run: TrainingRun) -> None:
        unreadable = parse_pins(_note(run)).unreadable
        if unreadable:
            raise self._refusal(
                f"the annotation {labels.PINNED_CHECKPOINTS} with {unreadable}",
                "steps separated by commas",
                "Nothing was changed: mend it by `kubectl edit trun`, so that no pin is lost.",
            )

    def _refusal(self, found: str, expected: str, action: str = "") -> ClusterRefusal:
        where = f"run {self._target.remote.namespace}/{self._name}"
        return ClusterRefusal(Fault(where=where, found=found, expected=expected, action=action))


def _asked_for(
    checkpoints: tuple[KeptCheckpoint, ...], *, step: int | None, everything: bool
) -> tuple[KeptCheckpoint, ...]:
    if everything:
        return checkpoints
    if step is not None:
        return tuple(each for each in checkpoints if each.step == step)
    return checkpoints[-1:]


def _pins(run: TrainingRun) -> frozenset[int]:
    return parse_pins(_note(run)).steps


def _note(run: TrainingRun) -> bytes:
    return run.metadata.annotations.get(labels.PINNED_CHECKPOINTS, "").encode()
