"""Observe, decide, record, perform, announce: once for one run. Level-triggered: nothing is remembered between two looks.

The order is the safety: the intention is recorded before anything is done, so that whoever comes after a crash finds it. A crash
between any two lines is mended by the next look. This module holds no policy: what is decided is `core`, what is done is the
backend.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import Backend, Conflict, PermanentFault, TemporaryFault
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, Event, StartAttempt
from lightcompute.core.refusal import refused
from lightcompute.core.snapshot import Snapshot

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """What came of one look at a run."""

    run: TrainingRun | None
    """The run as recorded; None when there is none any more, or when it could not be observed."""
    decision: Decision | None
    changed: bool
    """Whether a status was written."""
    look_again_at: datetime | None
    """When to look again, if nothing happens before; None when only a change of the run can matter."""
    gone: bool = False
    """Whether the run does not exist any more."""
    fault: str = ""
    """Why nothing came of it: what the world answered, when it did not go along."""


async def look(backend: Backend, key: str) -> Look:
    """One look at the run `key`. Raises TemporaryFault (and Conflict) where the world did not go along: look again later."""
    snapshot = await backend.observe(key)
    if snapshot is None:
        return Look(run=None, decision=None, changed=False, look_again_at=None, gone=True)
    return await _carry_out(backend, snapshot, decide(snapshot))


async def _carry_out(backend: Backend, snapshot: Snapshot, decision: Decision) -> Look:
    run, changed = snapshot.run, decision.status != snapshot.run.status
    if changed:
        run = await backend.record(run, decision.status)
    for action in decision.actions:
        try:
            await backend.perform(run, action)
        except TemporaryFault as fault:
            fault.look_again_at = decision.look_again_at
            raise
        except PermanentFault as fault:
            taken_back = (
                refused(replace(snapshot, run=run), action, str(fault))
                if isinstance(action, StartAttempt)
                else None
            )
            if taken_back is not None:
                return await _carry_out(backend, replace(snapshot, run=run), taken_back)
            message = f"{type(action).__name__} was refused: {fault}"
            event = Event(type="Warning", reason=fault.reason, message=message)
            await backend.announce(run, (event,))
            debt = TemporaryFault(message)  # asked again, ever more slowly
            debt.look_again_at = decision.look_again_at
            raise debt from fault
    if changed:
        await backend.announce(run, decision.events)
    return Look(run=run, decision=decision, changed=changed, look_again_at=decision.look_again_at)


class Loop:
    """`look` with patience: waits longer each time that the world does not answer, and forgets it when it does.

    What it counts is worth nothing after a crash, and nothing is lost with it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._faults: dict[str, int] = {}

    async def step(self, key: str, now: datetime) -> Look:
        """One look, at `now`; a temporary fault becomes `Look.fault` and the time of the next look."""
        try:
            done = await look(self._backend, key)
        except TemporaryFault as fault:
            patient = now + timedelta(seconds=self._wait(key, fault))
            # What was decided may have its time before that: a cap is kept by a look at the end that it pays for.
            due = fault.look_again_at or patient
            return Look(
                run=None,
                decision=None,
                changed=False,
                look_again_at=min(patient, due) if due > now else patient,
                fault=str(fault) or type(fault).__name__,
            )
        self._faults.pop(key, None)
        return done

    def _wait(self, key: str, fault: TemporaryFault) -> float:
        faults = self._faults.get(key, 0)
        self._faults[key] = faults + 1
        if isinstance(fault, Conflict) and faults == 0:
            return 0.0
        if fault.retry_after_seconds is not None:
            return fault.retry_after_seconds
        return min(FIRST_WAIT_SECONDS * 2.0 ** min(faults, 30), LONGEST_WAIT_SECONDS)
