"""The checkpoints of a run in a cluster: what its status tells, and annotations by which the operator there is asked.

An annotation of pins is read, changed and written against the version that was read, so that two people lose none of theirs.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from lightcompute.api import TrainingRun, labels
from lightcompute.api.status import MAX_CHECKPOINTS, AttemptState
from lightcompute.backend import Conflict
from lightcompute.cli.run_checkpoints import CheckpointRow
from lightcompute.kube.remote_faults import ClusterRefusal
from runcontract.exit_codes import ExitCode
from runcontract.faults import Fault
from runcontract.requests import parse_pins, pins_text

if TYPE_CHECKING:
    from lightcompute.cli.cluster_target import ClusterTarget

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
                validation=each.validation,
            )
            for each in self._run.status.checkpoints
        )

    def verify(self, *, step: int | None, everything: bool, as_json: bool) -> NoReturn:  # noqa: ARG002 - refused whatever is asked
        """Not there yet."""
        raise self._not_served("verify")

    def pin(self, step: int) -> str:
        """By the annotation."""
        known = self._run.status.checkpoints
        # The status lists so many and no more: then one that it does not list may be there.
        if step not in {each.step for each in known} and len(known) < MAX_CHECKPOINTS:
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

    def prune(self, *, dry_run: bool, as_json: bool) -> NoReturn:  # noqa: ARG002 - refused whatever is asked
        """Not there yet."""
        raise self._not_served("prune")

    def copy(self, destination: Path, *, step: int | None, as_json: bool) -> NoReturn:  # noqa: ARG002 - refused whatever is asked
        """Not there yet."""
        raise self._not_served("copy")

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

    def _not_served(self, verb: str) -> ClusterRefusal:
        return self._refusal(
            "a run in a cluster",
            f"a run on this machine: `lightcompute checkpoint {verb}` is not served in clusters yet",
            "A pod or machine with its claim can do it: `lightgpt checkpoint --help`.",
        )

    def _refusal(self, found: str, expected: str, action: str = "") -> ClusterRefusal:
        where = f"run {self._target.remote.namespace}/{self._name}"
        return ClusterRefusal(Fault(where=where, found=found, expected=expected, action=action))


def _pins(run: TrainingRun) -> frozenset[int]:
    return parse_pins(_note(run)).steps


def _note(run: TrainingRun) -> bytes:
    return run.metadata.annotations.get(labels.PINNED_CHECKPOINTS, "").encode()
