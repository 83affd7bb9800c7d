"""Runs that are played undisturbed and with every kind of trouble: what is done in each, and how each ends, whatever was in the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lightcompute.api import labels
from support.run_spaces import Run, Space

_LOOK_SECONDS = 0.5
PATIENT = 240.0
"""Seconds: under faults everything takes longer, and what is stuck is stuck."""
UNHURRIED = {
    "core.checks_begin.CANNOT_BEGIN_SECONDS": 600,
    "core.checks_begin.UNSCHEDULED_SECONDS": 600,
    "core.conclude.PROGRESS_SECONDS": 600,
}
"""Of an operator's modules: that a busy machine takes its time to make pods is no end that a workload speaks of, and how many writes there are
is a matter of what happens to a run, not of how long it takes."""
ONCE_MORE = {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}
"""The first attempt goes on until it is stopped, the second ends by itself."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What must be the same whatever was in the way."""

    phase: str = ""
    reason: str = ""
    attempts: tuple[tuple[str, bool], ...] = ()
    """Of each: why it ended, and whether it counts. The exit code goes with the pod, which waits for nobody."""
    children: tuple[str, ...] = ()
    """Purpose and attempt of what is left."""


GONE = Outcome()


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A run, what is done to it, and how it ends."""

    play: Callable[[Space, str], Run]
    ends: Outcome


def outcome(run: Run) -> Outcome:
    """What came of `run`."""
    children = _children(run)
    document = run.document
    if document is None:
        return Outcome(children=children)
    status = document["status"]
    attempts = tuple((_why(each), each["counts"]) for each in status.get("attempts", ()))
    return Outcome(
        phase=status["phase"], reason=status["reason"], attempts=attempts, children=children
    )


def _why(attempt: dict[str, Any]) -> str:
    """Why it ended. One whose time was over may have been asked to leave as well, by an operator that had not seen it go."""
    if attempt.get("stopReason") == "BudgetExhausted":
        return "TimeOver"
    return str(attempt.get("reason", ""))


def settled(run: Run, ends: Outcome, *, seconds: float = 30) -> Outcome:
    """The outcome, once it is `ends`; what it is instead where that does not come. What is left is tidied up by and by."""
    end = time.monotonic() + seconds
    while (found := outcome(run)) != ends and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    return found


def _children(run: Run) -> tuple[str, ...]:
    space, selector = run.space, f"{labels.RUN_UID}={run.uid}"
    paths = [f"/api/v1/namespaces/{space.namespace}/{kind}" for kind in ("configmaps", "services")]
    found = [
        each for path in paths for each in space.api.get(path, labelSelector=selector)["items"]
    ]
    every = (*found, *run.jobs)
    named = (f"{_mark(each, labels.PURPOSE)} {_mark(each, labels.ATTEMPT)}" for each in every)
    # An attempt that was over before anybody saw it run has no Service of TensorBoard; one of an attempt before may not be left.
    newest = f"tensorboard {len(run.status.get('attempts', ()))}"
    return tuple(sorted(name for name in named if name != newest))


def _mark(document: dict[str, Any], label: str) -> str:
    return str(document["metadata"]["labels"][label])


def _happy(space: Space, name: str) -> Run:
    run = space.submit(name, {"RUN_SECONDS": 2})
    run.in_phase("Succeeded", seconds=PATIENT)
    return run


def _fails_once(space: Space, name: str) -> Run:
    run = space.submit(name, {"EXIT_CODE_1": 1, "RUN_SECONDS": 1})
    run.in_phase("Succeeded", seconds=PATIENT)
    return run


def _is_suspended_and_resumed(space: Space, name: str) -> Run:
    run = space.submit(name, ONCE_MORE)
    run.in_phase("Running", seconds=PATIENT)
    run.edit(suspend=True)
    run.in_phase("Suspended", seconds=PATIENT)
    run.edit(suspend=False)
    run.in_phase("Succeeded", seconds=PATIENT)
    return run


def _is_deleted(space: Space, name: str) -> Run:
    run = space.submit(name, ONCE_MORE)
    run.in_phase("Running", seconds=PATIENT)
    run.delete()
    run.gone(seconds=PATIENT)
    return run


def _is_edited(space: Space, name: str) -> Run:
    run = space.submit(name, {"RUN_SECONDS": 5}, budget={"limitUSD": "0.05"})
    run.in_phase("Running", "Succeeded", seconds=PATIENT)
    run.edit(budget={"limitUSD": "1.00"})
    run.in_phase("Succeeded", seconds=PATIENT)
    run.until(lambda status: status["observedGeneration"] == 2, seconds=PATIENT)
    return run


def _hangs(space: Space, name: str) -> Run:
    run = space.submit(name, {"HANG_1": 1, "RUN_SECONDS": 1}, progressDeadlineSeconds=5)
    run.in_phase("Succeeded", seconds=PATIENT)
    return run


def _runs_out_of_budget(space: Space, name: str) -> Run:
    run = space.submit(name, {"NEVER_ENDS": 1}, budget={"limitUSD": "0.02"})
    run.in_phase("BudgetExhausted", seconds=PATIENT)
    return run


_COMPLETED = ("Completed", False)


def _left(attempt: int) -> tuple[str, ...]:
    return (f"order {attempt}", f"trainer {attempt}")


def _done(*attempts: tuple[str, bool]) -> Outcome:
    number = len(attempts)
    return Outcome(phase="Succeeded", reason="Completed", attempts=attempts, children=_left(number))


WORKLOADS = {
    "happy": Workload(play=_happy, ends=_done(_COMPLETED)),
    "fails-once": Workload(play=_fails_once, ends=_done(("InternalError", True), _COMPLETED)),
    "suspended": Workload(
        play=_is_suspended_and_resumed, ends=_done(("Preempted", False), _COMPLETED)
    ),
    "deleted": Workload(play=_is_deleted, ends=GONE),
    "edited": Workload(play=_is_edited, ends=_done(_COMPLETED)),
    "hangs": Workload(play=_hangs, ends=_done(("Hang", True), _COMPLETED)),
    "budget": Workload(
        play=_runs_out_of_budget,
        ends=Outcome(
            phase="BudgetExhausted",
            reason="BudgetExhausted",
            attempts=(("TimeOver", False),),
            children=_left(1),
        ),
    ),
}
