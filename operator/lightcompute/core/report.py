"""What the trainer says, as status: progress, checkpoints, results, environment. Bounded, typed, and never part of the ledger.

A lying or broken trainer spoils its own run's report and nothing else.
"""

from __future__ import annotations

from datetime import datetime

from lightcompute.api.came_out import Environment, RunResults, TensorBoardStatus
from lightcompute.api.status import (
    MAX_CHECKPOINTS,
    Attempt,
    Metric,
    TrainerStatus,
    TrainingRunStatus,
)
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.curve import curve_told
from lightcompute.core.keeping import with_reasons
from lightcompute.core.progress import Progress
from lightcompute.core.revise import revised
from lightcompute.core.saves import saves_told
from lightcompute.core.snapshot import Child, Snapshot
from lightcompute.core.text import cut
from runcontract.bounds import MAX_COUNT
from runcontract.losses import Loss
from runcontract.progress import Concluded, Described
from runcontract.results import KeptCheckpoint, TerminationMessage


def told(status: TrainingRunStatus, snapshot: Snapshot) -> TrainingRunStatus:
    """`status` with what the newest attempt's trainer says."""
    newest = status.attempts[-1] if status.attempts else None
    child = snapshot.child(newest.number) if newest is not None else None
    changes: dict[str, object] = {}
    if child is not None and child.progress is not None:
        changes["trainer_status"] = trainer_status(child.progress, snapshot.run, snapshot.now)
    saves = saves_told(status.saves, child.progress if child is not None else None)
    if saves != status.saves:
        changes["saves"] = saves
    checkpoints = _checkpoints(status, snapshot, child)
    if checkpoints != status.checkpoints:
        changes["checkpoints"] = checkpoints
    results = _results(snapshot, child)
    if results is not None:
        changes["results"] = results
    environment = _environment(snapshot, child)
    if environment is not None:
        changes["environment"] = environment
    if snapshot.tensorboard_url is not None:
        changes["tensorboard"] = TensorBoardStatus(url=cut(snapshot.tensorboard_url, 500))
    return revised(status, **changes)


def begun(attempt: Attempt, child: Child | None, snapshot: Snapshot) -> Attempt:
    """`attempt` with the step that it goes on from, and how many are done again, once its trainer has said so."""
    started = child.progress.started if child is not None and child.progress is not None else None
    if started is None:
        return attempt
    first = started.resumed_from_step or 0
    earlier = [each for each in snapshot.run.status.attempts if each.number < attempt.number]
    reached = earlier[-1].last_step if earlier else None
    lost = None if reached is None else max(0, reached - first)
    return revised(attempt, first_step=first, lost_steps=lost)


def measured(attempt: Attempt, child: Child, snapshot: Snapshot) -> Attempt:
    """`attempt`, ended, with how far it came and how fast it was."""
    progress = child.progress
    if progress is None:
        return attempt
    first = (progress.started.resumed_from_step or 0) if progress.started is not None else 0
    saved = max((kept.step for kept in snapshot.checkpoints if kept.verified), default=0)
    if progress.saved is not None:
        saved = max(saved, progress.saved.step)
    return revised(
        attempt,
        first_step=first,
        # The last lines of a log may be gone with its pod; the last word stays with its status.
        last_step=max(progress.step, _step_in_last_word(child)),
        tokens_per_second=progress.stepped.tokens_per_second if progress.stepped else None,
        fruitful=progress.started is not None and saved > first,
    )


def _step_in_last_word(child: Child) -> int:
    return 0 if child.termination is None else min(child.termination.step, MAX_COUNT)


