"""How an attempt ended and what follows: tried again or not, counted or not, after how long.

Who made it end decides, in this order: the trainer, who is done or finds the order at fault; we, who asked it to leave; the place,
which took its machine away. The user's own faults are final, since the same order would end the same way; what was asked or
taken away is free; everything else counts towards `failurePolicy.maxRestarts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.spec import Backoff
from lightcompute.api.status import Attempt
from lightcompute.core.budget import end_time
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.core.text import cut
from runcontract.exit_codes import DESCRIPTIONS, ExitCode

FRUITFUL_SECONDS = 600
"""An attempt that held its place for so long counts as having brought the run forward, whatever it reported."""
MAX_FRUITLESS = 10
"""So many free attempts in a row without a step saved end the run: something is wrong that nobody owns up to."""
MAX_CAUSE = 512
"""What a trainer or a place says about an end may be longer than a status has room for."""
_SIGKILL, _SIGTERM = 9, 15


class Follows(Enum):
    """What follows the end of an attempt."""

    SUCCESS = auto()
    FAILURE = auto()
    COUNTED_RESTART = auto()
    FREE_RESTART = auto()


@dataclass(frozen=True, kw_only=True)
class Ending:
    """An end, judged."""

    follows: Follows
    reason: Reason
    message: str


_USERS_FAULTS = {
    ExitCode.CONFIGURATION_FAULT: Reason.CONFIGURATION_FAULT,
    ExitCode.DATA_FAULT: Reason.DATA_FAULT,
    ExitCode.BROKEN_CHECKPOINT: Reason.BROKEN_CHECKPOINT,
    ExitCode.DIVERGED: Reason.DIVERGED,
}
FINAL_REASONS = frozenset(_USERS_FAULTS.values())
"""Ends that no other attempt follows, unless the spec is changed."""
assert all(code.is_users_fault == (code in _USERS_FAULTS) for code in ExitCode)


_COUNTED_STOPS = frozenset({Reason.HANG})
"""What an attempt is stopped for that is a failure of its own; all other stops are somebody's wish, or its place's doing."""
NOT_HONOURED = frozenset(
    {
        Reason.NO_CAPACITY,
        Reason.NOT_ADMITTED,
        Reason.IMAGE_UNAVAILABLE,
        Reason.POD_REFUSED,
        Reason.START_REFUSED,
    }
)
"""Why a try of a place comes to nothing: the next place is tried in the same round, and no restart is counted."""
_NOT_BEGUN = frozenset({Reason.IMAGE_UNAVAILABLE, Reason.POD_REFUSED})
"""What an attempt is stopped for that was made and could not begin there: told as the end, whether it held its place or not."""


def judge(child: Child, attempt: Attempt, *, speaks_contract: bool, ended: datetime) -> Ending:
    """How `attempt` ended, from what is seen of it (`child`: Exited or Vanished)."""
    code = _contract_code(child) if speaks_contract else None
    how = _how(child, code)
    return (
        _said_by_the_trainer(child, code, how)
        or _at_our_word(child, attempt, how)
        or _interrupted(child, how)
        or _out_of_memory(child, how)
        or _past_its_deadline(child, attempt, how)
        or _vanished(child, attempt, how)
        or _asked_by_others(child, code, how)
        or _out_of_time(attempt, code, how, ended)
        or _failed(child, code, how)
    )


def wait_before_next(attempts: tuple[Attempt, ...], backoff: Backoff) -> timedelta:
    """Time from the end of the newest attempt to the start of the next; doubled at each end in a row without progress."""
    newest = attempts[-1]
    if not newest.counts and (newest.fruitful or newest.stop_reason is not None):
        return timedelta()
    in_a_row = max(1, len(_fruitless(attempts)))
    # 2 ** 30 is beyond any longest wait; the bound keeps the number small.
    seconds = backoff.base_seconds * 2 ** min(in_a_row - 1, 30)
    return timedelta(seconds=min(seconds, backoff.max_seconds))


def free_and_fruitless(attempts: tuple[Attempt, ...], generation: int) -> int:
    """How many of the newest attempts in a row ended for free, by no word of ours, under this spec, and brought nothing."""
    ends = _fruitless(attempts)
    return sum(
        1
        for attempt in ends
        if not attempt.counts and attempt.stop_reason is None and attempt.generation == generation
    )


def _fruitless(attempts: tuple[Attempt, ...]) -> list[Attempt]:
    """The newest attempts in a row that brought nothing; one that was stopped at our word says nothing either way."""
    ends: list[Attempt] = []
    for attempt in reversed(attempts):
        if attempt.fruitful:
            break
        if attempt.counts or attempt.stop_reason is None:
            ends.append(attempt)
    return ends


def _said_by_the_trainer(child: Child, code: ExitCode | None, how: str) -> Ending | None:
    """That it is done, or that another try would end the same way: true whoever stopped it."""
    if child.exit_code == 0 and child.signal is None:
        return Ending(follows=Follows.SUCCESS, reason=Reason.COMPLETED, message=how)
    if code in _USERS_FAULTS:
        return Ending(follows=Follows.FAILURE, reason=_USERS_FAULTS[code], message=how)
    return None


def _at_our_word(child: Child, attempt: Attempt, how: str) -> Ending | None:
    if attempt.stop_reason is None:
        return None
    reason = known_reason(attempt.stop_reason, Reason.PREEMPTED)
    why = attempt.message or reason
    if reason in _COUNTED_STOPS:
        return _counted(reason, f"{why}; {how}")
    if reason in _NOT_BEGUN:
        return _free(reason, f"{why}; {how}")
    if _never_began(child, attempt):
        return _free(Reason.NEVER_STARTED, f"given up before it began: {why}")
    return _free(Reason.PREEMPTED, f"asked to leave ({reason}); {how}")


def _interrupted(child: Child, how: str) -> Ending | None:
    return None if child.interruption is None else _free(child.interruption, how)


def _past_its_deadline(child: Child, attempt: Attempt, how: str) -> Ending | None:
    """Its place ended it, however that looks; of one that left no time of its end, nobody knows whether it was there by then."""
    deadline = end_time(attempt)
    if deadline is None or child.end_time is None or child.end_time < deadline:
        return None
    return _free(Reason.TIME_OVER, f"{how}, after its {attempt.deadline_seconds} s")


def _vanished(child: Child, attempt: Attempt, how: str) -> Ending | None:
    if child.state is not ChildState.VANISHED:
        return None
    if _never_began(child, attempt):
        return _free(Reason.NEVER_STARTED, f"gone before anything of it was seen to run; {how}")
    return _free(Reason.VANISHED, how)


def _never_began(child: Child, attempt: Attempt) -> bool:
    return child.state is ChildState.VANISHED and attempt.start_time is None


def _out_of_memory(child: Child, how: str) -> Ending | None:
    return _counted(Reason.OUT_OF_MEMORY, f"memory ran out; {how}") if child.out_of_memory else None


def _asked_by_others(child: Child, code: ExitCode | None, how: str) -> Ending | None:
    """It left because it was asked to, or was killed because it did not leave in time."""
    killed = child.stopping and _signal(child) in {_SIGTERM, _SIGKILL}
    return _free(Reason.PREEMPTED, how) if killed or code is ExitCode.PREEMPTED else None


def _out_of_time(
    attempt: Attempt, code: ExitCode | None, how: str, ended: datetime
) -> Ending | None:
    deadline = end_time(attempt)
    if deadline is not None and ended >= deadline:
        return _free(Reason.TIME_OVER, f"{how}, after its {attempt.deadline_seconds} s")
    if code is not ExitCode.BUDGET_REACHED or attempt.start_time is None:
        return None
    told = attempt.stop_after_seconds
    lasted = int((ended - attempt.start_time).total_seconds())
    # It has to save first, which may take long; but not minutes and half of all the time it was given.
    if told is not None and told - lasted <= max(300, told // 2):
        return _free(Reason.TIME_OVER, f"{how}, after {lasted} s of {told} s")
    given = "no end" if told is None else f"{told} s"
    return _counted(Reason.LEFT_EARLY, f"{how}, after {lasted} s where it was given {given}")


def _failed(child: Child, code: ExitCode | None, how: str) -> Ending:
    if code is ExitCode.STORAGE_FAULT:
        return _counted(Reason.STORAGE_FAULT, how)
    number = _signal(child)
    if number == _SIGKILL and child.out_of_memory is None:
        return _counted(Reason.OUT_OF_MEMORY, how)
    return _counted(Reason.INTERNAL_ERROR if number is None else Reason.KILLED, how)


def _signal(child: Child) -> int | None:
    """The signal that ended it; shells and kubelets tell 128 + n as an exit code."""
    if child.signal is not None:
        return child.signal
    code = child.exit_code
    return code - 128 if code is not None and 128 < code < 193 else None


def _contract_code(child: Child) -> ExitCode | None:
    code = child.exit_code
    known = child.signal is None and code is not None and code in ExitCode.__members__.values()
    return ExitCode(code) if known and code is not None else None


def _how(child: Child, code: ExitCode | None) -> str:
    """The end in words; what the place says about it comes last."""
    cause = cut(" ".join(child.cause.split()), MAX_CAUSE)
    return f"{_ending_told(child, code)}{cause and '; '}{cause}"


def _ending_told(child: Child, code: ExitCode | None) -> str:
    if child.state is ChildState.VANISHED:
        return "gone without an exit code"
    number = _signal(child)
    if number is not None:
        return f"ended by signal {number}"
    text = f"exit code {child.exit_code}"
    if child.termination is not None and child.termination.exit_code == child.exit_code:
        return f"{text}: {cut(child.termination.message, MAX_CAUSE)}"
    return f"{text}: {DESCRIPTIONS[code]}" if code is not None else text


def _free(reason: Reason, message: str) -> Ending:
    return Ending(follows=Follows.FREE_RESTART, reason=reason, message=message)


def _counted(reason: Reason, message: str) -> Ending:
    return Ending(follows=Follows.COUNTED_RESTART, reason=reason, message=message)
