"""The retention rule on what is on record of a run's checkpoints: why each is kept, and which the rule would give up."""

from __future__ import annotations

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.revise import revised
from runcontract.requests import parse_pins
from runcontract.results import KeptCheckpoint
from runcontract.retention import KnownCheckpoint, Retention, retain


def outlives_attempts(run: TrainingRun) -> bool:
    """Whether its checkpoints are kept where they outlive an attempt, in a cluster."""
    storage = run.spec.storage
    return storage.persistent_volume_claim is not None or storage.s3 is not None


def pins_of(run: TrainingRun) -> frozenset[int]:
    """Steps that a person pinned by annotation."""
    raw = run.metadata.annotations.get(labels.PINNED_CHECKPOINTS, "")
    return parse_pins(raw.encode()).steps


def retention_of(checkpoints: tuple[KeptCheckpoint, ...], run: TrainingRun) -> Retention:
    """The rule's outcome, by what is on record."""
    pins, settings = pins_of(run), run.spec.checkpoints
    known = {
        kept.step: KnownCheckpoint(
            step=kept.step,
            verified=kept.verified,
            validation_loss=kept.validation.nats_per_token if kept.validation else None,
            pinned=kept.step in pins,
        )
        for kept in checkpoints
    }
    return retain(known.values(), keep_latest=settings.keep_latest, keep_best=settings.keep_best)


def with_reasons(
    checkpoints: tuple[KeptCheckpoint, ...], run: TrainingRun
) -> tuple[KeptCheckpoint, ...]:
    """`checkpoints` with why the rule keeps each; nothing stands where it would give it up."""
    kept = retention_of(checkpoints, run).kept
    return tuple(
        revised(each, kept_because=tuple(sorted(kept.get(each.step, ())))) for each in checkpoints
    )
