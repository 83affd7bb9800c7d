"""`lightcompute validate`: every fault in files, without starting anything and without a cluster."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lightcompute.api import read_resource
from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault, Fault


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key first, as `run` does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def validate(files: tuple[Path, ...], assignments: tuple[str, ...], as_json: bool) -> int:
    """Say every fault in FILES, TrainingRuns and TrainingClusters: its path, the value, and what was expected."""
    verdicts = [(file, _faults(file, assignments)) for file in files]
    if as_json:
        click.echo(json.dumps([_document(file, faults) for file, faults in verdicts], indent=1))
    else:
        for file, faults in verdicts:
            _tell(file, faults)
    wrong = any(faults for _, faults in verdicts)
    return int(ExitCode.CONFIGURATION_FAULT if wrong else ExitCode.DONE)


def _faults(file: Path, assignments: tuple[str, ...]) -> tuple[Fault, ...]:
    try:
        read_resource(file, assignments)
    except ContractFault as fault:
        return fault.faults
    return ()


def _document(file: Path, faults: tuple[Fault, ...]) -> dict[str, object]:
    return {"file": str(file), "valid": not faults, "faults": [asdict(fault) for fault in faults]}


def _tell(file: Path, faults: tuple[Fault, ...]) -> None:
    if not faults:
        click.echo(f"{file}: valid")
        return
    click.echo(f"{file}: {len(faults)} fault{'s' if len(faults) > 1 else ''}")
    for fault in faults:
        click.echo(f"  {fault.where}\n    found     {fault.found}\n    expected  {fault.expected}")
        if fault.action:
            click.echo(f"    {fault.action}")
