"""What became of the upkeep of checkpoints that is on record, as status: its end, and what it found."""

from __future__ import annotations

from collections.abc import Iterable

from lightcompute.api.status import TrainingRunStatus, Upkeep
from lightcompute.core.final import with_final_checkpoint
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import SeenUpkeep, Snapshot, UpkeepState
from lightcompute.core.text import cut
from runcontract.results import KeptCheckpoint
from runcontract.upkeep import MOST_TOLD, TendedCheckpoint, UpkeepReport, UpkeepTask

_SOUND = frozenset({None, "Valid", "ValidWithWarnings"})


def upkeep_told(status: TrainingRunStatus, snapshot: Snapshot) -> TrainingRunStatus:
    """`status` with what became of the upkeep that was asked for."""
    upkeep, seen = status.upkeep, snapshot.upkeep
    if upkeep is None or upkeep.state != "Requested" or seen is None:
        return status
    if seen.number != upkeep.number:
        return status
    match seen.state:
        case UpkeepState.RUNNING | UpkeepState.UNREACHABLE:
            return revised(status, upkeep=revised(upkeep, message=cut(seen.message)))
        case UpkeepState.ABSENT:
            return status
        case UpkeepState.DONE if seen.report is not None:
            return _done(status, upkeep, seen, seen.report, snapshot)
        case UpkeepState.DONE if upkeep.task is not UpkeepTask.VERIFY:
            return revised(status, upkeep=_over(upkeep, "Done", seen, snapshot))
        case UpkeepState.DONE:
            # What it found is lost, so nothing is known.
            lost = _over(upkeep, "Failed", seen, snapshot)
            return revised(
                status, upkeep=revised(lost, message="it left no report of what it found")
            )
        case UpkeepState.FAILED:
            return revised(status, upkeep=_over(upkeep, "Failed", seen, snapshot))


def _over(upkeep: Upkeep, state: str, seen: SeenUpkeep, snapshot: Snapshot) -> Upkeep:
    failures = upkeep.failures if state == "Done" else upkeep.failures + 1
    return revised(
        upkeep, state=state, failures=failures, end_time=snapshot.now, message=cut(seen.message)
    )


def _done(
    status: TrainingRunStatus,
    upkeep: Upkeep,
    seen: SeenUpkeep,
    report: UpkeepReport,
    snapshot: Snapshot,
) -> TrainingRunStatus:
    over = _over(upkeep, "Done", seen, snapshot)
    if upkeep.task is UpkeepTask.VERIFY:
        broken = {each.step for each in report.checkpoints if each.verdict not in _SOUND}
        over = revised(over, broken_steps=tuple(sorted(broken))[-MOST_TOLD:])
    after = revised(status, upkeep=over, checkpoints=_after(status.checkpoints, report.checkpoints))
    return with_final_checkpoint(after, over)


def _after(
    checkpoints: tuple[KeptCheckpoint, ...], tended: Iterable[TendedCheckpoint]
) -> tuple[KeptCheckpoint, ...]:
    """What is on record of the checkpoints after what was found and done."""
    found = {each.step: each for each in tended}
    left = []
    for kept in checkpoints:
        each = found.get(kept.step)
        if each is None:
            left.append(kept)
        elif not each.deleted:
            verdict = each.verdict or kept.verdict
            left.append(revised(kept, verified=each.verdict in _SOUND, verdict=verdict))
    return tuple(left)
