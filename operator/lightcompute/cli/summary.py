"""The last words of `run`: what came out, what it cost, where things are, what to do next, and the exit code."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator

from lightcompute.api import Phase, TrainingRun
from lightcompute.cli import text
from lightcompute.cli.outcome import result_rows
from lightcompute.local.backend import price_per_hour
from lightcompute.local.controller import refused
from lightcompute.local.folder import RunFolder
from runcontract import folder as names
from runcontract.exit_codes import ExitCode

SAMPLE_LINES = 12


def summary(run: TrainingRun, folder: RunFolder, command: str) -> str:
    """Everything that a person wants to know when the run rests; `command` is what goes on with it."""
    status = run.status
    head = f"{run.metadata.name}: {status.phase}. {status.message}".rstrip()
    parts = [head, text.table(_rows(run, folder))]
    sample = status.results.sample if status.results else None
    if sample and sample.strip():
        lines = sample.strip().splitlines()[:SAMPLE_LINES]
        parts.append("It writes:\n" + "\n".join(f"  | {line}" for line in lines))
    parts.append(_next(run, command))
    return "\n\n" + "\n\n".join(part for part in parts if part)


def exit_code(run: TrainingRun, interrupted_by: signal.Signals | None) -> int:
    """0 when the run succeeded; 128 and the signal when a person interrupted; else the contract's code for what happened."""
    if run.status.phase is Phase.SUCCEEDED:
        return ExitCode.DONE
    if interrupted_by is not None:
        return 128 + interrupted_by
    if run.status.phase is Phase.BUDGET_EXHAUSTED:
        return ExitCode.BUDGET_REACHED
    if run.status.phase in {Phase.SUSPENDED, Phase.STOPPED}:
        return ExitCode.PREEMPTED
    if refused(run):
        return ExitCode.CONFIGURATION_FAULT
    newest = run.status.attempts[-1] if run.status.attempts else None
    return newest.exit_code or ExitCode.INTERNAL_ERROR if newest else ExitCode.INTERNAL_ERROR


def how_to_begin_anew(run: TrainingRun, command: str) -> str:
    """For a run that is over."""
    name = run.metadata.name
    return (
        f"The run {name} is over ({run.status.phase}), so there is nothing to go on with.\n"
        f"  To train the file again: {command} --name {name}-2\n"
        f"  To look at this one:     lightcompute status {name}\n"
        f"  To delete this one:      lightcompute delete {name}"
    )


def left_behind(name: str, command: str) -> str:
    """For a person who left while the trainer had not."""
    return (
        f"Left. The trainer of {name} may still be saving; its supervisor ends it after the grace time.\n"
        f"  To go on: {command}"
    )


def _rows(run: TrainingRun, folder: RunFolder) -> Iterator[tuple[str, str]]:
    status = run.status
    if status.results is not None:
        yield from result_rows(status.results)
    spent = status.cost.spent_usd
    if spent or price_per_hour(run):
        limit = status.cost.limit_usd
        cap = "" if limit is None else f" of at most {text.usd(limit)}"
        yield "cost", f"{text.usd(spent)}{cap}"
    kept = [checkpoint for checkpoint in status.checkpoints if checkpoint.verified]
    if kept:
        size = text.size(sum(checkpoint.size_bytes for checkpoint in kept))
        steps = ", ".join(text.count(checkpoint.step) for checkpoint in kept)
        yield "checkpoints", f"{folder.path / names.CHECKPOINTS} (steps {steps}; {size})"
    yield "folder", str(folder.path)
    yield "status", str(folder.status_file)
    logs = folder.attempt(status.attempts[-1].number) if status.attempts else None
    if logs is not None and status.phase is Phase.FAILED:
        yield "logs", str(logs)


def _next(run: TrainingRun, command: str) -> str:
    name = shlex.quote(run.metadata.name)
    anew = "raise spec.budget.limitUSD in the file (or by --set 'budget.limitUSD=\"...\"') and give"
    return {
        Phase.SUCCEEDED: f"To see its curves: lightcompute tensorboard {name}",
        Phase.SUSPENDED: f"To go on: {command}",
        Phase.BUDGET_EXHAUSTED: f"To go on: {anew} {command}",
        Phase.FAILED: f"To see why:   lightcompute explain {name}; lightcompute logs {name}\n"
        f"To try again: {command}",
    }.get(run.status.phase, "")
