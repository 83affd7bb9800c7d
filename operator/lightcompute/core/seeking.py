"""What a run would take if everything that is allowed to it were free: by this it stands in the line."""

from __future__ import annotations

from lightcompute.api.status import Place
from lightcompute.core.decide import CHECKS
from lightcompute.core.decision import StartAttempt
from lightcompute.core.facts import establish
from lightcompute.core.placement import look_for_place
from lightcompute.core.snapshot import Snapshot


def places_wanted(snapshot: Snapshot) -> tuple[Place, ...]:
    """The places among `snapshot.offers` that the run would take now, best first; none where it looks for none."""
    facts = establish(snapshot)
    if facts.live is not None:
        return ()
    verdict = next(spoken for check in CHECKS if (spoken := check(facts)) is not None)
    starts = any(isinstance(action, StartAttempt) for action in verdict.actions)
    return look_for_place(facts).takers if starts else ()
