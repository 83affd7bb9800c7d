"""What a place's final refusal to start an attempt comes to: the attempt ends as never started, and the next place is tried.

Where there is no other place, the spec is not accepted until it is changed.
"""

from __future__ import annotations

from lightcompute.api.reasons import Reason
from lightcompute.api.status import AttemptState
from lightcompute.api.words import Phase
from lightcompute.core.conclude import conclude
from lightcompute.core.decide import RESYNC
from lightcompute.core.decision import Decision, StartAttempt
from lightcompute.core.facts import establish
from lightcompute.core.revise import revised
from lightcompute.core.search import has_other_places
from lightcompute.core.snapshot import Snapshot
from lightcompute.core.text import cut
from lightcompute.core.verdict import Verdict, with_attempt


def refused(snapshot: Snapshot, action: StartAttempt, message: str) -> Decision | None:
    """The decision after `action`, recorded in `snapshot.run`, was refused with `message`; nothing of it exists.

    None when the attempt is not a live one without a start any more, so that there is nothing to take back.
    """
    facts = establish(snapshot)
    live = facts.live
    if live is None or live.number != action.attempt or live.start_time is not None:
        return None
    elsewhere = has_other_places(snapshot)
    ended = revised(
        live,
        state=AttemptState.ENDED,
        end_time=facts.now,
        stop_reason=Reason.START_REFUSED.value if elsewhere else live.stop_reason,
        reason=Reason.START_REFUSED.value,
        message=cut(message),
    )
    # Where there is no other place it looks for none until its spec is changed, so no search goes on either.
    placement = facts.status.placement
    placement = placement if elsewhere else revised(placement, waiting_since=None)
    verdict = Verdict(
        phase=Phase.PENDING,
        reason=Reason.START_REFUSED,
        message=cut(f"{live.place} refused attempt {live.number}: {message}"),
        status=revised(with_attempt(facts.status, ended), placement=placement),
        refusal=None if elsewhere else Reason.START_REFUSED,
        look_again_at=facts.now if elsewhere else None,
    )
    return conclude(facts, verdict, resync=RESYNC)
