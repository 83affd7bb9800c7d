"""What a run would take if everything that is allowed to it were free: by this it stands in the line."""

from __future__ import annotations

from collections.abc import Sequence

from lightcompute.api.status import Place
from lightcompute.core.decide import CHECKS
from lightcompute.core.decision import StartAttempt
from lightcompute.core.facts import establish
from lightcompute.core.line import Waiting, Want
from lightcompute.core.market import Stall, need_of
from lightcompute.core.placement import look_for_place
from lightcompute.core.snapshot import Snapshot


def waiting_of(snapshot: Snapshot, stalls: Sequence[Stall]) -> Waiting | None:
    """The run as it stands in the line for `stalls`; `snapshot.offers` are what they offer to it with no turn.

    None where it stands in none: it looks for no place, nobody counts what is free, or Kueue does.
    """
    run = snapshot.run
    if all(stall.room is None for stall in stalls) or run.spec.placement.queue_name is not None:
        return None
    wanted = places_wanted(snapshot)
    if not wanted:
        return None
    by_place = {stall.place: stall for stall in stalls}
    return Waiting(
        uid=run.metadata.uid,
        label=run.label,
        priority=run.spec.placement.priority,
        since=run.metadata.creation_timestamp or snapshot.now,
        wants=tuple(
            Want(place=place, need=need_of(run, by_place[place].gpu_resource)) for place in wanted
        ),
    )


def places_wanted(snapshot: Snapshot) -> tuple[Place, ...]:
    """The places among `snapshot.offers` that the run would take now, best first; none where it looks for none."""
    facts = establish(snapshot)
    if facts.live is not None:
        return ()
    verdict = next(spoken for check in CHECKS if (spoken := check(facts)) is not None)
    starts = any(isinstance(action, StartAttempt) for action in verdict.actions)
    return look_for_place(facts).takers if starts else ()
