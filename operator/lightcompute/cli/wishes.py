"""What files want of a cluster: their runs, read and checked against what is there, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightcompute.api import Phase, TrainingRun, read_training_run
from lightcompute.api.words import FINISHED
from lightcompute.cli.changes import refuse_forbidden
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


def wishes_of(
    target: ClusterTarget, files: tuple[Path, ...], assignments: tuple[str, ...], name: str | None
) -> list[Wish]:
    """What the files want. Raises ConfigurationFault with every fault of every file, or every change that is refused."""
    runs = _read(files, assignments, name, target.remote.namespace)
    wishes = [Wish(file=file, run=run, known=_known(target, run)) for file, run in runs]
    _refuse(wishes)
    return wishes


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
