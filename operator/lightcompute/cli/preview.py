"""What `run` says before it starts: what, on what, how long, how dear. Estimates are told as such."""

from __future__ import annotations

from collections.abc import Iterator

from lightcompute.api import TrainingRun
from lightcompute.cli import text
from lightcompute.cli.intake import Intake
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
    if training is not None:
        yield from _training_rows(training)
    processes = run.spec.trainer.num_proc_per_node
    several = f", {processes} processes" if processes > 1 else ""
    yield (
        "on",
        f"{machine.cpu}, {machine.threads} threads{several}, {text.size(machine.memory_bytes)} of memory",
    )
    yield "budget", _budget(run)
    yield "folder", str(folder.path)


def _training_rows(training: Training) -> Iterator[tuple[str, str]]:
    model = training.model
    shape = f"{model.layers} layers, {model.embedding_size} wide, {model.heads} heads"
    yield "model", f"{shape}, context {model.context_length}, {training.tokenizer.type} tokens"
    yield "text", training.data.dataset or ", ".join(training.data.files)


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