def trainer_status(progress: Progress, run: TrainingRun, now: datetime) -> TrainerStatus:
    """`progress` in the form that other systems read; what is new in it is of `now`."""
    known = run.status.trainer_status
    max_steps = progress.max_steps
    share = min(progress.step * 100 // max_steps, 100) if max_steps else None
    remaining = progress.stepped.remaining_seconds if progress.stepped is not None else None
    if progress.finished is not None:
        remaining = 0
    training = run.spec.training
    unit = training.target.unit if training is not None and training.target is not None else None
    new = TrainerStatus(
        progress_percentage=share,
        estimated_remaining_seconds=None if remaining is None else round(remaining),
        metrics=tuple(Metric(name=name, value=value) for name, value in _metrics(progress).items()),
        validation_curve=curve_told(
            known.validation_curve if known is not None else None,
            progress.scored,
            attempt=progress.attempt,
            begun=progress.resumed_from,
            unit=unit,
        ),
        last_updated_time=known.last_updated_time if known is not None else None,
    )
    return new if new == known else revised(new, last_updated_time=now)


def _metrics(progress: Progress) -> dict[str, str]:
    found: dict[str, str] = {"step": str(progress.step)}
    if progress.max_steps is not None:
        found["maxSteps"] = str(progress.max_steps)
    stepped, evaluated = progress.stepped, progress.evaluated
    if stepped is not None:
        found |= {
            "epoch": f"{stepped.epoch:.4g}",
            "tokens": str(stepped.tokens),
            "trainingLossNatsPerToken": f"{stepped.training_loss:.6g}",
            "learningRate": f"{stepped.learning_rate:.6g}",
            "gradientNorm": f"{stepped.gradient_norm:.6g}",
            "tokensPerSecond": f"{stepped.tokens_per_second:.6g}",
        }
    if evaluated is not None:
        found |= _loss("validationLoss", evaluated.validation)
    if progress.best_validation is not None:
        found |= _loss("bestValidationLoss", progress.best_validation)
    return found


def _loss(name: str, loss: Loss) -> dict[str, str]:
    return {
        f"{name}NatsPerToken": f"{loss.nats_per_token:.6g}",
        f"{name}NatsPerCharacter": f"{loss.nats_per_character:.6g}",
        f"{name}BitsPerByte": f"{loss.bits_per_byte:.6g}",
    }


def _checkpoints(
    status: TrainingRunStatus, snapshot: Snapshot, child: Child | None
) -> tuple[KeptCheckpoint, ...]:
    """The inventory where it is known, else what was reported; oldest first."""
    if snapshot.checkpoints:
        known = {kept.name: kept for kept in snapshot.checkpoints}
    else:
        known = {kept.name: kept for kept in status.checkpoints}
        saves = child.progress.saves if child is not None and child.progress is not None else ()
        for saved in saves:
            before = known.get(saved.name)
            if before is not None and before.verdict and before.digest == saved.digest[:64]:
                continue  # it was judged since
            known[saved.name] = KeptCheckpoint(
                name=saved.name,
                step=saved.step,
                size_bytes=saved.size_bytes,
                digest=saved.digest[:64],
                epoch=saved.epoch,
                saved_time=saved.time if saved.time.tzinfo is not None else None,
                verified=True,
                validation=saved.validation,
            )
        if saves and saves[-1].kept:
            known = {name: kept for name, kept in known.items() if name in saves[-1].kept}
    ordered = sorted(known.values(), key=lambda kept: (kept.step, kept.name))[-MAX_CHECKPOINTS:]
    return tuple(ordered) if snapshot.checkpoints else with_reasons(tuple(ordered), snapshot.run)


def final_results(status: TrainingRunStatus) -> RunResults | None:
    """The results, where they are of the newest attempt: an earlier one's word is not the last."""
    results, newest = status.results, status.attempts[-1] if status.attempts else None
    if results is None or newest is None or results.attempt not in {None, newest.number}:
        return None
    return results


def _results(snapshot: Snapshot, child: Child | None) -> RunResults | None:
    """The results file of whichever attempt wrote it last, else what the newest one reported, else its last word."""
    if snapshot.results is not None:
        return _concluded(Concluded.of(snapshot.results, time=snapshot.results.finished_time))
    if child is None:
        return None
    if child.progress is not None and child.progress.concluded is not None:
        return _concluded(child.progress.concluded)
    return _from_last_word(child.termination, child.attempt) if child.termination else None


def _concluded(results: Concluded) -> RunResults:
    return RunResults(
        attempt=results.attempt,
        reason=results.reason,
        message=cut(results.message),
        target_met=results.target.met if results.target is not None else None,
        target=results.target,
        final_validation=results.final_validation,
        best_validation=results.best_validation,
        best_step=results.best_step,
        test=results.test,
        steps=results.step,
        epochs=results.epochs,
        tokens=results.tokens,
        parameters=results.parameters,
        training_seconds=results.training_seconds,
        tokens_per_second=results.tokens_per_second,
        sample=results.sample,
    )


def _from_last_word(word: TerminationMessage, attempt: int) -> RunResults:
    return RunResults(
        attempt=attempt,
        reason=word.reason,
        message=cut(word.message),
        target_met=word.target.met if word.target is not None else None,
        target=word.target,
        final_validation=word.final_validation,
        best_validation=word.best_validation,
        steps=min(word.step, MAX_COUNT),
    )


def _environment(snapshot: Snapshot, child: Child | None) -> Environment | None:
    """From the audit trail in the run's folder, else as the newest attempt reported it."""
    if snapshot.audit is not None:
        started = snapshot.audit.started_time
        return _described(Described.of(snapshot.audit, time=started, step=0))
    progress = child.progress if child is not None else None
    if progress is None or progress.described is None:
        return None
    return _described(progress.described)


def _described(told: Described) -> Environment:
    devices = ", ".join(told.devices)
    return Environment(
        python=told.python,
        torch=told.torch,
        hardware=cut(f"{told.cpu}, {told.cpu_count} CPUs{devices and '; '}{devices}", 300),
        git_commit=told.git_commit,
        image_digest=told.image_digest,
        seeds=told.seeds,
        configuration_hash=told.configuration_hash,
        data_sha256=told.data_sha256,
        tokenizer_sha256=told.tokenizer_sha256,
    )
