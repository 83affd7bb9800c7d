"""Which checkpoints are kept: one pure rule that the trainer follows as it saves and the operator enforces.

It never gives up the newest verified one, the best one, a pinned one, the one being resumed from, or anything newer than the
newest verified one; whatever else the settings say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class KeepReason(StrEnum):
    """Why a checkpoint is kept."""

    LATEST = "Latest"
    BEST = "Best"
    PINNED = "Pinned"
    LAST_VERIFIED = "LastVerified"
    RESUMED_FROM = "ResumedFrom"
    NEWER_THAN_VERIFIED = "NewerThanVerified"


@dataclass(frozen=True, kw_only=True)
class KnownCheckpoint:
    """What the rule needs to know of a checkpoint. `validation_loss` in nats per token; None where it was not scored."""

    step: int
    verified: bool
    validation_loss: float | None = None
    pinned: bool = False


@dataclass(frozen=True, kw_only=True)
class Retention:
    """The outcome: every step is in exactly one of `kept` (with its reasons) and `deleted` (oldest first)."""

    kept: dict[int, frozenset[KeepReason]]
    deleted: tuple[int, ...]


def retain(
    checkpoints: Iterable[KnownCheckpoint],
    *,
    keep_latest: int,
    keep_best: bool,
    resumed_from: int | None = None,
) -> Retention:
    """Parts `checkpoints` into kept and deleted.

    "Latest" and "best" count verified checkpoints only, so that a broken one never pushes a good one out. Raises ValueError
    when a step stands twice or `keep_latest` is below one.
    """
    known = sorted(checkpoints, key=lambda checkpoint: checkpoint.step)
    if len({checkpoint.step for checkpoint in known}) != len(known):
        raise ValueError("a step stands twice among the checkpoints")
    if keep_latest < 1:
        raise ValueError(f"keep_latest is {keep_latest}; at least 1 is kept")
    verified = [checkpoint for checkpoint in known if checkpoint.verified]
    latest = {checkpoint.step for checkpoint in verified[-keep_latest:]}
    last_verified = verified[-1].step if verified else None
    scored = [(c.validation_loss, c.step) for c in verified if c.validation_loss is not None]
    best = min(scored)[1] if scored and keep_best else None

    def reasons(checkpoint: KnownCheckpoint) -> frozenset[KeepReason]:
        rules = {
            KeepReason.LATEST: checkpoint.step in latest,
            KeepReason.BEST: checkpoint.step == best,
            KeepReason.PINNED: checkpoint.pinned,
            KeepReason.LAST_VERIFIED: checkpoint.step == last_verified,
            KeepReason.RESUMED_FROM: checkpoint.step == resumed_from,
            KeepReason.NEWER_THAN_VERIFIED: last_verified is None
            or checkpoint.step > last_verified,
        }
        return frozenset(reason for reason, holds in rules.items() if holds)

    kept = {checkpoint.step: why for checkpoint in known if (why := reasons(checkpoint))}
    return Retention(kept=kept, deleted=tuple(c.step for c in known if c.step not in kept))
