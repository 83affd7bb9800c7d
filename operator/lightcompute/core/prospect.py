"""What would become of a run if it were looked at now: the checks, the line and the places that decide it, and nothing done about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, StartAttempt
from lightcompute.core.facts import establish
from lightcompute.core.line import Line, Waiting, line_up
from lightcompute.core.market import Stall, lined_up_for, offers_of
from lightcompute.core.placement import Round, look_for_place
from lightcompute.core.seeking import waiting_of
from lightcompute.core.snapshot import Snapshot, Standing


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What a look would come to."""

    decision: Decision
    found: Round
    """Every place, judged."""
    line: Standing | None
    """How it would stand in the line; None where it would stand in none."""

    @property
    def start(self) -> StartAttempt | None:
        """The attempt that would be started, with place and deadline; None where none would."""
        starts = (each for each in self.decision.actions if isinstance(each, StartAttempt))
        return next(starts, None)


def prospect(
    snapshot: Snapshot, stalls: Sequence[Stall], waiting: Iterable[Waiting] = ()
) -> Prospect:
    """For the run of `snapshot`, with no attempt that lives, among those `waiting` for `stalls`; itself may be one of them, as it was."""
    run, now = snapshot.run, snapshot.now
    free = replace(snapshot, offers=offers_of(run, stalls, now=now))
    own = waiting_of(free, stalls)
    if own is None:
        return prospect_at(free)
    line = Line()
    for each in (*waiting, own):
        line.put(each)
    turn = line_up(line.runs, lined_up_for(stalls)).turns[own.uid]
    standing = Standing(position=line.ahead(own) + 1, length=len(line))
    offers = offers_of(run, stalls, now=now, turn=turn)
    return prospect_at(replace(snapshot, offers=offers, line=standing))


def prospect_at(snapshot: Snapshot) -> Prospect:
    """For the run of `snapshot`, whose offers are all that there is."""
    return Prospect(
        decision=decide(snapshot),
        found=look_for_place(establish(snapshot)),
        line=snapshot.line,
    )


def waiting_for(snapshots: Iterable[Snapshot], stalls: Sequence[Stall]) -> tuple[Waiting, ...]:
    """Those of the runs of `snapshots` that wait for one of `stalls`. One with an attempt that lives does not."""
    found = []
    for snapshot in snapshots:
        run = snapshot.run
        if any(attempt.is_live for attempt in run.status.attempts):
            continue
        offers = offers_of(run, stalls, now=snapshot.now)
        waiting = waiting_of(replace(snapshot, offers=offers), stalls)
        if waiting is not None:
            found.append(waiting)
    return tuple(found)
