"""What `run` says before it starts: what, on what, how long, how dear. Estimates are told as such."""

from __future__ import annotations

from collections.abc import Iterator

from lightcompute.api import TrainingRun
from lightcompute.cli import text
from lightcompute.cli.intake import Intake
from lightcompute.core.estimate import (
    cpu_flops,
    estimate,
    expected_steps,
    measured_speed,
    tokens_per_step,
)
from lightcompute.local.backend import price_per_hour
from lightcompute.local.folder import RunFolder
from lightcompute.local.machine import this_machine
from runcontract.order import Training


def preview(taken: Intake, folder: RunFolder) -> str:
    """The run as it is about to begin or to go on."""
    run = taken.run
    head = f"{run.metadata.name}: {'a new run' if taken.new else 'goes on'}"
    lines = [head, text.table(_rows(run, folder))]
    lines += [f"  changed  {change}" for change in taken.changes]
    return "\n".join(lines) + "\n"


def _rows(run: TrainingRun, folder: RunFolder) -> Iterator[tuple[str, str]]:
    machine = this_machine()
    training = run.spec.training
    if run.spec.trainer.command:
        yield "program", " ".join((*run.spec.trainer.command, *run.spec.trainer.args))
    if training is not None and not run.spec.trainer.command:
        yield from training_rows(training)
    yield "on", machine_of(run)
    yield "expected", _expected(run, machine.threads)
    yield "budget", _budget(run)
    yield "folder", str(folder.path)


def machine_of(run: TrainingRun) -> str:
    """This machine, as far as the run uses it."""
    machine, processes = this_machine(), run.spec.trainer.num_proc_per_node
    several = f", {processes} processes" if processes > 1 else ""
    return f"{machine.cpu}, {machine.threads} threads{several}, {text.size(machine.memory_bytes)} of memory"


def training_rows(training: Training) -> Iterator[tuple[str, str]]:
    """Model, text, settings and length."""
    model = training.model
    shape = f"{model.layers} layers, {model.embedding_size} wide, {model.heads} heads"
    yield "model", f"{shape}, context {model.context_length}, {training.tokenizer.type} tokens"
    yield "text", training.data.dataset or ", ".join(training.data.files)
    yield "settings", _settings(training)
    yield "length", _length(training)


def _settings(training: Training) -> str:
    sequences = training.batch_size * training.gradient_accumulation_steps
    optimizer, schedule = training.optimizer, training.schedule
    return (
        f"{optimizer.type} at {optimizer.learning_rate:g}, {schedule.type} schedule, "
        f"{sequences} sequences a step, {training.precision}, seed {training.seed}"
    )


def _length(training: Training) -> str:
    steps = expected_steps(training)
    if steps is None:
        return f"{training.max_epochs} epochs"
    epochs = f" ({training.max_epochs} epochs)" if training.max_epochs else ""
    about = "about " if training.max_epochs else ""
    tokens = text.count(steps * tokens_per_step(training))
    return f"{about}{text.count(steps)} steps{epochs}, {tokens} tokens"


def _expected(run: TrainingRun, threads: int) -> str:
    """Time and cost of the whole run; a program of the user's own says nothing that they could be told from."""
    training = run.spec.training
    if training is None or run.spec.trainer.command:
        return ""
    expected = estimate(
        training,
        rate=price_per_hour(run),
        measured_tokens_per_second=measured_speed(run.status),
        flops=cpu_flops(threads, training),
    )
    return "" if expected is None else str(expected)


def _budget(run: TrainingRun) -> str:
    rate, budget = price_per_hour(run), run.spec.budget
    if not rate:
        return (
            ""
            if budget is None
            else f"{text.usd(budget.limit_usd)}, but no price was given for this machine, so nothing is charged: --price-per-hour-usd"
        )
    cap = "no cap" if budget is None else f"at most {text.usd(budget.limit_usd)}"
    return f"{cap}, at {text.usd(rate)} an hour"
