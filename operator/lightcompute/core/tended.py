"""What became of the upkeep of checkpoints that is on record, as status: its end, and what it found."""

from __future__ import annotations

from lightcompute.api.status import TrainingRunStatus
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import Snapshot, UpkeepState
from lightcompute.core.text import cut
from runcontract.results import KeptCheckpoint
from runcontract.upkeep import UpkeepReport


def upkeep_told(status: TrainingRunStatus, snapshot: Snapshot) -> TrainingRunStatus:
    """`status` with what became of the upkeep that was asked for."""
    upkeep, seen = status.upkeep, snapshot.upkeep
    if upkeep is None or upkeep.state != "Requested" or seen is None:
        return status
    if seen.number != upkeep.number:
        return status
    if seen.state is UpkeepState.RUNNING or seen.state is UpkeepState.UNREACHABLE:
        return revised(status, upkeep=revised(upkeep, message=cut(seen.message)))
    if seen.state is UpkeepState.ABSENT:
        return status
    done = seen.state is UpkeepState.DONE
    over = revised(
        upkeep,
        state="Done" if done else "Failed",
        failures=upkeep.failures if done else upkeep.failures + 1,
        end_time=snapshot.now,
        message=cut(seen.message),
    )
    changes: dict[str, object] = {"upkeep": over}
    if done and seen.report is not None:
        changes["checkpoints"] = _after(status.checkpoints, seen.report)
    return revised(status, **changes)


def _after(
    checkpoints: tuple[KeptCheckpoint, ...], report: UpkeepReport
) -> tuple[KeptCheckpoint, ...]:
    """What is on record of the checkpoints after what was found and done."""
    found = {each.step: each for each in report.checkpoints}
    left = []
    for kept in checkpoints:
        tended = found.get(kept.step)
        if tended is None:
            left.append(kept)
            continue
        if tended.deleted:
            continue
        verdict = tended.verdict or kept.verdict
        sound = tended.verdict in {None, "Valid", "ValidWithWarnings"}
        left.append(revised(kept, verified=sound, verdict=verdict))
    return tuple(left)
