"""`lightcompute submit`: makes runs in a cluster from files, or changes them as the files say. Nothing is sent while any fault is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lightcompute.api import Phase, TrainingRun, read_training_run
from lightcompute.api.reasons import FINISHED
from lightcompute.cli import text
from lightcompute.cli.changes import refuse_forbidden, told
from lightcompute.cli.options import assignments_option, cluster_options
from lightcompute.cli.preview import training_rows
from lightcompute.core.estimate import estimate, gpu_flops, measured_speed
from runcontract.exit_codes import ExitCode
from runcontract.faults import ConfigurationFault, ContractFault, Fault

if TYPE_CHECKING:
    from lightcompute.cli.cluster_target import ClusterTarget


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A run that a file wants, and the one that is there."""

    file: Path
    run: TrainingRun
    known: TrainingRun | None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to go on with."""
        return self.known is not None and self.known.status.phase in FINISHED - {Phase.FAILED}


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
    runs = _read(files, assignments, name, target.remote.namespace)
    wishes = [Wish(file=file, run=run, known=_known(target, run)) for file, run in runs]
    _refuse(wishes)
    for wish in wishes:
        _carry_out(target, wish, force=force, dry_run=dry_run)
    return int(ExitCode.DONE)


def _read(
    files: tuple[Path, ...], assignments: tuple[str, ...], name: str | None, namespace: str
) -> list[tuple[Path, TrainingRun]]:
    """The runs in the files; every fault of every file at once."""
    if name is not None and len(files) > 1:
        raise ConfigurationFault(
            Fault(where="--name", found=f"{len(files)} files", expected="one file with it")
        )
    named = (*assignments, *((f"metadata.name={name}",) if name else ()))
    found: list[tuple[Path, TrainingRun]] = []
    faults: list[Fault] = []
    for file in files:
        try:
            run = read_training_run(file, named)
        except ContractFault as fault:
            faults += (_of_file(file, each) for each in fault.faults)
            continue
        faults += _misplaced(file, run, namespace, found)
        found.append((file, run))
    if faults:
        raise ConfigurationFault(*faults)
    return found


def _of_file(file: Path, fault: Fault) -> Fault:
    where = fault.where if fault.where.startswith(str(file)) else f"{file}: {fault.where}"
    return Fault(where=where, found=fault.found, expected=fault.expected, action=fault.action)


def _misplaced(
    file: Path, run: TrainingRun, namespace: str, before: list[tuple[Path, TrainingRun]]
) -> list[Fault]:
    """A file that names another namespace, or the name of a run of another file."""
    faults: list[Fault] = []
    given = run.metadata.namespace
    if given is not None and given != namespace:
        faults.append(
            Fault(
                where=f"{file}: metadata.namespace",
                found=given,
                expected=f"{namespace}, where the command submits to",
                action=f"Give -n {given}, or take the namespace out of the file.",
            )
        )
    twin = next((other for other, each in before if each.metadata.name == run.metadata.name), None)
    if twin is not None:
        faults.append(
            Fault(
                where=f"{file}: metadata.name",
                found=run.metadata.name,
                expected=f"another name than that of {twin}",
            )
        )
    return faults


def _known(target: ClusterTarget, run: TrainingRun) -> TrainingRun | None:
    found = target.ask(target.remote.find_or_none(run.metadata.name))
    return found.run if found else None


def _refuse(wishes: list[Wish]) -> None:
    """What would change the numbers of a training that has begun; a failed run may be tried with others."""
    faults: list[Fault] = []
    for wish in wishes:
        known = wish.known
        if known is None or known.status.start_time is None or wish.is_over:
            continue
        if known.status.phase is Phase.FAILED:
            continue
        try:
            refuse_forbidden(known, wish.run)
        except ConfigurationFault as fault:
            faults += (_of_file(wish.file, each) for each in fault.faults)
    if faults:
        raise ConfigurationFault(*faults)


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


def document_of(run: TrainingRun, namespace: str) -> dict[str, Any]:
    """What is sent: the fields that the file gives and no other, so that no other becomes ours."""
    document = run.model_dump(
        mode="json",
        by_alias=True,
        exclude_unset=True,
        exclude_none=True,
        exclude={"status": True, "metadata": _SERVERS_OWN},
    )
    document["metadata"]["namespace"] = namespace
    return {"apiVersion": run.api_version, "kind": run.kind} | document


_SERVERS_OWN = {
    "uid",
    "resource_version",
    "generation",
    "creation_timestamp",
    "deletion_timestamp",
    "finalizers",
}


def _said(target: ClusterTarget, wish: Wish, made: TrainingRun, *, dry_run: bool) -> str:
    name, known = made.metadata.name, wish.known
    changes = told(known, made) if known is not None else ()
    what = "a new run" if known is None else "changed" if changes else "unchanged"
    would = " (dry run: nothing was written)" if dry_run else ""
    lines = [f"{name}: {what} in namespace {target.remote.namespace}{would}"]
    rows = _rows(made)
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


def _rows(run: TrainingRun) -> tuple[tuple[str, str], ...]:
    """What is trained, on what, for how long and how much, as far as it is known before."""
    training, spec = run.spec.training, run.spec
    rows: list[tuple[str, str]] = []
    if training is not None and not spec.trainer.command:
        rows += training_rows(training)
    gpu_types = ", ".join(spec.placement.gpu_types) or "any GPU"
    nodes = f" on {spec.trainer.num_nodes} nodes" if spec.trainer.num_nodes > 1 else ""
    rows.append(("on", f"{gpu_types}, {spec.trainer.devices} of them{nodes}"))
    rows.append(("expected", _expected(run)))
    budget = spec.budget
    rows.append(("budget", f"at most {text.usd(budget.limit_usd)}" if budget else "no cap"))
    return tuple(rows)


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
