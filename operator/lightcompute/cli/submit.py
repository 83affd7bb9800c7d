"""`lightcompute submit`: makes runs in a cluster from files, or changes them as the files say. Nothing is sent while any fault is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lightcompute.api import TrainingRun
from lightcompute.cli import text
from lightcompute.cli.changes import told
from lightcompute.cli.options import assignments_option, cluster_options
from lightcompute.cli.preview import training_rows
from lightcompute.cli.wishes import Wish, document_of, wishes_of
from lightcompute.core.estimate import estimate, gpu_flops, measured_speed
from runcontract.exit_codes import ExitCode

if TYPE_CHECKING:
    from lightcompute.cli.cluster_target import ClusterTarget


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@assignments_option
@click.option("--name", help="Name of the run, for one file. [default: metadata.name of the file]")
@click.option("--dry-run", is_flag=True, help="Have the cluster check it, and change nothing.")
@click.option("--force", is_flag=True, help="Take over fields that others set (`kubectl edit`).")
@cluster_options
def submit(
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    name: str | None,
    dry_run: bool,
    force: bool,
    target: ClusterTarget,
) -> int:
    """Train what FILES order in a cluster: each is a TrainingRun, made or changed as its file says.

    The operator in the cluster does the rest; the command returns at once.
    """
    for wish in wishes_of(target, files, assignments, name):
        _carry_out(target, wish, force=force, dry_run=dry_run)
    return int(ExitCode.DONE)


def _carry_out(target: ClusterTarget, wish: Wish, *, force: bool, dry_run: bool) -> None:
    name = wish.run.metadata.name
    if wish.known is not None and wish.is_over:
        click.echo(
            f"{name} is over ({wish.known.status.phase}), so nothing was changed.\n"
            f"  To train the file again: {target.command('submit', str(wish.file), '--name', f'{name}-2')}"
        )
        return
    document = document_of(wish.run, target.remote.namespace)
    made = target.ask(target.remote.apply(name, document, force=force, dry_run=dry_run)).run
    click.echo(_said(target, wish, made, dry_run=dry_run))


def _said(target: ClusterTarget, wish: Wish, made: TrainingRun, *, dry_run: bool) -> str:
    name, known = made.metadata.name, wish.known
    changes = told(known, made) if known is not None else ()
    what = "a new run" if known is None else "changed" if changes else "unchanged"
    would = " (dry run: nothing was written)" if dry_run else ""
    lines = [f"{name}: {what} in namespace {target.remote.namespace}{would}"]
    rows = rows_of(made)
    if rows:
        lines.append(text.table(rows))
    lines += [f"  changed  {change}" for change in changes]
    if made.spec.suspend:
        lines.append(f"  It is suspended; to begin: {target.command('resume', name)}")
    if not dry_run:
        lines += [f"  To {what_for}: {command}" for what_for, command in _next(target, name)]
    return "\n".join(lines)


def _next(target: ClusterTarget, name: str) -> tuple[tuple[str, str], ...]:
    return (
        ("see how it does", target.command("status", name)),
        ("read its log", target.command("logs", name, "-f")),
        ("see its curves", target.command("tensorboard", name)),
        ("save and stop it", target.command("stop", name)),
    )


def rows_of(run: TrainingRun) -> tuple[tuple[str, str], ...]:
    """What is trained, on what, for how long and how much, as far as it is known before."""
    training, spec = run.spec.training, run.spec
    rows: list[tuple[str, str]] = []
    if training is not None and not spec.trainer.command:
        rows += training_rows(training)
    rows.append(("on", devices_of(run)))
    rows.append(("expected", _expected(run)))
    budget = spec.budget
    rows.append(("budget", f"at most {text.usd(budget.limit_usd)}" if budget else "no cap"))
    return tuple(rows)


def devices_of(run: TrainingRun) -> str:
    """The GPUs that it wants."""
    spec = run.spec
    gpu_types = ", ".join(spec.placement.gpu_types) or "any GPU"
    nodes = f" on {spec.trainer.num_nodes} nodes" if spec.trainer.num_nodes > 1 else ""
    return f"{gpu_types}, {spec.trainer.devices} of them{nodes}"


def _expected(run: TrainingRun) -> str:
    """Time and cost where speed and price are known; the price is the cluster's, so a new run has none yet."""
    training, status = run.spec.training, run.status
    if training is None or run.spec.trainer.command:
        return ""
    chosen = status.placement.candidates[:1]
    types = (*(each.place.gpu_type for each in chosen), *run.spec.placement.gpu_types)
    if not types:
        return ""
    rate = chosen[0].rate_per_hour_usd if chosen else 0
    expected = estimate(
        training,
        rate=rate,
        measured_tokens_per_second=measured_speed(status),
        flops=gpu_flops(types[0], run.spec.trainer.devices, training),
    )
    if expected is None:
        return ""
    if rate:
        return f"{expected}, on {types[0]}"
    return (
        f"about {text.duration(expected.seconds)} on {types[0]} for {text.count(expected.steps)} steps, by a rough model "
        "that may be off by a factor of three; the price is told once it has a place"
    )
